"""Django's ASGI application with bounded bodies and a lifespan, and WebSockets behind the guard.

It knows no consumer. WebSockets are any ASGI application's, such as the router of `channels`:

```python
application = get_asgi_application(sockets=KeyturnSockets(URLRouter(websocket_urlpatterns)))
```
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import sync_to_async
from django.core import asgi
from typing_extensions import Unpack

from keyturn.django.conf import get_async_manager, get_async_serving, get_settings
from keyturn.errors import StoreError
from keyturn.http import MAX_BODY, Admitted, NeedsOptions, needs
from keyturn.http.asgi import read_for_guard
from keyturn.http.asgi_sockets import serve_socket
from keyturn.http.messages import below_root

if TYPE_CHECKING:
    from keyturn.http.asgi_types import AsgiApp, Message, Receive, Scope, Send


def get_asgi_application(*, sockets: AsgiApp | None = None) -> AsgiApp:
    """Give Django's application, to be used instead of `django.core.asgi.get_asgi_application()`.

    Django reads every body to its end before any view may look at it. Those sent to the endpoints are cut off
    where they are too long to be accepted. The event loop's manager begins to follow revocations at the
    server's start, and is closed at its end.

    Args:
        sockets: Serves WebSockets, which Django does not; usually `KeyturnSockets`.
    """
    inner = cast("AsgiApp", asgi.get_asgi_application())

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _live(receive, send)
        if scope["type"] == "websocket" and sockets is not None:
            return await sockets(scope, receive, send)
        if scope["type"] == "http" and _is_for_endpoints(scope):
            receive = _bounded(receive)
        return await inner(scope, receive, send)

    return application


class KeyturnSockets:
    """WebSockets that are opened with an access token, and closed when its session ends.

    `scope["keyturn"]` is a `keyturn.Principal` or None, and `scope["user"]` its user.
    """

    def __init__(self, app: AsgiApp, *scopes: str, **options: Unpack[NeedsOptions]) -> None:
        """Guard an application.

        Args:
            app: The application.
            scopes: What the token's `scope` must hold.
            options: What else is needed, such as `optional=True`: see `keyturn.http.NeedsOptions`. Where
                nothing is said, `KEYTURN["EXEMPT"]` and `KEYTURN["REQUIRE"]` count, if they are set.
        """
        self._app = app
        self._says = bool(scopes or options)
        self._wanted = needs(*scopes, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; what is no WebSocket passes."""
        if scope["type"] != "websocket":
            return await self._app(scope, receive, send)
        # A project's asgi.py imports this module before its models are there.
        from django.contrib.auth.models import AnonymousUser  # noqa: PLC0415  (see above)

        from keyturn.django.asking import user_of  # noqa: PLC0415  (the same)

        guard = get_async_serving().guard
        asked = read_for_guard(scope, guard)
        by_path = get_settings().guards_paths and not self._says
        verdict = await (guard.check_path(asked) if by_path else guard.check(asked, self._wanted))
        user: Any = AnonymousUser()
        if isinstance(verdict, Admitted) and verdict.principal is not None:
            user = await sync_to_async(user_of)(verdict.principal)

        def admit(scope: Scope, admitted: Admitted) -> None:
            scope["keyturn"], scope["user"] = admitted.principal, user

        return await serve_socket(
            lambda receive, send: self._app(scope, receive, send),
            scope,
            (receive, send),
            verdict=verdict,
            guard=guard,
            admit=admit,
        )


def _is_for_endpoints(scope: Scope) -> bool:
    return get_settings().places.hold(below_root(scope["path"], scope.get("root_path", "")))


def _bounded(receive: Receive) -> Receive:
    """Give no more than one byte too much of a body: it ends there, and the rest is for nobody."""
    read, is_over = 0, False

    async def bounded() -> Message:
        nonlocal read, is_over
        message = await receive()
        while is_over and message["type"] == "http.request":
            message = await receive()
        if message["type"] == "http.request":
            body = message.get("body", b"")[: MAX_BODY + 1 - read]
            read += len(body)
            is_over = read > MAX_BODY or not message.get("more_body", False)
            return {"type": "http.request", "body": body, "more_body": not is_over}
        return message

    return bounded


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    manager = get_async_manager()
    with suppress(StoreError):  # it tries again beside the requests
        await manager.start()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await manager.close()
    await send({"type": "lifespan.shutdown.complete"})
