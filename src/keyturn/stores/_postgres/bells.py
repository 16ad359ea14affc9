"""What wakes up who follows the revocation log: connections that listen. They know no line and no pool.

Each bell has a connection of its own, which the server tells of everything that was written since the last
wait. In a forked process it is the parent's: there it is not used and not closed, and the bell is.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from psycopg import AsyncConnection, Connection

from keyturn.errors import StoreUnavailable
from keyturn.stores._postgres.errors import FAILURES, meaning_of
from keyturn.stores._sql.log_statements import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_LISTEN: Final = f"LISTEN {CHANNEL}".encode()


ConnectionT = TypeVar("ConnectionT", Connection[Any], AsyncConnection[Any])


class _Bell(Generic[ConnectionT]):
    """What both colours have, and do in a forked process.

    There is no hook for forks here: bells come and go, and hooks stay for ever.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self._closed = False
        self._connection: ConnectionT | None = None
        self._line: tuple[socket.socket, ...] = ()

    def _is_inherited(self) -> bool:
        return os.getpid() != self._process

    def __del__(self) -> None:
        """Let go of the parent's connection without a word to the server, to which closing says goodbye.

        What psycopg has below it looks at the process itself when it is collected.
        """
        if self._is_inherited():
            for end in self._line:
                end.close()
            if self._connection is not None:
                del self._connection.pgconn


class PostgresBell(_Bell[Connection[Any]]):
    """A bell for threads."""

    def __init__(self, connect: Callable[[], Connection[Any]]) -> None:
        """Make a bell; it connects at the first wait.

        Args:
            connect: Makes a connection in autocommit.
        """
        super().__init__()
        self._connect = connect
        self._lock = Lock()  # held by whoever uses the connection

    def wait(self, cursor: object | None, seconds: float, /) -> None:
        """See `Bell.wait`. The first one is over as soon as it listens: nobody has before."""
        del cursor  # the server remembers what it has not told yet
        if self._is_inherited():
            raise _closed()
        try:
            with self._lock:
                self._wait(seconds)
        except FAILURES as error:
            self._closed = True
            raise meaning_of(error) from error
        finally:
            self._give_back_if_closed()
        if self._closed:
            raise _closed()

    def _wait(self, seconds: float) -> None:
        if self._closed:
            return
        if self._connection is None:
            self._line = socket.socketpair()  # on which a wait is called off
            self._connection = self._connect()
            self._connection.execute(_LISTEN, prepare=False)
            return
        listening, deadline = self._line[0], monotonic() + seconds
        with DefaultSelector() as selector:
            selector.register(self._connection.fileno(), EVENT_READ)
            selector.register(listening, EVENT_READ)
            while not _has_rung(self._connection):
                left = deadline - monotonic()
                if left <= 0 or any(key.fileobj is listening for key, _ in selector.select(left)):
                    return

    def close(self) -> None:
        """See `Bell.close`. A wait that still connects ends with that."""
        if self._is_inherited():
            return
        self._closed = True
        for end in self._line[1:]:
            with suppress(OSError):  # it was given back in this moment
                end.send(b"\0")
        self._give_back_if_closed()

    def _give_back_if_closed(self) -> None:
        # Without a wait for the lock: whoever holds it does this afterwards.
        if not self._closed or not self._lock.acquire(blocking=False):
            return
        try:
            if self._connection is not None:
                self._connection.close()
            for end in self._line:
                end.close()
        finally:
            self._lock.release()


class AsyncPostgresBell(_Bell[AsyncConnection[Any]]):
    """A bell for asyncio: `PostgresBell` with `await`."""

    def __init__(self, connect: Callable[[], Awaitable[AsyncConnection[Any]]]) -> None:
        """Make a bell: see `PostgresBell`."""
        super().__init__()
        self._connect = connect
        self._stirred = asyncio.Event()  # something has arrived, or a wait was called off
        self._waiting = False

    async def wait(self, cursor: object | None, seconds: float, /) -> None:
        """See `Bell.wait`. One that is cancelled closes the bell."""
        del cursor  # as above
        if self._is_inherited():
            raise _closed()
        self._waiting = True
        try:
            await self._wait(seconds)
        except FAILURES as error:
            self._closed = True
            raise meaning_of(error) from error
        except BaseException:
            self._closed = True
            raise
        finally:
            self._waiting = False
            await self._give_back_if_closed()
        if self._closed:
            raise _closed()

    async def _wait(self, seconds: float) -> None:
        if self._closed:
            return
        if self._connection is None:
            self._connection = await self._connect()
            await self._connection.execute(_LISTEN, prepare=False)
            return
        loop, place = asyncio.get_running_loop(), self._connection.fileno()
        loop.add_reader(place, self._stirred.set)
        try:
            async with asyncio.timeout(seconds):
                while not _has_rung(self._connection) and not self._closed:
                    self._stirred.clear()
                    await self._stirred.wait()
        except TimeoutError:
            pass  # nothing was told
        finally:
            loop.remove_reader(place)

    async def close(self) -> None:
        """See `Bell.close`. A wait that still connects ends with that."""
        if self._is_inherited():
            return
        self._closed = True
        self._stirred.set()
        await self._give_back_if_closed()

    async def _give_back_if_closed(self) -> None:
        if self._closed and not self._waiting and self._connection is not None:
            await self._connection.close()


def _has_rung(connection: Connection[Any] | AsyncConnection[Any]) -> bool:
    """Take in what has arrived, and tell whether the server told of something new."""
    connection.pgconn.consume_input()
    has_rung = False
    while connection.pgconn.notifies() is not None:
        has_rung = True
    return has_rung


def _closed() -> StoreUnavailable:
    return StoreUnavailable("This bell is closed: make another.", detail="bell_closed")
