"""Holds what only Litestar has: layers, its handlers of exceptions, its document, three kinds of sockets."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import anyio
import httpx
import pytest
from litestar import Controller, Litestar, Request, Response, Router, WebSocket, asgi, get, post, websocket
from litestar.config.cors import CORSConfig
from litestar.config.csrf import CSRFConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import ResponseHeader, State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import (
    HTTPException,
    ImproperlyConfiguredException,
    NotAuthorizedException,
    PermissionDeniedException,
)
from litestar.handlers import BaseRouteHandler, websocket_listener, websocket_stream
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler, Guard, Receive, Scope, Send

from keyturn import AsyncTokenManager, KeyRing, Principal
from keyturn.errors import ConfigurationError, StoreError
from keyturn.http import HttpSettings, SignIn
from keyturn.litestar import Keyturn
from keyturn.litestar.connections import as_asked
from keyturn.stores.memory import AsyncMemoryStore
from keyturn.stores.protocol import AsyncStore
from keyturn.stores.redis import AsyncRedisStore
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore
from keyturn.testing._http.sockets import closing, opened, refusal_of
from keyturn.testing._http.world import Site, check_refusal, served
from keyturn.testing.http_suite import World, check_password
from keyturn.testing.wrappers import AsyncStoreWrapper
from tests.http.starlette_app import serve

Who = Principal[dict[str, Any]]


def keyturn(world: World, **options: Any) -> Keyturn[dict[str, Any]]:
    """Make the plugin of a world."""
    return Keyturn(world.async_manager(), login=check_password, settings=world.settings, **options)


def litestar(auth: Keyturn[Any], *handlers: ControllerRouterHandler, **options: Any) -> Litestar:
    """Make an application with the plugin."""
    return Litestar(list(handlers), plugins=[auth], logging_config=None, **options)


@dataclass(frozen=True)
class Built:
    """One application of a test, to be served."""

    build: Callable[[World], Litestar]

    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        """See `Framework.serve`."""
        with serve(self.build(world)) as url:
            yield url


@contextmanager
def site_of(build: Callable[[World], Litestar], **options: Any) -> Generator[Site]:
    """Serve an application that is built for a world of its own."""
    with served(Built(build), **options) as site:
        yield site


@get("/open", sync_to_thread=False)
def open_to_all(principal: NamedDependency[Who | None]) -> str:
    """Answer anybody."""
    return principal.user_id if principal else "nobody"


# ------------------------------------------------------------------------------------------------ layers


def layered(world: World) -> Litestar:
    """Ask on every layer for something else."""
    auth = keyturn(world)

    class Orders(Controller):
        path = "/orders"
        guards: Sequence[Guard] | None = [auth.require("orders:read")]

        @get(guards=[auth.require(roles=("admin",))])
        async def show(self, principal: NamedDependency[Who]) -> str:
            return principal.user_id

        @get("/list")
        async def list_all(self) -> str:
            return "listed"

        @get("/free", opt={"exclude_from_auth": True})
        async def free(self, principal: NamedDependency[Who | None]) -> str:
            return repr(principal)

        @get("/own", opt={"exclude_from_auth": True}, guards=[auth.require()])
        async def own(self, principal: NamedDependency[Who]) -> str:
            return principal.user_id

    return litestar(auth, Router("/api", route_handlers=[Orders]), guards=[auth.require()])


def test_what_guards_of_several_layers_ask_must_all_be_met() -> None:
    """Of the application, of a controller inside a router (which Litestar copies), of the route."""
    with site_of(layered) as site:
        member, buyer, admin = (site.sign_in(name).access for name in ("mem", "buyer-bo", "admin-al"))
        check_refusal(site.send("GET", "/api/orders/list"), 401, "invalid_request")
        check_refusal(site.send("GET", "/api/orders/list", bearer=member), 403, "insufficient_scope")
        assert site.send("GET", "/api/orders/list", bearer=buyer).text == "listed"
        for each in (member, buyer, admin):
            check_refusal(site.send("GET", "/api/orders", bearer=each), 403, "insufficient_scope")


def test_a_route_may_be_excluded_from_what_is_asked_around_it() -> None:
    """`exclude_from_auth` is Litestar's word for it; a guard on the route itself stays."""
    with site_of(layered) as site:
        assert site.send("GET", "/api/orders/free", bearer="garbage").text == "None"
        check_refusal(site.send("GET", "/api/orders/own"), 401, "invalid_request")
        assert site.send("GET", "/api/orders/own", bearer=site.sign_in("mem").access).text == "mem"


