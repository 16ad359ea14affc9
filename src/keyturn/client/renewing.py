"""The rules of a client that keeps its tokens fresh, as steps. It waits for nothing and sends nothing itself.

Rule 1: whoever refreshes holds the store's lock, and looks into the store first: somebody else may have.
Rule 2: new tokens are saved before anybody uses them, so a crash loses none that the server has seen in use.
Rule 3: a refresh without an answer is repeated with the same refresh token: that leads to the same successor.
Rule 4: tokens are given up when the refresh token is refused or the user signs out, for no other reason.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final, TypeAlias, TypeVar

import httpx

from keyturn._core.encoding import dump_json
from keyturn.client.answers import AccessRefused, check_ended, pause_before, stepped_of, tokens_of
from keyturn.client.errors import LoginRefused, SignedOut, TemporarilyUnavailable, UnexpectedAnswer
from keyturn.client.flights import Flights
from keyturn.client.steps import LOCK_POLL, BackOff, Join, Queue, Steps, send, work
from keyturn.client.stores import TokenStore
from keyturn.client.tokens import Tokens
from keyturn.errors import ConfigurationError
from keyturn.http.bodies import MAX_PASSWORD, MAX_USERNAME, is_text

T = TypeVar("T")

_PATIENCE: Final = 120.0  # seconds in which whoever else refreshes has given up long ago
_HASTE: Final = 2.0  # seconds, where the access token is good still
_QUIET: Final = 1.0  # seconds without another early attempt, after one has failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms tokens are refreshed.

    Attributes:
        url: The base of the endpoints.
        before: How many seconds before the access token expires.
        attempts: How often the server is asked, where it cannot answer.
        longest: For how many seconds it is waited between two attempts, at most.
        user_agent: By what name; the same for all requests of a session, because the server compares.
        clock: Gives POSIX seconds.
    """

    url: httpx.URL
    before: float
    attempts: int
    longest: float
    user_agent: str
    clock: Callable[[], float]


Read: TypeAlias = Callable[[httpx.Response, float], T]
"""Reads an answer; the moment is when it was asked for."""


