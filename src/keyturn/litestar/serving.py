"""The endpoints as a route of Litestar, and answers where there is no route. It knows no guard of routes."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final, cast

from litestar import Request, Response, route
from litestar.config.app import AppConfig
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.status_codes import HTTP_405_METHOD_NOT_ALLOWED
from litestar.types import Message, Scope

from keyturn.http import (
    Admitted,
    AsyncEndpoints,
    AsyncGuard,
    HttpReply,
    HttpRequest,
    Verdict,
    unreadable_body,
)
from keyturn.http.asgi import answer_instead, read_body, read_scope
from keyturn.http.places import Places
from keyturn.litestar.connections import Reply, as_asked, is_answered_by_cors, read
from keyturn.litestar.guards import EXTENSION

_METHODS: Final = list(HttpMethod)


class Serving:
    """What answers for the endpoints, and for paths that are guarded but have no route."""

    def __init__(self, endpoints: AsyncEndpoints | None, guard: AsyncGuard | None) -> None:
        """Answer.

        Args:
            endpoints: What the endpoints do; None: there are none.
            guard: Judges paths; None: they are not guarded.
        """
        self._endpoints, self._guard = endpoints, guard

    def handler(self, places: Places, config: AppConfig, exclude_opt_key: str) -> HTTPRouteHandler:
        """Give the endpoints as a route handler.

        Args:
            places: Where they are.
            config: The application's configuration.
            exclude_opt_key: What tells guards and middleware of the application's own to leave them alone.
        """
        paths = [places.prefix, f"{places.prefix}/{{path:path}}", *places.outside]
        opt = {exclude_opt_key: True}
        if config.csrf_config is not None:
            opt[config.csrf_config.exclude_from_csrf_key] = True
        return route(paths, http_method=_METHODS, opt=opt, include_in_schema=False)(self.serve)

    async def serve(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Answer a request for an endpoint."""
        endpoints = cast("AsyncEndpoints", self._endpoints)
        body = await read_body(cast("Any", request.receive))
        reply = unreadable_body() if body is None else await endpoints.handle(read(request, body))
        return Reply(reply, head=request.method == HttpMethod.HEAD)

    async def answer_unrouted(self, message: Message, scope: Scope) -> None:
        """Answer what has no route, where it is ours to answer: Litestar asks no middleware there."""
        sent, asked = cast("MutableMapping[str, Any]", message), cast("MutableMapping[str, Any]", scope)
        if "route_handler" in asked or asked["type"] != "http":
            return
        if sent["type"] == "http.response.start" and not is_answered_by_cors(asked):
            asked[EXTENSION] = await self._unrouted(read_scope(as_asked(asked)))
        if isinstance(reply := asked.get(EXTENSION), HttpReply):
            answer_instead(asked, sent, reply)

    async def _unrouted(self, request: HttpRequest) -> Verdict:
        verdict: Verdict = Admitted(None)
        if self._guard is not None:
            verdict = await self._guard.check_path(request, endpoints=self._endpoints is not None)
        if request.method in _METHODS or isinstance(verdict, HttpReply) or self._endpoints is None:
            return verdict
        reply = await self._endpoints.handle(request)  # an unknown method is refused wherever an endpoint is
        return reply if reply.status == HTTP_405_METHOD_NOT_ALLOWED else verdict