def test_the_key_of_exclusions_may_be_another() -> None:
    """As with Litestar's own middleware; it frees from what paths ask, too."""

    def build(world: World) -> Litestar:
        auth = keyturn(world, exempt=(), exclude_opt_key="public")

        @get("/free", opt={"public": True})
        async def free() -> str:
            return "free"

        @get("/other", opt={"exclude_from_auth": True})
        async def other() -> str:
            return "other"

        return litestar(auth, free, other)

    with site_of(build) as site:
        assert site.send("GET", "/free").text == "free"
        check_refusal(site.send("GET", "/other"), 401, "invalid_request")


def test_what_a_path_and_a_guard_ask_must_both_be_met() -> None:
    """A guard that asks nobody to sign in opens no guarded path, and an exempt path frees from no guard."""

    def build(world: World) -> Litestar:
        auth = keyturn(world, exempt=("/exempt",), require={"/admin/*": {"roles": "admin"}})

        @get(["/admin/maybe", "/exempt"], guards=[auth.require("orders:read", optional=True)])
        async def maybe(principal: NamedDependency[Who | None]) -> str:
            return principal.user_id if principal else "nobody"

        return litestar(auth, maybe)

    with site_of(build) as site:
        member, admin = (site.sign_in(name).access for name in ("mem", "admin-al"))
        check_refusal(site.send("GET", "/admin/maybe"), 401, "invalid_request")
        check_refusal(site.send("GET", "/admin/maybe", bearer=member), 403, "insufficient_scope")
        check_refusal(site.send("GET", "/admin/maybe", bearer=admin), 403, "insufficient_scope")
        assert site.send("GET", "/exempt").text == "nobody"
        check_refusal(site.send("GET", "/exempt", bearer=member), 403, "insufficient_scope")


