"""Refreshes of a population, here or in other processes, and how long each took. It knows no engine."""

from __future__ import annotations

import signal
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count, islice
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from _places import Place
from _population import Population, Request
from keyturn import TokenManager, TokenPair
from keyturn.stores.urls import OwnStore
from keyturn.testing.samples import T0, numbered, refresh_of
from keyturn.testing.wrappers import StoreWrapper

T = TypeVar("T")

_PATIENCE: Final = 600.0  # seconds for a crew to come back


class Stopwatch(StoreWrapper):
    """A store that notes how long its last call took.

    Attributes:
        seconds: So long.
    """

    seconds: float = 0.0

    def around(self, method: str, call: Callable[[], T]) -> T:
        """Make one call and time it."""
        del method
        begun = time.perf_counter()
        result = call()
        self.seconds = time.perf_counter() - begun
        return result


@dataclass(frozen=True, slots=True)
class Took:
    """How long a refresh took, in seconds.

    Attributes:
        whole: From token to tokens.
        store: The store's part of it.
        accept: How long the new access token's first acceptance took.
    """

    whole: float
    store: float
    accept: float


class Refresher:
    """A token manager for a population, whose clock stands where its requests say.

    Attributes:
        population: The sessions.
        store: Their store.
        manager: The manager.
    """

    def __init__(self, place: Place, population: Population) -> None:
        """Connect, and use every statement once on a session that nobody has."""
        self.population = population
        self._moment = population.now / 1000
        self.store: OwnStore = place.open()
        self._watch = Stopwatch(self.store)
        self.manager: TokenManager[dict[str, Any]] = TokenManager(
            store=self._watch,
            keys=population.keys,
            issuer="https://auth.example.com",
            audience="api",
            clock=lambda: self._moment,
        )
        for _ in range(10):
            self.store.rotate(refresh_of(numbered(0), T0))

    def refresh(self, request: Request) -> TokenPair:
        """Make one refresh; it must be one that rotates."""
        self._moment = request.at
        pair = self.manager.refresh(request.token)
        if not pair.rotated:
            raise RuntimeError(f"a refresh of session {pair.session_id} did not rotate")
        return pair

    def timed(self, number: int) -> Took:
        """Make a numbered refresh, accept what it gave, and say how long each took."""
        request = self.population.request(number)
        begun = time.perf_counter()
        pair = self.refresh(request)
        done, store = time.perf_counter(), self._watch.seconds
        self.manager.authenticate(pair.access_token)
        return Took(done - begun, store, time.perf_counter() - done)

    def close(self) -> None:
        """Close the store."""
        self.manager.close()


@dataclass(frozen=True, slots=True)
class Task:
    """What one process of a crew has to do.

    Attributes:
        numbers: Where its refreshes begin, and how far each is from the next.
        most: How many; None: until it is told to stop.
        every: Seconds from the beginning of one to that of the next; 0: one after the other.
        after: Seconds to wait before the first.
    """

    numbers: tuple[int, int]
    most: int | None
    every: float
    after: float


def _work(place: Place, population: Population, pipe: Connection, stop: Event) -> None:
    """Be one process of a crew: do tasks until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started it
    refresher = Refresher(place, population)
    pipe.send(None)
    with suppress(EOFError):
        while True:
            task: Task = pipe.recv()
            pipe.send(_done(refresher, task, stop))


def _done(refresher: Refresher, task: Task, stop: Event) -> array[float]:
    took = array("d")
    due = time.perf_counter() + task.after
    for number in islice(count(*task.numbers), task.most):
        if stop.is_set():
            break
        request = refresher.population.request(number)
        pause = due - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        # Where the one before took too long, this one has waited since it was due: a stall delays many.
        begun = due if task.every and pause < 0 else time.perf_counter()
        refresher.refresh(request)
        took.append(time.perf_counter() - begun)
        due += task.every
    return took


class Crew:
    """Processes that refresh side by side, each with a store of its own."""

    def __init__(self, place: Place, population: Population, processes: int) -> None:
        """Name the sessions and how many processes."""
        self._given = (place, replace(population))  # a copy without what it has prepared, such as keys
        self._size = processes
        context = get_context("spawn")
        self._stop = context.Event()
        self._pipes: list[Connection] = []
        self._processes: list[BaseProcess] = []
        self._context = context

    def __enter__(self) -> Self:
        """Start the processes and wait until all have connected."""
        for _ in range(self._size):
            ours, theirs = self._context.Pipe()
            process = self._context.Process(
                target=_work, args=(*self._given, theirs, self._stop), daemon=True
            )
            process.start()
            theirs.close()  # so that the end of the process is seen as the end of the pipe
            self._pipes.append(ours)
            self._processes.append(process)
        for _ in self._answers():
            pass
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes."""
        self._stop.set()
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(_PATIENCE)

    def begin(self, first: int, *, most: int | None = None, rate: float | None = None) -> None:
        """Let refreshes begin.

        Args:
            first: The number of the first.
            most: How many in all; None: until `end`.
            rate: How many a second in all; None: as fast as they can.
        """
        self._stop.clear()
        for position, pipe in enumerate(self._pipes):
            own = None if most is None else len(range(position, most, self._size))
            one = 1 / rate if rate else 0.0
            pipe.send(Task((first + position, self._size), own, one * self._size, one * position))

    def end(self, *, now: bool = False) -> list[float]:
        """Wait until the refreshes are done.

        Args:
            now: Do not wait for the rest of them.

        Returns:
            How long each took, in seconds.
        """
        if now:
            self._stop.set()
        return [seconds for took in self._answers() for seconds in took]

    def _answers(self) -> Iterator[array[float]]:
        for pipe in self._pipes:
            if not pipe.poll(_PATIENCE):
                raise TimeoutError("a process that refreshes does not come back")
            yield pipe.recv()  # EOFError where the process ended: its own words stand above
