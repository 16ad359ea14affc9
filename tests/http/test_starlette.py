"""Holds what only Starlette has: its authentication middleware, `@requires`, WebSockets, mounting."""

from __future__ import annotations

import socket
from collections.abc import MutableMapping
from typing import Any

import httpx
import pytest
from starlette._utils import get_route_path
from starlette.applications import Starlette
from starlette.authentication import AuthenticationError, requires
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from keyturn import ConfigurationError
from keyturn.http import HttpSettings, SignIn
from keyturn.http.asgi import read_scope
from keyturn.http.origins import REFRESHED_HEADER
from keyturn.starlette import Keyturn
from keyturn.testing._http.wire import head
from keyturn.testing.http_suite import World, check_password
from tests.http.clients import PASSWORD, bearer, check_lifespan, client_of
from tests.http.starlette_app import serve


@requires("orders:read")
async def orders(request: Request) -> Response:
    """Need a scope, by Starlette's own means."""
    return JSONResponse({"name": request.user.display_name, "principal": request.user.principal.user_id})


def test_starlettes_own_authentication_works() -> None:
    """`AuthenticationMiddleware` with our backend, and `@requires` with the token's scopes."""
    auth = Keyturn(World().async_manager(), login=check_password)
    middleware = Middleware(AuthenticationMiddleware, backend=auth.backend, on_error=auth.on_error)
    with client_of(
        Starlette(routes=[*auth.routes, Route("/orders", orders)], middleware=[middleware])
    ) as client:
        buyer, member = bearer(client, "buyer-bo"), bearer(client, "mem")
        assert client.get("/orders", headers=buyer).json() == {"name": "buyer-bo", "principal": "buyer-bo"}
        assert client.get("/orders", headers=member).status_code == 403
        assert client.get("/orders").status_code == 403
        refused = client.get("/orders", headers={"Authorization": "Bearer garbage"})
        assert refused.status_code == 401
        assert refused.json()["error"] == "invalid_token"
        stale = client.post("/auth/refresh", headers={"Authorization": "Bearer stale"})
        assert stale.json()["error"] == "invalid_request"  # the endpoint answers, for want of a refresh token


@pytest.mark.parametrize(
    ("root", "path", "route"),
    [
        ("", "/admin", "/admin"),
        ("/api", "/api/admin", "/admin"),
        ("/api", "/api-admin", "/api-admin"),
        ("/api", "/admin", "/admin"),
        ("/api", "/api", ""),
        ("/api/", "/api/admin", "/api/admin"),
    ],
)
def test_the_guard_sees_the_path_that_the_router_sees(root: str, path: str, route: str) -> None:
    """The root of a mounted application is taken away as Starlette does: only where it ends at a slash."""
    scope = {"type": "http", "path": path, "root_path": root, "headers": []}
    assert read_scope(scope).path == get_route_path(scope) == route


def test_an_error_of_another_backend_is_no_answer_of_ours() -> None:
    """It is a bad request and says nothing."""
    answer = Keyturn.on_error(HTTPConnection({"type": "http"}), AuthenticationError("secret"))
    assert (answer.status_code, answer.body) == (400, b"")


async def no_messages() -> MutableMapping[str, Any]:
    """Receive nothing."""
    raise AssertionError("nothing was sent")


async def no_answer(message: MutableMapping[str, Any]) -> None:
    """Take no answer."""
    raise AssertionError(message)


async def shake_hands(app: Starlette, *headers: tuple[bytes, bytes]) -> list[MutableMapping[str, Any]]:
    """Open a WebSocket as an ASGI server does, and give what the application sends."""
    sent: list[MutableMapping[str, Any]] = []
    coming: list[dict[str, Any]] = [
        {"type": "websocket.connect"},
        {"type": "websocket.disconnect", "code": 1000},
    ]

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/talk",
        "headers": list(headers),
        "query_string": b"",
        "scheme": "ws",
    }
    await app(scope, receive, send)
    return sent


