"""The revocation log, with what ended shortly before it was there. It knows no other version."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

from keyturn.stores._sql import types

revision = "0003"
down_revision = "0002"

RETENTION = 26 * 3_600_000  # milliseconds
TOGETHER = 1000  # rows in one statement


def upgrade() -> None:
    """Make the table and its index, and write down what views would otherwise take for valid."""
    if op.get_context().dialect.name in {"mysql", "mariadb"}:
        # Nothing undoes what made a table there: at version 0002, this one is from an interrupted upgrade.
        op.drop_table("keyturn_revocations", if_exists=True)
    revocations = op.create_table(
        "keyturn_revocations",
        sa.Column("no", types.counter(), nullable=False, autoincrement=True),
        sa.Column("kind", types.text(16), nullable=False),
        sa.Column("subject", types.text(255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("no", name="keyturn_revocations_pk"),
        **types.INNODB,
        **types.NEVER_AGAIN,
    )
    op.create_index("keyturn_revocations_age", "keyturn_revocations", ["at", "no"])
    recent = time.time_ns() // 1_000_000 - RETENTION
    lines = [*_ended_since(recent), *_denied_since(recent)]
    for start in range(0, len(lines), TOGETHER):
        op.bulk_insert(revocations, lines[start : start + TOGETHER])


def _ended_since(recent: int) -> list[dict[str, object]]:
    sid, at = sa.column("sid", types.uuid()), sa.column("revoked_at", sa.BigInteger())
    ended = sa.select(sid, at).select_from(sa.table("keyturn_sessions", sid, at)).where(at >= recent)
    rows = op.get_bind().execute(ended.order_by(at))
    return [{"kind": "session", "subject": str(row.sid), "at": row.revoked_at} for row in rows]


def _denied_since(recent: int) -> list[dict[str, object]]:
    token, at = sa.column("token_id", types.text(255)), sa.column("denied_at", sa.BigInteger())
    denied = sa.select(token, at).select_from(sa.table("keyturn_denials", token, at)).where(at >= recent)
    rows = op.get_bind().execute(denied.order_by(at))
    return [{"kind": "token", "subject": row.token_id, "at": row.denied_at} for row in rows]


def downgrade() -> None:
    """Drop the table: who follows the log cannot any more."""
    op.drop_table("keyturn_revocations")
