"""The SQL statements, written once for every dialect. It knows no connection and no outcome.

Digests and branches are compared by the database, not in constant time. That gives nothing away: the token's
tag has been verified before, and the digest is SHA-256 of a secret that no prefix search can approach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    Integer,
    LargeBinary,
    Select,
    String,
    Update,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite

from keyturn._core.ids import bucket_of_user
from keyturn.stores._sql import log_statements
from keyturn.stores._sql.tables import STRIPES, denials, sessions, stripes, trail

if TYPE_CHECKING:
    from sqlalchemy import Column, Executable, Insert, Table

    from keyturn._core.commands import Where
    from keyturn._core.records import Millis

_s: Final = sessions.c

# Parameters. Their names differ from all columns', which SQLAlchemy keeps for itself.
_SID: Final = bindparam("id", type_=_s.sid.type)
_DIGEST: Final = bindparam("digest", type_=LargeBinary())
_BRANCH: Final = bindparam("branch", type_=LargeBinary())
_GEN: Final = bindparam("generation", type_=BigInteger())
_NOW: Final = bindparam("now", type_=BigInteger())
_PROVEN: Final = bindparam("proven", type_=String())
_HANDED_BY: Final = bindparam("handed_by", type_=BigInteger())
_TOKEN: Final = bindparam("token", type_=String())
_USER: Final = bindparam("user", type_=String())
_OWNER: Final = bindparam("owner", type_=String())
_KEEP: Final = bindparam("keep", type_=_s.sid.type)
_REASON: Final = bindparam("reason", type_=String())
_AFTER: Final = bindparam("after", type_=_s.sid.type)
_BEFORE: Final = bindparam("before", type_=BigInteger())
_UNTIL: Final = bindparam("until", type_=_s.sid.type)
_MOMENT: Final = bindparam("moment", type_=BigInteger())
_SKIP: Final = bindparam("skip", type_=Integer())
_MOST: Final = bindparam("most", type_=Integer())


def _later(column: Column[Any]) -> ColumnElement[Any]:
    # "The greater of the two" has a different name in each dialect; CASE is the same everywhere.
    return case((column < _NOW, _NOW), else_=column)


def lives(at: Millis | ColumnElement[Any]) -> ColumnElement[bool]:
    """Say what `ending(session, at) is None` says."""
    return and_(
        _s.revoked_at.is_(None),
        _s.expires_at > at,
        or_(_s.idle_expires_at.is_(None), _s.idle_expires_at > at),
    )


_idle_end: Final = case((_s.expires_at < _NOW + _s.idle_ttl, _s.expires_at), else_=_NOW + _s.idle_ttl)

# Case 8 of `decide`, whole: what it asks of the row and what it writes. A row that it does not match is
# decided by `decide` itself. Parameters: those of `Rotate`; `proven`, its `jkt` or ""; and `handed_by`, the
# latest hand-out that does not make the generation a recent one.
ROTATE: Final = (
    update(sessions)
    .where(
        _s.sid == _SID,
        _s.gen == _GEN,
        _s.secret_digest == _DIGEST,
        or_(_s.jkt.is_(None), _s.jkt == _PROVEN),
        lives(_NOW),
        _s.handed_at <= _HANDED_BY,
    )
    .values(
        gen=_GEN + 1,
        parent_branch=_BRANCH,
        confirmed=false(),
        rotated_at=_later(_s.rotated_at),
        handed_at=case(
            (and_(_s.handed_at < _s.rotated_at, _s.rotated_at > _NOW), _s.rotated_at),
            else_=_later(_s.handed_at),
        ),
        last_seen_at=_later(_s.last_seen_at),
        # Without an idle limit a side of the comparison is NULL, so that it does not hold: the column stays.
        idle_expires_at=case((_s.idle_expires_at < _idle_end, _idle_end), else_=_s.idle_expires_at),
    )
)
ROTATE_RETURNING: Final = ROTATE.returning(*_s)

LOAD: Final = select(sessions).where(_s.sid == _SID)
LOAD_LOCKED: Final = LOAD.with_for_update()

DENIED: Final = select(denials.c.token_id).where(denials.c.token_id == _TOKEN, denials.c.expires_at > _NOW)
# Both answers in one round trip; no row where there is no such session.
CHECK: Final = select(DENIED.scalar_subquery().label("denied"), *_s).where(_s.sid == _SID)

# The last condition leaves the row alone where nothing would change: no lock and no write for nothing.
CONFIRM: Final = (
    update(sessions)
    .where(
        _s.sid == _SID,
        _s.revoked_at.is_(None),
        or_(_s.last_seen_at < _NOW, and_(_s.gen == _GEN, _s.confirmed == false())),
    )
    .values(
        confirmed=case((_s.gen == _GEN, true()), else_=_s.confirmed), last_seen_at=_later(_s.last_seen_at)
    )
)

INSERT: Final = insert(sessions)

LIVE_OF_USER: Final = select(sessions).where(_s.user_id == _USER, lives(_NOW)).order_by(_s.created_at, _s.sid)

# One row per stripe, there since the migration; see `operations.create`.
LOCK_STRIPE: Final = (
    select(stripes.c.stripe).where(stripes.c.stripe == bindparam("stripe", type_=Integer())).with_for_update()
)


def stripe_of(user_id: str) -> int:
    """Give the stripe whose row stands for a user's lock."""
    return bucket_of_user(user_id) % STRIPES


