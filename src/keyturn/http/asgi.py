"""The endpoints and the guard as plain ASGI, for every framework that speaks it. It knows none of them.

Source: the ASGI specification, HTTP message format, 2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from keyturn.http.asgi_sockets import serve_socket
from keyturn.http.asgi_types import AsgiApp, Message, Receive, Scope, Send
from keyturn.http.endpoints import AsyncEndpoints
from keyturn.http.guard import LIST_VALUED, Admitted, AsyncGuard
from keyturn.http.messages import MAX_BODY, Headers, HttpReply, HttpRequest
from keyturn.http.replies import unreadable_body

_NO_CONTENT: Final = 204


class AsgiEndpoints:
    """The endpoints as an ASGI application."""

    def __init__(self, endpoints: AsyncEndpoints) -> None:
        """Serve these."""
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await _read_body(receive)
        if body is None:
            reply = unreadable_body()
        else:
            reply = await self._endpoints.handle(read_scope(scope, body))
        await _send(reply, scope, send)


class AsgiGuard:
    """An ASGI application behind a guard that judges by paths."""

    def __init__(self, app: AsgiApp, guard: AsyncGuard, admit: Callable[[Scope, Admitted], object]) -> None:
        """Guard an application.

        Args:
            app: The application.
            guard: Says who may pass.
            admit: Tells the framework who asks, by what it puts into the scope.
        """
        self._app = app
        self._guard = guard
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one connection pass, or answer it."""
        if scope["type"] not in {"http", "websocket"}:
            return await self._app(scope, receive, send)
        verdict = await self._guard.check_path(read_for_guard(scope, self._guard))
        if scope["type"] == "websocket":
            return await serve_socket(
                lambda receive, send: self._app(scope, receive, send),
                scope,
                (receive, send),
                verdict=verdict,
                guard=self._guard,
                admit=self._admit,
            )
        if isinstance(verdict, HttpReply):
            return await _send(verdict, scope, send)
        self._admit(scope, verdict)
        return await self._app(scope, receive, _with_headers(send, verdict.headers))


def read_scope(scope: Scope, body: bytes = b"") -> HttpRequest:
    """Read a request, or the handshake of a WebSocket."""
    return _read(scope, scope["headers"], body)


def read_for_guard(scope: Scope, guard: AsyncGuard) -> HttpRequest:
    """Read what a guard looks at: most headers of a request are not among it, and reading them takes longest.

    Servers write names in lower case, as the specification has it; whatever else comes is no such header.
    """
    reads = guard.reads
    return _read(scope, [pair for pair in scope["headers"] if pair[0] in reads], b"")


def _read(scope: Scope, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> HttpRequest:
    client = scope.get("client")
    return HttpRequest(
        scope.get("method", "GET"),
        _route_path(scope["path"], scope.get("root_path", "")),
        tuple([(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]),
        body,
        client[0] if client else None,
        scope.get("scheme", "http"),
    )


def _route_path(path: str, root: str) -> str:
    """Give the path as routers see it: a root is taken away only where it ends at a slash or at the end."""
    below = path.removeprefix(root)
    return below if not below or below.startswith("/") else path


async def _read_body(receive: Receive) -> bytes | None:
    """Read a body, or one byte more than is accepted of it; None where the client has gone."""
    body = bytearray()
    while len(body) <= MAX_BODY:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body[: MAX_BODY + 1])


async def _send(reply: HttpReply, scope: Scope, send: Send) -> None:
    headers = _encoded(reply.headers)
    if reply.status != _NO_CONTENT:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})


def _with_headers(send: Send, headers: Headers) -> Send:
    """Put headers into the answer, instead of those of the same names."""
    if not headers:
        return send
    ours = _encoded(headers)
    names = {name for name, _ in ours} - {name.lower().encode() for name in LIST_VALUED}

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            theirs = [pair for pair in message.get("headers", ()) if pair[0].lower() not in names]
            message["headers"] = [*theirs, *ours]
        await send(message)

    return send_with_headers


def _encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
