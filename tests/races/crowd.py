"""Fifty clients that refresh one token at one moment, in threads or in processes. It knows no rule."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from threading import Barrier
from typing import Final, TypeAlias

from keyturn import KeyRing, TokenManager
from keyturn.errors import KeyturnError
from keyturn.results import TokenPair
from keyturn.stores.protocol import Store
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from keyturn.testing.clock import ManualClock

CLIENTS: Final = 50
PROCESSES: Final = 5
PATIENCE_SECONDS: Final = 60.0

Reply: TypeAlias = TokenPair | str
"""What one client got: tokens, or the name of an error."""

Crowd: TypeAlias = Callable[[str, float], list[Reply]]
"""Lets all clients refresh a token at one moment; the clock shows the second argument."""


def manager_on(store: Store, clock: ManualClock) -> TokenManager:
    """Make a manager; all of them share one key, as the processes of a server do."""
    keys = KeyRing.from_secret("a secret of the tests, long enough", kid="tests")
    return TokenManager(store=store, keys=keys, issuer="https://issuer.example", audience="api", clock=clock)


@contextmanager
def threads(store: Store, count: int = CLIENTS) -> Iterator[Crowd]:
    """Clients in threads of this process, on one manager."""
    clock = ManualClock(0)
    manager = manager_on(store, clock)
    gate = Barrier(count)

    def client(token: str) -> Reply:
        gate.wait(PATIENCE_SECONDS)
        try:
            return manager.refresh(token)
        except KeyturnError as error:
            return type(error).__name__

    with ThreadPoolExecutor(count) as pool:

        def refresh(token: str, now: float) -> list[Reply]:
            clock.jump(now - clock())
            return list(pool.map(client, [token] * count))

        yield refresh
    manager.flush()


@contextmanager
def processes(url: str) -> Iterator[Crowd]:
    """Clients in threads of several processes, each with a manager and a connection pool of its own."""
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(PROCESSES)
    pipes = [context.Pipe() for _ in range(PROCESSES)]
    workers = [context.Process(target=_work, args=(url, gate, theirs), daemon=True) for _, theirs in pipes]
    ours = [pipe for pipe, _ in pipes]
    for worker in workers:
        worker.start()

    def refresh(token: str, now: float) -> list[Reply]:
        for pipe in ours:
            pipe.send((token, now))
        return [reply for pipe in ours for reply in _received(pipe)]

    try:
        yield refresh
    finally:
        for pipe, worker in zip(ours, workers, strict=True):
            pipe.send(None)
            worker.join(PATIENCE_SECONDS)
            pipe.close()


def _received(pipe: Connection) -> list[Reply]:
    assert pipe.poll(PATIENCE_SECONDS), "a process does not answer"
    replies: list[Reply] = pipe.recv()
    return replies


def _work(url: str, gate: Barrier, pipe: Connection) -> None:
    """Be one process: refresh when told, until told to end."""
    store = SQLAlchemyStore.from_url(url, busy_timeout=PATIENCE_SECONDS)
    with threads(store, CLIENTS // PROCESSES) as refresh:
        for token, now in iter(partial(_next_order, pipe), None):
            gate.wait(PATIENCE_SECONDS)
            pipe.send(refresh(token, now))
    store.close()


def _next_order(pipe: Connection) -> tuple[str, float] | None:
    order: tuple[str, float] | None = pipe.recv()
    return order
