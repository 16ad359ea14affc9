"""How calls travel, for asyncio: the twins of `channels.py`. They know no operation."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol, TypeVar

from redis.exceptions import (
    ConnectionError,  # noqa: A004  (its own name)
    NoScriptError,
    ReadOnlyError,
    ResponseError,
)

from keyturn.stores._redis.calls import Call
from keyturn.stores._redis.channels import ALONE, FAILURES, RAISED, Waiting, judge
from keyturn.stores._redis.driver import Anything
from keyturn.stores._redis.errors import busy
from keyturn.stores._redis.spares import async_spare_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyturn.stores._redis.calls import Operation
    from keyturn.stores._redis.driver import AsyncCluster, AsyncConnection, AsyncPool

T = TypeVar("T")


class AsyncChannel(Protocol):
    """What carries calls: see `Channel`.

    Attributes:
        sharded: The keys of one call must be of one slot.
        spares: It can make connections besides its own.
        fragile: A call that is cancelled on its way harms the driver, so none may be.
    """

    sharded: bool
    spares: bool
    fragile: bool

    async def ask(self, call: Call) -> Anything:
        """Carry one call, and give its answer."""
        ...

    async def nodes(self) -> list[Anything]:
        """Give the servers that hold keys, each with a `name`, in a stable order."""
        ...

    async def spare(self, key: bytes, /) -> AsyncConnection:
        """Make a connection: see `Channel.spare`. It has no timeout of its own for an answer."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


async def run(channel: AsyncChannel, operation: Operation[T]) -> T:
    """Drive an operation: see `channels.run`."""
    try:
        request = next(operation)
        while True:
            reply, failure = None, None
            try:
                reply = await channel.ask(request) if isinstance(request, Call) else await channel.nodes()
            except RAISED as error:
                failure = judge(request, error)
            request = operation.send(reply) if failure is None else operation.throw(failure)
    except StopIteration as end:
        result: T = end.value
        return result


