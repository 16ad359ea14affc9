"""Sessions and denials, as the first release has them. It knows no other version."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from keyturn.stores._sql import types

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables and their indexes."""
    op.create_table(
        "keyturn_sessions",
        sa.Column("sid", types.uuid(), nullable=False),
        sa.Column("user_id", types.text(255), nullable=False),
        sa.Column("secret_digest", types.octets(32), nullable=False),
        sa.Column("gen", sa.BigInteger(), nullable=False),
        sa.Column("parent_branch", types.octets(8), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("rotated_at", sa.BigInteger(), nullable=False),
        sa.Column("handed_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("idle_ttl", sa.BigInteger(), nullable=True),
        sa.Column("idle_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("access_ttl", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_reason", types.text(16), nullable=True),
        sa.Column("claims", types.json_object(), nullable=False),
        sa.Column("device", types.json_object(), nullable=False),
        sa.Column("jkt", types.text(64), nullable=True),
        sa.PrimaryKeyConstraint("sid", name="keyturn_sessions_pk"),
        **types.INNODB,
        **types.HOT,
    )
    op.create_index("keyturn_sessions_user", "keyturn_sessions", ["user_id", "sid"])
    op.create_index("keyturn_sessions_expiry", "keyturn_sessions", ["expires_at", "sid"])
    op.create_table(
        "keyturn_denials",
        sa.Column("token_id", types.text(255), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", types.text(255), nullable=False),
        sa.Column("denied_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_id", name="keyturn_denials_pk"),
        **types.INNODB,
    )
    op.create_index("keyturn_denials_expiry", "keyturn_denials", ["expires_at", "token_id"])


def downgrade() -> None:
    """Drop the tables: every session ends."""
    op.drop_table("keyturn_denials")
    op.drop_table("keyturn_sessions")
