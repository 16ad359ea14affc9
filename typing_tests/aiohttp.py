"""What a type checker must infer of aiohttp's guard. Not meant to be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from aiohttp import web
from aiohttp.typedefs import Handler

from keyturn import AsyncTokenManager, KeyRing, Principal
from keyturn.aiohttp import KEYTURN, Keyturn
from keyturn.stores.memory import AsyncMemoryStore


@dataclass(frozen=True)
class Claims:
    """An application's claims."""

    roles: list[str]


keys = KeyRing.generate()
manager = AsyncTokenManager[Claims](
    store=AsyncMemoryStore(), keys=keys, issuer="i", audience="a", claims=Claims
)
auth = Keyturn(manager)
assert_type(auth, Keyturn[Claims])

plain = Keyturn(AsyncTokenManager(store=AsyncMemoryStore(), keys=keys, issuer="i", audience="a"))
assert_type(plain, Keyturn[dict[str, Any]])


@auth.require("orders:read", roles=("admin",), fresh="5m")
async def orders(request: web.Request) -> web.StreamResponse:
    """A required principal is there, its claims are the application's."""
    assert_type(auth.principal(request), Principal[Claims])
    assert_type(auth.optional_principal(request), Principal[Claims] | None)
    assert_type(auth.principal(request).claims.roles, list[str])
    assert_type(plain.principal(request).claims, dict[str, Any])
    return web.Response()


@auth.require(optional=True)
async def lobby(request: web.Request) -> web.Response:
    """An optional one may not be."""
    assert_type(request[auth.current], Principal[Claims] | None)
    return web.Response()


class Orders(web.View):
    """Methods of views are guarded as functions are."""

    @auth.require()
    async def get(self) -> web.StreamResponse:
        """Know who asks."""
        assert_type(auth.principal(self.request).claims, Claims)
        return web.Response()


class Handlers:
    """So are methods of an application's own classes."""

    @auth.require()
    async def orders(self, request: web.Request) -> web.StreamResponse:
        """Know who asks."""
        assert_type(auth.principal(request).claims, Claims)
        return web.Response()


handler: Handler = orders
app = web.Application(middlewares=[auth.middleware])
app.add_routes(
    [
        web.get("/orders", orders),
        web.get("/lobby", lobby),
        web.view("/view", Orders),
        web.get("/method", Handlers().orders),
    ]
)
auth.setup(app)
assert_type(app[KEYTURN], Keyturn[Any])
