"""What Starlette's and FastAPI's leaves share: the endpoints, the guard by paths, how replies are written.

It decides nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Final, cast

from starlette.authentication import AuthenticationError
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from keyturn.errors import ConfigurationError, StoreError
from keyturn.http import (
    AsyncEndpoints,
    HttpReply,
    SignIn,
    Transport,
    Verdict,
    refuse,
    signed_in,
)
from keyturn.http.asgi import AsgiEndpoints, AsgiGuard, read_for_guard, read_scope
from keyturn.http.asgi_sockets import Gone
from keyturn.http.leaf import AsyncLeaf
from keyturn.http.lifespans import running
from keyturn.results import ClaimsT, Principal
from keyturn.starlette.users import CurrentUser, admit

GONE: Final[Gone] = (WebSocketDisconnect,)
"""What Starlette raises in an endpoint whose socket is closed."""


class Refused(AuthenticationError):
    """What refuses a request where nothing can be returned; `Keyturn.on_error` turns it into the answer."""

    def __init__(self, reply: HttpReply) -> None:
        """Carry the answer."""
        super().__init__("the request is refused")
        self.reply = reply


class KeyturnBase(AsyncLeaf[ClaimsT]):
    """The endpoints and the guard of one application: what Starlette's and FastAPI's leaves share."""

    _is_placed = False
    _has_endpoints = False

    @cached_property
    def routes(self) -> list[Route]:
        """The endpoints, to be added to the application's routes."""
        self._has_endpoints = True
        places = self._endpoints.places
        paths = (places.prefix, f"{places.prefix}/{{path:path}}", *places.outside)
        return [Route(path, _Served(self._endpoints, self._check_placed)) for path in paths]

    @asynccontextmanager
    async def lifespan(self, _: object) -> AsyncGenerator[None]:
        """Start the manager, and close it at the end: `Starlette(lifespan=auth.lifespan)`.

        A store that cannot be reached does not keep the application from starting.
        """
        self._check_placed()
        async with running(self._manager):
            yield

    async def sign_in(self, request: Request, who: SignIn, *, transport: Transport = "cookie") -> Response:
        """Begin a session for a user whom the application has accepted in its own way, and answer tokens."""
        return answer(await self._endpoints.sign_in(read_scope(request.scope), who, transport=transport))

    async def step_up(self, request: Request) -> Response:
        """Answer an access token whose user has just signed in again, as the application has checked."""
        return answer(await self._endpoints.step_up(read_scope(request.scope)))

    @staticmethod
    async def on_outage(_: Request, error: Exception) -> Response:
        """Answer what the store could not be asked for: `exception_handlers={StoreError: auth.on_outage}`."""
        return answer(refuse(cast("StoreError", error)))

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Guard a whole application by paths: `Middleware(auth.middleware)`; `request.user` says who asks."""
        self._is_placed = True
        return AsgiGuard(app, self._guard, admit, judge=self._judge_path, gone=GONE)

    async def _judge_path(self, scope: Scope) -> Verdict:
        request = read_for_guard(scope, self._guard)
        return await self._guard.check_path(request, endpoints=self._has_endpoints)

    def _check_placed(self) -> None:
        """Refuse to work where paths were to be guarded, and nothing guards them.

        Raises:
            ConfigurationError: So it is. Applications make their middleware before anything is served.
        """
        if self._by_path and not self._is_placed:
            raise ConfigurationError("exempt and require guard nothing without Middleware(auth.middleware)")

    def principal(self, connection: HTTPConnection) -> Principal[ClaimsT]:
        """Say who asks, with the application's own type of claims.

        Raises:
            ConfigurationError: Nothing guards the route, or nobody need be signed in there and nobody is: ask
                `optional_principal` where that is right.
        """
        return signed_in(self.optional_principal(connection))

    @staticmethod
    def optional_principal(connection: HTTPConnection) -> Principal[ClaimsT] | None:
        """Say who asks; None where nobody is signed in."""
        user: object = connection.scope.get("user")
        found = user.principal if isinstance(user, CurrentUser) else None
        return cast("Principal[ClaimsT] | None", found)


class _Served(AsgiEndpoints):
    """The endpoints of an application that is set up as it was meant."""

    def __init__(self, endpoints: AsyncEndpoints, check: Callable[[], None]) -> None:
        super().__init__(endpoints)
        self._check = check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._check()
        await super().__call__(scope, receive, send)


def answer(reply: HttpReply) -> Response:
    """Write a reply as Starlette does."""
    response = Response(reply.body, reply.status)
    for name, value in reply.headers:
        response.headers.append(name, value)
    return response
