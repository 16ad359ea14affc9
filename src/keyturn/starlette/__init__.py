"""Keyturn for Starlette: read, ask, write. It decides nothing.

```python
auth = Keyturn(manager, login=check_password)
app = Starlette(routes=[*auth.routes, Route("/orders", orders)], middleware=[Middleware(auth.middleware)])
```
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from copy import copy
from typing import Any, Final, ParamSpec, cast

from typing_extensions import Unpack

try:
    from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, BaseUser
    from starlette.concurrency import run_in_threadpool
    from starlette.datastructures import MutableHeaders
    from starlette.endpoints import WebSocketEndpoint
    from starlette.exceptions import HTTPException
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.types import Receive, Send
    from starlette.websockets import WebSocket
except ImportError as error:
    raise ImportError("keyturn.starlette needs its extra: pip install 'keyturn[starlette]'") from error

from keyturn.errors import ConfigurationError
from keyturn.http import Headers, HttpReply, NeedsOptions, Verdict, is_awaited, needs, put_headers
from keyturn.http.asgi import read_for_guard
from keyturn.http.asgi_sockets import serve_socket
from keyturn.results import ClaimsT
from keyturn.starlette.base import GONE, KeyturnBase, Refused, answer
from keyturn.starlette.users import CurrentUser, admit, identity_of

__all__ = ["CurrentUser", "Keyturn", "Refused"]

P = ParamSpec("P")

_BY_ROUTE: Final = "guard the route: Route(…, middleware=[Middleware(auth.middleware)])"


class Keyturn(KeyturnBase[ClaimsT], AuthenticationBackend):
    """The endpoints and the guard of one application, and Starlette's authentication backend."""

    @property
    def backend(self) -> AuthenticationBackend:
        """For Starlette's `AuthenticationMiddleware`, with `on_error`; nobody need sign in.

        It heeds `exempt`; what `require` says is for `middleware`.
        """
        self._is_placed = self._is_placed or not self._requires
        return self

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser]:
        """Say who asks; raise `Refused` where a token was sent that is not acceptable."""
        verdict = await self._guard.identify(
            read_for_guard(conn.scope, self._guard), endpoints=self._has_endpoints
        )
        if isinstance(verdict, HttpReply):
            raise Refused(verdict)
        return identity_of(verdict)

    @staticmethod
    def on_error(_: HTTPConnection, error: AuthenticationError) -> Response:
        """Answer what `backend` refused: `AuthenticationMiddleware(app, auth.backend, auth.on_error)`."""
        return answer(error.reply) if isinstance(error, Refused) else Response(status_code=400)

    def require(
        self, *scopes: str, **options: Unpack[NeedsOptions]
    ) -> Callable[[Callable[P, Any]], Callable[P, Coroutine[Any, Any, Any]]]:
        """Guard one endpoint: `@auth.require("orders:read")`; `request.user` says who asks.

        It may be a function, or a method of an `HTTPEndpoint`. The endpoint of a `WebSocketRoute` too: its
        socket is closed when the session ends. For a `WebSocketEndpoint`, guard its route, with
        `middleware=[Middleware(auth.middleware)]`.

        Args:
            scopes: What the token's `scope` must hold.
            options: What else is needed, such as `roles=("admin",)` or `fresh="5m"`: see
                `keyturn.http.NeedsOptions`.

        Raises:
            ConfigurationError: What is needed can never be met; or a class is decorated.
        """
        wanted = needs(*scopes, **options)

        def decorate(endpoint: Callable[P, Any]) -> Callable[P, Coroutine[Any, Any, Any]]:
            if isinstance(endpoint, type):
                raise ConfigurationError(f"decorate the methods of {endpoint.__name__}, or {_BY_ROUTE}")

            @functools.wraps(endpoint)
            async def guarded(*args: P.args, **kwargs: P.kwargs) -> Response | None:
                connection = _connection_among(args)
                verdict = await self._guard.check(read_for_guard(connection.scope, self._guard), wanted)
                if isinstance(connection, WebSocket):
                    await self._serve_socket(endpoint, args, connection, verdict)
                    return None
                if isinstance(verdict, HttpReply):
                    return answer(verdict)
                admit(connection.scope, verdict)
                if not verdict.headers:
                    return await _call(endpoint, *args, **kwargs)
                try:
                    return _with_headers(await _call(endpoint, *args, **kwargs), verdict.headers)
                except HTTPException as error:
                    failed = _with_headers_of(error, verdict.headers)
                raise failed  # out here, where Python adds no context of its own

            return guarded

        return decorate

    async def _serve_socket(
        self, endpoint: Callable[..., Any], args: tuple[object, ...], socket: WebSocket, verdict: Verdict
    ) -> None:
        def serve(receive: Receive, send: Send) -> Awaitable[None]:
            ours = WebSocket(socket.scope, receive, send)
            served: Awaitable[None] = endpoint(*(ours if each is socket else each for each in args))
            return served

        await serve_socket(
            serve,
            socket.scope,
            (socket.receive, socket.send),
            verdict=verdict,
            guard=self._guard,
            admit=admit,
            gone=GONE,
        )


def _connection_among(given: tuple[object, ...]) -> HTTPConnection:
    """Find the request or the socket in what a function or a method is called with.

    Raises:
        ConfigurationError: There is none; or a socket is served by several methods, of which one is guarded.
    """
    if any(isinstance(each, WebSocketEndpoint) for each in given):
        raise ConfigurationError(f"a method of a WebSocketEndpoint cannot be guarded: {_BY_ROUTE}")
    for each in given:
        if isinstance(each, HTTPConnection):
            return cast("HTTPConnection", each)
    raise ConfigurationError("auth.require is for endpoints: what was called takes no request")


async def _call(endpoint: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> Response:
    awaited = is_awaited(endpoint)
    made = endpoint(*args, **kwargs) if awaited else await run_in_threadpool(endpoint, *args, **kwargs)
    response: Response = await made if awaited else made
    return response


def _with_headers(response: Response, headers: Headers) -> Response:
    """Give a copy with more headers: the application may answer others with the same response."""
    copied = copy(response)
    copied.raw_headers = list(response.raw_headers)
    vars(copied).pop("_headers", None)  # what Starlette has made of the list that was shared
    put_headers(headers, copied.headers.append, copied.headers.__setitem__)
    return copied


def _with_headers_of(error: HTTPException, headers: Headers) -> HTTPException:
    """Give a copy with more headers, each name once: others may be answered with the same error."""
    found = MutableHeaders(dict(error.headers or {}))
    put_headers(headers, found.append, found.__setitem__)
    once = {name: ", ".join(found.getlist(name)) for name in found}
    copied = type(error).__new__(type(error), *error.args)  # its `__init__` is the application's
    vars(copied).update({**vars(error), "headers": once})
    copied.__cause__, copied.__context__ = error.__cause__, error.__context__
    copied.__suppress_context__ = error.__suppress_context__
    return copied.with_traceback(error.__traceback__)
