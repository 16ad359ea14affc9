"""Work taken in turns: A B C, A B C, so that whatever else a machine does meets every line alike.

It knows nothing of what is measured.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from typing import Final, Protocol, TypeAlias, runtime_checkable

from _common import progress

Turn: TypeAlias = Callable[[], object]
"""Does one piece of work, or raises."""

AsyncTurn: TypeAlias = Callable[[], Awaitable[object]]

Work: TypeAlias = Callable[[int], float]
"""Does so many pieces, and says how many seconds they took."""

Rates: TypeAlias = Mapping[str, Sequence[float]]
"""What was found: for each line its pieces per second, a figure for each round."""


@runtime_checkable
class Prepares(Protocol):
    """A turn that makes things ready before time counts."""

    def prepare(self, count: int) -> None:
        """Make ready for so many turns."""
        ...


_STEP: Final = 8  # how fast the first count, which may be far too small, grows
_ENOUGH: Final = 4  # a share of the wanted time that tells the speed well enough


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: How often each line has its turn.
        seconds: How long a turn takes, more or less.
        warm_ups: Rounds before those that count.
    """

    rounds: int
    seconds: float
    warm_ups: int = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One of those that are measured side by side.

    Attributes:
        name: For people.
        rate: Works for about so many seconds, and says how many pieces a second it did.
    """

    name: str
    rate: Callable[[float], float]


class Counted:
    """Chooses how many pieces of work fill a time, by what was measured last."""

    def __init__(self, work: Work, least: int = 1) -> None:
        """Take the work, and how few pieces make sense."""
        self._work, self._least = work, least
        self._speed = 0.0

    def __call__(self, seconds: float) -> float:
        """Work for about so many seconds; see `Line.rate`."""
        count = max(self._least, round(self._speed * seconds))
        took = self._work(count)
        while not self._speed and took < seconds / _ENOUGH:
            count *= _STEP
            took = self._work(count)
        self._speed = count / max(took, 1e-9)
        return self._speed


def line(name: str, work: Work, *, least: int = 1) -> Line:
    """Make a line of work that is counted."""
    return Line(name, Counted(work, least))


def one_by_one(turn: Turn) -> Work:
    """Do a thing again and again in this thread."""

    def work(count: int) -> float:
        _prepare([turn], [count])
        began = time.perf_counter()
        for _ in repeat(None, count):
            turn()
        return time.perf_counter() - began

    return work


def in_threads(turns: Sequence[Turn]) -> Work:
    """Let each worker have a thread of its own; they share the pieces evenly."""
    if len(turns) == 1:
        return one_by_one(turns[0])

    def work(count: int) -> float:
        start, failures = threading.Barrier(len(turns) + 1), list[BaseException]()

        def be_worker(turn: Turn, share: int) -> None:
            start.wait()
            try:
                for _ in repeat(None, share):
                    turn()
            except BaseException as error:  # noqa: BLE001  (it is raised again below)
                failures.append(error)

        shares = _shares(count, len(turns))
        _prepare(turns, shares)
        crew = [threading.Thread(target=be_worker, args=each) for each in zip(turns, shares, strict=True)]
        for each in crew:
            each.start()
        start.wait()
        began = time.perf_counter()
        for each in crew:
            each.join()
        took = time.perf_counter() - began
        if failures:
            raise failures[0]
        return took

    return work


def in_tasks(runner: asyncio.Runner, turns: Sequence[AsyncTurn]) -> Work:
    """Let each worker have a task of its own on one event loop; they share the pieces evenly."""

    async def be_worker(turn: AsyncTurn, share: int) -> None:
        for _ in repeat(None, share):
            await turn()

    async def all_at_once(count: int) -> float:
        shares = _shares(count, len(turns))
        _prepare(turns, shares)
        began = time.perf_counter()
        await asyncio.gather(*map(be_worker, turns, shares))
        return time.perf_counter() - began

    return lambda count: runner.run(all_at_once(count))


def _shares(count: int, workers: int) -> list[int]:
    return [len(range(number, count, workers)) for number in range(workers)]


def _prepare(turns: Sequence[object], shares: Sequence[int]) -> None:
    for turn, share in zip(turns, shares, strict=True):
        if isinstance(turn, Prepares):
            turn.prepare(share)


def in_turns(title: str, lines: Iterable[Line], effort: Effort) -> Rates:
    """Measure lines side by side. Each round begins with another line.

    Args:
        title: For whoever waits.
        lines: What to measure.
        effort: How long.
    """
    crew = list(lines)
    found: dict[str, list[float]] = {each.name: [] for each in crew}
    rounds = effort.warm_ups + effort.rounds
    with progress(title, rounds) as advance:
        for number in range(rounds):
            first = number % len(crew)
            for each in crew[first:] + crew[:first]:
                rate = each.rate(effort.seconds)
                if number >= effort.warm_ups:
                    found[each.name].append(rate)
            advance(number + 1)
    return found


def beside(rates: Rates, one: str, other: str) -> tuple[float, ...]:
    """Say how many times as fast as another a line was, round by round.

    Raises:
        KeyError: One of them was not measured.
    """
    return tuple(mine / its for mine, its in zip(rates[one], rates[other], strict=True))


def slower(rates: Rates, one: str, other: str) -> tuple[float, ...]:
    """Say how many times as long as another a line took, round by round."""
    return beside(rates, other, one)


def quartiles(figures: Iterable[float]) -> tuple[float, float, float]:
    """Give the lower quartile, the median and the upper quartile; there must be some figures."""
    ordered = sorted(figures)
    last = len(ordered) - 1
    return ordered[round(last / 4)], median(ordered), ordered[round(last * 3 / 4)]


def warmed(turn: Turn, times: int = 50) -> Turn:
    """Do a thing some times, so that what is made once is made."""
    for each in repeat(turn, times):
        each()
    return turn
