"""Holds what only aiohttp has: views, sub-applications, streams, encoded slashes, its WebSockets."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any, TypeVar, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from aiohttp.typedefs import Handler
from websockets.exceptions import ConnectionClosed, InvalidMessage

from keyturn import AsyncTokenManager, ConfigurationError
from keyturn.aiohttp import KEYTURN, Keyturn
from keyturn.http import HttpSettings, SignIn
from keyturn.testing._http.sockets import PATIENCE, closing, echo, opened, refusal_of, user_of
from keyturn.testing._http.wire import connected, head, status_of
from keyturn.testing._http.world import ALLOWED, COOKIE, PASSWORD, Site, check_refusal, served
from keyturn.testing.faults import BEFORE, AsyncFaultyStore
from keyturn.testing.http_suite import World, check_password
from tests.http.aiohttp_app import feed, serve, who

T = TypeVar("T")

REFRESHED = "Authorization-Refreshed"
RENEWING = HttpSettings(renew_within="2m", allowed_origins=(ALLOWED,))


def keyturn(world: World, **options: Any) -> Keyturn[dict[str, Any]]:
    """Make what is tested."""
    return Keyturn(world.async_manager(), login=check_password, settings=world.settings, **options)


@contextmanager
def site_of(build: Callable[[World], web.Application], **options: Any) -> Generator[Site]:
    """Serve an application of its own."""

    class Framework:
        @contextmanager
        def serve(self, world: World) -> Generator[str]:
            with serve(lambda: build(world)) as url:
                yield url

    with served(Framework(), **options) as site:
        yield site


def with_routes(
    *routes: Callable[[Keyturn[dict[str, Any]]], web.RouteDef],
) -> Callable[[World], web.Application]:
    """Build an application with guarded routes."""

    def build(world: World) -> web.Application:
        app, auth = web.Application(), keyturn(world)
        auth.setup(app)
        app.add_routes([route(auth) for route in routes])
        return app

    return build


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what was logged as an error."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def raw_status(site: Site, method: str, target: str, *headers: tuple[str, str]) -> int | None:
    """Ask for what no client would send."""
    with connected(site.url) as wire:
        wire.sendall(head(method, target, *headers))
        return status_of(wire)


# -------------------------------------------------------------------------------------------- handlers


class Orders(web.View):
    """A view, as aiohttp has them."""

    async def get(self) -> web.StreamResponse:
        """Say who asks."""
        return await who(self.request)


def test_views_and_methods_are_guarded_as_functions_are() -> None:
    """A whole `web.View`, one method of one, and a method of an application's own class."""

    def build(world: World) -> web.Application:
        app, auth = web.Application(), keyturn(world)
        auth.setup(app)

        class Mixed(web.View):
            @auth.require("orders:read")
            async def get(self) -> web.StreamResponse:
                return web.json_response({"user_id": auth.principal(self.request).user_id})

            async def post(self) -> web.StreamResponse:
                return web.json_response({"open": True})

        class Own:
            @auth.require()
            async def show(self, request: web.Request) -> web.StreamResponse:
                return web.json_response({"user_id": auth.principal(request).user_id})

        views = [web.view("/mixed", Mixed), web.get("/whole", auth.require()(Orders))]
        app.add_routes([*views, web.get("/own", Own().show)])
        return app

    with site_of(build) as site:
        buyer, member = site.sign_in("buyer-bo").access, site.sign_in("mem").access
        for path in ("/mixed", "/whole", "/own"):
            assert site.send("GET", path, bearer=buyer).json() == {"user_id": "buyer-bo"}
            check_refusal(site.send("GET", path), 401, "invalid_request")
        check_refusal(site.send("GET", "/mixed", bearer=member), 403, "insufficient_scope")
        assert site.send("POST", "/mixed").json() == {"open": True}


async def test_what_takes_no_request_cannot_be_guarded() -> None:
    """It is no handler, and says so rather than letting anybody pass."""

    async def no_handler() -> web.StreamResponse:
        return web.Response()

    with pytest.raises(ConfigurationError, match="takes no request"):
        await keyturn(World()).require()(no_handler)()


