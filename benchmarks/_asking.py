"""A process that accepts an access token again and again, and notes when it is refused. It revokes nothing.

It is as busy as it is told: each request costs some work of the application's own, and requests come as fast
as they are answered, or by a ticking process at half of that rate.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, Literal, TypeAlias

from _managers import async_manager_on, manager_on
from keyturn import KeyRing, TokenManager
from keyturn.errors import AccessTokenError
from keyturn.stores.urls import async_store_from_url, store_from_url

Mode: TypeAlias = Literal["half", "full", "threads"]
"""How busy it is: asyncio at half load, asyncio saturated, or a thread in a tight loop."""

_OWN_WORK: Final = 100e-6  # seconds of CPU that a request costs beside its token
_REQUESTS_TO_TIME: Final = 200
_AT_ONCE: Final = 4
_LOADS: Final = 2  # at half load, requests come half as often as they could be answered
_PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Task:
    """What to ask.

    Attributes:
        url: Where the sessions are.
        secret: The issuer's.
        tokens: The access tokens; each is asked for until it is refused.
        mode: How busy to be.
    """

    url: str
    secret: str
    tokens: tuple[str, ...]
    mode: Mode


class Asker:
    """The other end of such a process."""

    def __init__(self, pipe: Connection) -> None:
        """Talk to it."""
        self._pipe = pipe

    def accepted(self) -> None:
        """Wait until it has accepted the next token."""
        self._next("accepted")

    def refused(self) -> float:
        """Wait until it has refused that token; say when, by the clock that all processes share."""
        return self._next("refused")

    def _next(self, wanted: str) -> float:
        if not self._pipe.poll(_PATIENCE):
            raise TimeoutError(f"a token was not {wanted} within {_PATIENCE:g} seconds")
        what, at = self._pipe.recv()  # EOFError where the process ended: its own words stand above
        if what != wanted:
            raise RuntimeError(f"a token was {what}, not {wanted}")
        return float(at)


@contextmanager
def asking(task: Task) -> Generator[Asker]:
    """Run such a process as long as the block."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    hears, ticks = context.Pipe(duplex=False)
    process = context.Process(target=_ask, args=(task, theirs, hears), daemon=True)
    process.start()
    theirs.close()
    hears.close()
    ticker = None
    try:
        if not ours.poll(_PATIENCE):
            raise TimeoutError("a process that asks does not begin")
        each: float = ours.recv()
        if task.mode == "half":
            ticker = context.Process(target=_tick, args=(ticks, each * _LOADS), daemon=True)
            ticker.start()
        yield Asker(ours)
    finally:
        for each_process in filter(None, (ticker, process)):
            each_process.terminate()
            each_process.join(_PATIENCE)


def _tick(ticks: Connection, interval: float) -> None:
    """Be the process that says when a request comes: `time.sleep` is finer than an event loop's timers."""
    due = time.monotonic()
    while True:
        due += interval
        time.sleep(max(0.0, due - time.monotonic()))
        os.write(ticks.fileno(), b".")


def _ask(task: Task, pipe: Connection, ticks: Connection) -> None:
    if task.mode == "threads":
        _in_a_thread(task, pipe)
    else:
        asyncio.run(_on_a_loop(task, pipe, ticks))


class _Tokens:
    """The tokens in their order, and what became of the one that is asked for."""

    def __init__(self, task: Task, pipe: Connection) -> None:
        self._pipe = pipe
        self._tokens = iter(task.tokens)
        self.current = next(self._tokens)
        self._told = False

    def accepted(self, token: str) -> None:
        """Tell of the first time."""
        if token == self.current and not self._told:
            self._told = True
            self._pipe.send(("accepted", time.monotonic()))

    def refused(self, token: str) -> None:
        """Tell, and go on to the next; a request that began before may come late."""
        at = time.monotonic()
        if token == self.current:
            self.current, self._told = next(self._tokens, ""), False
            self._pipe.send(("refused", at))


def _in_a_thread(task: Task, pipe: Connection) -> None:
    manager: TokenManager = manager_on(store_from_url(task.url), KeyRing.from_secret(task.secret))
    tokens = _Tokens(task, pipe)
    pipe.send(0.0)
    while token := tokens.current:
        try:
            manager.authenticate(token)
            tokens.accepted(token)
        except AccessTokenError:
            tokens.refused(token)


async def _on_a_loop(task: Task, pipe: Connection, ticks: Connection) -> None:
    manager = async_manager_on(async_store_from_url(task.url), KeyRing.from_secret(task.secret))
    tokens = _Tokens(task, pipe)
    first = tokens.current

    async def request(token: str) -> bool:
        try:
            await manager.authenticate(token)
        except AccessTokenError:
            return False
        finally:
            ready = time.perf_counter() + _OWN_WORK
            while time.perf_counter() < ready:
                pass
        return True

    async def told() -> None:
        token = tokens.current
        if token:
            (tokens.accepted if await request(token) else tokens.refused)(token)

    async def on_and_on() -> None:
        while tokens.current:
            await told()
            await asyncio.sleep(0)

    began = time.perf_counter()
    for _ in range(_REQUESTS_TO_TIME):
        await request(first)
    pipe.send((time.perf_counter() - began) / _REQUESTS_TO_TIME)
    if task.mode == "full":
        await asyncio.gather(*(on_and_on() for _ in range(_AT_ONCE)))
        return
    running = set[asyncio.Task[None]]()

    def come() -> None:
        for _ in os.read(ticks.fileno(), _AT_ONCE):
            one = asyncio.create_task(told())
            running.add(one)
            one.add_done_callback(running.discard)

    asyncio.get_running_loop().add_reader(ticks.fileno(), come)
    await asyncio.Event().wait()