async def test_a_websocket_is_guarded_too() -> None:
    """Its handshake carries the token or is refused (RFC 6455, section 7.4.1)."""

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.identity)
        await websocket.close()

    world = World()
    auth = Keyturn(world.async_manager(), login=check_password)
    app = Starlette(routes=[WebSocketRoute("/talk", talk)], middleware=[Middleware(auth.middleware)])
    token = (await world.async_manager().issue("ann")).access_token
    admitted = await shake_hands(app, (b"authorization", f"Bearer {token}".encode()))
    assert [message["type"] for message in admitted] == [
        "websocket.accept",
        "websocket.send",
        "websocket.close",
    ]
    assert admitted[1]["text"] == "ann"
    assert await shake_hands(app) == [{"type": "websocket.close", "code": 1008}]


async def test_what_is_no_request_passes_the_guard() -> None:
    """Start-up and shut-down carry no token."""
    seen: list[str] = []

    async def app(scope: MutableMapping[str, Any], receive: object, send: object) -> None:
        seen.append(scope["type"])

    auth = Keyturn(World().async_manager())
    await auth.middleware(app)({"type": "lifespan"}, no_messages, no_answer)
    assert seen == ["lifespan"]


def test_an_application_may_sign_people_in_itself() -> None:
    """Its own route answers what `/auth/login` would."""
    auth = Keyturn(World().async_manager())

    async def callback(request: Request) -> Response:
        return await auth.sign_in(request, SignIn("ann"))

    with client_of(Starlette(routes=[*auth.routes, Route("/callback", callback)])) as client:
        answer = client.get("/callback")
        assert answer.json()["token_type"] == "Bearer"
        assert answer.headers["set-cookie"].startswith("__Secure-keyturn=ktr_")
        assert client.post("/auth/login", json={}).status_code == 404


def test_the_endpoints_may_be_mounted_below_a_path() -> None:
    """The cookie's path is then the longer one."""
    settings = HttpSettings(cookie_path="/api/auth", cookie_secure=False)
    auth = Keyturn(World().async_manager(), login=check_password, settings=settings)
    with client_of(Starlette(routes=[Mount("/api", routes=auth.routes)])) as client:
        body = {"username": "ann", "password": PASSWORD}
        assert client.post("/api/auth/login", json=body).status_code == 200
        assert client.post("/api/auth/refresh", headers={"X-Keyturn": "1"}).status_code == 200
        assert client.post("/auth/login", json=body).status_code == 404


def test_an_unused_connection_of_a_client_that_left_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    """A client that goes away in the middle of a body leaves no trace in the log."""
    auth = Keyturn(World().async_manager(), login=check_password)
    with serve(Starlette(routes=auth.routes), log_level="error") as url:
        host, _, port = url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as wire:
            wire.sendall(head("POST", "/auth/refresh", ("Content-Length", "100")) + b"{")
        assert httpx.get(f"{url}/.well-known/jwks.json", trust_env=False).status_code == 200
    assert "Traceback" not in capfd.readouterr().err


def test_an_endpoint_says_how_revocation_is_checked() -> None:
    """A route that was told to trust signatures does; the others refuse what was revoked."""
    auth = Keyturn(World().async_manager(), login=check_password)

    async def whoami(request: Request) -> Response:
        return JSONResponse({"user": request.user.identity})

    routes = [
        *auth.routes,
        Route("/trusting", auth.require(revocation="none")(whoami)),
        Route("/strict", auth.require(revocation="strict")(whoami)),
    ]
    with client_of(Starlette(routes=routes)) as client:
        headers = bearer(client, "ann")
        assert client.post("/auth/logout-all", json={}, headers=headers).json() == {"revoked": 1}
        answers = [client.get(path, headers=headers) for path in ("/trusting", "/strict")]
        assert [answer.status_code for answer in answers] == [200, 401]


