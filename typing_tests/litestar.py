"""What a type checker must infer of Litestar's plugin. Not meant to be run."""

from __future__ import annotations

from typing import Any, assert_type

from litestar import Litestar, Request, Response, WebSocket, get, websocket_listener
from litestar.datastructures import State
from litestar.di import NamedDependency

from keyturn import AsyncTokenManager, Principal
from keyturn.http import SignIn
from keyturn.litestar import Keyturn, Requirement
from keyturn.stores.memory import AsyncMemoryStore
from typing_tests.managers import Claims, keys

auth = Keyturn(
    AsyncTokenManager(store=AsyncMemoryStore(), keys=keys, issuer="i", audience="a", claims=Claims)
)
assert_type(auth, Keyturn[Claims])
assert_type(auth.require("orders:read", roles=("admin",), fresh="5m"), Requirement)

plain = Keyturn(AsyncTokenManager(store=AsyncMemoryStore(), keys=keys, issuer="i", audience="a"))
assert_type(plain, Keyturn[dict[str, Any]])


@get("/needed", guards=[auth.require()])
async def needed(principal: NamedDependency[Principal[Claims]]) -> None:
    """Take it as a dependency."""
    assert_type(principal.claims, Claims)
    assert_type(principal.claims.roles, list[str])


@get("/optional", guards=[auth.require(optional=True)])
async def optional(principal: NamedDependency[Principal[Claims] | None]) -> None:
    """Take it as a dependency, if there is one."""
    if principal is not None:
        assert_type(principal.claims, Claims)


@get("/request", guards=[auth.require()])
async def of_request(request: Request[Principal[Claims], tuple[str, ...], State]) -> Response[bytes]:
    """Read it from the request, and from the plugin, which knows the claims by itself."""
    assert_type(request.user.claims, Claims)
    assert_type(request.auth, tuple[str, ...])
    assert_type(auth.principal(request), Principal[Claims])
    assert_type(auth.optional_principal(request), Principal[Claims] | None)
    return assert_type(await auth.sign_in(request, SignIn("ann"), transport="body"), Response[bytes])


@websocket_listener("/socket", guards=[auth.require()])
async def of_socket(data: str, socket: WebSocket[Principal[Claims], Any, State]) -> str:
    """Read it from a socket."""
    assert_type(socket.user.claims, Claims)
    return data


app = Litestar([needed, optional, of_request, of_socket], plugins=[auth])
