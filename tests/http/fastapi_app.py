"""FastAPI under the HTTP suite, served by uvicorn. It decides nothing."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response, Security, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from keyturn import Principal
from keyturn.fastapi import Keyturn
from keyturn.starlette import CurrentUser
from keyturn.testing.http_suite import FRESH, PATHS, World, away
from tests.http.starlette_app import options, serve


def say(principal: Principal[Any] | None) -> dict[str, str | None]:
    """Say who asks."""
    return {"user_id": None if principal is None else principal.user_id}


def who(request: Request) -> Response:
    """Say who asks, where the path is guarded."""
    user = request.scope.get("user")
    return JSONResponse(say(user.principal if isinstance(user, CurrentUser) else None))


async def feed(socket: WebSocket) -> None:
    """Say who has opened the socket, then send back what comes."""
    await socket.accept()
    await socket.send_json(say(socket.user.principal))
    with suppress(WebSocketDisconnect):
        while True:
            await socket.send_text(await socket.receive_text())


def add_routes(app: FastAPI, auth: Keyturn[dict[str, Any]]) -> None:
    """Add what the suite asks for, in the ways in which a route may answer."""

    @app.get("/private")
    async def private(principal: Annotated[Principal, Depends(auth.current)]) -> dict[str, str | None]:
        return say(principal)

    @app.get("/maybe")
    def maybe(principal: Annotated[Principal | None, Depends(auth.optional)]) -> Response:
        return JSONResponse(say(principal))

    @app.get("/orders")
    def orders(principal: Annotated[Principal, Security(auth.current, scopes=["orders:read"])]) -> Response:
        return JSONResponse(say(principal))

    for path, guard in {
        "/staff": auth.require(roles=("admin", "clerk")),
        "/fresh": auth.require(fresh=FRESH),
        "/admins": auth.require(claims={"roles": "admin"}),
    }.items():
        app.get(path, dependencies=[Depends(guard)])(who)
    app.get("/away", response_model=None)(away)
    app.websocket("/feed", dependencies=[Depends(auth.current)])(feed)
    app.websocket("/path-feed")(feed)


def application(world: World) -> FastAPI:
    """Build what the suite asks for."""
    auth = Keyturn(world.async_manager(), **options(world))
    app = FastAPI()
    auth.install(app)
    add_routes(app, auth)
    if world.by_path:
        for path in PATHS:
            app.get(path)(who)
    return app


class FastAPIFramework:
    """FastAPI over uvicorn."""

    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        """See `Framework.serve`."""
        with serve(application(world)) as url:
            yield url
