"""Litestar under the HTTP suite, served by uvicorn. It decides nothing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

from litestar import Litestar, WebSocket, get, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.handlers import HTTPRouteHandler

from keyturn import Principal
from keyturn.litestar import Keyturn, Requirement
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
from tests.http.starlette_app import serve


def who(path: str, *guards: Requirement) -> HTTPRouteHandler:
    """Say who asks."""

    @get(path, guards=guards)
    async def handler(principal: NamedDependency[Principal[Any] | None]) -> dict[str, str | None]:
        return {"user_id": principal.user_id if principal else None}

    return handler


async def feed(socket: WebSocket[Principal[Any], tuple[str, ...], Any]) -> None:
    """Say who has opened the socket, then send back what comes."""
    await socket.accept()
    await socket.send_json({"user_id": socket.user.user_id})
    with suppress(WebSocketDisconnect):
        while True:
            await socket.send_text(await socket.receive_text())


def application(world: World) -> Litestar:
    """Build what the suite asks for."""
    auth = Keyturn(
        world.async_manager(),
        login=check_password,
        settings=world.settings,
        throttle=Throttle(),
        exempt=EXEMPT if world.by_path else None,
        require=REQUIRE if world.by_path else None,
        sessions_page=SESSIONS_PAGE,
    )
    handlers = [
        who("/private", auth.require()),
        who("/maybe", auth.require(optional=True)),
        who("/orders", auth.require("orders:read")),
        who("/staff", auth.require(roles=("admin", "clerk"))),
        who("/fresh", auth.require(fresh=FRESH)),
        who("/admins", auth.require(claims={"roles": "admin"})),
        get("/away", sync_to_thread=False)(away),
        websocket("/feed", guards=[auth.require()])(feed),
        websocket("/path-feed")(feed),
        *(who(path) for path in PATHS if world.by_path),
    ]
    return Litestar(handlers, plugins=[auth], logging_config=None)


class LitestarFramework:
    """Litestar over uvicorn."""

    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        """See `Framework.serve`."""
        with serve(application(world)) as url:
            yield url
