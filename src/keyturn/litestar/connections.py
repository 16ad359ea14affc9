"""What is read from Litestar's connections, and written to them. It asks nobody."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final, cast
from urllib.parse import unquote

from litestar import Litestar, Request, Response
from litestar.enums import HttpMethod
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import BaseRouteHandler
from litestar.response.base import ASGIResponse
from litestar.types import Scope
from litestar.utils import normalize_path

from keyturn.http import Admitted, HttpReply, HttpRequest
from keyturn.http.asgi import read_scope
from keyturn.litestar.guards import EXTENSION

PRINCIPAL: Final = "principal"
"""The name of the dependency that says who asks."""


class Reply(Response[bytes]):
    """An answer as it is: its headers count more than what the application puts into all answers."""

    def __init__(self, reply: HttpReply, *, head: bool = False) -> None:
        """Write an answer; that to a HEAD request without its body."""
        super().__init__(b"" if head else reply.body, status_code=reply.status)
        self._own = (*reply.headers, ("Content-Length", str(len(reply.body)))) if head else reply.headers

    def to_asgi_response(
        self,
        app: Litestar | None,
        request: Request[Any, Any, Any],
        **options: Any,  # noqa: ANN401 - as its base takes them
    ) -> ASGIResponse:
        """See Litestar's `Response`."""
        response: ASGIResponse = cast("Any", super()).to_asgi_response(app, request, **options)
        headers = cast("MutableMapping[str, str]", response.headers)
        for name, _ in self._own:
            headers.pop(name, None)
        for name, value in self._own:
            response.headers.add(name, value)
        return response


def admit(scope: MutableMapping[str, Any], admitted: Admitted) -> None:
    """Tell Litestar who asks: `request.user` and `request.auth`."""
    scope[EXTENSION] = admitted
    scope["user"], scope["auth"] = admitted.principal, admitted.scopes


def principal_of(scope: Scope) -> Any:  # noqa: ANN401 - what its claims are, the handler says
    """Give who asks, as the dependency does; None where nobody is signed in."""
    admitted: Admitted | None = cast("Any", scope).get(EXTENSION)  # none where no route was found
    return None if admitted is None else admitted.principal


def takes_principal(handler: BaseRouteHandler) -> bool:
    """Tell whether a handler takes the dependency, and never None."""
    given = handler.parsed_fn_signature.parameters.get(PRINCIPAL)
    provided = handler.resolve_dependencies().get(PRINCIPAL)
    if given is None or provided is None or provided.dependency is not principal_of:
        return False
    return not (given.is_optional or given.is_any)


def read(request: Request[Any, Any, Any], body: bytes = b"") -> HttpRequest:
    """Read a request."""
    return read_scope(as_asked(cast("Any", request.scope)), body)


def as_asked(scope: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Give a scope whose path is spelled as it was asked for, below what the application puts before all.

    Litestar tidies paths up, and keeps of a mounted application's the end alone.

    Raises:
        ImproperlyConfiguredException: A mounted application was asked, and the server does not say for what.
    """
    handler, found, raw = scope.get("route_handler"), scope["path"], scope.get("raw_path")
    path, root = found if raw is None else unquote(raw.decode("latin-1")), scope.get("root_path")
    if root:
        path = path.split(root, maxsplit=1)[-1]  # as Litestar does
    if handler is None:
        return _at(scope, path)
    tidy = normalize_path(path)
    if not getattr(handler, "is_mount", False):
        return _at(scope, path if tidy == found else found)  # what a route was found for counts
    if raw is None or not tidy.endswith(found.rstrip("/")):
        raise ImproperlyConfiguredException("the server's raw_path does not say what was asked for")
    return _at(scope, path)


def _at(scope: MutableMapping[str, Any], path: str) -> MutableMapping[str, Any]:
    return {**scope, "path": below(scope["litestar_app"], path), "root_path": ""}


def is_answered_by_cors(scope: MutableMapping[str, Any]) -> bool:
    """Tell whether Litestar itself answers a preflight, before it looks for a route."""
    asks = scope["method"] == HttpMethod.OPTIONS and any(name == b"origin" for name, _ in scope["headers"])
    return asks and scope["litestar_app"].cors_config is not None


def below(app: Litestar, path: str) -> str:
    """Give a path below what an application puts before all paths."""
    return path.removeprefix(app.path.rstrip("/"))
