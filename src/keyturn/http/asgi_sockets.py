"""An ASGI application's WebSocket behind a guard: opened by a token, closed with its session.

It knows no framework. Source: the ASGI specification, WebSocket message format, 2.4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from keyturn.http.asgi_types import AsgiApp, Message, Receive, Scope, Send, encoded
from keyturn.http.credentials import SOCKET_PROTOCOL, without_tokens
from keyturn.http.guard import Admitted, AsyncGuard, Verdict
from keyturn.http.messages import HttpReply
from keyturn.http.sockets import Ending

_POLICY_VIOLATION: Final = 1008  # RFC 6455, section 7.4.1
_DENIAL: Final = "websocket.http.response"  # the extension of that name
_LAST: Final = frozenset({"websocket.close", f"{_DENIAL}.start"})  # after which there is nothing to close


Gone: TypeAlias = tuple[type[Exception], ...]
"""What a framework raises in an application that uses a socket which is closed."""


class SocketGone(OSError):
    """The socket was closed, because its session has ended: what servers raise where a client has gone."""


class GuardedSocket:
    """The two ends of a WebSocket that can be closed when its session is over."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take what the server gave; the token does not stay among the subprotocols."""
        offered = scope.get("subprotocols") or ()
        scope["subprotocols"] = without_tokens(offered)
        self._answered = SOCKET_PROTOCOL if SOCKET_PROTOCOL in offered else None
        self._receive = receive
        self._send = send
        self._begun = False
        self._done = False
        self._ending: Ending | None = None
        self._closed = asyncio.Event()
        self._over: asyncio.Future[Ending] | None = None
        self._closing: asyncio.Future[None] | None = None
        self._coming: asyncio.Future[Any] | None = None

    @property
    def is_guarded(self) -> bool:
        """Whether it closes when something is over: `close_when` was called."""
        return self._closing is not None

    def close_when(self, over: Awaitable[Ending]) -> None:
        """Close it when something is over, which says how, unless the application is done before that."""
        # A task of its own: one that is cancelled before its first step would leave a coroutine that nobody
        # has awaited.
        self._over = asyncio.ensure_future(over)
        self._closing = asyncio.ensure_future(self._close(self._over))

    async def run(self, app: Callable[[Receive, Send], Awaitable[None]], *, gone: Gone = ()) -> None:
        """Run an application on it.

        Args:
            app: Takes the two ends that it shall use.
            gone: What is no error of the application once the socket was closed under it.
        """
        ends: Gone = (SocketGone, *gone)
        try:
            await app(self.receive, self.send)
        except ends:
            if self._ending is None:
                raise
        finally:
            await _let_go(self._closing)
            await _let_go(self._over)
            await _let_go(self._coming)

    async def receive(self) -> Message:
        """Give the next message; the client has gone when the session is over."""
        if not self._begun:  # "websocket.connect", which is there: an application need not be made to wait
            self._begun = True
            return await self._receive()
        closed: asyncio.Future[Any] = asyncio.ensure_future(self._closed.wait())
        try:
            while True:
                coming = self._coming = self._coming or asyncio.ensure_future(self._receive())
                await asyncio.wait({coming, closed}, return_when=asyncio.FIRST_COMPLETED)
                if (ending := self._ending) is not None:
                    return {"type": "websocket.disconnect", "code": ending.code, "reason": ending.reason}
                if self._coming is coming:  # else another one has taken it, who waits at the same time
                    self._coming = None  # not before: who stops waiting finds it the next time
                    received: Message = coming.result()
                    return received
        finally:
            closed.cancel()

    async def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            SocketGone: The session is over.
        """
        if self._ending is not None:
            raise SocketGone(self._ending.reason)
        if message["type"] == "websocket.accept" and message.get("subprotocol") is None and self._answered:
            message["subprotocol"] = self._answered  # else browsers give up
        self._done = self._done or message["type"] in _LAST
        await self._send(message)

    async def _close(self, over: Awaitable[Ending]) -> None:
        ending = await over
        if not self._done:
            self._ending = ending
            self._closed.set()
            await self._send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})


async def _let_go(work: asyncio.Future[Any] | None) -> None:
    if work is not None:
        await asyncio.sleep(0)  # Python complains of what was never begun
        work.cancel()
        await asyncio.wait({work})


async def serve_socket(
    app: Callable[[Receive, Send], Awaitable[None]],
    scope: Scope,
    ends: tuple[Receive, Send],
    *,
    verdict: Verdict,
    guard: AsyncGuard,
    admit: Callable[[Scope, Admitted], object],
    gone: Gone = (),
) -> None:
    """Run an application on a WebSocket that closes when its session is over, or refuse the handshake.

    Args:
        app: Takes the two ends that it shall use.
        scope: The connection.
        ends: What the server receives and sends with.
        verdict: What the guard says of the handshake.
        guard: Knows when the session is over.
        admit: Tells the framework who asks.
        gone: See `GuardedSocket.run`.
    """
    receive, send = ends
    if isinstance(verdict, HttpReply):
        await refuse_socket(scope, send, verdict)
        return
    socket = GuardedSocket(scope, receive, send)
    admit(scope, verdict)
    if verdict.principal is not None:
        socket.close_when(guard.until_over(verdict.principal))
    await socket.run(app, gone=gone)


async def refuse_socket(scope: Scope, send: Send, reply: HttpReply) -> None:
    """Answer a handshake that is refused: as any request where the server can, else without a word."""
    if _DENIAL not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        return
    headers = encoded(reply.headers)
    await send({"type": f"{_DENIAL}.start", "status": reply.status, "headers": headers})
    await send({"type": f"{_DENIAL}.body", "body": reply.body})


class AsgiSockets:
    """An application each of whose WebSockets can be closed by whoever authenticates it further in.

    That finds the `GuardedSocket` in the scope, under `SOCKET_KEY`.
    """

    def __init__(self, app: AsgiApp, *, gone: Gone = ()) -> None:
        """Wrap an application; for `gone` see `GuardedSocket.run`."""
        self._app = app
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "websocket" or SOCKET_KEY in scope:
            return await self._app(scope, receive, send)
        socket = scope[SOCKET_KEY] = GuardedSocket(scope, receive, send)
        return await socket.run(lambda receive, send: self._app(scope, receive, send), gone=self._gone)


SOCKET_KEY: Final = "keyturn.socket"
"""Where in the scope of a WebSocket its `GuardedSocket` is."""
