"""The SQL statements, written once for every dialect. It knows no connection and no outcome.

Digests and branches are compared by the database, not in constant time. That gives nothing away: the token's
tag has been verified before, and the digest is SHA-256 of a secret that no prefix search can approach.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    LargeBinary,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from keyturn.stores._sql.tables import denials, sessions

if TYPE_CHECKING:
    from sqlalchemy import Column, Insert

    from keyturn._core.commands import Where
    from keyturn._core.records import Millis

_s: Final = sessions.c

# Parameters. Their names differ from all columns', which SQLAlchemy keeps for itself.
_SID: Final = bindparam("id", type_=Uuid())
_DIGEST: Final = bindparam("digest", type_=LargeBinary())
_BRANCH: Final = bindparam("branch", type_=LargeBinary())
_GEN: Final = bindparam("generation", type_=BigInteger())
_NOW: Final = bindparam("now", type_=BigInteger())
_PROVEN: Final = bindparam("proven", type_=String())
_HANDED_BY: Final = bindparam("handed_by", type_=BigInteger())
_TOKEN: Final = bindparam("token", type_=String())


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
    .returning(*_s)
)

LOAD: Final = select(sessions).where(_s.sid == _SID)

# One row always, so that one round trip answers for the token id and for the session.
_one: Final = select(literal(1).label("one")).subquery("one")
CHECK: Final = select(denials.c.token_id, *_s).select_from(
    _one.outerjoin(denials, and_(denials.c.token_id == _TOKEN, denials.c.expires_at > _NOW)).outerjoin(
        sessions, _s.sid == _SID
    )
)

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

LIVE_OF_USER: Final = (
    select(sessions)
    .where(_s.user_id == bindparam("user", type_=String()), lives(_NOW))
    .order_by(_s.created_at, _s.sid)
)


def deny(dialect: str) -> Insert:
    """Add a denial, or keep the later expiry of the two."""
    statement = postgresql.insert(denials) if dialect == "postgresql" else sqlite.insert(denials)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[denials.c.token_id],
        set_={"expires_at": new.expires_at, "reason": new.reason, "denied_at": new.denied_at},
        where=denials.c.expires_at < new.expires_at,
    )


def matching(where: Where) -> list[ColumnElement[bool]]:
    """Turn the conditions of a `Where` into SQL."""
    conditions: list[ColumnElement[bool]] = []
    if where.user_id is not None:
        conditions.append(_s.user_id == where.user_id)
    if where.live_at is not None:
        conditions.append(lives(where.live_at))
    if where.after is not None:
        conditions.append(_s.sid < where.after if where.newest_first else _s.sid > where.after)
    return conditions


def find(where: Where, limit: int) -> Select[Any]:
    """Read a page of sessions, by id."""
    order = _s.sid.desc() if where.newest_first else _s.sid.asc()
    return select(sessions).where(*matching(where)).order_by(order).limit(limit)


def count(where: Where) -> Select[int]:
    """Count sessions."""
    return select(func.count()).select_from(sessions).where(*matching(where))


def purge_sessions(before: Millis, limit: int) -> Delete:
    """Remove one batch of sessions by their absolute end."""
    batch = select(_s.sid).where(_s.expires_at < before).order_by(_s.expires_at, _s.sid).limit(limit)
    return delete(sessions).where(_s.sid.in_(batch))


def purge_denials(now: Millis, limit: int) -> Delete:
    """Remove one batch of denials that have expired."""
    key, until = denials.c.token_id, denials.c.expires_at
    return delete(denials).where(key.in_(select(key).where(until <= now).order_by(until, key).limit(limit)))
