"""The rows that stand for the locks of users, and the audit trail. It knows no other version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keyturn.stores._sql import types

revision = "0002"
down_revision = "0001"

STRIPES = 256


def upgrade() -> None:
    """Make the tables and their indexes."""
    if op.get_context().dialect.name in {"mysql", "mariadb"}:
        # Nothing undoes what made a table there: at version 0001, these are from an interrupted upgrade.
        op.drop_table("keyturn_trail", if_exists=True)
        op.drop_table("keyturn_stripes", if_exists=True)
    stripes = op.create_table(
        "keyturn_stripes",
        sa.Column("stripe", sa.Integer(), nullable=False, autoincrement=False),
        sa.PrimaryKeyConstraint("stripe", name="keyturn_stripes_pk"),
        **types.INNODB,
    )
    op.bulk_insert(stripes, [{"stripe": number} for number in range(STRIPES)])
    op.create_table(
        "keyturn_trail",
        sa.Column("id", types.uuid(), nullable=False),
        sa.Column("sid", types.uuid(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", types.text(16), nullable=False),
        sa.Column("reason", types.text(255), nullable=False),
        sa.Column("gen", sa.BigInteger(), nullable=False),
        sa.Column("device", types.json_object(), nullable=False),
        sa.Column("context", types.text(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="keyturn_trail_pk"),
        **types.INNODB,
    )
    op.create_index("keyturn_trail_session", "keyturn_trail", ["sid", "id"])
    op.create_index("keyturn_trail_age", "keyturn_trail", ["at", "id"])


def downgrade() -> None:
    """Drop the tables: the audit trail is lost."""
    op.drop_table("keyturn_trail")
    op.drop_table("keyturn_stripes")
