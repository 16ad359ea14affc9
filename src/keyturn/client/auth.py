"""`httpx` authentication that keeps its tokens fresh. It knows what a request gets, not how tokens change."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from typing import Any, Final

import httpx

from keyturn.client.answers import is_refusal
from keyturn.client.bodies import remember, remember_async
from keyturn.client.errors import BodyNotReplayable
from keyturn.client.origins import checked_origins, checked_url, is_loopback, origin_of
from keyturn.client.renewing import Renewing, Terms
from keyturn.client.steps import Means, run, run_async
from keyturn.client.stores import MemoryTokens, TokenStore
from keyturn.client.tokens import Tokens
from keyturn.client.wires import Wire
from keyturn.durations import Duration, seconds
from keyturn.errors import ConfigurationError

_HEADER: Final = "Authorization"


class KeyturnAuth(httpx.Auth):
    """Signs requests with an access token, and keeps it fresh: `Client(auth=auth)`, `AsyncClient(auth=auth)`.

    One object serves any number of clients, threads and tasks of both colours. It refreshes before the access
    token expires, and once when a request is answered 401; then that request is sent again, once.

    Only requests to the origin of `url`, and to `origins`, are signed; others pass as they are. A request
    that needs no token can be sent with `auth=None`.

    Besides what httpx raises, a request may raise `SignedOut`, `TemporarilyUnavailable`, `UnexpectedAnswer`,
    `BodyNotReplayable`, and `ConfigurationError` where the store cannot be used.

    Examples:
        >>> KeyturnAuth("https://api.example.com/auth")
        KeyturnAuth('https://api.example.com/auth')
        >>> KeyturnAuth("http://api.example.com/auth")
        Traceback (most recent call last):
        ...
        keyturn.errors.ConfigurationError: http://api.example.com would show tokens to everybody on the way: \