@cache
def add_stripe(dialect: str) -> Insert:
    """Add a stripe's row, unless it is there."""
    return _unless_there(stripes, stripes.c.stripe, dialect)


def _unless_there(table: Table, key: Column[Any], dialect: str) -> Insert:
    if dialect in {"mysql", "mariadb"}:
        return mysql.insert(table).prefix_with("IGNORE")
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return statement.on_conflict_do_nothing(index_elements=[key])


@dataclass(frozen=True, slots=True)
class Ending:
    """One way to end sessions, in the forms that engines need. Its parameters are the same in each.

    Attributes:
        plain: Ends them.
        returning: Ends them and returns them as they are then.
        along: The same, and writes the lines of the log about it.
        locked: Reads and locks those that `plain` would end.
    """

    plain: Update
    returning: Executable
    along: Executable
    locked: Select[Any]


def _ending(which: ColumnElement[bool]) -> Ending:
    going = and_(which, _s.revoked_at.is_(None))
    plain = update(sessions).where(going).values(revoked_at=_NOW, revoked_reason=_REASON)
    return Ending(
        plain,
        plain.returning(*_s),
        log_statements.ending_and_writing(plain),
        select(sessions).where(going).with_for_update(),
    )


_one_named: Final = and_(
    _s.sid == _SID,
    or_(_OWNER.is_(None), _s.user_id == _OWNER),
    # The comparison first: it tells PostgreSQL the type of the parameter, which has no cast.
    or_(_s.secret_digest == _DIGEST, _DIGEST.is_(None)),
)
END_ONE: Final = _ending(_one_named)
EXISTS: Final = select(_s.sid).where(_one_named)

# Bounded by what one user has, not by a number: all of a user's sessions end at one moment.
END_USER: Final = _ending(and_(_s.user_id == _USER, or_(_KEEP.is_(None), _s.sid != _KEEP)))


# The columns that change while a session lives, and at its end.
MOVING: Final = (
    "gen",
    "parent_branch",
    "confirmed",
    "rotated_at",
    "handed_at",
    "last_seen_at",
    "idle_expires_at",
    "revoked_at",
    "revoked_reason",
)

# Compare and swap, for engines that cannot return the row that they change. Parameters: `id`, and each column
# that moves twice: `was_…`, as it was read, and `new_…`.
SWAP: Final = (
    update(sessions)
    .where(
        _s.sid == _SID,
        *(_s[name].is_not_distinct_from(bindparam(f"was_{name}", type_=_s[name].type)) for name in MOVING),
    )
    .values({name: bindparam(f"new_{name}", type_=_s[name].type) for name in MOVING})
)


def end_these(sids: Sequence[UUID]) -> Update:
    """End sessions that were locked before."""
    return update(sessions).where(_s.sid.in_(sids)).values(revoked_at=_NOW, revoked_reason=_REASON)


def write(sid: UUID, values: Mapping[str, Any]) -> Update:
    """Change some columns of one row."""
    return update(sessions).where(_s.sid == sid).values(values)


@cache
def deny(dialect: str) -> Insert:
    """Add a denial, or keep the later expiry of the two; on PostgreSQL, write the line of the log about it.

    Parameters: `token`, `moment` (its expiry), `reason` and `now`.
    """
    given = {"token_id": _TOKEN, "expires_at": _MOMENT, "reason": _REASON, "denied_at": _NOW}
    if dialect in {"mysql", "mariadb"}:
        added = mysql.insert(denials).values(given)
        new, is_later = added.inserted, denials.c.expires_at < added.inserted.expires_at
        # Assignments see those before them, so the column that they all compare comes last.
        return added.on_duplicate_key_update(
            [
                ("reason", case((is_later, new.reason), else_=denials.c.reason)),
                ("denied_at", case((is_later, new.denied_at), else_=denials.c.denied_at)),
                ("expires_at", case((is_later, new.expires_at), else_=denials.c.expires_at)),
            ]
        )
    statement = (postgresql if dialect == "postgresql" else sqlite).insert(denials).values(given)
    excluded = statement.excluded
    upsert = statement.on_conflict_do_update(
        index_elements=[denials.c.token_id],
        set_={
            "expires_at": excluded.expires_at,
            "reason": excluded.reason,
            "denied_at": excluded.denied_at,
        },
        where=denials.c.expires_at < excluded.expires_at,
    )
    return log_statements.denying_and_writing(upsert, _TOKEN, _NOW) if dialect == "postgresql" else upsert


