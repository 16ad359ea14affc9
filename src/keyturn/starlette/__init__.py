"""Keyturn for Starlette: read, ask, write. It decides nothing.

```python
auth = Keyturn(manager, login=check_password)
app = Starlette(routes=[*auth.routes, Route("/orders", orders)], middleware=[Middleware(auth.middleware)])
```
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from typing_extensions import Unpack

try:
    from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, BaseUser
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from starlette.websockets import WebSocket
except ImportError as error:
    raise ImportError("keyturn.starlette needs its extra: pip install 'keyturn[starlette]'") from error

from keyturn.http import LIST_VALUED, Headers, HttpReply, NeedsOptions, Verdict, is_awaited, needs
from keyturn.http.asgi import read_for_guard
from keyturn.http.asgi_sockets import serve_socket
from keyturn.results import ClaimsT
from keyturn.starlette.base import GONE, KeyturnBase, Refused, answer
from keyturn.starlette.users import CurrentUser, admit, identity_of

__all__ = ["CurrentUser", "Keyturn", "Refused"]

ConnectionT = TypeVar("ConnectionT", bound=HTTPConnection)


class Keyturn(KeyturnBase[ClaimsT], AuthenticationBackend):
    """The endpoints and the guard of one application, and Starlette's authentication backend."""

    @property
    def backend(self) -> AuthenticationBackend:
        """For Starlette's `AuthenticationMiddleware`, with `on_error`; nobody need sign in."""
        return self

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser]:
        """Say who asks; raise `Refused` where a token was sent that is not acceptable."""
        verdict = await self._guard.identify(read_for_guard(conn.scope, self._guard))
        if isinstance(verdict, HttpReply):
            raise Refused(verdict)
        return identity_of(verdict)

    @staticmethod
    def on_error(_: HTTPConnection, error: AuthenticationError) -> Response:
        """Answer what `backend` refused: `AuthenticationMiddleware(app, auth.backend, auth.on_error)`."""
        return answer(error.reply) if isinstance(error, Refused) else Response(status_code=400)

    def require(
        self, *scopes: str, **options: Unpack[NeedsOptions]
    ) -> Callable[[Callable[[ConnectionT], Any]], Callable[[ConnectionT], Awaitable[Any]]]:
        """Guard one endpoint function: `@auth.require("orders:read")`; `request.user` says who asks.

        The endpoint of a `WebSocketRoute` too: its socket is closed when the session ends.

        Args:
            scopes: What the token's `scope` must hold.
            options: What else is needed, such as `roles=("admin",)` or `fresh="5m"`: see
                `keyturn.http.NeedsOptions`.
        """
        wanted = needs(*scopes, **options)

        def decorate(endpoint: Callable[[ConnectionT], Any]) -> Callable[[ConnectionT], Awaitable[Any]]:
            @functools.wraps(endpoint)
            async def guarded(connection: HTTPConnection) -> Response | None:
                verdict = await self._guard.check(read_for_guard(connection.scope, self._guard), wanted)
                if isinstance(connection, WebSocket):
                    await self._serve_socket(endpoint, connection, verdict)
                    return None
                if isinstance(verdict, HttpReply):
                    return answer(verdict)
                admit(connection.scope, verdict)
                return _with_headers(await _call(endpoint, connection), verdict.headers)

            return guarded

        return decorate

    async def _serve_socket(
        self, endpoint: Callable[[Any], Any], socket: WebSocket, verdict: Verdict
    ) -> None:
        await serve_socket(
            lambda receive, send: endpoint(WebSocket(socket.scope, receive, send)),
            socket.scope,
            (socket.receive, socket.send),
            verdict=verdict,
            guard=self._guard,
            admit=admit,
            gone=GONE,
        )


async def _call(endpoint: Callable[[Any], Any], connection: HTTPConnection) -> Response:
    awaited = is_awaited(endpoint)
    made = endpoint(connection) if awaited else await run_in_threadpool(endpoint, connection)
    response: Response = await made if awaited else made
    return response


def _with_headers(response: Response, headers: Headers) -> Response:
    for name, value in headers:
        (response.headers.append if name in LIST_VALUED else response.headers.__setitem__)(name, value)
    return response
