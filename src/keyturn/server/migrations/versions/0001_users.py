"""The table of users, as the first release has it. It knows no other version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keyturn.stores._sql import types

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "keyturn_users",
        sa.Column("id", types.text(36), nullable=False),
        sa.Column("username", types.text(255), nullable=False),
        sa.Column("password_hash", types.text(255), nullable=False),
        sa.Column("claims", types.json_object(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="keyturn_users_pk"),
        sa.UniqueConstraint("username", name="keyturn_users_username"),
        **types.INNODB,
    )


def downgrade() -> None:
    """Drop the table: nobody can sign in."""
    op.drop_table("keyturn_users")
