"""aiohttp under the HTTP suite, served by its own runner. It decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread

from aiohttp import web

from keyturn.aiohttp import PRINCIPAL, Keyturn
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


async def who(request: web.Request) -> web.StreamResponse:
    """Say who asks."""
    return web.json_response({"user_id": getattr(request.get(PRINCIPAL), "user_id", None)})


async def feed(request: web.Request) -> web.StreamResponse:
    """Say who has opened the socket, then send back what comes."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_json({"user_id": getattr(request.get(PRINCIPAL), "user_id", None)})
    async for message in socket:
        await socket.send_str(message.data)
    return socket


async def fails(_: web.Request) -> web.StreamResponse:
    """Meet an outage."""
    away()


def application(world: World) -> web.Application:
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
    app = web.Application()
    auth.setup(app)
    guards = {
        "/private": auth.require(),
        "/maybe": auth.require(optional=True),
        "/orders": auth.require("orders:read"),
        "/staff": auth.require(roles=("admin", "clerk")),
        "/fresh": auth.require(fresh=FRESH),
        "/admins": auth.require(claims={"roles": "admin"}),
    }
    app.add_routes(web.get(path, guard(who)) for path, guard in guards.items())
    app.add_routes(web.get(path, who) for path in PATHS if world.by_path)
    app.add_routes([web.get("/away", fails)])
    app.add_routes([web.get("/feed", auth.require()(feed)), web.get("/path-feed", feed)])
    return app


@contextmanager
def serve(build: Callable[[], web.Application]) -> Generator[str]:
    """Serve an application that is built in its loop, in a thread, until the block ends, and give its URL."""
    started: Future[tuple[str, Callable[[], object]]] = Future()

    async def run() -> None:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(build(), access_log=None, shutdown_timeout=1, max_field_size=64 * 1024)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        started.set_result((f"http://127.0.0.1:{port}", lambda: loop.call_soon_threadsafe(done.set)))
        await done.wait()
        await runner.cleanup()

    thread = Thread(target=asyncio.run, args=(run(),))
    thread.start()
    url, stop = started.result(20)
    try:
        yield url
    finally:
        stop()
        thread.join(20)


class AiohttpFramework:
    """aiohttp over its own server."""

    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        """See `Framework.serve`."""
        with serve(lambda: application(world)) as url:
            yield url
