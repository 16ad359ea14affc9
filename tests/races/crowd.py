"""Clients of one store that act at one moment: in threads, in tasks, and in processes of both. No rule here.

Each process has a store and managers of its own, as the processes of a server do: half of them the store for
threads, half of them the one for asyncio. All wait at one gate until the last client of the last process is
there.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from threading import Barrier
from typing import Any, Final, Literal, TypeAlias

from keyturn import AsyncTokenManager, KeyRing, Policy, TokenManager
from keyturn.errors import KeyturnError
from keyturn.events import Refreshed
from keyturn.results import TokenPair
from keyturn.stores.protocol import AsyncStore, Store
from keyturn.testing.clock import ManualClock
from keyturn.testing.colours import LoopThread
from tests.support.stores import STORES, StoreKind, async_opened, opened

CLIENTS: Final = 50
PROCESSES: Final = 4
PATIENCE_SECONDS: Final = 60.0
DEFAULTS: Final = Policy()


@dataclass(frozen=True, slots=True)
class Job:
    """What one client does, so many times in a row: a method of a manager and its argument."""

    act: Literal["issue", "refresh", "revoke_user"]
    argument: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Deed:
    """What a client did, and what it was told.

    Attributes:
        job: What it did.
        began: When it asked, by a clock that all processes share.
        ended: When it was told.
        result: What the manager returned, or the name of an error.
    """

    job: Job
    began: float
    ended: float
    result: TokenPair | int | str


@dataclass(frozen=True, slots=True)
class Turn:
    """What all clients do at one moment.

    Attributes:
        now: What the managers' clocks show.
        jobs: One for each client.
        policy: That of the managers.
    """

    now: float
    jobs: Sequence[Job]
    policy: Policy = DEFAULTS


@dataclass(frozen=True, slots=True)
class Story:
    """What came of a turn: all deeds, and how many rotations the managers told of."""

    deeds: list[Deed]
    rotations: int

    @property
    def pairs(self) -> list[TokenPair]:
        """All tokens that were given."""
        return [deed.result for deed in self.deeds if isinstance(deed.result, TokenPair)]

    @property
    def errors(self) -> list[str]:
        """The names of all errors that were told."""
        return [deed.result for deed in self.deeds if isinstance(deed.result, str)]


Act: TypeAlias = Callable[[Turn], Story]
Gate: TypeAlias = Callable[[], None]


def manager_on(store: Store, clock: ManualClock, policy: Policy = DEFAULTS) -> TokenManager:
    """Make a manager; all of them share one key, as the processes of a server do."""
    return TokenManager(store=store, policy=policy, clock=clock, **_shared())


def _shared() -> dict[str, Any]:
    keys = KeyRing.from_secret("a secret of the tests, long enough", kid="tests")
    return {"keys": keys, "issuer": "https://issuer.example", "audience": "api"}


def _open_gate() -> None:
    """Let everybody through."""


# ----------------------------------------------------------------------------------- one process's clients


@contextmanager
def threads(store: Store, count: int = CLIENTS, gate: Gate = _open_gate) -> Generator[Act]:
    """Clients in threads of this process; the last of them at the start waits at the gate for all."""
    clock = ManualClock()
    rotated: list[Refreshed] = []

    def client(manager: TokenManager, start: Barrier, job: Job) -> list[Deed]:
        start.wait(PATIENCE_SECONDS)
        return [do(manager, job) for _ in range(job.times)]

    def do(manager: TokenManager, job: Job) -> Deed:
        began = time.monotonic()
        result: TokenPair | int | str
        try:
            result = getattr(manager, job.act)(job.argument)
        except KeyturnError as error:
            result = type(error).__name__
        return Deed(job, began, time.monotonic(), result)

    with ThreadPoolExecutor(count) as pool:

        def act(turn: Turn) -> Story:
            clock.jump(turn.now - clock())
            manager = manager_on(store, clock, turn.policy)
            rotated.clear()
            manager.events.subscribe(Refreshed, rotated.append)
            start = Barrier(len(turn.jobs), action=gate)
            deeds = pool.map(partial(client, manager, start), turn.jobs)
            return Story([deed for each in deeds for deed in each], sum(event.rotated for event in rotated))

        yield act


@contextmanager
def tasks(store: AsyncStore, loop: LoopThread, gate: Gate = _open_gate) -> Generator[Act]:
    """Clients in tasks of one event loop; it waits at the gate when all of them are at the start."""
    clock = ManualClock()
    rotated: list[Refreshed] = []

    async def client(manager: AsyncTokenManager, start: asyncio.Event, job: Job) -> list[Deed]:
        await start.wait()
        return [await do(manager, job) for _ in range(job.times)]

    async def do(manager: AsyncTokenManager, job: Job) -> Deed:
        began = time.monotonic()
        result: TokenPair | int | str
        try:
            result = await getattr(manager, job.act)(job.argument)
        except KeyturnError as error:
            result = type(error).__name__
        return Deed(job, began, time.monotonic(), result)

    async def all_of(turn: Turn) -> list[list[Deed]]:
        manager = AsyncTokenManager(store=store, policy=turn.policy, clock=clock, **_shared())
        manager.events.subscribe(Refreshed, rotated.append)
        start = asyncio.Event()
        clients = asyncio.gather(*(client(manager, start, job) for job in turn.jobs))
        await asyncio.sleep(0)
        gate()  # blocks the loop on purpose: its clients have nothing else to do
        start.set()
        return await clients

    def act(turn: Turn) -> Story:
        clock.jump(turn.now - clock())
        rotated.clear()
        deeds = loop.run(all_of(turn))
        return Story([deed for each in deeds for deed in each], sum(event.rotated for event in rotated))

    yield act


# ---------------------------------------------------------------------------------------- many processes


class Crowd:
    """Clients in several processes, each with a store and managers of its own, that live for many turns."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        """Speak to processes that run `_work`."""
        self._pipes = pipes

    def __call__(self, turn: Turn, *, meanwhile: Callable[[], object] | None = None) -> Story:
        """Let all clients act at one moment.

        Args:
            turn: What they do; its jobs are dealt out to the processes one by one.
            meanwhile: Called again and again until all of them are done.
        """
        for number, pipe in enumerate(self._pipes):
            pipe.send(Turn(turn.now, turn.jobs[number :: len(self._pipes)], turn.policy))
        stories = [_received(pipe, meanwhile) for pipe in self._pipes]
        return Story(
            [deed for story in stories for deed in story.deeds], sum(story.rotations for story in stories)
        )


@contextmanager
def processes(kind: StoreKind, url: str) -> Generator[Crowd]:
    """Start a crowd on a store: processes of both colours, in turns."""
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(PROCESSES)
    pipes = [context.Pipe() for _ in range(PROCESSES)]
    workers = [
        context.Process(target=_work, args=(kind.name, url, number % 2 == 1, gate, theirs), daemon=True)
        for number, (_, theirs) in enumerate(pipes)
    ]
    for worker, (_, theirs) in zip(workers, pipes, strict=True):
        worker.start()
        theirs.close()
    ours = [pipe for pipe, _ in pipes]
    try:
        yield Crowd(ours)
        for pipe in ours:
            pipe.send(None)
        for worker in workers:
            worker.join(PATIENCE_SECONDS)
            assert worker.exitcode == 0, "a process did not end as it should"
    finally:
        for worker in workers:
            worker.kill()  # does nothing where it has ended
        for pipe in ours:
            pipe.close()


def _received(pipe: Connection, meanwhile: Callable[[], object] | None) -> Story:
    while meanwhile is not None and not pipe.poll():
        meanwhile()
    assert pipe.poll(PATIENCE_SECONDS), "a process does not answer"
    story: Story = pipe.recv()
    return story


def _work(name: str, url: str, is_async: bool, gate: Barrier, pipe: Connection) -> None:  # noqa: FBT001
    """Be one process: act when told, until told to end."""
    kind = STORES[name]

    def at_gate() -> None:
        gate.wait(PATIENCE_SECONDS)

    if is_async:
        with (
            LoopThread() as loop,
            async_opened(kind, url, loop) as awaited,
            tasks(awaited, loop, at_gate) as act,
        ):
            _serve(act, pipe)
    else:
        with opened(kind, url) as store, threads(store, -(-CLIENTS // PROCESSES), at_gate) as act:
            _serve(act, pipe)


def _serve(act: Act, pipe: Connection) -> None:
    while (turn := pipe.recv()) is not None:
        pipe.send(act(turn))
