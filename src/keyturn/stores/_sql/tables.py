"""The tables, and the way between a row and a `Session`. It knows no operation.

The names are fixed: migrations, several processes and people with a database shell must all mean the same
tables, and a prefix that differs between two processes would split a user's sessions in two without an error.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
)

from keyturn._core.records import Session
from keyturn._core.trail import TrailEntry
from keyturn.stores._sql.types import HOT, INNODB, NEVER_AGAIN, counter, json_object, octets, text, uuid

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

metadata: Final = MetaData()
"""Keyturn's tables, for those who run their own migrations."""

# The columns are the fields of `Session`, in their order: a row is the arguments of a Session.
# No index may hold a column that a refresh changes: then PostgreSQL rewrites the row in place (HOT).
sessions: Final = Table(
    "keyturn_sessions",
    metadata,
    Column("sid", uuid(), nullable=False),
    Column("user_id", text(255), nullable=False),
    Column("secret_digest", octets(32), nullable=False),
    Column("gen", BigInteger, nullable=False),
    Column("parent_branch", octets(8), nullable=False),
    Column("confirmed", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("rotated_at", BigInteger, nullable=False),
    Column("handed_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("idle_ttl", BigInteger),
    Column("idle_expires_at", BigInteger),
    Column("expires_at", BigInteger, nullable=False),
    Column("access_ttl", BigInteger),
    Column("revoked_at", BigInteger),
    Column("revoked_reason", text(16)),
    Column("claims", json_object(), nullable=False),
    Column("device", json_object(), nullable=False),
    Column("jkt", text(64)),
    PrimaryKeyConstraint("sid", name="keyturn_sessions_pk"),
    Index("keyturn_sessions_user", "user_id", "sid"),
    Index("keyturn_sessions_expiry", "expires_at", "sid"),
    **INNODB,
    **HOT,
)

denials: Final = Table(
    "keyturn_denials",
    metadata,
    Column("token_id", text(255), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("reason", text(255), nullable=False),
    Column("denied_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("token_id", name="keyturn_denials_pk"),
    Index("keyturn_denials_expiry", "expires_at", "token_id"),
    **INNODB,
)

STRIPES: Final = 256  # rows that stand for the locks of users: two users rarely share one
stripes: Final = Table(
    "keyturn_stripes",
    metadata,
    Column("stripe", Integer, nullable=False, autoincrement=False),
    PrimaryKeyConstraint("stripe", name="keyturn_stripes_pk"),
    **INNODB,
)

# The columns are the fields of `TrailEntry`, in their order. Ids are UUIDv7, so lines sort by their moment.
trail: Final = Table(
    "keyturn_trail",
    metadata,
    Column("id", uuid(), nullable=False),
    Column("sid", uuid(), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("kind", text(16), nullable=False),
    Column("reason", text(255), nullable=False),
    Column("gen", BigInteger, nullable=False),
    Column("device", json_object(), nullable=False),
    Column("context", text(16), nullable=False),
    PrimaryKeyConstraint("id", name="keyturn_trail_pk"),
    Index("keyturn_trail_session", "sid", "id"),
    Index("keyturn_trail_age", "at", "id"),
    **INNODB,
)

# Who follows the log reads on by number, not by moment: the clocks of several machines differ. The database
# gives the numbers before others see the rows, so the lower of two may be seen later: see `following`.
revocations: Final = Table(
    "keyturn_revocations",
    metadata,
    Column("no", counter(), nullable=False, autoincrement=True),
    Column("kind", text(16), nullable=False),
    Column("subject", text(255), nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("no", name="keyturn_revocations_pk"),
    Index("keyturn_revocations_age", "at", "no"),
    **INNODB,
    **NEVER_AGAIN,
)

_NAMES: Final = tuple(field.name for field in fields(Session))


def to_session(row: Sequence[Any]) -> Session:
    """Turn a row of all columns of the table into a session."""
    return Session(*row)


def to_sessions(rows: Iterable[Sequence[Any]]) -> tuple[Session, ...]:
    """Turn rows of all columns of the table into sessions."""
    return tuple(map(to_session, rows))


def to_row(session: Session) -> dict[str, Any]:
    """Turn a session into the values of its row."""
    row = {name: getattr(session, name) for name in _NAMES}
    return {**row, "claims": dict(session.claims), "device": dict(session.device)}


def to_entries(rows: Iterable[Sequence[Any]]) -> tuple[TrailEntry, ...]:
    """Turn rows of all columns of the trail into its lines."""
    return tuple(TrailEntry(*row) for row in rows)


def from_entry(entry: TrailEntry) -> dict[str, Any]:
    """Turn a line of the trail into the values of its row."""
    row = {field.name: getattr(entry, field.name) for field in fields(TrailEntry)}
    return {**row, "device": dict(entry.device)}


def changes(before: Session, after: Session) -> dict[str, Any]:
    """Return the values that differ, so that a write touches no other column."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in _NAMES)
    return {name: new for name, old, new in pairs if old != new}