@dataclass(frozen=True, slots=True)
class Shape:
    """Which conditions a reading has: all that its statement depends on."""

    user: bool
    live: bool
    after: bool
    until: bool
    newest_first: bool


def shape(where: Where, *, until: bool = False) -> Shape:
    """Give the shape of a reading; its values are parameters: `user`, `now`, `after`, `until`.

    Args:
        where: Its conditions.
        until: Whether it ends at an id, that one included.
    """
    return Shape(
        user=where.user_id is not None,
        live=where.live_at is not None,
        after=where.after is not None,
        until=until,
        newest_first=where.newest_first,
    )


def _conditions(form: Shape) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if form.user:
        conditions.append(_s.user_id == _USER)
    if form.live:
        conditions.append(lives(_NOW))
    if form.after:
        conditions.append(_s.sid < _AFTER if form.newest_first else _s.sid > _AFTER)
    if form.until:
        conditions.append(_s.sid >= _UNTIL if form.newest_first else _s.sid <= _UNTIL)
    return conditions


def _in_order(form: Shape, what: Table | Column[Any]) -> Select[Any]:
    order = _s.sid.desc() if form.newest_first else _s.sid.asc()
    return select(what).where(*_conditions(form)).order_by(order)


@cache
def find(form: Shape) -> Select[Any]:
    """Read a page of `most` sessions, by id."""
    return _in_order(form, sessions).limit(_MOST)


@cache
def edge(form: Shape) -> Select[Any]:
    """Read the id that comes after `skip` others, if there are so many."""
    return _in_order(form, _s.sid).limit(1).offset(_SKIP)


@cache
def count(form: Shape) -> Select[int]:
    """Count sessions."""
    return select(func.count()).select_from(sessions).where(*_conditions(form))


OLD_SESSIONS: Final = (
    select(_s.sid).where(_s.expires_at < _BEFORE).order_by(_s.expires_at, _s.sid).limit(_MOST)
)
OLD_DENIALS: Final = (
    select(denials.c.token_id)
    .where(denials.c.expires_at <= _NOW)
    .order_by(denials.c.expires_at, denials.c.token_id)
    .limit(_MOST)
)


def delete_sessions(sids: Sequence[UUID]) -> Delete:
    """Remove sessions."""
    return delete(sessions).where(_s.sid.in_(sids))


def erase_sessions(sids: Sequence[UUID]) -> Insert:
    """Remove sessions and write the lines of the log about it, where one statement can; a row for each."""
    return log_statements.removing_and_writing(delete_sessions(sids))


def ends_of(sids: Sequence[UUID]) -> Executable:
    """Read and lock the ids of sessions and their absolute ends."""
    return select(_s.sid, _s.expires_at).where(_s.sid.in_(sids)).with_for_update()


def delete_denials(token_ids: Sequence[str], now: Millis) -> Delete:
    """Remove denials, but for those that were prolonged meanwhile."""
    return delete(denials).where(denials.c.token_id.in_(token_ids), denials.c.expires_at <= now)


# --- The audit trail ------------------------------------------------------------------------------


@cache
def note(dialect: str) -> Insert:
    """Add a line of the trail, unless it is there."""
    return _unless_there(trail, trail.c.id, dialect)


@cache
def history(*, after: bool) -> Select[Any]:
    """Read `most` lines of a session, by id."""
    which = [trail.c.sid == _SID, *([trail.c.id > _AFTER] if after else [])]
    return select(trail).where(*which).order_by(trail.c.id).limit(_MOST)


OLD_LINES: Final = (
    select(trail.c.id).where(trail.c.at < _BEFORE).order_by(trail.c.at, trail.c.id).limit(_MOST)
)


def delete_lines(ids: Sequence[UUID]) -> Delete:
    """Remove lines of the trail."""
    return delete(trail).where(trail.c.id.in_(ids))


def lines_of(sids: Sequence[UUID]) -> Select[Any]:
    """Read the ids of `most` lines of some sessions."""
    return select(trail.c.id).where(trail.c.sid.in_(sids)).limit(_MOST)
