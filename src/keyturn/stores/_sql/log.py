"""Writing, following and thinning out the revocation log. They know no driver, and not what is logged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from keyturn._core.revocations import RETENTION, LogEntry
from keyturn.stores._sql import following, log_statements
from keyturn.stores._sql.following import Beginning, Line, Position
from keyturn.stores._sql.queries import CHUNK, Query, ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from keyturn._core.commands import Follow
    from keyturn._core.outcomes import Followed
    from keyturn._core.records import Millis
    from keyturn.stores._sql.queries import Flavour, Operation

BATCHES: Final = 20  # of lines that are thinned out for one batch of other rows: a line is small


def written(flavour: Flavour, lines: Iterable[tuple[LogEntry, Millis]]) -> Iterator[Query]:
    """Give what writes lines with their moments, as few statements as the engine's driver can do with."""
    rows = [{"what": entry.kind, "whom": entry.subject, "moment": at} for entry, at in lines]
    statement = log_statements.write(flavour.name)
    if flavour.along:  # it returns something, which drivers do for one row at a time
        yield from (Query(statement, row) for row in rows)
    elif rows:
        yield Query(statement, rows)


def follow(command: Follow) -> Operation[Followed]:
    """See `RevocationLog.follow`: one round trip for who follows, one more for who begins."""
    place = command.cursor
    if not isinstance(place, Beginning | Position):
        before = {"before": command.now - following.SETTLED}
        settled = yield from ask(log_statements.LAST_BEFORE, before)
        highest = settled.rows[0][0] if settled.rows else None
        place = following.begin(highest, command.since, command.now)
    if isinstance(place, Beginning):
        asked = {"moment": place.at, "number": place.no, "below": place.before, "most": command.limit}
        read = yield from ask(log_statements.YOUNG, asked)
        return following.begun(place, _lines(read.rows), command.limit, command.now)
    reading = following.reading(place, command.limit)
    ends = {
        f"{name}_{number}": end
        for number, ends in enumerate(reading.ranges)
        for name, end in zip(("first", "last"), ends, strict=True)
    }
    statement = log_statements.in_ranges(len(reading.ranges))
    read = yield from ask(statement, {**ends, "most": reading.most})
    return following.read_on(place, _lines(read.rows), command.limit, command.now)


def thin_out(now: Millis, limit: int) -> Operation[None]:
    """Remove what nobody looks back to, in steps of at most `limit` lines."""
    most = min(limit, CHUNK)
    for _ in range(BATCHES):
        old = yield from ask(log_statements.OLD, {"before": now - RETENTION, "most": most})
        if old.rows:
            yield from ask(log_statements.remove([row[0] for row in old.rows]))
        if len(old.rows) < most:
            break


def _lines(rows: Sequence[Sequence[Any]]) -> tuple[Line, ...]:
    return tuple(Line(no, LogEntry(kind, subject), at) for no, kind, subject, at in rows)
