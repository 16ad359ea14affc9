"""The plugin for Litestar: read, ask, write. It decides nothing."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, cast

from litestar import Litestar, Request, Response
from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import ASGIRouteHandler, BaseRouteHandler, HTTPRouteHandler
from litestar.plugins import InitPlugin, ReceiveRoutePlugin
from litestar.routes import BaseRoute
from litestar.types import ASGIApp
from typing_extensions import Unpack

from keyturn.errors import ConfigurationError, StoreError
from keyturn.http import (
    Admitted,
    AsyncLogin,
    HttpReply,
    HttpSettings,
    LoginThrottle,
    NeedsOptions,
    Page,
    Requirements,
    SignIn,
    Transport,
    Verdict,
    needs,
    openapi,
    refuse,
    signed_in,
)
from keyturn.http.asgi import AsgiGuard, read_for_guard
from keyturn.http.asgi_types import AsgiApp
from keyturn.http.leaf import AsyncLeaf
from keyturn.http.lifespans import closed, start
from keyturn.litestar.connections import (
    PRINCIPAL,
    Reply,
    admit,
    as_asked,
    below,
    principal_of,
    read,
    takes_principal,
)
from keyturn.litestar.documents import described, show_security
from keyturn.litestar.guards import EXTENSION, Asked, Requirement, asked_by, handlers_of
from keyturn.litestar.serving import Serving
from keyturn.manager import AsyncTokenManager
from keyturn.results import ClaimsT, Principal


class Keyturn(AsyncLeaf[ClaimsT], InitPlugin, ReceiveRoutePlugin):
    """The endpoints and the guard of one application: `Litestar(plugins=[auth])`."""

    def __init__(
        self,
        manager: AsyncTokenManager[ClaimsT],
        *,
        login: AsyncLogin | None = None,
        settings: HttpSettings | None = None,
        throttle: LoginThrottle | None = None,
        exempt: Iterable[str] | None = None,
        require: Requirements | None = None,
        sessions_page: Page | None = None,
        exclude_opt_key: str = "exclude_from_auth",
        endpoints: bool = True,
        lifespan: bool = True,
    ) -> None:
        """Prepare. With `exempt` or `require`, all routes are guarded; without both, those with guards alone.

        Args:
            manager: The lifecycle.
            login: See `keyturn.http.AsyncEndpoints`, also for the next two.
            settings: How tokens travel.
            throttle: Slows attempts down.
            exempt: Paths that need nothing: see `keyturn.http.AsyncGuard`, also for the next.
            require: What paths need.
            sessions_page: The page on which users see and end their sessions.
            exclude_opt_key: What a route has in its `opt` that outer layers and paths ask nothing of.
            endpoints: Whether the application has the endpoints; False where another one has them.
            lifespan: Whether the manager is started and closed with the application.
        """
        super().__init__(
            manager,
            login=login,
            settings=settings,
            throttle=throttle,
            exempt=exempt,
            require=require,
            sessions_page=sessions_page,
        )
        self._has_endpoints, self._lifespan = endpoints, lifespan
        self._serving = Serving(
            self._endpoints if endpoints else None, self._guard if self._by_path else None
        )
        self._exclude_opt_key = exclude_opt_key

    def require(self, *scopes: str, **options: Unpack[NeedsOptions]) -> Requirement:
        """Guard routes: `guards=[auth.require("orders:read")]`.

        Args:
            scopes: What the token's `scope` must hold.
            options: What else is needed, such as `roles=("admin",)` or `fresh="5m"`: see
                `keyturn.http.NeedsOptions`.
        """
        return Requirement(self, needs(*scopes, **options))

    def principal(self, connection: ASGIConnection[Any, Any, Any, Any]) -> Principal[ClaimsT]:
        """Say who asks, with the application's own type of claims.

        Raises:
            ConfigurationError: Nothing guards the route, or nobody need be signed in there and nobody is: ask
                `optional_principal` where that is right.
        """
        return signed_in(self.optional_principal(connection))

    @staticmethod
    def optional_principal(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal[ClaimsT] | None:
        """Say who asks; None where nobody is signed in."""
        who: Principal[ClaimsT] | None = principal_of(connection.scope)
        return who

    async def sign_in(
        self, request: Request[Any, Any, Any], who: SignIn, *, transport: Transport = "cookie"
    ) -> Response[bytes]:
        """Begin a session for a user whom the application has accepted in its own way, and answer tokens."""
        return Reply(await self._endpoints.sign_in(read(request), who, transport=transport))

    async def step_up(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Answer an access token whose user has just signed in again, as the application has checked."""
        return Reply(await self._endpoints.step_up(read(request)))

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Add to an application what it needs: Litestar calls this."""
        if self._has_endpoints:
            places = self._endpoints.places
            app_config.route_handlers.append(self._serving.handler(places, app_config, self._exclude_opt_key))
        app_config.middleware.insert(0, self._guarded)
        handlers = cast("dict[Any, Any]", cast("Any", app_config).exception_handlers)
        handlers.setdefault(StoreError, _answer_outage)  # of the manager, in a handler
        app_config.before_send.append(self._serving.answer_unrouted)
        app_config.dependencies.setdefault(PRINCIPAL, Provide(principal_of, sync_to_thread=False))
        if self._lifespan:
            cast("Any", app_config).lifespan.append(self._closed)
            app_config.on_startup.append(self._start)  # after the hooks that make the tables
        if app_config.openapi_config is not None:
            app_config.openapi_config = described(
                app_config.openapi_config,
                self._endpoints.settings,
                path=app_config.path,
                has_login=self._has_login,
                endpoints=self._has_endpoints,
            )
        return app_config

    def receive_route(self, route: BaseRoute) -> None:
        """Note what the handlers of a route ask: Litestar calls this.

        Raises:
            ConfigurationError: A handler takes a principal where nobody need be signed in, or a mounted
                application stands over the endpoints.
        """
        for handler in handlers_of(route):
            self._check_mount(handler, route.path)
            asked = handler.opt[EXTENSION] = self._asked_by(handler)
            by_path = asked.by_path and self._guard.asks(
                below(handler.app, route.path), endpoints=self._is_ours(handler)
            )
            certain = by_path or (asked.needs is not None and not asked.needs.optional)
            if isinstance(handler, HTTPRouteHandler) and (certain or asked.needs is not None):
                scopes = asked.needs.scopes if asked.needs else ()
                wanted = openapi.security(self._endpoints.settings, has_login=self._has_login, scopes=scopes)
                show_security(handler, wanted, optional=not certain)
            if not certain and takes_principal(handler):
                raise ConfigurationError(
                    f"{handler} takes a principal, but nobody need be signed in: "
                    "add guards=[auth.require()], or let it be None"
                )

    def _check_mount(self, handler: BaseRouteHandler, path: str) -> None:
        """Refuse a mount over the endpoints: Litestar would ask it, and nobody guards these paths."""
        prefix = self._endpoints.settings.prefix
        mounted = isinstance(handler, ASGIRouteHandler) and handler.is_mount
        if mounted and f"{prefix}/".startswith(f"{below(handler.app, path).rstrip('/')}/"):
            raise ConfigurationError(f"{path} is mounted over the endpoints at {prefix}: mount it elsewhere")

    def _asked_by(self, handler: BaseRouteHandler) -> Asked:
        asked = asked_by(handler, self, by_path=self._by_path, exclude_opt_key=self._exclude_opt_key)
        return Asked(asked.guards, None, self._by_path) if self._is_ours(handler) else asked

    def _is_ours(self, handler: BaseRouteHandler) -> bool:
        return bool(handler.fn == self._serving.serve)

    def _guarded(self, app: ASGIApp) -> ASGIApp:
        guarded: Any = AsgiGuard(cast("AsgiApp", app), self._guard, admit, judge=self._judge)
        return cast("ASGIApp", guarded)

    async def _judge(self, scope: MutableMapping[str, Any]) -> Verdict:
        handler: BaseRouteHandler = scope["route_handler"]
        asked: Asked = handler.opt[EXTENSION]
        verdict: Verdict = Admitted(None)
        if asked.by_path:
            request = read_for_guard(as_asked(scope), self._guard)
            verdict = await self._guard.check_path(request, endpoints=self._is_ours(handler))
        if asked.needs is None or isinstance(verdict, HttpReply):
            return verdict
        return await self._guard.check(read_for_guard(scope, self._guard), asked.needs)

    async def _start(self) -> None:
        await start(self._manager)

    @asynccontextmanager
    async def _closed(self, _: Litestar) -> AsyncGenerator[None]:
        async with closed(self._manager):
            yield


def _answer_outage(_: Request[Any, Any, Any], error: StoreError) -> Response[bytes]:
    return Reply(refuse(error))
