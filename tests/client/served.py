"""A real server with Keyturn's endpoints, a gateway before it, and clients of both colours. No rule here."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Protocol

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from keyturn.client import KeyturnAuth, SignedOut, Tokens, TokenStore
from keyturn.starlette import CurrentUser, Keyturn
from keyturn.testing._http.world import PASSWORD
from keyturn.testing.http_suite import World, check_password
from tests.http.starlette_app import serve
from tests.support.processes import POLL_SECONDS

ACCESS_TTL = 15 * 60
OVER = 2 * ACCESS_TTL
# No certificate authorities are read, which takes longer than a test.
QUICK: dict[str, Any] = {"trust_env": False, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
REFRESH = "/auth/refresh"
LOGIN = "/auth/login"
LOGOUT = "/auth/logout"
STEP_UP = "/auth/step-up"


@dataclass(frozen=True)
class Seen:
    """A request as it reached the gateway."""

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)


@dataclass
class Gateway:
    """What stands before the application: it counts, and answers itself where it was told to."""

    seen: list[Seen] = field(default_factory=list)
    planned: list[tuple[str, Response]] = field(default_factory=list)
    slow: dict[str, float] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Stand before an application."""

        async def gate(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            request = Request(scope)
            self.seen.append(Seen(request.method, request.url.path, dict(request.headers)))
            await asyncio.sleep(self.slow.get(request.url.path, 0))
            while request.url.path in self.held:  # noqa: ASYNC110  (let go from another thread)
                await asyncio.sleep(POLL_SECONDS)
            for number, (path, response) in enumerate(self.planned):
                if path == request.url.path:
                    del self.planned[number]
                    await response(scope, receive, send)
                    return
            await app(scope, receive, send)

        return gate

    def next(self, path: str, *statuses: int, headers: dict[str, str] | None = None) -> None:
        """Answer the next requests to a path with these statuses, and a page such as gateways have."""
        page = "<h1>not now</h1>"
        self.planned += [(path, Response(page, status, headers)) for status in statuses]

    def count(self, path: str) -> int:
        """Tell how many requests came to a path."""
        return sum(each.path == path for each in self.seen)


@dataclass(frozen=True)
class Api:
    """A running server."""

    world: World
    url: str
    gateway: Gateway

    def auth(self, store: TokenStore | None = None, **options: Any) -> KeyturnAuth:
        """Make an auth for it, whose clock is the server's and which does not sleep, and sign in."""
        auth = self.signed_out(store, **options)
        auth.login("ann", PASSWORD)
        return auth

    def signed_out(self, store: TokenStore | None = None, **options: Any) -> KeyturnAuth:
        """Make an auth for it."""
        defaults = {"clock": self.world.clock, "sleep": lambda _: None}
        return KeyturnAuth(f"{self.url}/auth", store=store, **{**defaults, **options})

    @property
    def refreshes(self) -> int:
        """How many refreshes came."""
        return self.gateway.count(REFRESH)


async def private(request: Request) -> Response:
    """Say who asks."""
    user = request.scope.get("user")
    return JSONResponse({"user_id": user.identity if isinstance(user, CurrentUser) else None})


async def upload(request: Request) -> Response:
    """Say what came."""
    body = await request.body()
    return JSONResponse({"size": len(body), "sha256": sha256(body).hexdigest()})


async def away(request: Request) -> Response:
    """Send the client elsewhere."""
    return Response(status_code=307, headers={"Location": request.query_params["to"]})


def application(world: World, gateway: Gateway) -> Starlette:
    """Build the server."""
    auth = Keyturn(world.async_manager(), login=check_password)
    routes = [
        *auth.routes,
        Route("/private", auth.require()(private)),
        Route("/fresh", auth.require(fresh="5m")(private)),
        Route("/upload", auth.require()(upload), methods=["POST"]),
        Route("/away", away),
    ]
    return Starlette(routes=routes, middleware=[Middleware(gateway.wrap)])


@contextmanager
def running(**options: Any) -> Generator[Api]:
    """Run a server of its own.

    Args:
        options: The world's attributes.
    """
    world, gateway = World(**options), Gateway()
    with serve(application(world, gateway)) as url:
        yield Api(world, url, gateway)


class Colour(Protocol):
    """One way to call: with a thread or with a task."""

    def request(self, auth: httpx.Auth, method: str, url: str, **options: Any) -> httpx.Response:
        """Send one request."""
        ...

    def logout(self, auth: KeyturnAuth) -> None:
        """Sign out."""
        ...

    def step_up(self, auth: KeyturnAuth, username: str, password: str) -> None:
        """Sign in again within the session."""
        ...


class Plain:
    """Threads."""

    def request(self, auth: httpx.Auth, method: str, url: str, **options: Any) -> httpx.Response:
        """See `Colour.request`."""
        with httpx.Client(auth=auth, follow_redirects=True, **QUICK) as client:
            return client.request(method, url, **options)

    def logout(self, auth: KeyturnAuth) -> None:
        """See `Colour.logout`."""
        auth.logout()

    def step_up(self, auth: KeyturnAuth, username: str, password: str) -> None:
        """See `Colour.step_up`."""
        auth.step_up(username, password)


class Tasks:
    """Tasks of asyncio."""

    def request(self, auth: httpx.Auth, method: str, url: str, **options: Any) -> httpx.Response:
        """See `Colour.request`."""

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(auth=auth, follow_redirects=True, **QUICK) as client:
                return await client.request(method, url, **options)

        return asyncio.run(ask())

    def logout(self, auth: KeyturnAuth) -> None:
        """See `Colour.logout`."""
        asyncio.run(auth.logout_async())

    def step_up(self, auth: KeyturnAuth, username: str, password: str) -> None:
        """See `Colour.step_up`."""
        asyncio.run(auth.step_up_async(username, password))


COLOURS = [Plain(), Tasks()]


def names(colour: object) -> str:
    """Name a colour in a test's id."""
    return type(colour).__name__.lower()


def is_signed_out(colour: Colour, auth: KeyturnAuth, url: str) -> bool:
    """Tell whether nobody is signed in, as a request finds out."""
    try:
        colour.request(auth, "GET", url)
    except SignedOut:
        return True
    return False


def tokens_in(store: TokenStore) -> Tokens:
    """Give the tokens that a store has, which must be there."""
    found = store.load()
    assert found is not None
    return found
