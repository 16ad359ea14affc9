"""What wakes up who follows the revocation log: a connection that waits in the server. It knows no line.

Neither takes part in what the store does otherwise: a bell that hangs holds nobody up.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from redis.exceptions import TimeoutError as NoAnswer

from keyturn.forks import in_forked_children
from keyturn.stores._redis.channels import FAILURES
from keyturn.stores._redis.errors import closed_bell, meaning
from keyturn.stores._redis.stream import listening

if TYPE_CHECKING:
    from keyturn.errors import StoreError
    from keyturn.stores._redis.driver import AsyncConnection, Connection
    from keyturn.stores._redis.stream import Stream


class RedisBell:
    """A bell for threads. After a failure, its next wait connects anew: to where the log is then."""

    def __init__(self, stream: Stream, connection: Callable[[], Connection], patience: float) -> None:
        """Prepare; it connects when it is first waited for.

        Args:
            stream: The log.
            connection: Makes a connection to its server, which is not open yet.
            patience: Seconds to wait for the server beyond what it was told to wait.
        """
        self._stream = stream
        self._spare = connection
        self._patience = patience
        self._closed = False
        self._connection: Connection | None = None
        self._waiting = Lock()
        in_forked_children(self, RedisBell._disown)

    def _disown(self) -> None:
        self._closed = True
        self._connection = None  # of another process, the driver closes no more than the child's own handle
        self._waiting = Lock()

    def wait(self, cursor: object | None, seconds: float, /) -> None:
        """See `Bell.wait`."""
        try:
            with self._waiting:
                self._wait(cursor, seconds)
        finally:
            if self._closed:
                self._give_back()  # who closed it could not, meanwhile

    def _wait(self, cursor: object | None, seconds: float) -> None:
        if self._closed:
            raise closed_bell()
        try:
            connection = self._connected()
            if not self._closed:  # from here on, closing it shuts the connection
                connection.send_command(*listening(self._stream, cursor, seconds))
                return _read(connection, seconds + self._patience)
        except FAILURES as error:
            self._hang_up()
            raise _meaning(error, closed=self._closed) from error
        except BaseException:
            self._hang_up()
            raise
        raise closed_bell()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._spare()
        self._connection.connect()  # does nothing where it is open
        return self._connection

    def close(self) -> None:
        """See `Bell.close`."""
        self._closed = True
        shut = getattr(self._connection, "_sock", None)
        if shut is not None:
            with suppress(OSError):
                socket.socket.shutdown(shut, socket.SHUT_RDWR)  # past TLS: a thread is still reading from it
        self._give_back()

    def _give_back(self) -> None:
        if self._waiting.acquire(blocking=False):  # else whoever waits does it
            try:
                self._hang_up()
            finally:
                self._waiting.release()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()


def _meaning(error: Exception, *, closed: bool) -> StoreError:
    return closed_bell() if closed else meaning(error)


def _read(connection: Connection, seconds: float) -> None:
    if not connection.can_read(timeout=seconds):
        raise NoAnswer
    connection.read_response(disable_decoding=True)


class AsyncRedisBell:
    """A bell for the event loop that it is first waited for in: see `RedisBell`."""

    def __init__(
        self, stream: Stream, connection: Callable[[], Awaitable[AsyncConnection]], patience: float
    ) -> None:
        """Prepare; see `RedisBell`."""
        self._stream = stream
        self._spare = connection
        self._patience = patience
        self._closed = False
        self._connection: AsyncConnection | None = None
        self._waiting = asyncio.Lock()
        self._limit: asyncio.Timeout | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def wait(self, cursor: object | None, seconds: float, /) -> None:
        """See `AsyncBell.wait`. In another event loop, and so in a forked child, it counts as closed."""
        loop = asyncio.get_running_loop()
        if self._loop not in {None, loop}:
            raise closed_bell()
        self._loop = loop
        async with self._waiting:
            if self._closed:
                raise closed_bell()
            try:
                async with asyncio.timeout(self._patience) as self._limit:
                    connection = await self._connected()
                if not self._closed:
                    async with asyncio.timeout(seconds + self._patience) as self._limit:
                        await connection.send_command(*listening(self._stream, cursor, seconds))
                        await connection.read_response(disable_decoding=True)
                        return
            except FAILURES as error:
                await self._hang_up(nowait=True)
                raise _meaning(error, closed=self._closed) from error
            except BaseException:
                await self._hang_up(nowait=True)
                raise
            finally:
                self._limit = None
            raise closed_bell()

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            self._connection = await self._spare()
        if not self._connection.is_connected:
            await self._connection.connect()
        return self._connection

    async def close(self) -> None:
        """See `AsyncBell.close`."""
        self._closed = True
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            return  # nothing is to be told to a connection of another loop
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(loop.time())  # its time is up
        async with self._waiting:
            await self._hang_up(nowait=False)

    async def _hang_up(self, *, nowait: bool) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=nowait)
