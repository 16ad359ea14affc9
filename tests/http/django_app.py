"""Django under the HTTP suite, served by Werkzeug (WSGI) and by uvicorn (ASGI). It decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

from keyturn.http.asgi_types import Receive, Scope, Send
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
from tests.http.flask_app import serve_threads
from tests.http.starlette_app import serve
from tests.support import django_site

django_site.configure()

from django.core.wsgi import get_wsgi_application  # noqa: E402  (models are there only now)
from django.http import HttpRequest, JsonResponse  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.urls import include, path  # noqa: E402

from keyturn.django.asgi import KeyturnSockets, get_asgi_application  # noqa: E402
from keyturn.django.decorators import find_principal, require  # noqa: E402
from keyturn.django.http_checks import MIDDLEWARE  # noqa: E402


def who(request: HttpRequest) -> JsonResponse:
    """Say who asks."""
    return JsonResponse({"user_id": getattr(find_principal(request), "user_id", None)})


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
    path("away", lambda _: away()),
    path("private", require()(who_async)),
    path("maybe", require(optional=True)(who)),
    path("orders", require("orders:read")(who)),
    path("staff", require(roles=("admin", "clerk"))(who)),
    path("fresh", require(fresh=FRESH)(who_async)),
    path("admins", require(claims={"roles": "admin"})(who)),
    *(path(each.lstrip("/"), who) for each in PATHS),
]


def configured(world: World) -> override_settings:
    """Have Django's settings, which the process has once, be those of a world."""
    given: dict[str, Any] = {name.upper(): value for name, value in asdict(world.settings).items()}
    given |= {"MANAGER": world.manager, "ASYNC_MANAGER": world.async_manager, "USER_IS_ALLOWED": None}
    given |= {"LOGIN": lambda _, *words: check_password(*words), "LOGIN_RATE": None, "THROTTLE": Throttle}
    given["SESSIONS_PAGE"] = SESSIONS_PAGE
    given |= {"EXEMPT": EXEMPT, "REQUIRE": REQUIRE} if world.by_path else {}
    layers = ["django.middleware.common.CommonMiddleware", *([MIDDLEWARE] if world.by_path else [])]
    return override_settings(KEYTURN=given, MIDDLEWARE=layers, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])


def application(world: World) -> Callable[..., Any]:
    """Build what the suite asks for, in a process that serves nothing else."""
    configured(world).enable()
    return get_wsgi_application()


class DjangoFramework(NamedTuple):
    """Django over Werkzeug or uvicorn."""

    protocol: Literal["wsgi", "asgi"]

    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        """See `Framework.serve`."""
        with configured(world), self._server() as url:
            yield url

    def _server(self) -> AbstractContextManager[str]:
        if self.protocol == "wsgi":
            return serve_threads(get_wsgi_application())
        return serve(get_asgi_application(sockets=KeyturnSockets(feed)))
