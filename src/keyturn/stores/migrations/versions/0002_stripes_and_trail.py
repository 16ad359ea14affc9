"""The rows that stand for the locks of users, and the audit trail. It knows no other version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

STRIPES = 256


def upgrade() -> None:
    """Make the tables and their indexes."""
    stripes = op.create_table(
        "keyturn_stripes",
        sa.Column("stripe", sa.Integer(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("stripe", name="keyturn_stripes_pk"),
    )
    op.bulk_insert(stripes, [{"stripe": number} for number in range(STRIPES)])
    op.create_table(
        "keyturn_trail",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sid", sa.Uuid(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("gen", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.JSON(), nullable=False),
        sa.Column("context", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="keyturn_trail_pk"),
    )
    op.create_index("keyturn_trail_session", "keyturn_trail", ["sid", "id"])
    op.create_index("keyturn_trail_age", "keyturn_trail", ["at", "id"])


def downgrade() -> None:
    """Drop the tables: the audit trail is lost."""
    op.drop_table("keyturn_trail")
    op.drop_table("keyturn_stripes")
