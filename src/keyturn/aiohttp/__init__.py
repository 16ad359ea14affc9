"""Keyturn for aiohttp's server: read, ask, write. It decides nothing.

```python
auth = Keyturn(manager, login=check_password)
app = web.Application()
auth.setup(app)


@routes.get("/orders")
@auth.require("orders:read")
async def orders(request: web.Request) -> web.StreamResponse:
    return web.json_response({"user": auth.principal(request).user_id})
```

`Keyturn(manager, exempt=…, require=…)` guards all routes of the application, by their paths.
WebSockets are written as always, with `web.WebSocketResponse()` and `prepare`. aiohttp has no OpenAPI
document of its own; for one that an application writes, `keyturn.http.openapi` has the parts.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeAlias, cast

from typing_extensions import Unpack

try:
    from aiohttp import web
    from aiohttp.typedefs import Handler
except ImportError as error:
    raise ImportError("keyturn.aiohttp needs its extra: pip install 'keyturn[aiohttp]'") from error

from keyturn.aiohttp.requests import (
    MOUNTED,
    check_handler,
    is_handshake,
    read,
    read_body,
    request_among,
    with_request,
)
from keyturn.aiohttp.sockets import answer_handshake, open_socket
from keyturn.errors import ConfigurationError, StoreError
from keyturn.http import (
    Headers,
    HttpReply,
    NeedsOptions,
    SignIn,
    Transport,
    Verdict,
    needs,
    put_headers,
    refuse,
    signed_in,
    unreadable_body,
)
from keyturn.http.leaf import AsyncLeaf
from keyturn.http.lifespans import running
from keyturn.results import ClaimsT, Principal

P = ParamSpec("P")

Guarded: TypeAlias = Callable[P, Coroutine[Any, Any, web.StreamResponse]]

PRINCIPAL: Final = web.RequestKey[Principal[Any] | None]("principal")
"""Who the access token of an admitted request speaks for; `Keyturn.current` is the same with typed claims."""

KEYTURN: Final = web.AppKey["Keyturn[Any]"]("keyturn")
"""Where an application has its `Keyturn`, for who cannot import it: `request.config_dict[KEYTURN]`."""

_RENEWAL: Final = web.RequestKey[Headers]("renewal")
_RENEWED: Final = web.ResponseKey("renewed", bool)


class Keyturn(AsyncLeaf[ClaimsT]):
    """The endpoints and the guard of one application; with `exempt` or `require`, `setup` guards it all."""

    @property
    def current(self) -> web.RequestKey[Principal[ClaimsT] | None]:
        """Who asks, in an admitted request: `request[auth.current]`; None where nobody is signed in."""
        return cast("web.RequestKey[Principal[ClaimsT] | None]", PRINCIPAL)

    def setup(self, app: web.Application, *, lifespan: bool = True) -> None:
        """Add the endpoints to an application, and what answers of guarded handlers need.

        What makes the store's tables belongs into `app.cleanup_ctx`, before this: aiohttp calls what is in
        `app.on_startup` later than the manager is started.

        Args:
            app: The application, or one that will be mounted in another.
            lifespan: Whether the manager starts and closes with it; else that is for the application to do.

        Raises:
            ConfigurationError: The application has been set up before.
        """
        if KEYTURN in app:
            raise ConfigurationError("setup was called with this application before: once is enough")
        places = self._endpoints.places
        paths = (*places.outside, places.prefix, places.prefix + r"/{path:[\s\S]*}")
        ours = app.add_routes([web.route("*", path, self._serve) for path in paths])
        app[KEYTURN] = self
        app[MOUNTED] = cast("web.AbstractResource", ours[0].resource)
        app.on_response_prepare.append(_on_prepare)
        app.middlewares.append(_answer_outages)
        if self._by_path and self.middleware not in app.middlewares:
            app.middlewares.append(self.middleware)
        if lifespan:
            app.cleanup_ctx.append(self.lifespan)

    async def lifespan(self, _: web.Application) -> AsyncIterator[None]:
        """Start the manager with an application, and close it: what `setup` adds to `app.cleanup_ctx`."""
        async with running(self._manager):
            yield

    def principal(self, request: web.Request) -> Principal[ClaimsT]:
        """Say who asks, with the application's own type of claims.

        Raises:
            ConfigurationError: Nothing guards the handler, or nobody need be signed in there and nobody is:
                ask `optional_principal` where that is right.
        """
        return signed_in(self.optional_principal(request))

    @staticmethod
    def optional_principal(request: web.Request) -> Principal[ClaimsT] | None:
        """Say who asks; None where nobody is signed in.

        Raises:
            ConfigurationError: It is no request.
        """
        if not isinstance(cast("object", request), web.BaseRequest):
            what = "self.request, not self" if isinstance(request, web.View) else "the request"
            raise ConfigurationError(f"who asks is known of a request: give {what}")
        return cast("Principal[ClaimsT] | None", request.get(PRINCIPAL))

    async def sign_in(
        self, request: web.Request, who: SignIn, *, transport: Transport = "cookie"
    ) -> web.Response:
        """Begin a session for a user whom the application has accepted in its own way, and answer tokens."""
        return _response(await self._endpoints.sign_in(read(request), who, transport=transport))

    async def step_up(self, request: web.Request) -> web.Response:
        """Answer an access token whose user has just signed in again, as the application has checked."""
        return _response(await self._endpoints.step_up(read(request)))

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Guard a whole application by paths: what `setup` adds, where it must stand at another place.

        Alone, as in `web.Application(middlewares=[auth.middleware])`, it guards all paths in the same way.
        A path with an encoded slash (`%2F`) is exempt nowhere: routers read it in one way, static files in
        another.
        """
        return await self._pass(
            request,
            await self._guard.check_path(read(request), endpoints=request.match_info.handler == self._serve),
            handler,
        )

    def require(
        self, *scopes: str, **options: Unpack[NeedsOptions]
    ) -> Callable[[Callable[P, Awaitable[web.StreamResponse]]], Guarded[P]]:
        """Guard one handler, `@auth.require("orders:read")`: a function, a method, or a `web.View`.

        The handler of a WebSocket too: it is closed when the session ends.

        Args:
            scopes: What the token's `scope` must hold.
            options: What else is needed, such as `roles=("admin",)` or `fresh="5m"`: see
                `keyturn.http.NeedsOptions`.

        Raises:
            ConfigurationError: What is needed can never be met; or the handler is no `async def`.
        """
        wanted = needs(*scopes, **options)

        def decorate(handler: Callable[P, Awaitable[web.StreamResponse]]) -> Guarded[P]:
            check_handler(handler)
            anyhow = cast("Callable[..., Awaitable[web.StreamResponse]]", handler)

            @functools.wraps(handler)
            async def guarded(*args: P.args, **kwargs: P.kwargs) -> web.StreamResponse:
                async def call(request: web.Request) -> web.StreamResponse:
                    return await anyhow(*(with_request(each, request) for each in args), **kwargs)

                request = request_among(args)
                return await self._pass(request, await self._guard.check(read(request), wanted), call)

            return guarded

        return decorate

    async def _serve(self, request: web.Request) -> web.Response:
        try:
            body = await read_body(request)
        except Exception:  # noqa: BLE001  (what is raised where a body breaks off has no common class)
            return _response(unreadable_body())
        return _response(await self._endpoints.handle(read(request, body)))

    async def _pass(self, request: web.Request, verdict: Verdict, handler: Handler) -> web.StreamResponse:
        """Let a request pass, or answer it."""
        if isinstance(verdict, HttpReply):
            return _response(verdict)
        request[PRINCIPAL] = verdict.principal
        if is_handshake(request):
            if not any(_on_prepare in app.on_response_prepare for app in request.match_info.apps):
                raise ConfigurationError("a guarded WebSocket needs auth.setup(app)")
            return await open_socket(request, handler, self._guard, verdict.principal)
        if verdict.headers:
            request[_RENEWAL] = verdict.headers
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            _renew(request, answer)
            raise
        _renew(request, response)
        return response


async def _on_prepare(request: web.Request, response: web.StreamResponse) -> None:
    """Put into an answer what it needs, when a handler that writes it piece by piece begins to."""
    _renew(request, response)
    answer_handshake(request, response)


def _renew(request: web.Request, response: web.StreamResponse) -> None:
    headers: Headers = request.get(_RENEWAL, ())
    if headers and _RENEWED not in response:
        response[_RENEWED] = True
        put_headers(headers, response.headers.add, response.headers.__setitem__)


@web.middleware
async def _answer_outages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a handler that the manager could not ask the store for; a socket has no answer any more."""
    try:
        return await handler(request)
    except StoreError as error:
        if is_handshake(request):
            raise
        return _response(refuse(error))


def _response(reply: HttpReply) -> web.Response:
    return web.Response(body=reply.body, status=reply.status, headers=reply.headers)
