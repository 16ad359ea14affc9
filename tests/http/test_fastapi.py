"""Holds what only FastAPI has: security scopes, overrides, its document, sockets whose routes are guarded."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response, Security, WebSocket
from fastapi.openapi.utils import get_openapi
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from keyturn import AsyncTokenManager, Principal
from keyturn.errors import ConfigurationError
from keyturn.fastapi import Keyturn
from keyturn.http import HttpSettings, SignIn
from keyturn.testing._http.world import check_refusal
from keyturn.testing.faults import BEFORE
from keyturn.testing.http_suite import World, check_password
from tests.http.clients import bearer, check_lifespan, client_of
from tests.support.processes import wait_until

auth = Keyturn(World().async_manager(), login=check_password)
renewing = Keyturn(
    World().async_manager(), login=check_password, settings=HttpSettings(renew_within="1d")
)  # each answer brings a fresh token


def made(keyturn: Keyturn[dict[str, Any]] = auth, **options: Any) -> FastAPI:
    """Make an application that Keyturn is installed in."""
    app = FastAPI(**options)
    keyturn.install(app)
    return app


def user_of(principal: Annotated[Principal, Security(auth.current, scopes=["profile"])]) -> str:
    """Say who asks; a dependency of an application, which asks for a scope of its own."""
    return principal.user_id


def test_scopes_of_all_dependencies_count() -> None:
    """Those of the route and those of each dependency between it and ours (`SecurityScopes`)."""
    app = made()

    @app.get("/own")
    async def own(user: Annotated[str, Depends(user_of)]) -> str:
        return user

    @app.get("/nested")
    async def nested(user: Annotated[str, Security(user_of, scopes=["orders:read"])]) -> str:
        return user

    with client_of(app) as client:
        buyer, member = bearer(client, "buyer-bo"), bearer(client, "mem")
        assert client.get("/own", headers=member).json() == "mem"
        assert client.get("/nested", headers=buyer).json() == "buyer-bo"
        refused = client.get("/nested", headers=member)
        check_refusal(refused, 403, "insufficient_scope")
        assert 'scope="orders:read profile"' in refused.headers["www-authenticate"]


def test_a_router_and_an_application_may_be_guarded_as_a_whole() -> None:
    """Nobody has to sign in to sign in: dependencies of the application do not guard the endpoints."""
    app = made(dependencies=[Depends(auth.require("profile"))])
    app.get("/page")(lambda: "page")
    with client_of(app) as client:
        check_refusal(client.get("/page"), 401)
        assert client.get("/page", headers=bearer(client, "ann")).json() == "page"
        assert client.post("/auth/refresh").json()["error"] == "invalid_request"


async def answer_teapot(_request: Request, _error: Exception) -> Response:
    """Answer whatever error in an application's own way."""
    return PlainTextResponse("teapot", 418)