def test_who_is_not_signed_in_is_no_principal(caplog: pytest.LogCaptureFixture) -> None:
    """`principal` raises where nobody is; `request[auth.current]` is None there."""
    seen: list[object] = []

    async def lobby(request: web.Request) -> web.StreamResponse:
        auth = request.config_dict[KEYTURN]
        seen.append(request[auth.current])
        return web.json_response({"user_id": auth.principal(request).user_id})

    with site_of(with_routes(lambda auth: web.get("/", auth.require(optional=True)(lobby)))) as site:
        assert site.send("GET", "/", bearer=site.sign_in("ann").access).json() == {"user_id": "ann"}
        assert site.send("GET", "/").status_code == 500
    assert seen[1] is None
    assert "nobody is signed in" in caplog.text


def test_a_handler_that_nobody_can_await_is_refused() -> None:
    """When it is decorated; a decorator in between that passes a coroutine on is taken."""
    auth = keyturn(World())

    def plain(_: web.Request) -> web.Response:
        return web.Response()

    with pytest.raises(ConfigurationError, match="write async def plain"):
        auth.require()(cast("Any", plain))
    with pytest.raises(ConfigurationError, match=r"dict is no web\.View"):
        auth.require()(cast("Any", dict))

    async def handler(_: web.Request) -> web.Response:
        return web.Response()

    @functools.wraps(handler)
    def passing(request: web.Request) -> Any:
        return handler(request)

    assert inspect.iscoroutinefunction(auth.require()(passing))


def test_an_application_is_set_up_once() -> None:
    """A second time would answer nothing more; aiohttp would take it without a word."""
    app = web.Application()
    keyturn(World()).setup(app)
    with pytest.raises(ConfigurationError, match="once is enough"):
        keyturn(World()).setup(app)


def test_a_view_is_no_request() -> None:
    """Within a `web.View`, the request is `self.request`; the error says so."""
    auth = keyturn(World())
    view: Any = web.View(make_mocked_request("GET", "/"))
    for ask in (auth.principal, auth.optional_principal):
        with pytest.raises(ConfigurationError, match=r"give self\.request, not self"):
            ask(view)
    with pytest.raises(ConfigurationError, match="give the request"):
        auth.principal(cast("Any", None))


def test_an_application_may_sign_people_in_itself() -> None:
    """Its own handlers answer what `/auth/login` and `/auth/step-up` would."""

    def build(world: World) -> web.Application:
        app, auth = web.Application(), Keyturn(world.async_manager())
        auth.setup(app)

        async def callback(request: web.Request) -> web.StreamResponse:
            return await auth.sign_in(request, SignIn("ann"))

        async def again(request: web.Request) -> web.StreamResponse:
            return await auth.step_up(request)

        app.add_routes([web.get("/callback", callback), web.post("/again", auth.require()(again))])
        return app

    with site_of(build) as site:
        answer = site.send("GET", "/callback")
        assert answer.headers["set-cookie"].startswith(f"{COOKIE}=ktr_")
        stepped_up = site.post("/again", bearer=answer.json()["access_token"])
        assert stepped_up.json().keys() == {"access_token", "token_type", "expires_in", "session_id"}
        check_refusal(site.post("/auth/login", json={}), 404, "not_found")


def test_a_handler_says_how_revocation_is_checked() -> None:
    """A route that was told to trust signatures does; the others refuse what was revoked."""
    app = with_routes(
        lambda auth: web.get("/trusting", auth.require(revocation="none")(who)),
        lambda auth: web.get("/strict", auth.require(revocation="strict")(who)),
    )
    with site_of(app) as site:
        token = site.sign_in("ann").access
        assert site.post("/auth/logout-all", json={}, bearer=token).json() == {"revoked": 1}
        answers = [site.send("GET", path, bearer=token) for path in ("/trusting", "/strict")]
        assert [answer.status_code for answer in answers] == [200, 401]


# --------------------------------------------------------------------------------------------- renewal


async def stream(request: web.Request) -> web.StreamResponse:
    """Answer piece by piece."""
    response = web.StreamResponse(headers={"Access-Control-Expose-Headers": "X-Mine"})
    await response.prepare(request)
    await response.write(b"piece")
    return response


async def away(_: web.Request) -> web.StreamResponse:
    """Answer by raising."""
    raise web.HTTPFound("/elsewhere")


async def broken(_: web.Request) -> web.StreamResponse:
    """Fail."""
    raise RuntimeError("broken")


