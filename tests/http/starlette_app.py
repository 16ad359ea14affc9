"""Starlette under the HTTP suite, served by uvicorn. It decides nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from keyturn.errors import StoreError
from keyturn.starlette import CurrentUser, Keyturn
from keyturn.testing.http_suite import (
    EXEMPT,
    FRESH,
    PATHS,
    REQUIRE,
    SESSIONS_PAGE,
    Throttle,
    World,
    away,
    check_password,
)
from tests.support.processes import wait_until


def who(request: Request) -> Response:
    """Say who asks."""
    user = request.scope.get("user")
    return JSONResponse({"user_id": user.identity if isinstance(user, CurrentUser) else None})


async def who_async(request: Request) -> Response:
    """Say who asks."""
    return who(request)


async def feed(socket: WebSocket) -> None:
    """Say who has opened the socket, then send back what comes."""
    await socket.accept()
    await socket.send_json({"user_id": socket.user.identity})
    with suppress(WebSocketDisconnect):
        while True:
            await socket.send_text(await socket.receive_text())


def options(world: World) -> dict[str, Any]:
    """Give what a leaf is set up with, beside its manager."""
    return {
        "login": check_password,
        "settings": world.settings,
        "throttle": Throttle(),
        "exempt": EXEMPT if world.by_path else None,
        "require": REQUIRE if world.by_path else None,
        "sessions_page": SESSIONS_PAGE,
    }


def application(world: World) -> Starlette:
    """Build what the suite asks for."""
    auth = Keyturn(world.async_manager(), **options(world))
    routes = [
        *auth.routes,
        Route("/away", lambda _: away()),
        Route("/private", auth.require()(who_async)),
        Route("/maybe", auth.require(optional=True)(who)),
        Route("/orders", auth.require("orders:read")(who)),
        Route("/staff", auth.require(roles=("admin", "clerk"))(who)),
        Route("/fresh", auth.require(fresh=FRESH)(who_async)),
        WebSocketRoute("/feed", auth.require()(feed)),
        WebSocketRoute("/path-feed", feed),
        Route("/admins", auth.require(claims={"roles": "admin"})(who_async)),
        *(Route(path, who) for path in PATHS if world.by_path),
    ]
    handlers = {StoreError: auth.on_outage}
    return Starlette(
        routes=routes,
        exception_handlers=handlers,
        middleware=[Middleware(auth.middleware)] if world.by_path else [],
    )


@contextmanager
def serve(app: Callable[..., Any], *, log_level: str = "critical") -> Generator[str]:
    """Serve an ASGI application with uvicorn in a thread until the block ends, and give its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level=log_level, lifespan="off"))
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started, what="uvicorn")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


class StarletteFramework:
    """Starlette over uvicorn."""

    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        """See `Framework.serve`."""
        with serve(application(world)) as url:
            yield url
