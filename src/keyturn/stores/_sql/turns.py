"""Turns at writing, first come, first served. They know no database.

SQLite has one writer at a time, and lets the others sleep and try again: whoever has just written is first
again, and under load somebody waits until the busy timeout has passed. SQLAlchemy's pool for threads is no
fairer. So the writers of one process queue here, in order, and only processes compete for SQLite's own lock.
Readers never wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from keyturn.errors import StoreUnavailable
from keyturn.forks import in_forked_children

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator


class Turns:
    """A queue of threads, of which one has its turn."""

    def __init__(self, patience: float) -> None:
        """Start with nobody in the queue.

        Args:
            patience: Seconds to wait for a turn.
        """
        self._patience = patience
        self._start()
        in_forked_children(
            self, Turns._start
        )  # its other threads, and so whoever had the turn, are not there

    def _start(self) -> None:
        self._lock = Lock()
        self._taken = False
        self._waiting: deque[Lock] = deque()

    @contextmanager
    def turn(self) -> Generator[None]:
        """Wait for one's turn, and pass it on after the block.

        Raises:
            StoreUnavailable: The wait was too long.
        """
        self._wait()
        try:
            yield
        finally:
            with self._lock:
                self._pass_on()

    def _wait(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            called = Lock()
            called.acquire()  # released by whoever passes the turn on
            self._waiting.append(called)
        has_turn = False
        try:
            has_turn = called.acquire(timeout=self._patience)
        finally:  # also where a signal's handler raises: a turn that nobody takes would stop all writers
            if not has_turn:
                self._leave(called)
        if not has_turn:
            raise _too_long()

    def _leave(self, called: Lock) -> None:
        with self._lock:
            if called in self._waiting:
                self._waiting.remove(called)
            else:
                self._pass_on()  # called at the very last moment

    def _pass_on(self) -> None:
        # Directly to the next in the queue: were it set free first, whoever comes by would take it.
        if self._waiting:
            self._waiting.popleft().release()
        else:
            self._taken = False


class AsyncTurns:
    """A queue of tasks of one event loop, of which one has its turn."""

    def __init__(self, patience: float) -> None:
        """Start with nobody in the queue: see `Turns`."""
        self._patience = patience
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()  # first come, first served by itself

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None]:
        """Wait for one's turn, and pass it on after the block: see `Turns.turn`."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # also in a forked process: whoever had the turn is not there
            self._loop, self._lock = loop, asyncio.Lock()
        lock = self._lock
        try:
            async with asyncio.timeout(self._patience):
                await lock.acquire()
        except TimeoutError:
            raise _too_long() from None
        try:
            yield
        finally:
            lock.release()


def _too_long() -> StoreUnavailable:
    return StoreUnavailable("Too many writers are waiting for the database.", detail="queue_timeout")
