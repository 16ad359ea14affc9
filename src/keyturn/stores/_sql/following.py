"""Following the revocation log by the numbers of its lines, none passed over. It knows no database, no clock.

A database gives a line its number before others see the line: who reads may see 6 before 5, and 5 may never
come, because its transaction was undone. So what is known is kept as runs of numbers, and what is read next
is the gaps between them and whatever comes after. A gap is given up when it has stayed open for longer than
any transaction of ours may last.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeAlias

from keyturn._core.outcomes import Followed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from keyturn._core.records import Millis
    from keyturn._core.revocations import LogEntry

PATIENCE: Final[Millis] = 60_000
"""How long a gap is waited for. Servers end a transaction of ours that is silent or slow for ten seconds."""

SETTLED: Final[Millis] = 2 * PATIENCE
"""Whatever was logged so long ago has a lower number than all that is still to come, if clocks agree."""

MARGIN: Final = 1000
"""How many numbers before those a beginning reads besides, for clocks that do not."""

MOST_RANGES: Final = 16
"""Gaps that one statement tells apart; where there are more, known lines between them are read again."""

LAST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log as it was read.

    Attributes:
        no: Its number.
        entry: What it says.
        at: When it was written, by the clock of whoever wrote it.
    """

    no: int
    entry: LogEntry
    at: Millis


@dataclass(frozen=True, slots=True)
class Run:
    """Numbers without a gap whose lines are known.

    Attributes:
        first: The lowest.
        last: The highest.
        mark: The line of the highest: while it is there as it was, the log is the one that was followed. None
            for a number that was only chosen to begin after.
        since: Since when it is known that there is a gap below.
    """

    first: int
    last: int
    mark: Line | None
    since: Millis


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where one is who begins: what is young enough is read by its moment, then all that follows by number.

    Attributes:
        before: The number that following begins with; nothing from there on is read here.
        at: The moment of the last line that was read.
        no: Its number.
    """

    before: int
    at: Millis
    no: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where one is who follows.

    Attributes:
        runs: What is known, by number, with a gap between each two; at least one. What is below the first is
            known or given up.
    """

    runs: tuple[Run, ...]


Cursor: TypeAlias = Beginning | Position


@dataclass(frozen=True, slots=True)
class Reading:
    """What to read at a position: the lines in some ranges of numbers, by number.

    Attributes:
        ranges: Their first and last numbers, both included. Each begins with a line that is known.
        most: How many lines at most; if there are fewer, these are all.
    """

    ranges: tuple[tuple[int, int], ...]
    most: int


def begin(settled: int | None, since: Millis, now: Millis) -> Cursor:
    """Give where to begin.

    Args:
        settled: The highest number of a line that is older than `SETTLED`, if there is one.
        since: How far back to read.
        now: The moment.
    """
    before = max(0, (settled or 0) - MARGIN) + 1
    return _follow_from(before, now) if before == 1 else Beginning(before, since, 0)


def begun(place: Beginning, lines: Sequence[Line], limit: int, now: Millis) -> Followed:
    """Make a page of what was read at a beginning.

    Args:
        place: Where it was read: the lines after it by moment and number, and with a number below `before`.
        lines: In that order, `limit` at most.
        limit: How many lines a page may have.
        now: The moment.
    """
    if len(lines) < limit:
        return Followed(_entries(lines), _follow_from(place.before, now), more=True)
    return Followed(_entries(lines), Beginning(place.before, lines[-1].at, lines[-1].no), more=True)


def reading(place: Position, limit: int) -> Reading:
    """Say what to read at a position, so that a page of so many new lines can be made of it."""
    shared = max(1, len(place.runs) - MOST_RANGES + 1)  # so many of the lowest are in one range
    lowest, above = place.runs[:shared], place.runs[shared:]
    ends = [*(run.first - 1 for run in above), LAST]
    ranges = tuple((run.last, end) for run, end in zip((lowest[0], *above), ends, strict=True))
    known = len(ranges) + sum(run.last - run.first + 1 for run in lowest[1:])
    return Reading(ranges, limit + known)


def read_on(place: Position, lines: Sequence[Line], limit: int, now: Millis) -> Followed:
    """Make a page of what was read at a position.

    Args:
        place: Where.
        lines: What `reading` asks for, by number.
        limit: How many lines a page may have.
        now: The moment, from before the reading.
    """
    is_cut = len(lines) >= reading(place, limit).most
    if not _is_the_same_log(place, lines, lines[-1].no if is_cut else LAST):
        return Followed((), None, more=True)
    news = [line for line in lines if not _knows(place, line.no)]
    page = news[:limit]
    more = is_cut or len(news) > limit
    runs = _joined(place.runs, page, now)
    return Followed(_entries(page), Position(runs if more else _without_old_gaps(runs, now)), more=more)


def _follow_from(number: int, now: Millis) -> Position:
    return Position((Run(number - 1, number - 1, None, now),))


def _entries(lines: Iterable[Line]) -> tuple[LogEntry, ...]:
    return tuple(line.entry for line in lines)


def _knows(place: Position, number: int) -> bool:
    above = bisect_right(place.runs, number, key=attrgetter("first"))
    return above > 0 and number <= place.runs[above - 1].last


def _is_the_same_log(place: Position, lines: Sequence[Line], until: int) -> bool:
    """Tell whether all lines are there by which one sees it, up to a number."""
    found = {line.no: line for line in lines}
    looked_at = {first for first, _ in reading(place, 0).ranges}
    marks = [run for run in place.runs if run.mark is not None and run.last in looked_at]
    return all(found.get(run.last) == run.mark for run in marks if run.last <= until)


def _joined(runs: Sequence[Run], lines: Iterable[Line], now: Millis) -> tuple[Run, ...]:
    """Add lines to what is known.

    Numbers are given in their order. So whatever is below a number has been waited for at least as long as
    the gaps above it: also a part of a gap that a line has divided, and where a clock has gone back.
    """
    added = (Run(line.no, line.no, line, now) for line in lines)
    joined: list[Run] = []
    since = now
    for run in sorted((*runs, *added), key=attrgetter("first"), reverse=True):
        since = min(since, run.since)
        if joined and joined[-1].first == run.last + 1:
            joined[-1] = replace(joined[-1], first=run.first, since=since)
        else:
            joined.append(replace(run, since=since))
    return tuple(reversed(joined))


def _without_old_gaps(runs: tuple[Run, ...], now: Millis) -> tuple[Run, ...]:
    """Give up what was waited for long enough: a transaction that was undone, or a clock that went on."""
    highest = next((place for place in range(len(runs) - 1, 0, -1) if runs[place].since <= now - PATIENCE), 0)
    return runs[highest:]
