"""Keyturn for Starlette: read, ask, write. It decides nothing.

```python
auth = Keyturn(manager, login=check_password)
app = Starlette(routes=[*auth.routes, Route("/orders", orders)], middleware=[Middleware(auth.middleware)])
```
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from typing_extensions import Unpack

try:
    from starlette.authentication import (
        AuthCredentials,
        AuthenticationBackend,
        AuthenticationError,
        BaseUser,
        SimpleUser,
        UnauthenticatedUser,
    )
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Scope
    from starlette.websockets import WebSocket
except ImportError as error:
    raise ImportError("keyturn.starlette needs its extra: pip install 'keyturn[starlette]'") from error

from keyturn.http import (
    JWKS_PATH,
    LIST_VALUED,
    Admitted,
    AsyncEndpoints,
    AsyncGuard,
    AsyncLogin,
    Headers,
    HttpReply,
    HttpSettings,
    LoginThrottle,
    NeedsOptions,
    Requirements,
    SignIn,
    Transport,
    Verdict,
    is_awaited,
    needs,
)
from keyturn.http.asgi import AsgiEndpoints, AsgiGuard, read_for_guard, read_scope
from keyturn.http.asgi_sockets import serve_socket
from keyturn.manager import AsyncTokenManager
from keyturn.results import Principal

ConnectionT = TypeVar("ConnectionT", bound=HTTPConnection)


class CurrentUser(SimpleUser):
    """`request.user` of an admitted request; `principal` is who its access token speaks for."""

    def __init__(self, principal: Principal[Any]) -> None:
        """Show the user's id as the name."""
        super().__init__(principal.user_id)
        self.principal = principal

    @property
    def identity(self) -> str:
        """The user's id."""
        return self.principal.user_id


class Refused(AuthenticationError):
    """What the authentication backend raises; `Keyturn.on_error` turns it into the answer."""

    def __init__(self, reply: HttpReply) -> None:
        """Carry the answer."""
        super().__init__("the request is refused")
        self.reply = reply


class Keyturn(AuthenticationBackend):
    """The endpoints and the guard of one application, and Starlette's authentication backend.

    Attributes:
        routes: The endpoints, to be added to the application's.
        backend: For Starlette's `AuthenticationMiddleware`, with `on_error`; nobody need sign in.
    """

    def __init__(
        self,
        manager: AsyncTokenManager[Any],
        *,
        login: AsyncLogin | None = None,
        settings: HttpSettings | None = None,
        throttle: LoginThrottle | None = None,
        exempt: Iterable[str] = (),
        require: Requirements | None = None,
    ) -> None:
        """Set it up: see `keyturn.http.AsyncEndpoints`, and for `exempt` and `require` `AsyncGuard`."""
        self._endpoints = AsyncEndpoints(manager, login=login, settings=settings, throttle=throttle)
        self._guard = AsyncGuard(manager, settings=settings, exempt=exempt, require=require)
        prefix = self._endpoints.settings.prefix
        paths = (prefix, f"{prefix}/{{path:path}}", JWKS_PATH)
        self.backend: AuthenticationBackend = self
        self.routes = [Route(path, AsgiEndpoints(self._endpoints)) for path in paths]

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser]:
        """Say who asks; raise `Refused` where a token was sent that is not acceptable."""
        answer = await self._guard.identify(read_for_guard(conn.scope, self._guard))
        if isinstance(answer, HttpReply):
            raise Refused(answer)
        return _identity(answer)

    @staticmethod
    def on_error(_: HTTPConnection, error: AuthenticationError) -> Response:
        """Answer what `backend` refused: `AuthenticationMiddleware(app, auth.backend, auth.on_error)`."""
        return _response(error.reply) if isinstance(error, Refused) else Response(status_code=400)

    async def sign_in(self, request: Request, who: SignIn, *, transport: Transport = "cookie") -> Response:
        """Begin a session for a user whom the application has accepted in its own way, and answer tokens."""
        return _response(await self._endpoints.sign_in(read_scope(request.scope), who, transport=transport))

    async def step_up(self, request: Request) -> Response:
        """Answer an access token whose user has just signed in again, as the application has checked."""
        return _response(await self._endpoints.step_up(read_scope(request.scope)))

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Guard a whole application by paths: `Middleware(auth.middleware)`; `request.user` says who asks."""
        return AsgiGuard(app, self._guard, _admit)

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
                    return _response(verdict)
                _admit(connection.scope, verdict)
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
            admit=_admit,
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


def _admit(scope: Scope, admitted: Admitted) -> None:
    scope["auth"], scope["user"] = _identity(admitted)


def _identity(admitted: Admitted) -> tuple[AuthCredentials, BaseUser]:
    if admitted.principal is None:
        return AuthCredentials(), UnauthenticatedUser()
    return AuthCredentials(["authenticated", *admitted.scopes]), CurrentUser(admitted.principal)


def _response(reply: HttpReply) -> Response:
    response = Response(reply.body, reply.status)
    for name, value in reply.headers:
        response.headers.append(name, value)
    return response