@web.middleware
async def cloning(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Hand a changed request on, as middleware does that knows a proxy."""
    return await handler(request.clone(scheme="https"))


@pytest.mark.parametrize("by_path", [False, True])
@pytest.mark.parametrize("middlewares", [(), (cloning,)], ids=["plain", "cloning"])
@pytest.mark.parametrize(("path", "status"), [("/stream", 200), ("/away", 302), ("/broken", 500)])
def test_whatever_a_handler_does_its_answer_brings_the_renewed_token(
    path: str, status: int, middlewares: tuple[Any, ...], *, by_path: bool
) -> None:
    """Streams, answers that are raised, and errors, once each, also where middleware hands a clone on."""

    def build(world: World) -> web.Application:
        auth = keyturn(world)
        app = web.Application(middlewares=[*middlewares, *([auth.middleware] if by_path else [])])
        auth.setup(app)
        guard: Callable[[Handler], Handler] = (lambda handler: handler) if by_path else auth.require()
        routes = {"/stream": stream, "/away": away, "/broken": broken}
        app.add_routes([web.get(each, guard(handler)) for each, handler in routes.items()])
        return app

    with site_of(build, settings=RENEWING) as site:
        token = site.sign_in("ren").access
        site.world.clock.advance(14 * 60)
        answer = site.send("GET", path, bearer=token)
        assert answer.status_code == status
        if (path, middlewares) != ("/broken", (cloning,)):  # aiohttp answers for a request that we never had
            assert len(answer.headers.get_list(REFRESHED)) == 1
            assert answer.headers["cache-control"] == "no-store"
            exposed = answer.headers.get_list("access-control-expose-headers")
            assert exposed == ([REFRESHED] if path != "/stream" else ["X-Mine", REFRESHED])


# ------------------------------------------------------------------------------------ paths and mounting


def by_path(world: World, **options: Any) -> web.Application:
    """Guard an application by paths."""
    auth = keyturn(world, **options)
    app = web.Application(middlewares=[auth.middleware])
    auth.setup(app)
    return app


@pytest.mark.parametrize("options", [{"exempt": ()}, {"require": {}}, {"exempt": ("/health",)}])
def test_who_names_paths_has_them_guarded(options: dict[str, Any]) -> None:
    """Without another word, and once: a middleware that the application has placed itself stays there."""

    def build(world: World) -> web.Application:
        auth = keyturn(world, **options)
        placed = web.Application(middlewares=[auth.middleware, cloning])
        auth.setup(placed)
        assert list(placed.middlewares)[:2] == [auth.middleware, cloning]
        assert list(placed.middlewares).count(auth.middleware) == 1
        app = web.Application()
        keyturn(world, **options).setup(app)
        app.add_routes([web.get("/page", who)])
        return app

    with site_of(build) as site:
        check_refusal(site.send("GET", "/page"), 401, "invalid_request")
        assert site.send("GET", "/page", bearer=site.sign_in("ann").access).json() == {"user_id": "ann"}


def test_a_route_of_the_applications_own_is_guarded_wherever_it_is() -> None:
    """The endpoints are exempt, and no handler of another's that has the path of one."""

    def build(world: World) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/auth/me", who)])
        keyturn(world, exempt=()).setup(app)
        return app

    with site_of(build) as site:
        check_refusal(site.send("GET", "/auth/me"), 401, "invalid_request")
        assert site.send("GET", "/auth/me", bearer=site.sign_in("ann").access).json() == {"user_id": "ann"}


def test_who_names_no_paths_guards_handlers_alone() -> None:
    """A page without a guard is open then."""
    with site_of(with_routes(lambda _: web.get("/page", who))) as site:
        assert site.send("GET", "/page").json() == {"user_id": None}


def test_an_encoded_slash_opens_nothing(tmp_path: Path) -> None:
    """It is none to aiohttp's router: what lies below an exempt path in another reading is no less guarded.

    To aiohttp's static files it is one: what they need, they need however it is spelled.
    """
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin" / "secret").write_text("secret")

    def build(world: World) -> web.Application:
        app = by_path(world, exempt=("/public/*",), require={"/files/admin/*": {"roles": "admin"}})
        app.add_routes([web.get("/{name}", who), web.static("/files", tmp_path)])
        return app

    with site_of(build) as site:
        member, admin = (
            (("Authorization", f"Bearer {site.sign_in(name).access}"),) for name in ("mem", "admin-al")
        )
        for path in ("/public%2Fx", "/public%2fx", "/public%2F..%2Fx", "/auth%2Fme", "/auth%2fsessions%2Fx"):
            assert raw_status(site, "GET", path) == 401
            assert raw_status(site, "GET", path, *member) == 200  # the router's reading: one name
        for path in ("/files/admin/secret", "/files/admin%2Fsecret", "/files/%2e%2Fadmin%2fsecret"):
            assert raw_status(site, "GET", path) == 401
            assert raw_status(site, "GET", path, *member) == 403
        assert raw_status(site, "GET", "/files/admin%2Fsecret", *admin) == 200
        assert raw_status(site, "DELETE", "/auth/sessions%2Fx", *member) == 404


def test_every_path_below_the_prefix_is_answered_by_us() -> None:
    """Line ends included, at which patterns like to end."""
    with site_of(with_routes()) as site:
        for path in ("/auth/%0A", "/auth/me%0a", "/auth/%0d%0Ax"):
            check_refusal(site.send("GET", path), 404, "not_found")


def test_other_forms_of_a_target_are_judged_by_their_path() -> None:
    """A whole URL (RFC 9112, section 3.2.2) is its path; the asterisk is no path of ours."""

    def build(world: World) -> web.Application:
        app = by_path(world, require={"/admin/*": {"roles": "admin"}})
        app.add_routes([web.get("/admin/page", who)])
        return app

    with site_of(build) as site:
        member = ("Authorization", f"Bearer {site.sign_in('mem').access}")
        assert raw_status(site, "GET", "http://127.0.0.1/admin/page", member) == 403
        assert raw_status(site, "OPTIONS", "*") == 401
        assert raw_status(site, "OPTIONS", "*", member) == 404


def test_an_application_may_be_mounted_in_another() -> None:
    """Its endpoints and its guard see the paths below the place; what is beside it is none of theirs."""

    def build(world: World) -> web.Application:
        settings = HttpSettings(cookie_path="/v1/api/auth", allowed_origins=(ALLOWED,))
        inner = by_path(World(**{**vars(world), "settings": settings}), exempt=("/health",))
        inner.add_routes([web.get("/health", who), web.get("/page", who)])
        middle, outer = web.Application(), web.Application()
        middle.add_subapp("/api", inner)
        outer.add_routes([web.get("/health", who), web.get("/page", who)])
        outer.add_subapp("/v1", middle)
        return outer

    with site_of(build) as site:
        answer = site.post("/v1/api/auth/login", json={"username": "ann", "password": PASSWORD})
        token = answer.json()["access_token"]
        assert "Path=/v1/api/auth;" in answer.headers["set-cookie"]
        assert site.send("GET", "/v1/api/auth/me", bearer=token).json()["user_id"] == "ann"
        assert site.send("GET", "/v1/api/health").status_code == 200
        check_refusal(site.send("GET", "/v1/api/page"), 401)
        assert site.send("GET", "/v1/api/page", bearer=token).json() == {"user_id": "ann"}
        assert site.send("GET", "/page").json() == {"user_id": None}
        assert site.send("GET", "/auth/me", bearer=token).status_code == 404


# ---------------------------------------------------------------------------------------------- bodies


def test_an_applications_own_limit_does_not_answer_for_us() -> None:
    """A body above aiohttp's limit, and below ours, is read."""

    def build(world: World) -> web.Application:
        app = web.Application(client_max_size=10)
        keyturn(world).setup(app)
        return app

    with site_of(build) as site:
        assert site.sign_in("ann").access


def test_a_body_that_middleware_has_read_is_there_all_the_same() -> None:
    """The request keeps it; one that is too large is refused as ever."""

    @web.middleware
    async def reading(request: web.Request, handler: Handler) -> web.StreamResponse:
        await request.read()
        return await handler(request)

    def build(world: World) -> web.Application:
        app = web.Application(middlewares=[reading])
        keyturn(world).setup(app)
        return app

    with site_of(build) as site:
        assert site.sign_in("ann").access
        large = site.post(
            "/auth/login", content=b" " * 70_000, headers=(("Content-Type", "application/json"),)
        )
        check_refusal(large, 413, "invalid_request")


# -------------------------------------------------------------------------------------------- lifespan


class Recording(AsyncFaultyStore):
    """A store that says what it was asked."""

    def __init__(self, world: World) -> None:
        """Wrap the world's store."""
        super().__init__(world.async_store, world.plan)
        self.asked: list[str] = []

    @property
    def at_hand(self) -> bool:
        """Be followed, as a store elsewhere is."""
        return False

    async def around(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Note one call."""
        self.asked.append(method)
        return await super().around(method, call)

    async def close(self) -> None:
        """Note that it is closed."""
        self.asked.append("close")
        await super().close()


@pytest.mark.parametrize("outage", [False, True])
@pytest.mark.parametrize("lifespan", [False, True])
async def test_the_manager_starts_and_closes_with_the_application(*, lifespan: bool, outage: bool) -> None:
    """Unless the application sees to it. A store that is away does not stop the start."""
    world = World()
    store = Recording(world)
    manager = AsyncTokenManager(store=store, keys=world.keys, issuer="i", audience="a")
    app = web.Application()
    Keyturn(manager).setup(app, lifespan=lifespan)
    if outage:
        world.plan.next(BEFORE, method="follow")
    runner = web.AppRunner(app)
    await runner.setup()
    assert ("follow" in store.asked) is lifespan
    await runner.cleanup()
    assert ("close" in store.asked) is lifespan
    await manager.close()


# ------------------------------------------------------------------------------------------- WebSockets


def page(token: str, *others: str) -> tuple[str, ...]:
    """Give the subprotocols that a page offers."""
    return ("keyturn", f"keyturn.bearer.{token}", *others)


def test_a_token_of_a_page_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Subprotocols that a handler does not know are logged by aiohttp, so it does not see the token."""

    async def offers(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"user_id": [str(request.headers), str(request.raw_headers)]})
        return socket

    with site_of(with_routes(lambda auth: web.get("/feed", auth.require()(offers)))) as site:
        token = site.sign_in("pag").access
        with opened(site, None, page(token, "chat")) as socket:
            seen = str(user_of(socket))
            assert socket.subprotocol == "keyturn"
    assert "chat" in seen
    assert "don’t overlap" in caplog.text  # noqa: RUF001 - as aiohttp writes it: else this proves nothing
    for secret in (token, "keyturn.bearer"):
        assert secret not in seen + caplog.text


def test_what_a_proxy_said_of_a_page_is_known_to_its_handler() -> None:
    """Taking the token away changes nothing else that middleware has found out."""

    @web.middleware
    async def behind_proxy(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request.clone(remote="203.0.113.7", scheme="https", host="example.com"))

    async def tells(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"user_id": [request.remote, str(request.url)]})
        return socket

    def build(world: World) -> web.Application:
        app, auth = web.Application(middlewares=[behind_proxy]), keyturn(world)
        auth.setup(app)
        app.add_routes([web.get("/feed", auth.require()(tells))])
        return app

    with site_of(build) as site, opened(site, None, page(site.sign_in("pro").access)) as socket:
        assert user_of(socket) == ["203.0.113.7", "https://example.com/feed"]


