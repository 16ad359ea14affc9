"""The endpoints and the guard as plain ASGI, for every framework that speaks it. It knows none of them.

Source: the ASGI specification, HTTP message format, 2.4.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

from keyturn.http.asgi_sockets import Gone, serve_socket
from keyturn.http.asgi_types import AsgiApp, Message, Receive, Scope, Send, encoded
from keyturn.http.endpoints import AsyncEndpoints
from keyturn.http.guard import LIST_VALUED, Admitted, AsyncGuard, Verdict
from keyturn.http.messages import MAX_BODY, HttpReply, HttpRequest, below_root
from keyturn.http.replies import unreadable_body

_NO_CONTENT: Final = 204
_SCHEMES: Final = {"websocket": "ws"}  # servers may leave it out, or say "https" behind a proxy
_JUDGED: Final = "keyturn.judged"
_CORS: Final = b"access-control-"

Judge: TypeAlias = Callable[[Scope], Awaitable[Verdict]]
"""Says whether a connection may pass."""


class AsgiEndpoints:
    """The endpoints as an ASGI application."""

    def __init__(self, endpoints: AsyncEndpoints) -> None:
        """Serve these."""
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await read_body(receive)
        if body is None:
            reply = unreadable_body()
        else:
            reply = await self._endpoints.handle(read_scope(scope, body))
        await _send(reply, scope, send)


class AsgiGuard:
    """An ASGI application behind a guard that judges by paths, or by what its framework knows of a route."""

    def __init__(
        self,
        app: AsgiApp,
        guard: AsyncGuard,
        admit: Callable[[Scope, Admitted], object],
        *,
        judge: Judge | None = None,
        gone: Gone = (),
    ) -> None:
        """Guard an application.

        Args:
            app: The application.
            guard: Says who may pass, and when a session is over.
            admit: Tells the framework who asks, by what it puts into the scope.
            judge: Asks the guard what a connection needs; None: what its path needs.
            gone: See `GuardedSocket.run`.
        """
        self._app = app
        self._guard = guard
        self._admit = admit
        self._judge = judge or self._judge_path
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one connection pass, or answer it."""
        if scope["type"] not in {"http", "websocket"} or scope.get(_JUDGED) is self._guard:
            return await self._app(scope, receive, send)
        # A part of the application that has a guard too, or a second middleware, does not judge again.
        scope[_JUDGED] = self._guard
        verdict = await self._judge(scope)
        if scope["type"] == "websocket":
            return await serve_socket(
                lambda receive, send: self._app(scope, receive, send),
                scope,
                (receive, send),
                verdict=verdict,
                guard=self._guard,
                admit=self._admit,
                gone=self._gone,
            )
        if isinstance(verdict, HttpReply):
            return await _send(verdict, scope, send)
        self._admit(scope, verdict)
        if verdict.headers:
            send = _with_headers(send, verdict.headers)
        return await self._app(scope, receive, send)

    async def _judge_path(self, scope: Scope) -> Verdict:
        return await self._guard.check_path(read_for_guard(scope, self._guard))


class AsgiHeaders:
    """An application to whose answers whoever authenticates further in may add headers.

    That finds a list for them in the scope, under `HEADERS_KEY`.
    """

    def __init__(self, app: AsgiApp) -> None:
        """Wrap an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http" or HEADERS_KEY in scope:
            return await self._app(scope, receive, send)
        headers = scope[HEADERS_KEY] = list[tuple[str, str]]()
        return await self._app(scope, receive, _with_headers(send, headers))


HEADERS_KEY: Final = "keyturn.headers"
"""Where in the scope of a request the headers are that its answer must carry, as `Admitted.headers`."""


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
        below_root(scope["path"], scope.get("root_path", "")),
        tuple([(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]),
        body,
        client[0] if client else None,
        _SCHEMES.get(scope["type"]) or scope.get("scheme", "http"),
        scope.get("query_string", b"").decode("latin-1"),
    )


async def read_body(receive: Receive) -> bytes | None:
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


def answer_instead(scope: Scope, message: Message, reply: HttpReply) -> None:
    """Make a message of a framework's own answer one of ours; what it lets other origins read stays.

    Args:
        scope: The request.
        message: That begins the answer, or that is its whole body.
        reply: Ours.
    """
    if message["type"] == "http.response.start":
        ours = encoded((*reply.headers, ("content-length", str(len(reply.body)))))
        names = {name for name, _ in ours}
        theirs = [(name.lower(), value) for name, value in message["headers"]]
        kept = [pair for pair in theirs if pair[0].startswith(_CORS) and pair[0] not in names]
        message["status"], message["headers"] = reply.status, [*kept, *ours]
    else:
        message["body"] = b"" if scope["method"] == "HEAD" else reply.body


async def _send(reply: HttpReply, scope: Scope, send: Send) -> None:
    headers = encoded(reply.headers)
    if reply.status != _NO_CONTENT:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})


def _with_headers(send: Send, headers: Sequence[tuple[str, str]]) -> Send:
    """Put headers into the answer, as they are when it begins, instead of those of the same names."""

    async def send_with_headers(message: Message) -> None:
        if headers and message["type"] == "http.response.start":
            ours = encoded(headers)
            names = {name for name, _ in ours} - {name.lower().encode() for name in LIST_VALUED}
            theirs = [pair for pair in message.get("headers", ()) if pair[0].lower() not in names]
            message = {**message, "headers": [*theirs, *ours]}  # a cache of answers may keep the other
        await send(message)

    return send_with_headers
