"""A TCP proxy in front of a server, which can be told to misbehave as networks do. It knows no protocol.

```python
with Proxy(server.port) as proxy:
    store = MyStore.connect(proxy.url(server.url))
    proxy.lose("answer")
    store.rotate(command)  # the server has done it, and nobody was told
```
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from keyturn.testing.colours import LoopThread
from keyturn.testing.servers.programs import free_port

if TYPE_CHECKING:
    from types import TracebackType

_CHUNK: Final = 65_536
_ADDRESS: Final = "127.0.0.1"
# Closing with this option sends a reset instead of a farewell.
_RESET: Final = struct.pack("ii", 1, 0)

Loss: TypeAlias = Literal["request", "answer"]


@dataclass(slots=True)
class _Plan:
    """A loss to come."""

    loss: Loss
    to: bytes
    after: int


@dataclass(slots=True, eq=False)
class _Link:
    """One connection: the client's end and the server's."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    losing: bool = False
    """The server was given a request whose answer must not get through."""
    waiting: bool = False
    """The client has spoken and was not answered yet."""

    def reset(self) -> None:
        """Break both ends, as a crashed machine or a firewall does."""
        for end in (self.client, self.server):
            raw: socket.socket | None = end.get_extra_info("socket")
            with suppress(OSError):
                if raw is not None:
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            end.transport.abort()


class Proxy:
    """Forwards connections to a server on this machine, until told otherwise.

    What a client sends in one piece counts as one request, and what the server then sends as its answer: so
    it is with the databases' protocols, one statement or pipeline at a time.
    """

    def __init__(self, target: int) -> None:
        """Prepare; it forwards within the `with` block.

        Args:
            target: The server's port on 127.0.0.1.
        """
        self.port: int = free_port()
        self._first = self._target = target
        self._loop = LoopThread()
        self._lock = Lock()
        self._losses: deque[_Plan] = deque()
        self._links: set[_Link] = set()
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._deaf = False
        self._delay = 0.0
        self._lost = 0
        self._round_trips = 0

    def url(self, direct: str) -> str:
        """Give a URL of the server with the proxy in the server's place."""
        return direct.replace(f":{self._first}", f":{self.port}")

    @property
    def connections(self) -> int:
        """How many connections it forwards at this moment."""
        return len(self._links)

    @property
    def lost(self) -> int:
        """How many requests and answers it has lost so far."""
        return self._lost

    @property
    def round_trips(self) -> int:
        """How often a client has spoken and was answered, connecting included.

        What it sends before it is answered is one round trip, in however many pieces. So is an answer. What
        is not answered, such as a farewell, is none.
        """
        return self._round_trips

    # --------------------------------------------------------------------------------------- faults

    def lose(self, loss: Loss, count: int = 1, *, to: bytes = b"", after: int = 0) -> None:
        """Break the connection at the next requests.

        Args:
            loss: `"answer"`: the server gets the request and does it, and nobody hears of it.
                `"request"`: the server never gets it.
            count: How many requests, in order, after those that are planned already.
            to: Only requests that contain this, for example `b"COMMIT"`.
            after: So many of them get through before the first that does not.
        """
        with self._lock:
            self._losses.extend(_Plan(loss, to, 0 if number else after) for number in range(count))

    def behave(self) -> None:
        """End all faults: from now on it only forwards."""
        self.lose_nothing()
        self.delay(0)
        if self._deaf:
            self.hear()
        self.listen()

    def lose_nothing(self) -> None:
        """Forget the losses that are planned and have not happened."""
        with self._lock:
            self._losses.clear()

    def delay(self, seconds: float) -> None:
        """Hold every answer back for so long, from now on; 0: no longer."""
        self._delay = seconds

    def reset(self) -> None:
        """Break all connections that are open now."""
        self._loop.run(self._reset())

    def deafen(self) -> None:
        """From now on take connections and requests, swallow them, and never answer."""
        self._deaf = True

    def hear(self) -> None:
        """Forward new connections again; those that were swallowed are broken."""
        self._deaf = False
        self.reset()

    def fail_over(self, target: int) -> None:
        """Forward to another server from now on, and break the connections to the old one."""
        self._target = target
        self.reset()

    def refuse(self) -> None:
        """Stop listening, and break all connections: nobody is there."""
        self._loop.run(self._close())

    def listen(self) -> None:
        """Listen again."""
        self._loop.run(self._open())

    # --------------------------------------------------------------------------------------- running

    def __enter__(self) -> Self:
        """Begin to forward."""
        self._loop.__enter__()
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Break all connections and end."""
        self._loop.run(self._end())
        self._loop.__exit__(kind, error, trace)

    def _due(self, request: bytes) -> Loss | None:
        with self._lock:
            for position, plan in enumerate(self._losses):
                if plan.to in request:
                    if plan.after:
                        plan.after -= 1
                        return None
                    del self._losses[position]
                    self._lost += 1
                    return plan.loss
        return None

    async def _open(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._take, _ADDRESS, self.port, backlog=256, reuse_address=True
            )

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._reset()

    async def _reset(self) -> None:
        for link in list(self._links):
            link.reset()

    async def _end(self) -> None:
        await self._close()
        for _ in range(3):
            await asyncio.sleep(0)  # what was accepted at the last moment begins, so that it can be ended
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, client)
        except asyncio.CancelledError:
            pass  # the end of the proxy; the caller, asyncio's streams, takes a cancellation for an error
        finally:
            self._tasks.discard(task)
            client.close()  # also where the end came before the server's end was connected

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """Forward one connection until either end closes it, or it is broken."""
        try:
            answers, server = await asyncio.open_connection(_ADDRESS, self._target)
        except OSError:  # the server is down, and its client finds out as it would without us
            client.transport.abort()
            return
        link = _Link(client, server)
        self._links.add(link)
        ways = [
            asyncio.create_task(self._requests(reader, link)),
            asyncio.create_task(self._answers(answers, link)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (client, server):
                end.close()

    async def _requests(self, reader: asyncio.StreamReader, link: _Link) -> None:
        with suppress(OSError):
            while request := await reader.read(_CHUNK):
                if self._deaf:
                    continue
                link.waiting = True
                loss = self._due(request)
                if loss == "request":
                    link.reset()
                    return
                link.losing = loss == "answer"
                link.server.write(request)
                await link.server.drain()

    async def _answers(self, reader: asyncio.StreamReader, link: _Link) -> None:
        with suppress(OSError):
            while answer := await reader.read(_CHUNK):
                if self._deaf:
                    continue
                if link.losing:
                    link.reset()
                    return
                self._round_trips += link.waiting
                link.waiting = False
                if self._delay:
                    await asyncio.sleep(self._delay)
                link.client.write(answer)
                await link.client.drain()