def test_guards_of_an_application_do_not_close_the_endpoints() -> None:
    """Else nobody could sign in. Those of others see that the endpoints are excluded, by Litestar's word."""

    async def own(_: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if not handler.opt.get("exclude_from_auth"):
            raise NotAuthorizedException

    def build(world: World) -> Litestar:
        auth = keyturn(world)
        return litestar(auth, get("/page")(say_page), guards=[auth.require(), own])

    with site_of(build) as site:
        tokens = site.sign_in("mem")
        assert site.me(tokens.access).status_code == 200
        assert site.send("GET", "/.well-known/jwks.json").status_code == 200
        assert site.send("GET", "/page", bearer=tokens.access).json()["detail"] == "Unauthorized"


# ------------------------------------------------------------------------------------------- what is wrong


def unplugged(world: World) -> Litestar:
    """Forget the plugin."""
    return Litestar([get("/page", guards=[keyturn(world).require()])(say_page)], logging_config=None)


def foreign(world: World) -> Litestar:
    """Take the guard of another object than the one that is plugged in."""
    return litestar(keyturn(world), get("/page", guards=[keyturn(world).require()])(say_page))


def nested(world: World) -> Litestar:
    """Call a guard from another guard."""
    auth = keyturn(world)

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        await auth.require("orders:read")(connection, handler)

    return litestar(auth, get("/page", guards=[guard])(say_page))


async def say_page() -> str:
    """Answer."""
    return "page"


@pytest.mark.parametrize("build", [unplugged, foreign, nested])
def test_a_guard_that_nobody_has_asked_lets_nobody_pass(build: Callable[[World], Litestar]) -> None:
    """Without the plugin, with another one, and out of its place."""
    with serve(build(World())) as url:
        assert httpx.get(f"{url}/page", trust_env=False).status_code == 500


def test_a_principal_cannot_be_taken_where_nobody_need_be_signed_in() -> None:
    """The application does not start: else its route would fail for everybody who is not."""

    async def show(principal: NamedDependency[Who]) -> str:
        return principal.user_id

    for guards in ([], ["optional"]):
        auth = keyturn(World())
        asked = [auth.require(optional=True) for _ in guards]
        with pytest.raises(ConfigurationError, match=r"show.* takes a principal"):
            litestar(auth, get("/show", guards=asked)(show))
    by_path = keyturn(World(), exempt=("/public/*",))
    litestar(by_path, get("/show")(show))
    with pytest.raises(ConfigurationError, match="takes a principal"):
        litestar(keyturn(World(), exempt=("/public/*",)), get("/public/show")(show))
    with pytest.raises(ConfigurationError, match="takes a principal"):
        litestar(keyturn(World(), exempt=()), get("/show", opt={"exclude_from_auth": True})(show))


def test_a_dependency_of_the_same_name_is_the_applications_own() -> None:
    """Ours gives way."""

    async def own() -> str:
        return "own"

    @get("/own")
    async def show(principal: NamedDependency[str]) -> str:
        return principal

    with site_of(
        lambda world: litestar(keyturn(world), show, dependencies={"principal": Provide(own)})
    ) as site:
        assert site.send("GET", "/own").text == "own"


# ------------------------------------------------------------------------------------- who asks, and answers


@dataclass(frozen=True)
class Claims:
    """An application's claims."""

    tenant: str


def test_claims_reach_the_handler_as_the_application_made_them() -> None:
    """In the dependency, in `request.user` and by the plugin; the scopes in `request.auth`."""
    manager = AsyncTokenManager[Claims](
        store=AsyncMemoryStore(), keys=KeyRing.generate(), issuer="i", audience="a", claims=Claims
    )
    auth = Keyturn(manager)

    @get("/tenant", guards=[auth.require()])
    async def tenant(
        request: Request[Principal[Claims], tuple[str, ...], State],
        principal: NamedDependency[Principal[Claims]],
    ) -> list[Any]:
        same = request.user is principal is auth.principal(request)
        return [principal.claims.tenant, isinstance(principal.claims, Claims), same, request.auth]

    @post("/callback")
    async def callback(request: Request[None, None, State]) -> Response[bytes]:
        return await auth.sign_in(request, SignIn("ann", claims=Claims("acme")), transport="body")

    @post("/again", guards=[auth.require()])
    async def again(request: Request[Any, Any, State]) -> Response[bytes]:
        return await auth.step_up(request)

    headers = [ResponseHeader(name="Cache-Control", value="public"), ResponseHeader(name="X-App", value="1")]
    with (
        serve(litestar(auth, tenant, callback, again, response_headers=headers)) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        signed_in = client.post("/callback")
        assert (signed_in.status_code, signed_in.headers["x-app"]) == (200, "1")
        assert signed_in.headers.get_list("cache-control") == ["no-store"]
        assert signed_in.headers.get_list("content-type") == ["application/json"]
        bearer = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
        assert client.get("/tenant", headers=bearer).json() == ["acme", True, True, []]
        assert client.post("/again", headers=bearer).json()["token_type"] == "Bearer"
        assert client.post("/auth/login", json={}).status_code == 404


def test_nothing_of_an_application_rewrites_our_answers() -> None:
    """Handlers of exceptions, hooks, forms of answers and CSRF tokens are for its own routes."""
    seen: list[str] = []

    def rewrite(_: Request[Any, Any, Any], error: Exception) -> Response[str]:
        seen.append(type(error).__name__)
        return Response("rewritten", status_code=418)

    async def after_exception(error: Exception, _: Scope) -> None:
        seen.append(type(error).__name__)

    def build(world: World) -> Litestar:
        auth = keyturn(world)
        handlers: Any = {401: rewrite, 403: rewrite, HTTPException: rewrite, 500: rewrite, Exception: rewrite}
        return litestar(
            auth,
            get("/private", guards=[auth.require("orders:read")])(say_page),
            post("/form")(say_page),
            exception_handlers=handlers,
            after_exception=[after_exception],
            csrf_config=CSRFConfig(secret="s" * 32, exclude_from_csrf_key="no_form"),
            response_headers=[ResponseHeader(name="Cache-Control", value="public")],
        )

    with site_of(build) as site:
        tokens = site.sign_in("mem")  # a POST without a CSRF token
        check_refusal(site.send("GET", "/private"), 401, "invalid_request")
        check_refusal(site.send("GET", "/private", bearer=tokens.access), 403, "insufficient_scope")
        check_refusal(site.me("garbage"), 401, "invalid_token")
        check_refusal(site.send("BREW", "/auth/me"), 405, "method_not_allowed")
        assert site.refresh(tokens.refresh).status_code == 200
        assert seen == ["MethodNotAllowedException"] * 2  # the unknown method, which no route has
        assert site.send("POST", "/form").status_code == 418


def test_what_has_no_route_and_is_not_guarded_is_the_applications_to_answer() -> None:
    """Its 404 and 405 stay as they are, and so does its answer to a preflight."""

    def build(world: World) -> Litestar:
        cors = CORSConfig(allow_origins=["https://other.example.com"])
        return litestar(
            keyturn(world, exempt=("/public/*",)), get("/public/page")(say_page), cors_config=cors
        )

    with site_of(build) as site:
        answer = site.send("GET", "/public/nowhere")
        assert (answer.status_code, answer.json()["detail"]) == (404, "Not Found")
        assert site.send("POST", "/public/page").json()["detail"] == "Method Not Allowed"
        assert site.send("BREW", "/public/page").json()["detail"] == "Method Not Allowed"
        origin = ("Origin", "https://other.example.com")
        preflight = site.send(
            "OPTIONS", "/private", headers=(origin, ("Access-Control-Request-Method", "GET"))
        )
        assert preflight.headers["access-control-allow-methods"] != ""
        assert preflight.headers["access-control-allow-origin"] == origin[1]
        refused = site.send("GET", "/nowhere", headers=(origin,))
        check_refusal(refused, 401, "invalid_request")
        assert refused.headers.get_list("access-control-allow-origin") == [origin[1]]
        assert site.send("HEAD", "/nowhere").status_code == 401


def test_a_renewed_token_is_not_kept_in_a_cache_of_answers() -> None:
    """The next one who asks must not get it."""

    def build(world: World) -> Litestar:
        auth = keyturn(world)
        return litestar(auth, get("/cached", guards=[auth.require()], cache=True)(say_page))

    with site_of(build, settings=HttpSettings(renew_within="2m")) as site:
        old = site.sign_in("ann")
        site.world.clock.advance(14 * 60)
        fresh = site.sign_in("bob")
        assert "authorization-refreshed" in site.send("GET", "/cached", bearer=old.access).headers
        answer = site.send("GET", "/cached", bearer=fresh.access)
        assert (answer.text, "authorization-refreshed" in answer.headers) == ("page", False)
        check_refusal(site.send("GET", "/cached"), 401, "invalid_request")


# -------------------------------------------------------------------------------------------------- paths


@asgi("/mount", is_mount=True, copy_scope=True)
async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer everything below."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def test_a_mounted_application_is_judged_by_the_whole_path() -> None:
    """Litestar tells it the end alone, which may look like an exempt path."""

    def build(world: World) -> Litestar:
        return litestar(
            keyturn(world, exempt=("/health",), require={"/mount/admin/*": {"roles": "admin"}}), mounted
        )

    with site_of(build) as site:
        member, admin = (site.sign_in(name).access for name in ("mem", "admin-al"))
        for path in ("/mount/health", "/mount/x/../health", "/mount"):
            check_refusal(site.send("GET", path), 401, "invalid_request")
        assert site.send("GET", "/mount/health", bearer=member).status_code == 200
        check_refusal(site.send("GET", "/mount/admin/x", bearer=member), 403, "insufficient_scope")
        assert site.send("GET", "/mount/admin/x", bearer=admin).status_code == 200


def test_a_path_before_all_others_belongs_to_the_application() -> None:
    """`Litestar(path=...)`: patterns, endpoints and the document begin after it."""

    def build(world: World) -> Litestar:
        auth = keyturn(world, exempt=("/open",), require={"/admin/*": {"roles": "admin"}})
        return litestar(auth, open_to_all, get("/admin/page")(say_page), path="/api")

    settings = HttpSettings(cookie_path="/api/auth", cookie_secure=False)
    with site_of(build, settings=settings) as site:
        assert site.send("GET", "/api/open").text == "nobody"
        body = {"username": "mem", "password": "correct horse battery staple"}
        token = site.post("/api/auth/login", json=body).json()["access_token"]
        check_refusal(site.send("GET", "/api/admin/page", bearer=token), 403, "insufficient_scope")
        check_refusal(site.send("GET", "/api/schema/openapi.json"), 401)
        paths = site.send("GET", "/api/schema/openapi.json", bearer=token).json()["paths"]
        assert {"/api/auth/login", "/api/open", "/api/.well-known/jwks.json"} <= paths.keys()


@pytest.mark.parametrize(
    ("root", "asked", "found", "seen"),
    [
        ("", b"/admin", "/admin", "/admin"),
        ("", b"//admin/./x", "/admin/./x", "//admin/./x"),
        ("/api", b"/api/admin", "/admin", "/admin"),
        ("/api", b"/api/api/admin", "/api/admin", "/api/admin"),
        ("/api", b"/admin", "/admin", "/admin"),
        ("/v1", b"/x/v1/admin", "/admin", "/admin"),
        ("", b"/%61dmin", "/admin", "/admin"),
        ("", b"/health", "/admin", "/admin"),
        ("", None, "/admin", "/admin"),
        ("/api", None, "/api/admin", "/api/admin"),
    ],
)
def test_the_guard_sees_the_path_that_the_router_sees(
    root: str, asked: bytes | None, found: str, seen: str
) -> None:
    """In the spelling that was asked for, where the server tells it; never another path."""
    app = Litestar([get("/admin")(say_page)], logging_config=None)
    scope = {"path": found, "raw_path": asked, "root_path": root, "litestar_app": app}
    assert as_asked({**scope, "route_handler": object()})["path"] == seen


def test_a_mounted_application_needs_a_server_that_tells_what_was_asked() -> None:
    """Else nobody knows which path to judge."""
    app = Litestar([], logging_config=None)
    for raw in (None, b"/mount/other"):
        scope = {"path": "/page/", "raw_path": raw, "litestar_app": app, "route_handler": mounted}
        with pytest.raises(ImproperlyConfiguredException, match="raw_path"):
            as_asked(scope)


def test_other_routes_may_begin_like_the_endpoints() -> None:
    """Only what is below the prefix is theirs, and an application may have routes there, too."""

    @get("/authors/{name:str}")
    async def author(name: FromPath[str]) -> str:
        return name

    def build(world: World) -> Litestar:
        return litestar(keyturn(world), author, get("/auth/callback")(say_page))

    with site_of(build) as site:
        assert site.send("GET", "/authors/ann").text == "ann"
        assert site.send("GET", "/auth/callback").text == "page"
        check_refusal(site.send("GET", "/auth/nothing"), 404, "not_found")


def test_the_endpoints_may_be_in_another_application() -> None:
    """This one only accepts their tokens."""

    def build(world: World) -> Litestar:
        auth = keyturn(world, endpoints=False)
        return litestar(auth, get("/page", guards=[auth.require()])(say_page))

    with site_of(build) as site:
        token = site.world.issue_bound("x")
        assert token.access_token
        assert site.send("POST", "/auth/login").status_code == 404
        assert site.send("BREW", "/auth/login").json()["detail"] == "Not Found"
        assert "/auth/login" not in site.send("GET", "/schema/openapi.json").json()["paths"]
        check_refusal(site.send("GET", "/page"), 401, "invalid_request")


@pytest.mark.parametrize("endpoints", [True, False])
def test_a_route_of_the_applications_own_is_guarded_wherever_it_is(*, endpoints: bool) -> None:
    """The endpoints are exempt, and no handler of another's that has the path of one."""

    def build(world: World) -> Litestar:
        auth = keyturn(world, endpoints=endpoints, exempt=("/health",))
        return litestar(auth, get("/auth/me")(say_page))

    with site_of(build) as site:
        check_refusal(site.send("GET", "/auth/me"), 401, "invalid_request")
        check_refusal(site.send("BREW", "/auth/refresh"), *((405, None) if endpoints else (401, None)))
        assert site.send("POST", "/auth/login").status_code == (400 if endpoints else 401)


# ----------------------------------------------------------------------------------------------- documents


def test_the_document_shows_how_to_get_in() -> None:
    """The endpoints, the schemes, and on each route what it needs; what the application says itself stays."""
    config = OpenAPIConfig(
        title="Shop",
        version="1",
        components=Components(security_schemes={"basic": SecurityScheme(type="http", scheme="basic")}),
    )

    def build(world: World) -> Litestar:
        auth = keyturn(world)
        handlers = [
            get("/private", guards=[auth.require()])(say_page),
            get("/orders", guards=[auth.require("orders:read", roles=("clerk",))])(say_page),
            get("/maybe", guards=[auth.require(optional=True)], security=[{"basic": []}])(say_page),
            open_to_all,
        ]
        return litestar(auth, *handlers, openapi_config=config)

    with site_of(build) as site:
        document = site.send("GET", "/schema/openapi.json").json()
    ours: list[dict[str, list[str]]] = [{"keyturnBearer": []}, {"keyturnPassword": []}]
    assert document["components"]["securitySchemes"].keys() == {"basic", "keyturnBearer", "keyturnPassword"}
    assert document["paths"]["/private"]["get"]["security"] == ours
    assert document["paths"]["/private"]["get"]["responses"].keys() == {"200", "401", "403", "503"}
    assert document["paths"]["/open"]["get"]["responses"].keys() == {"200"}
    scopes = ["orders:read"]
    assert document["paths"]["/orders"]["get"]["security"] == [
        {"keyturnBearer": scopes},
        {"keyturnPassword": scopes},
    ]
    assert document["paths"]["/maybe"]["get"]["security"] == [{"basic": []}, {}, *ours]
    assert "security" not in document["paths"]["/open"]["get"]
    assert document["paths"]["/auth/login"]["post"]["operationId"] == "keyturn_post_login"
    assert "/auth/{path}" not in document["paths"]
    assert config.to_openapi_schema().to_schema()["paths"] == {}


def test_the_document_shows_which_paths_are_guarded() -> None:
    """Those that are exempt, or nobody need be signed in for, need nothing."""

    def build(world: World) -> Litestar:
        auth = keyturn(world, exempt=("/open", "/schema/*"))
        return litestar(auth, open_to_all, get("/orders/{number:int}")(say_page))

    with site_of(build) as site:
        paths = site.send("GET", "/schema/openapi.json").json()["paths"]
    assert paths["/orders/{number}"]["get"]["security"][0] == {"keyturnBearer": []}
    assert "security" not in paths["/open"]["get"]


def test_an_application_may_have_no_document() -> None:
    """Then nothing is described."""
    with site_of(lambda world: litestar(keyturn(world), open_to_all, openapi_config=None)) as site:
        assert site.send("GET", "/open").text == "nobody"


# ------------------------------------------------------------------------------------------------- sockets


def sockets(world: World) -> Litestar:
    """Have one of each kind, none of which looks out for its end."""
    auth = keyturn(world)

    @websocket("/plain", guards=[auth.require()])
    async def plain(socket: WebSocket[Who, Any, State]) -> None:
        await socket.accept()
        while True:
            await socket.send_text(socket.user.user_id + await socket.receive_text())

    @websocket_listener("/listener", guards=[auth.require()])
    async def listener(data: str, principal: NamedDependency[Who]) -> str:
        return principal.user_id + data

    @websocket_stream("/stream", guards=[auth.require()], warn_on_data_discard=False)
    async def stream(principal: NamedDependency[Who]) -> AsyncGenerator[str, None]:
        yield f"{principal.user_id}!"
        await anyio.sleep_forever()

    @websocket_listener("/free")
    async def free(data: str, principal: NamedDependency[Who | None]) -> str:
        return f"{principal}{data}"

    return litestar(auth, plain, listener, stream, free)


@pytest.mark.parametrize("path", ["/plain", "/listener", "/stream"])
def test_each_kind_of_socket_closes_with_its_session(path: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever the handler waits for; and nothing of it is an error."""
    with site_of(sockets) as site:
        assert refusal_of(site, path=path) == 401
        tokens = site.sign_in("wes")
        with opened(site, tokens.access, path=path) as socket:
            socket.send("!")
            assert socket.recv(20) == "wes!"
            site.post("/auth/logout", cookie=tokens.refresh)
            assert closing(socket) == (3000, "the session has ended")
    assert "Traceback" not in capfd.readouterr().err


def test_a_socket_that_is_not_guarded_is_open_to_all() -> None:
    """And no endpoint is a socket."""
    with site_of(sockets) as site:
        with opened(site, path="/free") as socket:
            socket.send("!")
            assert socket.recv(20) == "None!"
        assert refusal_of(site, path="/auth/me") == 403


# ------------------------------------------------------------------------------------------------ lifespan


def following(store: AsyncStore) -> AsyncTokenManager[dict[str, Any]]:
    """Make a manager that follows what is revoked."""
    return AsyncTokenManager(store=store, keys=KeyRing.generate(), issuer="i", audience="a")


@pytest.mark.parametrize("lifespan", [True, False])
async def test_the_manager_runs_as_long_as_the_application(tmp_path: Path, *, lifespan: bool) -> None:
    """It follows what is revoked from the start until the end; unless somebody else sees to that."""
    store = AsyncSQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/sessions.db")
    await store.create_schema()
    manager = following(store)
    async with litestar(Keyturn(manager, lifespan=lifespan)).lifespan():
        view = manager.revocations
        assert view is not None
        assert (view.staleness(manager.now()) is not None) is lifespan
    await manager.close()


async def test_the_tables_may_be_made_by_a_hook_of_the_start(tmp_path: Path) -> None:
    """Such hooks come after all lifespans in Litestar, and the manager starts after both."""
    store = AsyncSQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/sessions.db")
    manager = following(store)
    async with litestar(Keyturn(manager), on_startup=[store.create_schema]).lifespan():
        view = manager.revocations
        assert view is not None
        assert view.staleness(manager.now()) is not None


async def test_a_start_that_fails_leaves_nothing_open() -> None:
    """The manager is closed, also where a hook of the application's own fails before it has started."""
    closed: list[str] = []

    class Store(AsyncStoreWrapper):
        async def close(self) -> None:
            closed.append("closed")
            await super().close()

    async def fail() -> None:
        raise RuntimeError("another service is away")

    application = litestar(Keyturn(following(Store(AsyncMemoryStore()))), on_startup=[fail])
    with pytest.RaisesGroup(pytest.RaisesExc(RuntimeError, match="another service")):
        async with application.lifespan():
            pass
    assert closed == ["closed"]


async def test_a_store_that_is_out_does_not_keep_an_application_from_starting() -> None:
    """It is asked about each token until it can be read."""
    url = "redis://127.0.0.1:1/0"  # nobody listens there
    with pytest.raises(StoreError):
        await following(AsyncRedisStore.from_url(url)).start()
    async with litestar(Keyturn(following(AsyncRedisStore.from_url(url)))).lifespan():
        pass


def test_a_guard_may_be_a_method_of_a_leaf_of_ones_own() -> None:
    """Only `require` itself is a guard that lacks its parentheses."""

    class Own(Keyturn[Any]):
        async def only_ann(self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
            if self.principal(connection).user_id != "ann":
                raise PermissionDeniedException

    def build(world: World) -> Litestar:
        auth = Own(world.async_manager(), login=check_password)
        return litestar(auth, get("/page", guards=[auth.require(), auth.only_ann])(say_page))

    with site_of(build) as site:
        assert site.send("GET", "/page", bearer=site.sign_in("ann").access).status_code == 200
        assert site.send("GET", "/page", bearer=site.sign_in("bob").access).status_code == 403


def test_a_guard_without_its_parentheses_is_told_at_the_start() -> None:
    """Litestar would call it with the connection and the route, and take what it gives for consent."""
    auth = keyturn(World())

    @get("/careless", guards=[cast("Guard", auth.require)], sync_to_thread=False)
    def careless() -> str:
        return "secret"

    @get("/around", sync_to_thread=False)
    def around() -> str:
        return "secret"

    with pytest.raises(ConfigurationError, match="parentheses"):
        litestar(auth, careless)
    with pytest.raises(ConfigurationError, match="parentheses"):
        litestar(auth, around, guards=[cast("Guard", auth.require)])


@pytest.mark.parametrize("path", ["/", "/auth"])
def test_nothing_is_mounted_over_the_endpoints(path: str) -> None:
    """Litestar would ask the mounted application, where nobody guards and passwords come."""

    @asgi(path, is_mount=True, copy_scope=True)
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        """Never asked."""

    with pytest.raises(ConfigurationError, match="mounted over the endpoints"):
        Litestar([mounted], plugins=[Keyturn(World().async_manager(), login=check_password)])
