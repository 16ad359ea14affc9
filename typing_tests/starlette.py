"""What a type checker must infer of Starlette's leaf. Not meant to be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from keyturn import AsyncTokenManager, KeyRing, Principal
from keyturn.starlette import CurrentUser, Keyturn
from keyturn.stores.memory import AsyncMemoryStore


@dataclass(frozen=True)
class Claims:
    """An application's claims."""

    roles: list[str]


keys = KeyRing.generate()
store = AsyncMemoryStore()
auth = Keyturn(AsyncTokenManager[Claims](store=store, keys=keys, issuer="i", audience="a", claims=Claims))
assert_type(auth, Keyturn[Claims])
plain = Keyturn(AsyncTokenManager(store=store, keys=keys, issuer="i", audience="a"))


@auth.require("profile", fresh="5m")
async def roles(request: Request) -> Response:
    """Say what the user may do."""
    assert_type(auth.principal(request), Principal[Claims])
    assert_type(auth.optional_principal(request), Principal[Claims] | None)
    assert_type(auth.principal(request).claims.roles, list[str])
    assert_type(plain.principal(request).claims, dict[str, Any])
    return JSONResponse(auth.principal(request).claims.roles)


@auth.require()
async def feed(socket: WebSocket) -> None:
    """Talk to somebody."""
    assert_type(auth.principal(socket).claims, Claims)


class Drawer(HTTPEndpoint):
    """Several methods of one path."""

    @auth.require("profile")
    async def get(self, request: Request) -> Response:
        """Say what the user may do."""
        return JSONResponse(auth.principal(request).claims.roles)


def maybe(request: Request) -> Response:
    """Talk to anybody, behind the middleware."""
    user: object = request.user
    return JSONResponse(user.principal.user_id if isinstance(user, CurrentUser) else None)


app = Starlette(
    routes=[
        *auth.routes,
        Route("/roles", roles),
        Route("/drawer", Drawer),
        Route("/maybe", auth.require(optional=True)(maybe)),
        WebSocketRoute("/feed", feed),
    ],
    middleware=[Middleware(auth.middleware)],
)
