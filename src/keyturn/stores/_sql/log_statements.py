"""The statements about the revocation log. They know no connection and no cursor.

On PostgreSQL, whatever writes a line also rings the bell of those who listen, when its transaction commits;
and one statement both ends sessions and writes the lines about it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    Integer,
    String,
    Text,
    bindparam,
    cast,
    delete,
    insert,
    literal_column,
    or_,
    select,
)

from keyturn.stores._sql.tables import revocations, sessions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import CTE, BindParameter, Delete, Insert, Select, Update
    from sqlalchemy.sql.elements import ColumnElement

CHANNEL: Final = "keyturn_revocations"
"""On which PostgreSQL tells that there is something new: no more than that, as lines are read by number."""

_r: Final = revocations.c
_RING: Final = literal_column(f"pg_notify('{CHANNEL}', '')", String()).label("rung")
_MOST: Final = bindparam("most", type_=Integer())
_BEFORE: Final = bindparam("before", type_=BigInteger())
_MOMENT: Final = bindparam("moment", type_=BigInteger())
_NUMBER: Final = bindparam("number", type_=BigInteger())
_BELOW: Final = bindparam("below", type_=BigInteger())


@cache
def write(dialect: str) -> Insert:
    """Write a line. Parameters: `what`, `whom` and `moment`."""
    given = {"kind": bindparam("what", type_=String()), "subject": bindparam("whom", type_=String())}
    statement = insert(revocations).values(at=_MOMENT, **given).inline()
    return statement.returning(_RING) if dialect == "postgresql" else statement


def ending_and_writing(ending: Update) -> Select[Any]:
    """End sessions as a statement does, write the lines about it, and return the sessions as they are."""
    ended = ending.returning(*sessions.c).cte("ended")
    return select(ended).add_cte(_written(ended, ended.c.revoked_at).cte("written"))


def removing_and_writing(removing: Delete) -> Insert:
    """Remove sessions as a statement does, and write the lines about it; it returns one row for each."""
    removed = removing.returning(sessions.c.sid, sessions.c.expires_at).cte("removed")
    return _written(removed, removed.c.expires_at)


def denying_and_writing(denying: Insert, token: BindParameter[str], now: BindParameter[int]) -> Insert:
    """Deny a token as a statement does, and write the line about it."""
    line = {"kind": literal_column("'token'", String()), "subject": token, "at": now}
    return insert(revocations).values(line).inline().returning(_RING).add_cte(denying.cte("denied"))


def _written(about: CTE, at: ColumnElement[int]) -> Insert:
    # PostgreSQL writes a UUID as text just as Python does.
    lines = select(literal_column("'session'", String()), cast(about.c.sid, Text), at)
    return insert(revocations).from_select(["kind", "subject", "at"], lines).returning(_RING)


# Along the numbers, down to the first that is old enough: nearly all are, but for the last few. An index by
# moments would lead through all those. Hence the sum, which no index is made for.
LAST_BEFORE: Final = select(_r.no).where(_r.at + 0 < _BEFORE).order_by(_r.no.desc()).limit(1)

YOUNG: Final = (
    select(revocations)
    .where(_r.at >= _MOMENT, or_(_r.at > _MOMENT, _r.no > _NUMBER), _r.no < _BELOW)
    .order_by(_r.at, _r.no)
    .limit(_MOST)
)


@cache
def in_ranges(count: int) -> Select[Any]:
    """Read `most` lines in so many ranges, by number: `first_0` to `last_0`, and so on; they ascend."""
    first, last = (
        [bindparam(f"{name}_{number}", type_=BigInteger()) for number in range(count)]
        for name in ("first", "last")
    )
    within = or_(*(_r.no.between(*ends) for ends in zip(first, last, strict=True)))
    # The first condition is for the index, whatever becomes of the others.
    return select(revocations).where(_r.no >= first[0], within).order_by(_r.no).limit(_MOST)


OLD: Final = select(_r.no).where(_r.at < _BEFORE).order_by(_r.at, _r.no).limit(_MOST)


def remove(numbers: Sequence[int]) -> Delete:
    """Remove lines."""
    return delete(revocations).where(_r.no.in_(numbers))