def test_a_handler_may_speak_a_subprotocol_of_its_own() -> None:
    """Where page and handler have one in common, the answer names that."""

    async def chat(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=("chat",))
        await socket.prepare(request)
        await socket.send_json({"user_id": socket.ws_protocol})
        return socket

    with site_of(with_routes(lambda auth: web.get("/feed", auth.require()(chat)))) as site:
        token = site.sign_in("pag").access
        for offered, named in ((page(token, "chat"), "chat"), (page(token, "other"), "keyturn")):
            with opened(site, None, offered) as socket:
                assert socket.subprotocol == named
        with opened(site, token, ("chat",)) as socket:
            assert (socket.subprotocol, user_of(socket)) == ("chat", "chat")


def test_a_view_opens_sockets_too(caplog: pytest.LogCaptureFixture) -> None:
    """Also for pages, from whose handshake the token is taken before the view sees it."""

    def build(world: World) -> web.Application:
        app, auth = web.Application(), keyturn(world)
        auth.setup(app)

        class Feed(web.View):
            @auth.require()
            async def get(self) -> web.StreamResponse:
                return await feed(self.request)

        app.add_routes([web.view("/feed", Feed)])
        return app

    with site_of(build) as site:
        tokens = site.sign_in("vie")
        assert refusal_of(site) == 401
        with opened(site, None, page(tokens.access, "chat")) as socket:
            assert user_of(socket) == "vie"
            site.post("/auth/logout", cookie=tokens.refresh)
            assert closing(socket) == (3000, "the session has ended")
    assert "['chat']" in caplog.text
    assert tokens.access not in caplog.text