async def test_the_lifespan_starts_the_manager_and_closes_it() -> None:
    """A store that cannot be read does not keep the application from starting."""
    await check_lifespan(lambda manager: Starlette(lifespan=Keyturn(manager).lifespan))


class Drawer(HTTPEndpoint):
    """Several methods of one path, each guarded for itself."""

    auth = Keyturn(World().async_manager(), login=check_password)

    @auth.require()
    async def get(self, request: Request) -> Response:
        """Let in whoever is signed in."""
        return JSONResponse({"user": self.auth.principal(request).user_id})

    @auth.require("orders:read")
    def delete(self, request: Request) -> Response:
        """Need a scope, in a thread."""
        return JSONResponse({"by": request.user.identity})


def test_the_methods_of_an_endpoint_are_guarded() -> None:
    """Each needs what it says; a method that is not there stays a 405."""
    with client_of(Starlette(routes=[*Drawer.auth.routes, Route("/drawer", Drawer)])) as client:
        buyer, member = bearer(client, "buyer-bo"), bearer(client, "mem")
        assert client.get("/drawer", headers=member).json() == {"user": "mem"}
        assert client.delete("/drawer", headers=buyer).json() == {"by": "buyer-bo"}
        assert client.delete("/drawer", headers=member).status_code == 403
        assert [client.request(method, "/drawer").status_code for method in ("GET", "DELETE")] == [401, 401]
        assert client.put("/drawer", headers=buyer).status_code == 405


async def test_the_socket_of_a_method_is_guarded() -> None:
    """A method that serves a whole socket is an endpoint like another."""
    world = World()
    auth = Keyturn(world.async_manager())

    class Desk:
        @auth.require()
        async def talk(self, socket: WebSocket) -> None:
            await socket.accept()
            await socket.send_text(socket.user.identity)
            await socket.close()

    app = Starlette(routes=[WebSocketRoute("/talk", Desk().talk)])
    token = (await world.async_manager().issue("ann")).access_token
    admitted = await shake_hands(app, (b"authorization", f"Bearer {token}".encode()))
    assert admitted[1]["text"] == "ann"
    assert await shake_hands(app) == [{"type": "websocket.close", "code": 1008}]


class Talk(WebSocketEndpoint):
    """An endpoint that serves a socket by several methods."""

    async def on_connect(self, websocket: WebSocket) -> None:
        """Say who has opened it, and let it go."""
        await websocket.accept()
        await websocket.send_text(websocket.user.identity)
        await websocket.close()


async def test_a_websocket_endpoint_is_guarded_by_its_route() -> None:
    """A guard of one of its methods could not close the socket, so that is refused: the route has one."""
    world = World()
    auth = Keyturn(world.async_manager())
    with pytest.raises(ConfigurationError, match="guard the route"):
        auth.require()(Talk)

    careless = type("Careless", (Talk,), {"on_connect": auth.require()(Talk.on_connect)})
    token = (await world.async_manager().issue("ann")).access_token
    header = (b"authorization", f"Bearer {token}".encode())
    with pytest.raises(ConfigurationError, match="guard the route"):
        await shake_hands(Starlette(routes=[WebSocketRoute("/talk", careless)]), header)

    guarded = WebSocketRoute("/talk", Talk, middleware=[Middleware(auth.middleware)])
    admitted = await shake_hands(Starlette(routes=[guarded]), header)
    assert admitted[1]["text"] == "ann"
    assert await shake_hands(Starlette(routes=[guarded])) == [{"type": "websocket.close", "code": 1008}]


async def test_what_takes_no_request_cannot_be_guarded() -> None:
    """It is told, and what was decorated is not called."""
    auth = Keyturn(World().async_manager())
    called: list[str] = []
    with pytest.raises(ConfigurationError, match="takes no request"):
        await auth.require()(called.append)("x")
    assert called == []


