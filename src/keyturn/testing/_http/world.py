"""What a framework serves while it is tested, and how tests speak to it. It knows no framework.

The server is real and so is every request; time stands still until a test moves it.
"""

# ruff: noqa: PLR2004 - status codes are what tests of HTTP are about
from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol

import httpx
import pytest

from keyturn._core.commands import Create, Where
from keyturn._core.encoding import dump_json
from keyturn.errors import StoreUnavailable, UserInactive
from keyturn.http import HttpRequest, HttpSettings, Requirements, SignIn, needs
from keyturn.http.messages import Headers
from keyturn.keys import KeyRing
from keyturn.manager import AsyncTokenManager, TokenManager
from keyturn.pages import SessionsPage
from keyturn.policy import Policy
from keyturn.results import TokenPair
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.stores.protocol import AsyncStore, Store
from keyturn.testing.clock import ManualClock
from keyturn.testing.faults import AsyncFaultyStore, FaultPlan, FaultyStore

PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of people who exist in tests only
ISSUER: Final = "https://auth.example.com"
AUDIENCE: Final = "my-api"
ALLOWED: Final = "https://app.example.com"
COOKIE: Final = "__Secure-keyturn"
WAIT_SECONDS: Final = 30.2


def check_password(username: str, password: str) -> SignIn | str | None:
    """Accept anybody with the one password; the first letters of the name say what they may do."""
    if password != PASSWORD:
        return None
    return username if username.startswith("plain") else SignIn(username, claims_of(username))


def claims_of(username: str) -> dict[str, Any]:
    """Say what a user may do, by the first letters of the name."""
    roles = ["admin"] if username.startswith("admin") else ["member"]
    return {"roles": roles, "scope": "profile orders:read" if username.startswith("buyer") else "profile"}


def away() -> NoReturn:
    """Meet an outage of the store, as code of an application that asks the manager may.

    Raises:
        StoreUnavailable: Always.
    """
    raise StoreUnavailable


DEFAULTS: Final = Policy()


class Throttle:
    """Makes one user wait and nobody else."""

    def take(self, _: HttpRequest, username: str, /) -> float | None:
        """See `LoginThrottle.take`."""
        return WAIT_SECONDS if username == "hasty" else None


@dataclass(frozen=True, kw_only=True)
class World:
    """What a framework's application is made of; one store of each colour, of which it uses one.

    Attributes:
        policy: The manager's policy.
        settings: How tokens travel.
        by_path: Whether the application is guarded by paths: `EXEMPT` and `REQUIRE`.
        clock: The time.
        plan: Which calls of the store fail.
        disabled: The users who may not go on; None: nobody is asked about them.
    """

    policy: Policy = DEFAULTS
    settings: HttpSettings = field(default_factory=lambda: HttpSettings(allowed_origins=(ALLOWED,)))
    by_path: bool = False
    clock: ManualClock = field(default_factory=ManualClock)
    plan: FaultPlan = field(default_factory=FaultPlan)
    keys: KeyRing = field(default_factory=KeyRing.generate)
    store: Store = field(default_factory=MemoryStore)
    async_store: AsyncStore = field(default_factory=AsyncMemoryStore)
    disabled: set[str] | None = None

    def manager(self) -> TokenManager:
        """Make a manager for a framework with threads."""
        load = None if self.disabled is None else self.load_claims
        return TokenManager(store=FaultyStore(self.store, self.plan), load_claims=load, **self._shared())

    def async_manager(self) -> AsyncTokenManager:
        """Make a manager for an asyncio framework; call it in the loop that will use it."""
        load = None if self.disabled is None else self.load_claims_async
        store = AsyncFaultyStore(self.async_store, self.plan)
        return AsyncTokenManager(store=store, load_claims=load, **self._shared())

    def issue_bound(self, user_id: str) -> TokenPair:
        """Begin a session that is bound to a key of the client (RFC 9449), in the stores of both colours."""
        pair = self.manager().issue(user_id, jkt="A" * 43)
        (session,) = self.store.find(Where(user_id=user_id))
        asyncio.run(self.async_store.create(Create(session, None, evict=False, now=self.clock.millis)))
        return pair

    def load_claims(self, user_id: str) -> dict[str, Any]:
        """Give a user's claims of today, unless he is disabled."""
        if user_id in (self.disabled or ()):
            raise UserInactive
        return claims_of(user_id)

    async def load_claims_async(self, user_id: str) -> dict[str, Any]:
        """The same for asyncio."""
        return self.load_claims(user_id)

    def _shared(self) -> dict[str, Any]:
        return {
            "keys": self.keys,
            "policy": self.policy,
            "issuer": ISSUER,
            "audience": AUDIENCE,
            "clock": self.clock,
        }


EXEMPT: Final = ("/health", "/public/*")
FRESH: Final = "5m"
REQUIRE: Final[Requirements] = {
    "/admin/*": {"roles": "admin"},
    "/admin/keys": needs(fresh=FRESH),
    "/lobby": needs(optional=True),
}
PATHS: Final = ("/health", "/public/page", "/admin", "/admin/page", "/admin/keys", "/page", "/lobby")
"""What an application that is guarded `by_path` has besides."""


SESSIONS_PAGE: Final = SessionsPage()
"""The page of a user's sessions that every application has."""