use https://, or insecure=True
    """

    def __init__(
        self,
        url: str,
        *,
        store: TokenStore | None = None,
        origins: Iterable[str] = (),
        insecure: bool = False,
        refresh_before: Duration = "30s",
        buffer_bodies: int = 0,
        attempts: int = 4,
        longest_wait: Duration = "10s",
        timeout: Duration = "10s",
        transport: httpx.BaseTransport | None = None,
        async_transport: httpx.AsyncBaseTransport | None = None,
        user_agent: str = "keyturn-client",
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        """Say where the endpoints are; nothing is sent or read yet.

        Args:
            url: The base of the endpoints, such as "https://api.example.com/auth".
            store: Where tokens are kept; None: in memory.
            origins: What else may see the access token, such as "https://files.example.com".
            insecure: Let tokens travel over plain HTTP, to other hosts than this one.
            refresh_before: How long before its end an access token is refreshed; at most half of its life.
            buffer_bodies: Of a body that cannot be read twice, a copy of at most so many bytes is kept while
                it is sent, so that it can be sent again. 0: none is, and on 401 such a request raises
                `BodyNotReplayable`.
            attempts: How often refresh and logout are tried, where nothing answers or only trouble does.
            longest_wait: The longest pause between two attempts, but for the jitter. A server that wants a
                longer one is not asked again.
            timeout: How long each of connecting, sending and reading may take, for requests to the endpoints.
            transport: Takes the requests to the endpoints, in threads; None: httpx's own. Give your client's
                where that has certificates, a proxy or an application inside (`httpx.WSGITransport`).
            async_transport: The same with asyncio. A transport that is both, such as `httpx.MockTransport`,
                is given once.
            user_agent: What the endpoints are told; people see it among their sessions.
            clock: Gives POSIX seconds.
            sleep: For tests: takes the place of sleeping between attempts; it may give something to await.

        Raises:
            ConfigurationError: A value is not usable; the message names it.
        """
        base = checked_url(url, insecure=insecure)
        if attempts < 1:
            raise ConfigurationError("attempts must be at least 1")
        if buffer_bodies < 0:
            raise ConfigurationError("buffer_bodies must be a number of bytes, not negative")
        self._url = str(base)
        self._origins = {origin_of(base), *checked_origins(origins, insecure=insecure)}
        self._copy = buffer_bodies
        self._clock = clock
        terms = Terms(
            url=base,
            before=seconds(refresh_before, name="refresh_before"),
            attempts=attempts,
            longest=seconds(longest_wait, name="longest_wait"),
            user_agent=user_agent,
            clock=clock,
        )
        wire = Wire(
            transport,
            async_transport,
            timeout=seconds(timeout, name="timeout"),
            encrypted=base.scheme == "https",
            direct=is_loopback(base.host),
        )
        self._means = Means(wire, sleep)
        self._renewing = Renewing(terms, MemoryTokens() if store is None else store)

    def __repr__(self) -> str:
        """Show the URL."""
        return f"KeyturnAuth({self._url!r})"

    def login(self, username: str, password: str) -> None:
        """Sign in, and keep the tokens.

        Raises:
            LoginRefused: The user name or the password is wrong.
            TemporarilyUnavailable: The server cannot answer now, or wants fewer attempts: `retry_after`.
            UnexpectedAnswer: Something else than Keyturn answered.
            httpx.RequestError: Nothing answered.
            ConfigurationError: The store cannot be used.
        """
        run(self._renewing.signed_in(username, password), self._means)

    async def login_async(self, username: str, password: str) -> None:
        """Sign in, and keep the tokens; see `login`."""
        await run_async(self._renewing.signed_in(username, password), self._means)

    def step_up(self, username: str, password: str) -> None:
        """Sign in again within the session, for what needs a recent sign-in (RFC 9470).

        Such a request is answered 401 with `error="insufficient_user_authentication"`; send it again after
        this. The next refresh has the moment of the first sign-in again.

        Raises:
            SignedOut: Nobody is signed in, or the session is over.
            LoginRefused: The user name or the password is wrong, or another user's than the session's.
            TemporarilyUnavailable: See `login`, as for the rest.
        """
        run(self._renewing.stepped_up(username, password), self._means)

    async def step_up_async(self, username: str, password: str) -> None:
        """Sign in again within the session; see `step_up`."""
        await run_async(self._renewing.stepped_up(username, password), self._means)

    def logout(self) -> None:
        """End the session at the server, and forget the tokens, whatever the server says.

        Where it raises, this machine holds no tokens any more, but the session lives at the server until its
        limit, or until it is ended from another device. Nothing happens where nobody is signed in.

        Raises:
            TemporarilyUnavailable: The server cannot answer now.
            UnexpectedAnswer: Something else than Keyturn answered.
            httpx.RequestError: Nothing answered.
            ConfigurationError: The store cannot be used.
        """
        run(self._renewing.signed_out(), self._means)

    async def logout_async(self) -> None:
        """End the session at the server, and forget the tokens, whatever the server says; see `logout`."""
        await run_async(self._renewing.signed_out(), self._means)

    def adopt(
        self, access_token: str, refresh_token: str, expires_in: float, *, session_id: str = ""
    ) -> None:
        """Go on with tokens that were got elsewhere, and keep them.

        Args:
            access_token: The access token.
            refresh_token: Its refresh token.
            expires_in: For how many seconds the access token is good from now on; 0: refresh at once.
            session_id: Which session it is, where that is known.

        Raises:
            InvalidInput: They cannot be tokens.
            ConfigurationError: The store cannot be used.
        """
        tokens = Tokens(access_token, refresh_token, self._clock(), expires_in, session_id)
        run(self._renewing.adopted(tokens), self._means)

    async def adopt_async(
        self, access_token: str, refresh_token: str, expires_in: float, *, session_id: str = ""
    ) -> None:
        """Go on with tokens that were got elsewhere, and keep them; see `adopt`."""
        tokens = Tokens(access_token, refresh_token, self._clock(), expires_in, session_id)
        await run_async(self._renewing.adopted(tokens), self._means)

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request, for `httpx.Client`."""
        if not self._admits(request):
            yield request
            return
        rewind = remember(request, self._copy)
        tokens = run(self._renewing.current(), self._means)
        response = yield _signed(request, tokens)
        if self._is_refused(response, tokens):
            tokens = run(self._renewing.renewed(tokens), self._means)
            if not rewind():
                raise BodyNotReplayable
            yield _signed(request, tokens)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign a request, for `httpx.AsyncClient`."""
        if not self._admits(request):
            yield request
            return
        rewind = remember_async(request, self._copy)
        tokens = await run_async(self._renewing.current(), self._means)
        response = yield _signed(request, tokens)
        if self._is_refused(response, tokens):
            tokens = await run_async(self._renewing.renewed(tokens), self._means)
            if not rewind():
                raise BodyNotReplayable
            yield _signed(request, tokens)

    def _admits(self, request: httpx.Request) -> bool:
        return origin_of(request.url) in self._origins

    def _is_refused(self, response: httpx.Response, tokens: Tokens) -> bool:
        """Tell whether our token was refused, and not by another host, to which a redirect may have led."""
        asked = response.request
        signed = asked.headers.get(_HEADER) == _bearer(tokens)
        return signed and self._admits(asked) and is_refusal(response)


def _signed(request: httpx.Request, tokens: Tokens) -> httpx.Request:
    request.headers[_HEADER] = _bearer(tokens)
    return request


def _bearer(tokens: Tokens) -> str:
    return f"Bearer {tokens.access_token}"