def test_a_principal_is_somebody() -> None:
    """Where nobody is signed in, asking for one is a mistake of the application."""
    auth = Keyturn(World().async_manager(), login=check_password)

    async def maybe(request: Request) -> Response:
        if request.user.is_authenticated:
            return JSONResponse(auth.principal(request).user_id)
        with pytest.raises(ConfigurationError, match="nobody is signed in"):
            auth.principal(request)
        return JSONResponse(None)

    routes = [*auth.routes, Route("/maybe", auth.require(optional=True)(maybe))]
    with client_of(Starlette(routes=routes)) as client:
        assert client.get("/maybe").json() is None
        assert client.get("/maybe", headers=bearer(client, "ann")).json() == "ann"


def test_an_error_that_is_raised_brings_the_renewed_token_too() -> None:
    """As in every framework: an answer is one, however the endpoint comes to it."""
    auth = Keyturn(World().async_manager(), login=check_password, settings=HttpSettings(renew_within="1d"))
    own = {"access-control-expose-headers": "X-Mine", "Cache-Control": "public"}

    @auth.require()
    async def missing(_: Request) -> Response:
        raise HTTPException(404, headers=own)

    @auth.require()
    async def bare(_: Request) -> Response:
        raise HTTPException(410)

    routes = [*auth.routes, Route("/missing", missing), Route("/bare", bare)]
    with client_of(Starlette(routes=routes)) as client:
        signed = bearer(client, "ann")
        for path, status, exposed in (("/missing", 404, "X-Mine, "), ("/bare", 410, "")):
            answer = client.get(path, headers=signed)
            assert answer.status_code == status
            assert answer.headers["access-control-expose-headers"] == f"{exposed}{REFRESHED_HEADER}"
            assert answer.headers["cache-control"] == "no-store"
            fresh = {"Authorization": f"Bearer {answer.headers[REFRESHED_HEADER]}"}
            assert client.get("/auth/me", headers=fresh).status_code == 200
    assert own == {"access-control-expose-headers": "X-Mine", "Cache-Control": "public"}


def test_an_error_keeps_its_cause_beside_a_renewed_token() -> None:
    """Handlers and logs of the application see what it has raised, of its own class."""
    auth = Keyturn(World().async_manager(), login=check_password, settings=HttpSettings(renew_within="1d"))
    seen: list[Exception] = []

    class UpstreamFailed(HTTPException):
        def __init__(self, *, service: str) -> None:
            super().__init__(502, detail=service)
            self.service = service

    @auth.require()
    async def page(_: Request) -> Response:
        try:
            return JSONResponse(dict[str, str]()["upstream"])
        except KeyError as error:
            raise UpstreamFailed(service="billing") from error

    async def handle(_: Request, error: Exception) -> Response:
        seen.append(error)
        return JSONResponse(None, 502, headers=getattr(error, "headers", None))

    app = Starlette(routes=[*auth.routes, Route("/page", page)], exception_handlers={UpstreamFailed: handle})
    with client_of(app) as client:
        assert REFRESHED_HEADER in client.get("/page", headers=bearer(client, "ann")).headers
    (error,) = seen
    assert isinstance(error, UpstreamFailed)
    assert (error.service, type(error.__cause__), error.__context__) == ("billing", KeyError, error.__cause__)


def test_an_answer_that_many_are_given_keeps_nobodys_token() -> None:
    """A response or an error that the application has made once is copied before anything is added to it."""
    auth = Keyturn(World().async_manager(), login=check_password, settings=HttpSettings(renew_within="1d"))
    page, gone = JSONResponse("page"), HTTPException(410, detail="gone")

    async def shared(_: Request) -> Response:
        return page

    async def fails(_: Request) -> Response:
        raise gone

    routes = [
        *(Route(path, shown) for path, shown in (("/open", shared), ("/open-gone", fails))),
        *(Route(path, auth.require()(shown)) for path, shown in (("/own", shared), ("/own-gone", fails))),
    ]
    with client_of(Starlette(routes=[*auth.routes, *routes])) as client:
        signed = bearer(client, "ann")
        for own, of_all in (("/own", "/open"), ("/own-gone", "/open-gone")):
            answer = client.get(own, headers=signed)
            assert REFRESHED_HEADER in answer.headers
            again = client.get(of_all)
            assert (again.status_code, again.text) == (answer.status_code, answer.text)
            assert again.headers.keys().isdisjoint({REFRESHED_HEADER.lower(), "cache-control"})


