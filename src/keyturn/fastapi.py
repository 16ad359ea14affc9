"""Keyturn for FastAPI: read, ask, write. It decides nothing.

```python
auth = Keyturn(manager, login=check_password)
app = FastAPI()
auth.install(app)


@app.get("/orders")
async def orders(principal: Annotated[Principal, Security(auth.current, scopes=["orders:read"])]):
    return {"user": principal.user_id}
```

A test says who asks with `app.dependency_overrides[auth.current] = lambda: principal`. Each call of
`auth.require` gives another dependency: to override one, or to share it between routes, give it a name.

FastAPI reads the body of a request before it asks a dependency; `app.add_middleware(auth.middleware)` guards
paths earlier.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import cached_property
from inspect import Parameter, Signature
from typing import Any, TypeAlias, cast
from weakref import WeakSet

from typing_extensions import Unpack

try:
    from fastapi import APIRouter, FastAPI, Request, Response, Security, WebSocket
    from fastapi.openapi.models import SecurityBase as SecurityModel
    from fastapi.requests import HTTPConnection
    from fastapi.responses import JSONResponse
    from fastapi.routing import APIRoute
    from fastapi.security import SecurityScopes
    from fastapi.security.base import SecurityBase
    from starlette.routing import Match, Route
    from starlette.types import Scope
except ImportError as error:
    raise ImportError("keyturn.fastapi needs its extra: pip install 'keyturn[fastapi]'") from error

from keyturn.errors import ConfigurationError, StoreError
from keyturn.http import Admitted, HttpReply, Needs, NeedsOptions, needs, openapi, refuse
from keyturn.http.asgi import HEADERS_KEY, AsgiHeaders, read_for_guard
from keyturn.http.asgi_sockets import SOCKET_KEY, AsgiSockets, GuardedSocket, refuse_socket
from keyturn.results import ClaimsT, Principal
from keyturn.starlette.base import GONE, KeyturnBase, Refused, answer
from keyturn.starlette.users import admit

Dependency: TypeAlias = Callable[..., Awaitable[Any]]
"""What `Depends` and `Security` take."""


class Keyturn(KeyturnBase[ClaimsT]):
    """The endpoints and the guard of applications, as routes and dependencies.

    The dependencies serve WebSockets too: a handshake is refused as a request is, and a user's socket is
    closed when the session ends.
    """

    def install(self, app: FastAPI, *, endpoints: bool = True, lifespan: bool = True) -> None:
        """Make an application answer what the guards say: the one line that each guarded application needs.

        A router can bring neither a handler of exceptions nor a middleware, so `include_router` would not do:
        the application's handlers of `HTTPException` could change a refusal, and the header that renews a
        token would be missing where a function returns a `Response` of its own.

        Args:
            app: The application.
            endpoints: Whether it gets the endpoints; False where it includes `router()` itself, or is a part
                of an application that has them.
            lifespan: See `router`.

        Raises:
            ConfigurationError: It is installed there already.
        """
        if app in self._installed:
            raise ConfigurationError("auth.install(app) was called twice for one application")
        self._installed.add(app)
        for scheme in self._schemes if endpoints else ():  # for a document that the application makes itself
            found = self._schemes_seen_from(app.docs_url)[scheme.scheme_name]
            scheme.model = SecurityModel.model_validate(found)
        app.add_exception_handler(Refused, cast("Any", _refuse))  # it is for requests and for sockets
        app.add_exception_handler(StoreError, cast("Any", _refuse))  # of the manager, in an endpoint
        app.add_middleware(AsgiHeaders)
        app.add_middleware(AsgiSockets, gone=GONE)
        if self._by_path:
            app.add_middleware(self.middleware)
        if endpoints:
            app.include_router(self.router(lifespan=lifespan))
        self._describe(app, endpoints=endpoints)

    def router(self, *, lifespan: bool = True) -> APIRouter:
        """Give the endpoints, which dependencies of the application do not guard.

        Where they are is in `HttpSettings.prefix`, so `include_router` needs no prefix.

        Args:
            lifespan: Whether the manager is started and closed with the application.
        """
        router = APIRouter(lifespan=self.lifespan if lifespan else None)
        router.routes.extend(self.routes)
        paths = openapi.paths(self._endpoints.settings, has_login=self._has_login)
        for path, operations in paths.items():
            for method, operation in operations.items():
                self._document(router, path, method, operation)
        return router

    @cached_property
    def current(self) -> Callable[..., Awaitable[Principal[ClaimsT]]]:
        """Who asks: `Annotated[Principal, Security(auth.current, scopes=["orders:read"])]`."""
        return self._dependency(needs())

    @cached_property
    def optional(self) -> Callable[..., Awaitable[Principal[ClaimsT] | None]]:
        """Who asks, if anybody does: `Annotated[Principal | None, Depends(auth.optional)]`."""
        return self._dependency(needs(optional=True))

    def require(self, *scopes: str, **options: Unpack[NeedsOptions]) -> Dependency:
        """Give a dependency that asks for more: `Depends(auth.require("orders:read", fresh="5m"))`.

        Its value is the principal; None where `optional=True` and nobody is signed in.

        Args:
            scopes: What the token's `scope` must hold, beside the scopes of `Security`.
            options: What else is needed, such as `roles=("admin",)` or `fresh="5m"`: see
                `keyturn.http.NeedsOptions`.
        """
        return self._dependency(needs(*scopes, **options))

    def _dependency(self, wanted: Needs) -> Dependency:
        async def dependency(connection: HTTPConnection, asked: SecurityScopes, **_: None) -> object:
            _check_installed(connection)
            needed = replace(wanted, scopes=(*wanted.scopes, *asked.scopes)) if asked.scopes else wanted
            verdict = await self._guard.check(read_for_guard(connection.scope, self._guard), needed)
            if isinstance(verdict, HttpReply):
                raise Refused(verdict)
            self._admit(connection.scope, verdict)
            return verdict.principal

        given = {"connection": HTTPConnection, "asked": SecurityScopes}
        parameters = [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in given.items()
        ]
        for scheme in self._schemes:
            shown = Security(scheme, scopes=list(wanted.scopes))
            parameters.append(Parameter(scheme.scheme_name, Parameter.KEYWORD_ONLY, default=shown))
        cast("Any", dependency).__signature__ = Signature(parameters)  # what FastAPI goes by
        return dependency

    def _admit(self, scope: Scope, admitted: Admitted) -> None:
        admit(scope, admitted)
        if scope["type"] == "http":
            if admitted.headers:
                scope[HEADERS_KEY][:] = admitted.headers
            return
        socket: GuardedSocket = scope[SOCKET_KEY]
        if admitted.principal is not None and not socket.is_guarded:
            socket.close_when(self._guard.until_over(admitted.principal))

    def _describe(self, app: FastAPI, *, endpoints: bool) -> None:
        """Have an application's document say what guarded routes answer, and where its page finds the login.

        As FastAPI's guide does it: its document is changed when it is made. An application that has not the
        endpoints is a part of one that has, and looks for them at the root.
        """
        plain = app.openapi

        def described() -> openapi.Json:
            document = plain()
            openapi.show_refusals(document)
            here = endpoints or (self._has_endpoints and _holds(app, self.routes))
            shown = document.get("components", {}).get("securitySchemes", {})
            schemes = self._schemes_seen_from(app.docs_url if here else None)
            shown.update({name: scheme for name, scheme in schemes.items() if name in shown})
            return document

        cast("Any", app).openapi = described

    @cached_property
    def _installed(self) -> WeakSet[FastAPI]:
        return WeakSet()

    @cached_property
    def _schemes(self) -> tuple[_Scheme, ...]:
        found = self._schemes_seen_from(None)
        return tuple(_Scheme(name, SecurityModel.model_validate(scheme)) for name, scheme in found.items())

    def _schemes_seen_from(self, page: str | None) -> dict[str, openapi.Json]:
        settings = self._endpoints.settings
        return openapi.security_schemes(settings, has_login=self._has_login, page=page)

    def _document(self, router: APIRouter, path: str, method: str, operation: openapi.Json) -> None:
        guarded = "security" in operation
        extra: openapi.Json = {
            **operation,
            "security": [] if guarded else None,
        }  # None: nor the application's
        router.add_api_route(
            path,
            lambda: None,
            methods=[method.upper()],
            status_code=int(next(iter(operation["responses"]))),
            response_model=None,
            response_class=JSONResponse,
            operation_id=operation["operationId"],
            dependencies=[Security(scheme) for scheme in self._schemes] if guarded else [],
            openapi_extra=extra,
            route_class_override=_Documented,
        )


class _Scheme(SecurityBase):
    """A security scheme of the document. The guard reads the token itself, so nothing is read here."""

    def __init__(self, name: str, model: SecurityModel) -> None:
        self.scheme_name = name
        self.model = model

    async def __call__(self) -> None:
        pass


class _Documented(APIRoute):
    """An endpoint in the document. The routes beside it answer: they take every method."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        del scope
        return Match.NONE, {}


def _holds(router: Any, ours: Sequence[Route]) -> bool:  # noqa: ANN401 - whatever has routes
    """Tell whether an application has included some routes; later versions of FastAPI copy none."""
    return any(
        any(getattr(each, "endpoint", None) is route.endpoint for route in ours)
        or _holds(getattr(each, "original_router", None), ours)
        for each in getattr(router, "routes", ())
    )


def _check_installed(connection: HTTPConnection) -> None:
    """Refuse to guard where a refusal would not become an answer.

    Raises:
        ConfigurationError: `install` was not called.
    """
    if Refused not in getattr(connection.scope.get("app"), "exception_handlers", ()):
        raise ConfigurationError("call auth.install(app) once for each application that has guarded routes")


async def _refuse(connection: Request | WebSocket, error: Exception) -> Response | None:
    reply = error.reply if isinstance(error, Refused) else refuse(cast("StoreError", error))
    if isinstance(connection, Request):
        return answer(reply)
    await refuse_socket(connection.scope, connection.send, reply)
    return None