class Renewing:
    """The tokens in use, and how they change."""

    def __init__(self, terms: Terms, store: TokenStore) -> None:
        """Begin with what the store has, which is looked at when it is first needed."""
        self._terms = terms
        self._store = store
        self._flights = Flights()
        self._held: Tokens | None = None
        self._quiet_until = 0.0

    def current(self) -> Steps[Tokens]:
        """Give tokens whose access token is good for a while yet.

        Raises:
            SignedOut: There are none, or the server refused the refresh token.
            TemporarilyUnavailable: The access token has expired, and the server cannot answer now.
            UnexpectedAnswer: It has expired, and something else than Keyturn answers.
            httpx.RequestError: It has expired, and nothing answers.
        """
        held = self._held
        if held is None:
            held = self._held = yield from self._loaded()
        if held is None:
            raise SignedOut("Nobody is signed in.", detail="no_tokens")
        now = self._terms.clock()
        if not held.is_due(now, self._terms.before):
            return held
        if held.is_over(now):
            return (yield from self.renewed(held))
        if now < self._quiet_until:
            return held
        try:
            return (yield from self.renewed(held, patient=False))
        except (TemporarilyUnavailable, UnexpectedAnswer, httpx.RequestError) as error:
            # It was early, so nothing is lost: the request goes out with what is good for some seconds more.
            wanted = error.retry_after if isinstance(error, TemporarilyUnavailable) else None
            self._quiet_until = now + max(wanted or 0.0, _QUIET)
            return held

    def renewed(self, stale: Tokens, *, patient: bool = True) -> Steps[Tokens]:
        """Give other tokens than these, which everybody who asks for them meanwhile shares.

        Args:
            stale: Tokens that are due, or were refused.
            patient: Try again where the server cannot answer.

        Raises:
            SignedOut: See `current`, as for the other errors.
        """
        waits = _PATIENCE if patient else _HASTE
        while True:
            held = self._held
            if held is not None and held.access_token != stale.access_token:
                return held
            flight, is_mine = self._flights.join(patient=patient)
            if is_mine:
                break
            yield Join(flight, waits)
            match flight.outcome:
                case Tokens() as tokens:
                    return tokens
                case None:  # given up
                    continue
                case TemporarilyUnavailable() | httpx.RequestError() if patient and not flight.patient:
                    continue
                case error:
                    raise error
        try:
            tokens = yield from self._alone(self._refreshed(stale, patient=patient), waits=waits)
        except Exception as error:
            self._flights.land(flight, error)
            raise
        except BaseException:
            self._flights.land(flight, None)
            raise
        self._flights.land(flight, tokens)
        return tokens

    def signed_in(self, username: str, password: str) -> Steps[None]:
        """Begin a session, in place of one that may be there.

        Raises:
            LoginRefused: The user name or the password is wrong.
            TemporarilyUnavailable: The server cannot answer now, or wants fewer attempts.
            UnexpectedAnswer: Something else than Keyturn answered.
            httpx.RequestError: Nothing answered.
        """
        _check_credentials(username, password)
        fields = {"username": username, "password": password, "transport": "body"}
        tokens = yield from self._asked("login", fields, self._read_tokens, attempts=1)
        yield from self.adopted(tokens)

    def stepped_up(self, username: str, password: str) -> Steps[None]:
        """Sign in again within the session; the refresh token stays what it is.

        Raises:
            SignedOut: Nobody is signed in, or the session is over.
            LoginRefused: See `signed_in`, also for the rest; or that is another user than the session's.
        """
        _check_credentials(username, password)
        fields = {"username": username, "password": password}
        yield from self.current()
        try:
            yield from self._alone(self._stepped(fields))
        except AccessRefused as refused:  # revoked, or by a clock of the server's that is ahead
            yield from self.renewed(refused.tokens)
            try:
                yield from self._alone(self._stepped(fields))
            except AccessRefused:
                raise SignedOut(detail="invalid_token") from None

    def adopted(self, tokens: Tokens) -> Steps[None]:
        """Go on with tokens from elsewhere."""
        yield from self._alone(self._saved(tokens))

    def signed_out(self) -> Steps[None]:
        """End the session, and forget its tokens whatever the server says.

        Raises:
            TemporarilyUnavailable: The server cannot answer now, so the session lives on there.
            UnexpectedAnswer: It did not end it.
            httpx.RequestError: Nothing answered.
        """
        yield from self._alone(self._ended())

    def _alone(self, steps: Steps[T], *, waits: float = _PATIENCE) -> Steps[T]:
        """Take steps while holding the store's lock."""
        store = self._store

        def give_back(taken: bool) -> None:  # noqa: FBT001 - a result, no option
            if taken:
                store.unlock()

        for _ in range(round(waits / LOCK_POLL)):
            if (yield from work(store.try_lock, give_back)):
                break
            yield Queue()
        else:
            raise TemporarilyUnavailable("Somebody else holds the tokens' lock.", detail="locked")
        try:
            result = yield from steps
        except GeneratorExit:  # nobody drives this any more: an interrupt came between two steps
            store.unlock()
            raise
        except BaseException:
            yield from work(store.unlock)
            raise
        yield from work(store.unlock)
        return result

    def _refreshed(self, stale: Tokens, *, patient: bool) -> Steps[Tokens]:
        found = yield from self._loaded()
        if found is None:
            self._held = None
            raise SignedOut(detail="no_tokens")
        if found.access_token != stale.access_token and not found.is_due(
            self._terms.clock(), self._terms.before
        ):
            self._held = found
            return found
        fields = {"refresh_token": found.refresh_token}
        try:
            attempts = self._terms.attempts if patient else 1
            fresh = yield from self._asked("refresh", fields, self._read_tokens, attempts=attempts)
        except (SignedOut, LoginRefused) as error:  # the latter: the user may not sign in any more
            self._held = None
            yield from work(self._store.clear)
            raise SignedOut(detail=error.detail) from None
        yield from self._saved(fresh)
        return fresh

    def _stepped(self, fields: Mapping[str, Any]) -> Steps[None]:
        found = self._held = yield from self._loaded()
        if found is None:
            raise SignedOut("Nobody is signed in.", detail="no_tokens")

        def read(response: httpx.Response, asked_at: float) -> Tokens:
            return stepped_of(response, found, asked_at=asked_at, now=self._terms.clock())

        bearer = found.access_token
        fresh = yield from self._asked("step-up", fields, read, attempts=1, bearer=bearer)
        yield from self._saved(fresh)

    def _loaded(self) -> Steps[Tokens | None]:
        """Give what the store has.

        Raises:
            ConfigurationError: It is of other endpoints, which alone may see it.
        """
        found, ours = (yield from work(self._store.load)), str(self._terms.url)
        if found is not None and found.url not in {"", ours}:
            raise ConfigurationError(f"the tokens that are kept there are for {found.url}, not for {ours}")
        return found

    def _saved(self, tokens: Tokens) -> Steps[None]:
        ours = replace(tokens, url=str(self._terms.url))
        yield from work(lambda: self._store.save(ours))
        self._held = ours

    def _ended(self) -> Steps[None]:
        ours = False
        try:
            found = yield from self._loaded()
            ours = True
            if found is not None:
                fields = {"refresh_token": found.refresh_token}
                attempts = self._terms.attempts
                yield from self._asked("logout", fields, self._read_end, attempts=attempts)
        finally:
            self._held = None
            if ours:  # what cannot be read, or is of another server, is not ours to throw away
                yield from work(self._store.clear)

    def _asked(
        self,
        endpoint: str,
        fields: Mapping[str, Any],
        read: Read[T],
        *,
        attempts: int,
        bearer: str | None = None,
    ) -> Steps[T]:
        """Ask an endpoint, again where that may help."""
        for attempt in count(1):
            asked_at = self._terms.clock()
            try:
                return read((yield from send(self._request(endpoint, fields, bearer))), asked_at)
            except (TemporarilyUnavailable, httpx.RequestError) as error:
                wanted = error.retry_after if isinstance(error, TemporarilyUnavailable) else None
                chance = random.random()  # noqa: S311 - spreads clients in time; nobody gains by a guess
                pause = pause_before(attempt, wanted, longest=self._terms.longest, chance=chance)
                if pause is None or attempt >= attempts:
                    raise
            yield BackOff(pause)
        raise AssertionError("unreachable")  # pragma: no cover

    def _request(self, endpoint: str, fields: Mapping[str, Any], bearer: str | None) -> httpx.Request:
        signature = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        return httpx.Request(
            "POST",
            self._terms.url.copy_with(path=f"{self._terms.url.path.rstrip('/')}/{endpoint}"),
            content=dump_json(fields),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": self._terms.user_agent,
                **signature,
            },
        )

    def _read_tokens(self, response: httpx.Response, asked_at: float) -> Tokens:
        return tokens_of(response, asked_at=asked_at, now=self._terms.clock())

    def _read_end(self, response: httpx.Response, _: float) -> None:
        check_ended(response, now=self._terms.clock())


def _check_credentials(username: str, password: str) -> None:
    """Refuse what no server of ours would look at.

    Raises:
        LoginRefused: It is that.
    """
    if not (is_text(username, MAX_USERNAME) and is_text(password, MAX_PASSWORD)):
        raise LoginRefused("That can be no user name, or no password.", detail="invalid_request")
