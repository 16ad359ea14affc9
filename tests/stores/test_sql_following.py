"""Holds the bookkeeping of followers: whatever the order in which lines appear, none is passed over."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn._core.revocations import LogEntry
from keyturn.stores._sql.following import (
    LAST,
    MARGIN,
    MOST_RANGES,
    PATIENCE,
    SETTLED,
    Beginning,
    Cursor,
    Line,
    Position,
    begin,
    begun,
    read_on,
    reading,
)
from keyturn.testing.samples import DAY, T0

SINCE: Final = T0 - DAY
MOST_PAGES: Final = 1000


def line(number: int, at: int = T0) -> Line:
    """Make a line that tells its number."""
    return Line(number, LogEntry("session", f"session {number}"), at)


@dataclass
class Table:
    """The log as a database has it: what is committed, by number."""

    lines: dict[int, Line] = field(default_factory=dict)

    def commit(self, *lines: Line) -> None:
        """Let others see lines."""
        self.lines |= {each.no: each for each in lines}

    def lose(self, *numbers: int) -> None:
        """Remove lines: by a purge, or because an older copy of the table took its place."""
        for number in numbers:
            self.lines.pop(number, None)


@dataclass
class Follower:
    """Reads a table page by page, as the store does."""

    table: Table
    limit: int = 10
    cursor: Cursor | None = None
    read: int = 0  # rows, so far
    polls: list[int] = field(default_factory=list)  # statements of each poll

    def page(self, now: int) -> tuple[list[LogEntry], bool]:
        """Read one page."""
        rows = sorted(self.table.lines.values(), key=lambda each: each.no)
        place = self.cursor
        if place is None:
            settled = max((each.no for each in rows if each.at < now - SETTLED), default=None)
            place = begin(settled, SINCE, now)
        if isinstance(place, Beginning):
            young = [each for each in rows if each.no < place.before and each.at >= place.at]
            after = [each for each in young if (each.at, each.no) > (place.at, place.no)]
            found = sorted(after, key=lambda each: (each.at, each.no))[: self.limit]
            followed = begun(place, found, self.limit, now)
        else:
            wanted = reading(place, self.limit)
            found = [each for each in rows if any(a <= each.no <= b for a, b in wanted.ranges)][: wanted.most]
            followed = read_on(place, found, self.limit, now)
        self.read += len(found)
        assert len(followed.entries) <= self.limit
        assert followed.cursor is None or isinstance(followed.cursor, Beginning | Position)
        self.cursor = followed.cursor
        return list(followed.entries), followed.more

    def poll(self, now: int) -> list[LogEntry]:
        """Read on to the end."""
        found: list[LogEntry] = []
        for count in range(1, MOST_PAGES):
            entries, more = self.page(now)
            found += entries
            if not more:
                self.polls.append(count)
                return found
        raise AssertionError("the log has no end")


def of(*numbers: int) -> list[LogEntry]:
    """Give what lines of these numbers say."""
    return [line(number).entry for number in numbers]


def following(*numbers: int, now: int = T0) -> tuple[Table, Follower]:
    """Make a table with some lines, and a follower who knows them."""
    table = Table()
    table.commit(*map(line, numbers))
    follower = Follower(table)
    assert follower.poll(now) == of(*numbers)
    return table, follower


def test_a_line_that_appears_after_a_higher_one_is_delivered() -> None:
    """Its number was given first; it is delivered when it is there, and nobody waits for it until then."""
    table, follower = following(1, 2)
    table.commit(line(4), line(5))
    assert follower.poll(T0) == of(4, 5)
    assert follower.poll(T0 + 1) == []
    table.commit(line(3))
    assert follower.poll(T0 + 2) == of(3)
    check_knows_all(follower, last=5)


def check_knows_all(follower: Follower, *, last: int) -> None:
    """Check that a follower waits for no number up to one, and knows its line."""
    assert isinstance(follower.cursor, Position)
    (run,) = follower.cursor.runs
    assert (run.last, run.mark) == (last, line(last))


def test_a_gap_is_given_up_when_no_transaction_can_fill_it() -> None:
    """A transaction that was undone leaves one for ever."""
    table, follower = following(1, 2)
    table.commit(line(4))
    assert follower.poll(T0) == of(4)
    assert follower.poll(T0 + PATIENCE - 1) == []
    assert isinstance(follower.cursor, Position)
    assert len(follower.cursor.runs) == 2
    assert follower.poll(T0 + PATIENCE) == []
    check_knows_all(follower, last=4)


def test_a_gap_is_given_up_only_when_all_of_it_was_looked_at() -> None:
    """What was filled while nobody looked is read page by page, however late that is."""
    table, follower = following(1)
    table.commit(line(9))
    follower.poll(T0)
    table.commit(*map(line, range(3, 9)))
    follower.limit = 2
    assert follower.poll(T0 + 2 * PATIENCE) == of(3, 4, 5, 6, 7, 8)
    check_knows_all(follower, last=9)


def test_each_gap_is_waited_for_from_when_it_was_seen() -> None:
    """One that came later is not given up with the first, and does not begin only after that one's end."""
    table, follower = following(1)
    table.commit(line(3))
    follower.poll(T0)
    table.commit(line(5))
    follower.poll(T0 + PATIENCE // 2)
    follower.poll(T0 + PATIENCE)
    table.commit(line(4))
    assert follower.poll(T0 + PATIENCE + 1) == of(4)
    table.commit(line(7))
    follower.poll(T0 + 2 * PATIENCE)
    follower.poll(T0 + 3 * PATIENCE)
    check_knows_all(follower, last=7)


def test_a_part_of_a_gap_is_as_old_as_the_whole() -> None:
    """A line in its midst divides it; neither part is waited for anew."""
    table, follower = following(1)
    table.commit(line(9))
    follower.poll(T0)
    table.commit(line(5))
    assert follower.poll(T0 + PATIENCE - 1) == of(5)
    assert follower.poll(T0 + PATIENCE) == []
    check_knows_all(follower, last=9)


def test_a_clock_that_went_back_only_prolongs_a_wait() -> None:
    """Whoever follows then waits as long again, and not until the clock is where it was."""
    table, follower = following(1, now=T0 + DAY)
    table.commit(line(3))
    follower.poll(T0 + DAY)
    table.commit(line(4))
    follower.poll(T0)
    assert follower.poll(T0 + PATIENCE) == []
    check_knows_all(follower, last=4)


def test_a_quiet_log_costs_one_page_and_one_row() -> None:
    """Who has caught up reads again only the line by which the log is recognised."""
    table, follower = following(*range(1, 50))
    for now in range(T0, T0 + 5):
        before = follower.read
        assert follower.poll(now) == []
        assert follower.read == before + 1
    assert follower.polls[1:] == [1] * 5
    table.commit(line(50))
    assert follower.poll(T0 + 5) == of(50)
    assert follower.polls[-1] == 1


def test_an_open_gap_does_not_make_all_above_it_be_read_again() -> None:
    """Up to so many gaps, each costs the line below it."""
    table, follower = following(1)
    table.commit(*map(line, range(3, 1000)))
    assert len(follower.poll(T0)) == 997
    before = follower.read
    table.commit(line(1000))
    assert follower.poll(T0 + 1) == of(1000)
    assert follower.read == before + 3


@pytest.mark.parametrize("lost", [(5,), (4, 5), (2, 3, 4, 5)])
def test_a_log_that_has_lost_its_last_lines_begins_anew(lost: tuple[int, ...]) -> None:
    """And gives their numbers again: a backup was restored, or a fail-over has lost them."""
    table, follower = following(1, 2, 3, 4, 5)
    table.lose(*lost)
    assert follower.page(T0) == ([], True)
    assert follower.cursor is None
    again = [replace(line(number), entry=LogEntry("session", f"another {number}")) for number in lost]
    table.commit(*again)
    assert {each.entry for each in again} <= set(follower.poll(T0))


def test_other_lines_under_known_numbers_begin_anew() -> None:
    """Also where they are already there when one looks, and where a gap was open."""
    for number in (3, 5):
        table, follower = following(1, 2, 3)
        table.commit(line(5))
        follower.poll(T0)
        other = replace(line(number), entry=LogEntry("token", "another"))
        table.commit(other)
        assert other.entry in follower.poll(T0)


def test_a_beginning_reads_what_is_young_and_then_follows() -> None:
    """What is older than asked for is left out, but for the last numbers; nothing is read twice."""
    old, young = range(1, 2001), range(2001, 6001)
    table = Table()
    table.commit(*(line(number, SINCE - 1) for number in old))
    table.commit(*(line(number, SINCE + number) for number in young))
    follower = Follower(table, limit=100)
    found = follower.poll(T0)
    assert len(found) == len(set(found))
    assert set(found) == set(of(*young))


def test_the_last_numbers_are_read_whatever_their_age() -> None:
    """So gaps among them are seen, and clocks that differ do no harm."""
    table = Table()
    table.commit(*(line(number, SINCE - 1) for number in range(1, 3 * MARGIN) if number != 3 * MARGIN - 9))
    follower = Follower(table, limit=100)
    assert len(follower.poll(T0)) == MARGIN - 1
    table.commit(line(3 * MARGIN - 9))
    assert follower.poll(T0 + 1) == of(3 * MARGIN - 9)


def test_who_begins_in_a_rush_waits_for_all_that_is_under_way() -> None:
    """Also for a number that many thousands have overtaken in the last moments."""
    table = Table()
    table.commit(*map(line, range(2, 10 * MARGIN)))
    follower = Follower(table, limit=1000)
    follower.poll(T0)
    table.commit(line(1))
    assert follower.poll(T0 + 1) == of(1)


def test_more_gaps_than_a_statement_tells_apart() -> None:
    """As where a cluster's servers share the numbers between them: nothing is passed over, more is read."""
    table, follower = following(1)
    table.commit(*(line(number) for number in range(3, 300, 3)))
    assert len(follower.poll(T0)) == 99
    assert isinstance(follower.cursor, Position)
    assert len(follower.cursor.runs) == 100
    wanted = reading(follower.cursor, 10)
    assert len(wanted.ranges) == MOST_RANGES
    assert wanted.ranges[-1] == (297, LAST)
    table.commit(line(5), line(250), line(296), line(298))
    assert follower.poll(T0) == of(5, 250, 296, 298)
    follower.poll(T0 + PATIENCE)
    check_knows_all(follower, last=298)


@dataclass
class World:
    """A database whose transactions take a number first, and are committed or undone some time later."""

    table: Table = field(default_factory=Table)
    taken: int = 0
    under_way: list[int] = field(default_factory=list)
    committed: dict[int, int] = field(default_factory=dict)  # numbers, and when
    delivered: dict[int, int] = field(default_factory=dict)
    now: int = T0


STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 4)),
        st.tuples(st.just("commit"), st.integers(0, 20)),
        st.tuples(st.just("undo"), st.integers(0, 20)),
        st.tuples(st.just("poll"), st.integers(1, 5)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 1000, PATIENCE // 3])),
        st.tuples(st.just("begin"), st.just(0)),
    ),
    min_size=5,
    max_size=80,
)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_no_line_is_passed_over(steps: list[tuple[str, int]]) -> None:
    """Whatever the order of numbers, commits, undoings and polls: each line comes with the next poll.

    Transactions that last for longer than the patience are ended, as servers do. A follower who begins anew
    is told everything that is young again.
    """
    world, started = World(), dict[int, int]()
    follower = Follower(world.table, limit=3)
    for step, number in [*steps, ("poll", 1)]:
        for late in [each for each in world.under_way if world.now - started[each] >= PATIENCE]:
            world.under_way.remove(late)
        match step:
            case "take":
                for _ in range(number):
                    world.taken += 1
                    world.under_way.append(world.taken)
                    started[world.taken] = world.now
            case "commit" if world.under_way:
                ours = world.under_way.pop(number % len(world.under_way))
                world.table.commit(line(ours, started[ours]))
                world.committed[ours] = world.now
            case "undo" if world.under_way:
                world.under_way.pop(number % len(world.under_way))
            case "wait":
                world.now += number
            case "begin":
                follower, world.delivered = Follower(world.table, limit=3), {}
            case "poll":
                follower.limit = number
                for entry in follower.poll(world.now):
                    world.delivered[int(entry.subject.rpartition(" ")[2])] = world.now
                assert world.delivered.keys() == world.committed.keys()
            case _:
                pass