class Framework(Protocol):
    """How the suite starts a framework's server.

    The application has the endpoints, with `SESSIONS_PAGE`, and routes that answer GET with
    `{"user_id": ...}`, null where nobody is signed in: `/private` for everybody with a token, `/maybe` for
    anybody, `/orders` for the scope `orders:read`, `/admins` for the claim `roles` with `admin`, `/staff` for
    one of the roles `admin` and `clerk`, `/fresh` for who has signed in within `FRESH`. In a world that is
    guarded `by_path` it also has `PATHS`, of which `EXEMPT` need nothing and `REQUIRE` says what others need.

    `/away` calls `away`: code of the application that meets an outage of the store.

    Where the framework has WebSockets, `/feed` is one for everybody with a token: it sends `{"user_id": ...}`
    as text, then sends back what it receives. `/path-feed` is the same, guarded by its path.
    """

    def serve(self, world: World) -> AbstractContextManager[str]:
        """Serve an application at 127.0.0.1 until the block ends, and give its URL.

        Where the server is a process of its own, or several, `shared(world)` is how they reach the world.
        """
        ...


@dataclass(frozen=True)
class Site:
    """A running server, and how to ask it.

    Attributes:
        world: What it serves.
        url: Where.
        http: The client; it keeps no cookies, because tests say what they send.
    """

    world: World
    url: str
    http: httpx.Client

    def send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        cookie: str | None = None,
        bearer: str | None = None,
        headers: Headers = (),
    ) -> httpx.Response:
        """Send one request; without `headers` that say otherwise, as a program that is no browser.

        Args:
            method: The method.
            path: The path, and a query if any.
            json: A JSON body.
            content: A body as it is.
            cookie: The refresh cookie's value.
            bearer: The access token.
            headers: More headers, duplicates kept.
        """
        sent = list(headers)
        if json is not None:
            content = dump_json(json)
            sent.append(("Content-Type", "application/json"))
        if cookie is not None:
            sent.append(("Cookie", f"{self.world.settings.cookie}={cookie}"))
        if bearer is not None:
            sent.append(("Authorization", f"Bearer {bearer}"))
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in sent]
        answer = self.http.request(method, path, content=content, headers=encoded)
        self.http.cookies.clear()
        return answer

    def post(self, path: str, *, headers: Headers = (), **options: Any) -> httpx.Response:  # noqa: ANN401 - as its target takes them
        """Send a POST as a page of the same origin does."""
        return self.send("POST", path, headers=(*headers, ("Sec-Fetch-Site", "same-origin")), **options)

    def sign_in(self, username: str, *, transport: str = "cookie") -> Tokens:
        """Sign in and give the tokens."""
        body = {"username": username, "password": PASSWORD, "transport": transport}
        answer = self.post("/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        return tokens_of(answer)

    def refresh(self, cookie: str) -> httpx.Response:
        """Refresh with a cookie."""
        return self.post("/auth/refresh", cookie=cookie)

    def me(self, access: str) -> httpx.Response:
        """Ask who an access token speaks for."""
        return self.send("GET", "/auth/me", bearer=access)

    def lives(self, access: str) -> bool:
        """Tell whether the session of an access token lives."""
        return self.me(access).status_code == 200


@dataclass(frozen=True)
class Tokens:
    """What a client holds after a sign-in or a refresh; `refresh` is empty where the answer brought none."""

    access: str
    refresh: str
    session_id: str


def tokens_of(answer: httpx.Response) -> Tokens:
    """Read the tokens of an answer, wherever the refresh token travels."""
    body = answer.json()
    cookie = set_cookie_of(answer)
    refresh = body.get("refresh_token") or (cookie.value if cookie else "")
    return Tokens(body["access_token"], refresh, body["session_id"])


@dataclass(frozen=True)
class Cookie:
    """One `Set-Cookie`."""

    name: str
    value: str
    attributes: dict[str, str]


def set_cookie_of(answer: httpx.Response) -> Cookie | None:
    """Read the one cookie that an answer sets, if any."""
    lines = answer.headers.get_list("set-cookie")
    assert len(lines) <= 1, lines
    if not lines:
        return None
    first, *rest = lines[0].split("; ")
    name, _, value = first.partition("=")
    return Cookie(name, value, {key: value for key, _, value in (each.partition("=") for each in rest)})


def is_cleared(answer: httpx.Response) -> bool:
    """Tell whether an answer removes the refresh cookie."""
    cookie = set_cookie_of(answer)
    return cookie is not None and cookie.value == "" and cookie.attributes["Max-Age"] == "0"


def check_refusal(answer: httpx.Response, status: int, error: str | None = None) -> None:
    """Hold an error to its form: status, JSON, code, and the headers of every refusal."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body.keys() == {"error", "error_description"}
    assert all(isinstance(text, str) and text for text in body.values())
    assert error in {None, body["error"]}, body
    assert ("www-authenticate" in answer.headers) is (status == 401 or body["error"] == "insufficient_scope")
    assert ("retry-after" in answer.headers) is (status in {409, 429, 503})


@contextmanager
def served(framework: Framework, **options: Any) -> Generator[Site]:  # noqa: ANN401 - as its target takes them
    """Serve a world of its own.

    Args:
        framework: Which one.
        options: The world's attributes.
    """
    world = World(**options)
    with framework.serve(world) as url, httpx.Client(base_url=url, timeout=20, trust_env=False) as http:
        yield Site(world, url, http)


class Rules:
    """What each subject starts from: a subclass gives the framework, whose server then runs once."""

    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> Framework:
        """The framework under test."""
        raise NotImplementedError("a subclass gives the fixture `framework`")

    @pytest.fixture(scope="class")
    @classmethod
    def site(cls, framework: Framework) -> Generator[Site]:
        """A server with the default policy; its users are different ones in each test."""
        with served(framework) as site:
            yield site
