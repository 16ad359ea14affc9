"""Django under the HTTP suite, over WSGI on Werkzeug's threaded server and over ASGI on uvicorn.

It decides nothing. Django's settings are one for the process, so each server is one behind another.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from threading import Thread
from typing import Any

from werkzeug.serving import make_server

from keyturn.http.asgi_types import Receive, Scope, Send
from keyturn.testing.http_suite import EXEMPT, FRESH, PATHS, REQUIRE, Throttle, World, check_password
from tests.http.flask_app import Quiet
from tests.http.starlette_app import serve
from tests.support import django_site

django_site.set_up()

from django.core.wsgi import get_wsgi_application  # noqa: E402  (models are there only now)
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.urls import include, path  # noqa: E402

from keyturn.django.asgi import KeyturnSockets, get_asgi_application  # noqa: E402
from keyturn.django.decorators import find_principal, require  # noqa: E402


def who(request: HttpRequest) -> JsonResponse:
    """Say who asks."""
    found = find_principal(request)
    return JsonResponse({"user_id": found.user_id if found else None})


async def who_async(request: HttpRequest) -> JsonResponse:
    """Say who asks."""
    return who(request)


async def feed(scope: Scope, receive: Receive, send: Send) -> None:
    """Say who has opened the socket, then send back what comes."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps({"user_id": scope["keyturn"].user_id})})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


urlpatterns = [
    path("", include("keyturn.django.urls")),
    path("private", require()(who_async)),
    path("maybe", require(optional=True)(who)),
    path("orders", require("orders:read")(who)),
    path("staff", require(roles=("admin", "clerk"))(who)),
    path("fresh", require(fresh=FRESH)(who_async)),
    path("admins", require(claims={"roles": "admin"})(who)),
    *(path(each.lstrip("/"), who) for each in PATHS),
]


@contextmanager
def configured(world: World) -> Generator[None]:
    """Have Django's settings be those of a world."""
    http = {each.name.upper(): getattr(world.settings, each.name) for each in fields(world.settings)}
    guards: dict[str, Any] = {"EXEMPT": EXEMPT, "REQUIRE": REQUIRE} if world.by_path else {}
    own = {"MANAGER": world.manager, "ASYNC_MANAGER": world.async_manager, "USER_IS_ALLOWED": None}
    login = {"LOGIN": lambda _, name, word: check_password(name, word), "LOGIN_RATE": None}
    middleware = ["keyturn.django.middleware.KeyturnMiddleware"] if world.by_path else []
    with override_settings(
        KEYTURN={**http, **own, **login, **guards, "THROTTLE": Throttle},
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],  # so that it is the endpoints that judge a host
        MIDDLEWARE=["django.middleware.common.CommonMiddleware", *middleware],
    ):
        yield


class DjangoFramework:
    """Django over Werkzeug."""

    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        """See `Framework.serve`."""
        with configured(world):
            server = make_server("127.0.0.1", 0, get_wsgi_application(), threaded=True, request_handler=Quiet)
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.port}"
            finally:
                server.shutdown()
                thread.join(20)
                server.server_close()


class DjangoAsgiFramework:
    """Django over uvicorn."""

    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        """See `Framework.serve`."""
        with configured(world), nullcontext(get_asgi_application()) as http:
            sockets = KeyturnSockets(feed)

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                await (sockets if scope["type"] == "websocket" else http)(scope, receive, send)

            with serve(app) as url:
                yield url