@pytest.mark.parametrize("handled", [HTTPException, StarletteHTTPException, 401, 403, 500, Exception])
def test_no_handler_of_the_application_changes_a_refusal(
    handled: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever handler it has, for a class or for a status, before or after ours; nor is it in the log."""
    app = FastAPI(exception_handlers={handled: answer_teapot})
    auth.install(app)
    app.add_exception_handler(handled, answer_teapot)
    app.get("/page", dependencies=[Depends(auth.current)])(lambda: "page")
    app.get("/staff", dependencies=[Depends(auth.require(roles=("admin",)))])(lambda: "staff")
    with client_of(app, log_level="error") as client:
        refused = client.get("/page")
        check_refusal(refused, 401)
        assert refused.headers["www-authenticate"] == "Bearer"
        check_refusal(client.get("/page", headers={"Authorization": "Bearer x"}), 401, "invalid_token")
        check_refusal(client.get("/staff", headers=bearer(client, "mem")), 403, "insufficient_scope")
    assert capfd.readouterr().err == ""


def login_in(document: dict[str, Any]) -> str:
    """Give where a document's page looks for the login."""
    schemes = document["components"]["securitySchemes"]
    url: str = schemes["keyturnPassword"]["flows"]["password"]["tokenUrl"]
    return url


def test_a_document_that_the_application_makes_itself_finds_the_login() -> None:
    """In the way of FastAPI's guide, which takes the place of what `install` does."""
    app = made(dependencies=[Depends(auth.current)])
    app.get("/page")(lambda: "page")
    part = FastAPI(docs_url="/a/b/docs")
    auth.install(part, endpoints=False)
    part.mount("/", FastAPI())  # which would answer anything
    part.get("/page", dependencies=[Depends(auth.current)])(lambda: "page")
    app.openapi = lambda: get_openapi(title="Own", version="1", routes=app.routes)  # type: ignore[method-assign] # as the guide has it
    assert login_in(app.openapi()) == "auth/login"
    assert login_in(part.openapi()) == "/auth/login"


def test_a_part_of_an_application_is_installed_too() -> None:
    """An application that is mounted has handlers of its own; the endpoints are where they were."""
    part, app = FastAPI(), made()
    auth.install(part, endpoints=False)
    part.get("/page", dependencies=[Depends(auth.current)])(lambda: "page")
    app.mount("/part", part)
    with client_of(app) as client:
        check_refusal(client.get("/part/page"), 401)
        assert client.get("/part/page", headers=bearer(client, "ann")).json() == "page"
        assert client.post("/part/auth/login", json={}).status_code == 404
        for document, login in (("/openapi.json", "auth/login"), ("/part/openapi.json", "/auth/login")):
            assert login_in(client.get(document).json()) == login


def test_without_the_endpoints_their_paths_are_guarded_as_any_other() -> None:
    """They are the application's own then."""
    own, app = Keyturn(World().async_manager(), exempt=()), FastAPI()
    own.install(app, endpoints=False)
    app.get("/auth/me")(lambda: "page")
    with client_of(app) as client:
        check_refusal(client.get("/auth/me"), 401)


def test_an_application_may_include_the_endpoints_itself() -> None:
    """And say, as of any router, whether they are in its document."""
    app = FastAPI()
    app.include_router(auth.router(), include_in_schema=False)
    auth.install(app, endpoints=False)
    app.get("/page", dependencies=[Depends(auth.current)])(lambda: "page")
    assert list(app.openapi()["paths"]) == ["/page"]
    assert login_in(app.openapi()) == "auth/login"
    with client_of(app) as client:
        assert client.get("/page", headers=bearer(client, "ann")).json() == "page"


async def test_a_guard_without_an_answer_lets_nobody_pass() -> None:
    """An application that Keyturn was not installed in fails with the line that is missing."""
    app = FastAPI()
    app.include_router(auth.router())
    app.get("/page", dependencies=[Depends(auth.optional)])(lambda: "page")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        with pytest.raises(ConfigurationError, match=r"auth\.install\(app\)"):
            await client.get("/page")


def answering() -> FastAPI:
    """Make an application whose routes answer in every way, to answers that carry a fresh token."""
    app = made(renewing)
    guard = [Depends(renewing.current), Depends(renewing.optional)]

    @app.get("/value", dependencies=guard)
    async def value() -> str:
        return "value"

    @app.get("/response", dependencies=guard)
    def response() -> Response:
        headers = {"Cache-Control": "public", "Access-Control-Expose-Headers": "X-Own"}
        return PlainTextResponse("response", headers=headers)

    @app.get("/stream", dependencies=guard)
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncGenerator[str]:
            yield "part"

        return StreamingResponse(parts())

    @app.get("/error", dependencies=guard)
    async def error() -> None:
        raise HTTPException(404, "gone", {"X-Own": "1"})

    @app.get("/invalid", dependencies=guard)
    async def invalid(number: int) -> int:
        return number

    return app


def test_a_fresh_token_reaches_every_answer() -> None:
    """Also a `Response` that the function returns, a stream, an `HTTPException` and FastAPI's own 422."""
    statuses = {"/value": 200, "/response": 200, "/stream": 200, "/error": 404, "/invalid": 422}
    with client_of(answering()) as client:
        headers = bearer(client, "ann")
        for path, status in statuses.items():
            answer = client.get(path, headers=headers)
            assert answer.status_code == status
            (fresh,) = answer.headers.get_list("authorization-refreshed")
            assert client.get("/auth/me", headers={"Authorization": f"Bearer {fresh}"}).status_code == 200
            assert answer.headers.get_list("cache-control") == ["no-store"]
            exposed = answer.headers.get_list("access-control-expose-headers")
            assert exposed == [*(["X-Own"] if path == "/response" else []), "Authorization-Refreshed"]


def test_a_test_says_who_asks() -> None:
    """`dependency_overrides` takes what a route depends on, and no token is needed then."""
    app = FastAPI()  # nothing is refused, so nothing need be installed
    editors = auth.require(roles=("editor",))

    @app.get("/own")
    async def own(user: Annotated[str, Depends(user_of)]) -> str:
        return user

    @app.get("/edit")
    async def edit(editor: Annotated[Principal, Depends(editors)]) -> str:
        return editor.user_id

    ann: Principal = Principal(
        user_id="ann", session_id="s", token_id="t", claims={}, issued_at=0, expires_at=0
    )
    app.dependency_overrides = {auth.current: lambda: ann, editors: lambda: ann}
    with client_of(app) as client:
        assert client.get("/own").json() == client.get("/edit").json() == "ann"


def test_an_application_may_sign_people_in_itself() -> None:
    """Its own routes answer what `/auth/login` and `/auth/step-up` would."""
    app = made()

    @app.get("/callback")
    async def callback(request: Request) -> Response:
        return await auth.sign_in(request, SignIn("ann"), transport="body")

    @app.get("/again", dependencies=[Depends(auth.current)])
    async def again(request: Request) -> Response:
        return await auth.step_up(request)

    with client_of(app) as client:
        tokens = client.get("/callback").json()
        assert tokens["refresh_token"].startswith("ktr_")
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert client.get("/again", headers=headers).json()["session_id"] == tokens["session_id"]


async def test_the_lifespan_comes_with_the_endpoints() -> None:
    """Unless the application says that it manages the manager; what else it has of a lifespan stays."""
    own: list[str] = []

    @asynccontextmanager
    async def owned(_: FastAPI) -> AsyncGenerator[None]:
        yield
        own.append("closed")

    def app(manager: AsyncTokenManager, *, lifespan: bool) -> FastAPI:
        app = FastAPI(lifespan=owned)
        Keyturn(manager).install(app, lifespan=lifespan)
        return app

    await check_lifespan(lambda manager: app(manager, lifespan=True))
    await check_lifespan(lambda manager: app(manager, lifespan=False), manages=False)
    assert own == ["closed"] * 4


def documented() -> dict[str, Any]:
    """Give the document of an application that is guarded as a whole and by its routes."""
    app = made(dependencies=[Depends(auth.current)])

    @app.get("/own")
    async def own(user: Annotated[str, Security(user_of, scopes=["orders:read"])]) -> str:
        return user

    app.get("/staff", dependencies=[Depends(auth.require("staff", roles=("admin",)))])(lambda: None)
    return app.openapi()


def test_the_document_says_what_a_route_needs() -> None:
    """Any of the security schemes, with the scopes of all dependencies."""
    document = documented()
    schemes = document["components"]["securitySchemes"]
    assert schemes["keyturnBearer"] == {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    assert schemes["keyturnPassword"]["flows"]["password"] == {"scopes": {}, "tokenUrl": "auth/login"}
    for path, scopes in {"/own": ["orders:read", "profile"], "/staff": ["staff"]}.items():
        assert document["paths"][path]["get"]["security"] == [
            {"keyturnBearer": scopes},
            {"keyturnPassword": scopes},
        ]
        responses = document["paths"][path]["get"]["responses"]
        assert {"200", "401", "403", "503"} == responses.keys()
        error = responses["403"]["content"]["application/json"]["schema"]
        assert error["properties"].keys() == {"error", "error_description"}


def test_the_document_has_the_endpoints() -> None:
    """With their schemas, and a padlock on those alone that take an access token."""
    paths = documented()["paths"]
    assert "security" not in paths["/auth/login"]["post"]
    assert "security" not in paths["/.well-known/jwks.json"]["get"]
    assert paths["/auth/me"]["get"]["security"] == [{"keyturnBearer": []}, {"keyturnPassword": []}]
    login = paths["/auth/login"]["post"]
    assert login["requestBody"]["content"]["application/json"]["schema"]["required"] == [
        "username",
        "password",
    ]
    answer = login["responses"]["200"]["content"]["application/json"]["schema"]
    assert "access_token" in answer["required"]
    assert set(paths["/auth/sessions/{session_id}"]["delete"]["responses"]) == {
        "204",
        "400",
        "401",
        "404",
        "503",
    }


def test_the_document_knows_the_header() -> None:
    """Consoles send what a password brings in `Authorization` alone, so others are not asked for one."""
    app = FastAPI()
    settings = HttpSettings(access_header="X-Access")
    Keyturn(World().async_manager(), login=check_password, settings=settings).install(app)
    assert app.openapi()["components"]["securitySchemes"] == {
        "keyturnBearer": {"type": "apiKey", "in": "header", "name": "X-Access"}
    }


def talking() -> FastAPI:
    """Make an application whose sockets know nothing of sessions, nor of clients that leave."""
    app = made()

    @app.websocket("/listen")
    async def listen(socket: WebSocket, principal: Annotated[Principal, Depends(auth.current)]) -> None:
        await socket.accept()
        await socket.send_text(principal.user_id)
        while True:
            await socket.receive_text()

    @app.websocket("/speak")
    async def speak(socket: WebSocket, user: Annotated[str, Depends(user_of)]) -> None:
        await socket.accept()
        while True:
            await socket.send_text(user)
            await asyncio.sleep(0.01)  # others have their turn

    twice = [Depends(auth.current), Depends(auth.require("profile"))]
    app.websocket("/twice", dependencies=twice)(talk)
    app.websocket("/maybe", dependencies=[Depends(auth.optional)])(talk)
    return app


async def talk(socket: WebSocket) -> None:
    """Greet, then wait."""
    await socket.accept()
    await socket.send_text("hello")
    await socket.receive_text()


@contextmanager
def opened(client: httpx.Client, path: str, headers: dict[str, str]) -> Generator[ClientConnection]:
    """Open a socket, and wait until it says something."""
    url = f"ws://{client.base_url.host}:{client.base_url.port}{path}"
    with connect(url, additional_headers=headers, proxy=None) as socket:
        assert socket.recv(20)
        yield socket


def closing_of(socket: ClientConnection) -> int | None:
    """Read to the end, and give the code with which the server closes."""
    try:
        while True:
            socket.recv(20)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


@pytest.mark.parametrize("path", ["/listen", "/speak", "/twice", "/maybe"])
def test_a_socket_that_its_session_closes_is_no_error(path: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A function that only waits, or only sends, leaves no trace in the server's log, whatever guards it."""
    with client_of(talking(), log_level="error") as client:
        headers = bearer(client, "ann")
        with opened(client, path, headers) as socket:
            client.post("/auth/logout-all", headers=headers)
            assert closing_of(socket) == 3000
    assert capfd.readouterr().err == ""


def test_what_a_function_does_wrong_stays_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    """A client that leaves is told to the function as ever; what it makes of that is in the log."""
    with (
        client_of(talking(), log_level="error") as client,
        opened(client, "/listen", bearer(client, "ann")),
    ):
        pass
    assert "WebSocketDisconnect" in capfd.readouterr().err


def test_a_socket_guarded_twice_over_closes_once(capfd: pytest.CaptureFixture[str]) -> None:
    """By its path and on its route."""
    app = talking()
    app.add_middleware(auth.middleware)
    with client_of(app, log_level="error") as client:
        headers = bearer(client, "ann")
        with opened(client, "/listen", headers) as socket:
            client.post("/auth/logout-all", headers=headers)
            assert closing_of(socket) == 3000
    assert capfd.readouterr().err == ""


def test_a_socket_is_watched_while_it_is_open() -> None:
    """However many dependencies guard it, nobody watches its session when the client has left."""
    manager = World().async_manager()
    keyturn = Keyturn(manager, login=check_password)
    app = made(keyturn)
    guards = [Depends(keyturn.current), Depends(keyturn.require("profile"))]
    app.websocket("/twice", dependencies=guards)(talk)
    with client_of(app) as client, opened(client, "/twice", bearer(client, "ann")) as socket:
        wait_until(lambda: len(manager.watchers) > 0, what="a watch")
        socket.close()
        wait_until(lambda: len(manager.watchers) == 0, what="its end")


@pytest.mark.parametrize("kind", [Principal, Principal[dict[str, Any]], Principal[Any] | None])
def test_a_principal_is_never_read_from_a_body(kind: Any) -> None:
    """A route that forgot to say where it comes from does not start: whoever sent one would be that user."""

    async def forgetful(user: Any) -> str:
        return str(user)

    forgetful.__annotations__["user"] = kind
    for method in ("POST", "DELETE", "GET"):
        with pytest.raises(TypeError, match=r"Security\(auth.current\)"):
            made().add_api_route("/forgetful", forgetful, methods=[method])


def test_a_guard_that_is_no_dependency_does_not_start() -> None:
    """`Annotated` with the guard itself, where `Security` or `Depends` was meant, would be a body, too."""

    async def forgetful(user: Annotated[Principal, auth.current]) -> str:
        return user.user_id

    with pytest.raises(TypeError, match=r"Security\(auth.current\)"):
        made().add_api_route("/forgetful", forgetful, methods=["POST"])


def test_an_application_is_set_up_once() -> None:
    """Twice would have each endpoint twice."""
    app = made()
    with pytest.raises(ConfigurationError, match="twice"):
        auth.install(app)


def test_an_outage_in_an_endpoint_is_no_mistake_of_ours() -> None:
    """What asks the manager itself answers 503 like a guard."""
    world = World()
    manager = world.async_manager()
    app = made(Keyturn(manager, login=check_password))

    @app.get("/sessions")
    async def sessions() -> int:
        return len(await manager.sessions("ann"))

    world.plan.next(BEFORE, method="find")
    with client_of(app) as client:
        check_refusal(client.get("/sessions"), 503, "temporarily_unavailable")