def asking(app: Starlette) -> httpx.AsyncClient:
    """Ask an application without a server, so that what it raises is raised here."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver")


async def test_paths_that_nothing_guards_are_a_mistake_that_is_said() -> None:
    """Without its middleware the application serves no sign-in, and does not start with its lifespan."""
    auth = Keyturn(World().async_manager(), login=check_password, require={"/admin/*": {"roles": "admin"}})
    async with asking(Starlette(routes=auth.routes)) as client:
        with pytest.raises(ConfigurationError, match=r"Middleware\(auth.middleware\)"):
            await client.post("/auth/login", json={})
    with pytest.raises(ConfigurationError, match=r"Middleware\(auth.middleware\)"):
        async with auth.lifespan(None):
            pass
    async with asking(Starlette(routes=auth.routes, middleware=[Middleware(auth.middleware)])) as client:
        assert (await client.post("/auth/login", json={})).status_code == 400
        assert (await client.get("/anything")).status_code == 401
    async with auth.lifespan(None):
        pass


async def test_without_the_endpoints_their_paths_are_guarded_as_any_other() -> None:
    """They are the application's own then; so are the sockets of these paths in any case."""
    auth = Keyturn(World().async_manager(), login=check_password, exempt=())

    async def page(_: Request) -> Response:
        return Response()

    async def feed(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    guarded = [Middleware(auth.middleware)]
    own = [Route("/auth/me", page), WebSocketRoute("/auth/sessions", feed)]
    app = Starlette(routes=own, middleware=guarded)
    async with asking(app) as client:
        assert (await client.get("/auth/me")).status_code == 401
        assert (await client.get("/.well-known/jwks.json")).status_code == 401
    for routes in (own, [*own, *auth.routes]):
        with (
            serve(Starlette(routes=routes, middleware=guarded)) as url,
            pytest.raises(InvalidStatus) as refused,
        ):
            connect(f"{url.replace('http', 'ws', 1)}/auth/sessions")
        assert refused.value.response.status_code == 401


async def test_a_part_of_an_application_is_judged_once() -> None:
    """A guard that stands in two places judges by the whole path, as the outer one sees it."""
    auth = Keyturn(World().async_manager(), login=check_password, exempt=("/part/public/*",))

    async def page(_: Request) -> Response:
        return Response()

    part = Starlette(routes=[Route("/public/page", page)], middleware=[Middleware(auth.middleware)])
    app = Starlette(routes=[Mount("/part", part)], middleware=[Middleware(auth.middleware)])
    async with asking(app) as client:
        assert (await client.get("/part/public/page")).status_code == 200
        assert (await client.get("/part/private")).status_code == 401


async def test_starlettes_own_authentication_does_not_stand_for_the_guard_by_paths() -> None:
    """It heeds `exempt` and no `require`, so what is required needs `middleware` all the same."""
    auth = Keyturn(World().async_manager(), login=check_password, require={"/admin/*": {"roles": "admin"}})
    middleware = Middleware(AuthenticationMiddleware, backend=auth.backend, on_error=auth.on_error)
    async with asking(Starlette(routes=auth.routes, middleware=[middleware])) as client:
        with pytest.raises(ConfigurationError, match=r"Middleware\(auth.middleware\)"):
            await client.post("/auth/login", json={})


def test_a_handshake_is_one_although_no_scheme_says_so() -> None:
    """The specification lets servers leave it out, and a proxy's may be that of the page."""
    scope = {"type": "websocket", "path": "/feed", "headers": []}
    assert [read_scope(each).scheme for each in (scope, {**scope, "scheme": "https"})] == ["ws", "ws"]