def test_two_guards_of_one_socket_agree() -> None:
    """A path's guard takes the token from what the handler sees; the route's own guard knows it still."""

    def build(world: World) -> web.Application:
        auth = keyturn(world)
        app = web.Application(middlewares=[auth.middleware])
        auth.setup(app)
        app.add_routes([web.get("/feed", auth.require("profile")(feed))])
        return app

    with site_of(build) as site:
        tokens = site.sign_in("two")
        with opened(site, None, page(tokens.access)) as socket:
            assert (user_of(socket), echo(socket, "hello")) == ("two", "hello")
            site.post("/auth/logout", cookie=tokens.refresh)
            assert closing(socket) == (3000, "the session has ended")


def test_an_optional_socket_asks_nobody_to_sign_in() -> None:
    """Nothing ends it then."""
    with site_of(with_routes(lambda auth: web.get("/feed", auth.require(optional=True)(feed)))) as site:
        with opened(site, None, ("keyturn",)) as socket:
            assert (user_of(socket), echo(socket, "hello"), socket.subprotocol) == (None, "hello", "keyturn")
        assert refusal_of(site, None, page("garbage")) == 401


def test_a_socket_that_only_sends_is_closed_without_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """Its handler finds the connection gone, which is no failure."""

    async def ticks(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        while True:
            await socket.send_str("tick")
            await asyncio.sleep(0)

    with site_of(with_routes(lambda auth: web.get("/feed", auth.require()(ticks)))) as site:
        tokens = site.sign_in("tic")
        with opened(site, tokens.access) as socket:
            assert socket.recv(PATIENCE) == "tick"
            site.post("/auth/logout", cookie=tokens.refresh)
            with pytest.raises(ConnectionClosed):
                set(socket)  # whatever comes until it is closed
            assert socket.close_code == 3000
    assert errors(caplog) == []


def test_a_handlers_own_failure_is_one(caplog: pytest.LogCaptureFixture) -> None:
    """What it raises while its session lives is logged as ever."""

    async def failing(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        raise ConnectionError("another service has gone")

    with site_of(with_routes(lambda auth: web.get("/feed", auth.require()(failing)))) as site:
        token = site.sign_in("fai").access
        with opened(site, token) as socket, pytest.raises(ConnectionClosed):
            socket.recv(PATIENCE)
    assert "another service has gone" in caplog.text


def test_a_session_that_ends_during_the_handshake_opens_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """There is no socket yet on which to say so: the connection is closed."""
    entered, gate = Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        entered.set()
        await gate.wait()
        return await feed(request)

    async def let_go(_: web.Request) -> web.StreamResponse:
        gate.set()
        return web.Response()

    app = with_routes(lambda auth: web.get("/feed", auth.require()(slow)), lambda _: web.get("/gate", let_go))
    with site_of(app) as site, ThreadPoolExecutor(1) as pool:
        tokens = site.sign_in("slo")

        def handshake() -> object:
            with opened(site, tokens.access) as socket:
                return user_of(socket)

        opening = pool.submit(handshake)
        assert entered.wait(PATIENCE)
        site.post("/auth/logout", cookie=tokens.refresh)
        with pytest.raises((InvalidMessage, EOFError, ConnectionError)):
            opening.result(PATIENCE)
        assert site.send("GET", "/gate").status_code == 200
    assert errors(caplog) == []


def test_a_socket_needs_the_setup(caplog: pytest.LogCaptureFixture) -> None:
    """Without it nobody would be told when to close, so nothing opens."""

    def build(world: World) -> web.Application:
        app, elsewhere, auth = web.Application(), web.Application(), keyturn(world)
        auth.setup(elsewhere)
        app.add_subapp("/v1", elsewhere)
        app.add_routes([web.get("/feed", auth.require()(feed)), web.get("/who", auth.require()(who))])
        return app

    with site_of(build) as site:
        token = site.post("/v1/auth/login", json={"username": "ann", "password": PASSWORD}).json()
        assert site.send("GET", "/who", bearer=token["access_token"]).json() == {"user_id": "ann"}
        assert refusal_of(site, token["access_token"]) == 500
    assert "auth.setup(app)" in caplog.text


def test_odd_bytes_in_a_handshake_are_no_error_of_ours() -> None:
    """Whatever else a page's handshake has, it is admitted or refused."""
    with site_of(with_routes(lambda auth: web.get("/feed", auth.require()(feed)))) as site:
        token = site.sign_in("odd").access
        lines = (
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            b"Connection: Upgrade\r\nX-Odd: \xff\xfe\x80",
            f"Sec-WebSocket-Protocol: {', '.join(page(token))}".encode(),
        )
        request = head("GET", "/feed").replace(b"Connection: close\r\n", b"")
        with connected(site.url) as wire:
            wire.sendall(request[:-2] + b"\r\n".join(lines) + b"\r\n\r\n")
            assert status_of(wire) == 101
