"""Keyturn for Starlette: read, ask, write. It decides nothing.

```python
auth = Keyturn(manager, login=check_password)
app = Starlette(routes=[*auth.routes, Route("/orders", orders)], middleware=[Middleware(auth.middleware)])
```
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

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
except ImportError as error:
    raise ImportError("keyturn.starlette needs its extra: pip install 'keyturn[starlette]'") from error

from keyturn.http import (
    JWKS_PATH,
    LIST_VALUED,
    Admitted,
    AsyncEndpoints,
    AsyncGuard,
    AsyncLogin,
    HttpReply,
    HttpSettings,
    LoginThrottle,
    Needs,
    SignIn,
    Transport,
    is_awaited,
)
from keyturn.http.asgi import AsgiEndpoints, AsgiGuard, read_scope
from keyturn.manager import AsyncTokenManager
from keyturn.policy import RevocationCheck
from keyturn.results import Principal

Endpoint: TypeAlias = Callable[[Request], Any]


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
        require: Mapping[str, Mapping[str, Any]] | None = None,
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
        answer = await self._guard.identify(read_scope(conn.scope))
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

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Guard a whole application by paths: `Middleware(auth.middleware)`; `request.user` says who asks."""
        return AsgiGuard(app, self._guard, _admit)

    def require(
        self,
        *scopes: str,
        optional: bool = False,
        claims: Mapping[str, Any] | None = None,
        revocation: RevocationCheck | None = None,
    ) -> Callable[[Endpoint], Callable[[Request], Awaitable[Response]]]:
        """Guard one endpoint function: `@auth.require("orders:read")`; `request.user` says who asks.

        Args:
            scopes: What the token's `scope` must hold.
            optional: Whether nobody need be signed in.
            claims: Which claims the token must hold, such as `{"roles": "admin"}`.
            revocation: How the token is checked: "view", "strict" or "none"; None: as the policy says.
        """
        wanted = tuple((claims or {}).items())
        needs = Needs(optional=optional, scopes=scopes, claims=wanted, revocation=revocation)

        def decorate(endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
            awaited = is_awaited(endpoint)

            @functools.wraps(endpoint)
            async def guarded(request: Request) -> Response:
                answer = await self._guard.check(read_scope(request.scope), needs)
                if isinstance(answer, HttpReply):
                    return _response(answer)
                _admit(request.scope, answer)
                made = endpoint(request) if awaited else await run_in_threadpool(endpoint, request)
                response: Response = await made if awaited else made
                for name, value in answer.headers:
                    put = response.headers.append if name in LIST_VALUED else response.headers.__setitem__
                    put(name, value)
                return response

            return guarded

        return decorate


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
