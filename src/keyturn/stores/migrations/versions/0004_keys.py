"""The document of the key ring, for those who keep it in the database. It knows no other version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keyturn.stores._sql import types

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    if op.get_context().dialect.name in {"mysql", "mariadb"}:
        # Nothing undoes what made a table there: before version 0004, it is from an interrupted upgrade.
        op.drop_table("keyturn_keys", if_exists=True)
    op.create_table(
        "keyturn_keys",
        sa.Column("name", types.text(16), nullable=False),
        sa.Column("version", types.text(64), nullable=False),
        sa.Column("document", types.document(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="keyturn_keys_pk"),
        **types.INNODB,
    )


def downgrade() -> None:
    """Drop the table: the keys are lost, and every session ends."""
    op.drop_table("keyturn_keys")