class AsyncServerChannel:
    """Calls to one server: see `ServerChannel`.

    A call that is cancelled loses its connection, which is opened again when it is next needed. What was sent
    is carried out all the same.
    """

    sharded = False
    fragile = False

    def __init__(
        self,
        pool: AsyncPool,
        waiting: Waiting,
        *,
        own: int | None,
        patience: float,
        beside: Sequence[Anything] = (),
    ) -> None:
        """Use a pool of the driver's: see `ServerChannel`."""
        self._pool = pool
        self.spares = hasattr(pool, "connection_class")  # the application's may be of any kind
        self._beside = beside
        self._waiting = waiting
        self._own = own
        self._patience = patience
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._free: deque[AsyncConnection] = deque()
        self._open = 0
        self._queue: deque[asyncio.Future[AsyncConnection]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def nodes(self) -> list[Anything]:
        """See `Channel.nodes`."""
        return list(ALONE)

    async def ask(self, call: Call) -> Anything:
        """See `Channel.ask`."""
        if self._own is None:
            connection = await self._pool.get_connection()
            try:
                return await self._answer(connection, call)
            finally:
                await self._pool.release(connection)
        connection = await self._take(self._own)
        try:
            if not call.repeatable:
                await self._refresh(connection)
            return await self._answer(connection, call)
        finally:
            self._give(connection)
            if self._closed:  # while this call was on its way
                await self._disconnect()

    async def _take(self, most: int) -> AsyncConnection:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # connections belong to their loop, and that one has ended
            self._start()
            self._loop = loop
        if self._free:
            return self._free.pop()
        if self._open < most:
            connection = self._pool.make_connection()
            self._open += 1
            return connection
        called: asyncio.Future[AsyncConnection] = loop.create_future()
        self._queue.append(called)
        try:
            async with asyncio.timeout(self._patience):
                return await called
        except BaseException as error:
            if called.done() and not called.cancelled():
                self._give(called.result())  # it came at the very last moment
            if isinstance(error, TimeoutError):
                raise busy() from None
            raise

    def _give(self, connection: AsyncConnection) -> None:
        while self._queue:
            called = self._queue.popleft()
            if not called.done():
                called.set_result(connection)
                return
        self._free.append(connection)

    async def _answer(self, connection: AsyncConnection, call: Call) -> Anything:
        # One timer for the whole call: the driver's own costs a task for each part of it.
        try:
            async with asyncio.timeout(self._patience):
                reply = await _exchange(connection, call)
        except ReadOnlyError:
            async with asyncio.timeout(self._patience):
                reply = await _exchange(connection, call)  # see `ServerChannel`
        except ConnectionError as error:
            if not call.repeatable or type(error) is not ConnectionError:
                raise
            async with asyncio.timeout(self._patience):
                reply = call.again(await _exchange(connection, call))
        if self._waiting.replicas and call.waits(reply):
            async with asyncio.timeout(self._patience + self._waiting.milliseconds / 1000):
                await _send(connection, self._waiting.mark(call))
                self._waiting.judge(call, await _send(connection, self._waiting.command()))
        return reply

    async def _refresh(self, connection: AsyncConnection) -> None:
        if not connection.is_connected:
            return
        for _ in range(2):  # so that the loop takes note of what has come: the end, perhaps
            await asyncio.sleep(0)
        # Renamed in version 8 of the driver, which warns of the old name.
        driver: Anything = connection
        can_read = getattr(driver, "can_read", None) or driver.can_read_destructive
        try:
            async with asyncio.timeout(self._patience):
                lost = await can_read()
        except FAILURES:
            lost = True
        if lost:
            await connection.disconnect(nowait=True)

    async def spare(self, _: bytes, /) -> AsyncConnection:
        """See `AsyncChannel.spare`."""
        return async_spare_of(self._pool, socket_timeout=None)

    async def close(self) -> None:
        """See `Channel.close`."""
        if self._loop is not asyncio.get_running_loop():
            self._start()  # nothing is to be told to connections of a loop that has ended
        self._closed = True
        await self._disconnect()
        if self._own is not None:
            await self._pool.disconnect()
        for client in self._beside:
            await client.aclose()

    async def _disconnect(self) -> None:
        while self._free:
            self._open -= 1
            await self._free.pop().disconnect()


class AsyncClusterChannel:
    """Calls to a cluster: see `ClusterChannel`. The driver's own timeouts hold."""

    sharded = True
    spares = True
    fragile = True  # a connection that is being opened would be lost to the driver's count of them

    def __init__(
        self, opened: Callable[[], AsyncCluster], waiting: Waiting, *, own: int | None, patience: float
    ) -> None:
        """Use a client of the driver's: see `ClusterChannel`. One of our own is made for each event loop."""
        self._opened = opened
        self._client = opened()
        self._waiting = waiting
        self._own = own
        self._patience = patience
        self._permits: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def nodes(self) -> list[Anything]:
        """See `Channel.nodes`."""
        self._enter()
        await self._client.initialize()
        return sorted(self._client.get_primaries(), key=lambda node: node.name)

    async def ask(self, call: Call) -> Anything:
        """See `Channel.ask`."""
        permits = self._enter()
        if permits is None:
            return await self._answer(call)
        try:
            async with asyncio.timeout(self._patience):
                await permits.acquire()
        except TimeoutError:
            raise busy() from None
        try:
            return await self._answer(call)
        finally:
            permits.release()

    def _enter(self) -> asyncio.Semaphore | None:
        loop = asyncio.get_running_loop()
        if self._own is not None and loop is not self._loop:
            if self._loop is not None:  # connections belong to their loop, and that one has ended
                self._client = self._opened()
            self._permits, self._loop = asyncio.Semaphore(self._own), loop
        return self._permits

    async def _answer(self, call: Call) -> Anything:
        try:
            reply = await self._exchange(call)
        except ConnectionError as error:
            if not call.repeatable or type(error) is not ConnectionError:
                raise
            reply = call.again(await self._exchange(call))
        if self._waiting.replicas and call.waits(reply):
            node = self._client.get_node_from_key(call.keys[0])
            pipeline = self._client.pipeline()
            pipeline.execute_command(*self._waiting.mark(call), target_nodes=node)
            pipeline.execute_command(*self._waiting.command(), target_nodes=node)
            self._waiting.judge(call, (await pipeline.execute())[-1])
        return reply

    async def _exchange(self, call: Call) -> Anything:
        await self._client.initialize()  # does nothing where it is
        try:
            return await self._send(call, call.command())
        except NoScriptError:
            return await self._send(call, call.in_full())

    async def _send(self, call: Call, command: tuple[Anything, ...]) -> Anything:
        node = self._client.get_node_from_key(call.keys[0]) if call.node is None else call.node
        return await self._client.execute_command(*command, target_nodes=node, NEVER_DECODE=[])

    async def spare(self, key: bytes, /) -> AsyncConnection:
        """See `AsyncChannel.spare`."""
        self._enter()
        await self._client.initialize()
        return async_spare_of(self._client.get_node_from_key(key), socket_timeout=None)

    async def close(self) -> None:
        """See `Channel.close`."""
        if self._own is not None and self._loop is asyncio.get_running_loop():
            await self._client.aclose()


async def _exchange(connection: AsyncConnection, call: Call) -> Anything:
    if not connection.is_connected:
        await connection.connect()  # sending would open it, too, but where it was, not where Sentinel says
    try:
        return await _send(connection, call.command())
    except NoScriptError:
        return await _send(connection, call.in_full())


async def _send(connection: AsyncConnection, command: tuple[Anything, ...]) -> Anything:
    try:
        await connection.send_command(*command)
        return await connection.read_response(disable_decoding=True)
    except ReadOnlyError:
        await connection.disconnect(nowait=True)  # see `channels.py`
        raise
    except ResponseError:
        raise  # an answer like any other
    except BaseException:
        await connection.disconnect(nowait=True)  # whatever still comes over it belongs to nobody
        raise
