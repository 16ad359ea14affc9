"""The server as a Starlette application, to be run or mounted. It decides nothing about tokens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyturn._core.minting import keys_unavailable
from keyturn.errors import KeyturnError, StoreError
from keyturn.http import replies
from keyturn.server.logs import AccessLog
from keyturn.server.opening import Service, open_service
from keyturn.server.page import Pages, SecurityHeaders, sessions_page
from keyturn.server.throttle import Throttle
from keyturn.starlette import Keyturn

if TYPE_CHECKING:
    from keyturn.server.demonstration.routes import Demonstration
    from keyturn.server.settings import Settings

_SERVER_ERROR: Final = 500


def create_app(settings: Settings) -> Starlette:
    """Make the application, with its database and keys ready.

    It closes what it opened when its lifespan ends; who mounts it in another application runs that.

    Args:
        settings: The settings.

    Raises:
        ConfigurationError: A setting is not usable, or unsafe where others can reach the server.
        StoreError: The database cannot be used.
    """
    return build_app(open_service(settings))


def build_app(service: Service, demonstration: Demonstration | None = None) -> Starlette:
    """Make the application of an open service.

    Args:
        service: The parts of the server.
        demonstration: What `--demo` adds; who serves it closes it before the server shuts down.
    """
    settings = service.settings
    leaf = Keyturn(
        service.manager,
        login=service.login,
        settings=settings,
        throttle=None if settings.login_rate is None else Throttle(settings.login_rate),
        sessions_page=sessions_page(settings),
    )
    pages = Pages(settings, demo=demonstration is not None)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        service.keys.follow()  # here, after a fork: the first request would wait for a reading
        with suppress(StoreError):  # else the store is asked about each token until it can be read
            await service.manager.start()
        try:
            yield
        finally:
            await service.close()

    async def health(_: Request) -> Response:
        """Say whether the server can do its work: the store must answer, and the keys must be readable."""
        if service.keys.failing:
            raise keys_unavailable()
        await service.manager.sessions("healthz", limit=1)
        return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})

    app = Starlette(
        routes=[
            *pages.routes,
            Route("/healthz", health, methods=["GET"]),
            *([] if demonstration is None else demonstration.routes),
            *leaf.routes,
        ],
        middleware=[Middleware(AccessLog), Middleware(SecurityHeaders)],
        exception_handlers={
            HTTPException: _on_http_error,
            KeyturnError: _on_keyturn_error,
            _SERVER_ERROR: _on_mistake,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # it would redirect to whatever the Host header says
    return app


def _answer(error: KeyturnError) -> Response:
    reply = replies.refuse(error)
    return Response(reply.body, reply.status, dict(reply.headers))


async def _on_http_error(_: Request, error: Exception) -> Response:
    match error:
        case HTTPException(status_code=404):
            return _answer(replies.not_found())
        case HTTPException(status_code=405):
            return _answer(replies.method_not_allowed((error.headers or {}).get("Allow", "")))
        case HTTPException():
            return _answer(replies.invalid_request(error.detail, error.status_code))
        case _:
            raise error


async def _on_keyturn_error(_: Request, error: Exception) -> Response:
    if isinstance(error, KeyturnError):
        return _answer(error)
    raise error


async def _on_mistake(_: Request, __: Exception) -> Response:
    # Starlette raises it again after this answer, for the server to log: that is our log, which redacts.
    return _answer(
        replies.Refusal(_SERVER_ERROR, "server_error", "Something went wrong here; it was logged.")
    )
