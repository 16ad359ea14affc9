"""One session with its tabs, a thief and a network that loses things: what can happen to the protocol.

It checks the six properties of the rotation after every step, and knows no rule of `decide`: only what was
presented, what came back and what must follow from that. Its parts know no store and no framework.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias
from uuid import UUID

from keyturn._core.commands import Create, Lookup
from keyturn._core.outcomes import Found
from keyturn._core.records import Session, ending
from keyturn.durations import milliseconds
from keyturn.errors import AccessTokenError, ExpiredToken, RefreshError, ReusedToken, StoreUnavailable
from keyturn.policy import Policy
from keyturn.results import Principal, TokenPair
from keyturn.stores.protocol import Store
from keyturn.testing.clock import ManualClock
from keyturn.testing.ledger import Ledger, Violation

Who: TypeAlias = Literal["tab", "thief"]

HOME: Final = "a browser at home"
AWAY: Final = "the same browser in a train"
LAIR: Final = "another browser"

_PATIENCE: Final = 20  # tries; a store that fails so often is away, not unreliable


class Manager(Protocol):
    """What the world asks of a token manager; `TokenManager` is one."""

    def issue(self, user_id: str, /, *, context: str = "") -> TokenPair:
        """Begin a session."""
        ...

    def refresh(self, token: str, /, *, context: str = "") -> TokenPair:
        """Redeem a refresh token."""
        ...

    def authenticate(self, token: str, /) -> Principal[Any]:
        """Accept an access token."""
        ...

    def revoke(self, session_id: str, /) -> bool:
        """End a session."""
        ...

    def flush(self) -> object:
        """Wait for confirmations."""
        ...


@dataclass(frozen=True, slots=True)
class Rig:
    """What is tested.

    Attributes:
        manager: The manager, whose clock is the one given to the maker of the rig.
        rows: The store below it, to look at rows and to lose writes.
        policy: The manager's policy.
        close: Gives back what the rig holds open.
    """

    manager: Manager
    rows: Store
    policy: Policy
    close: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Request:
    """A refresh on its way to the server, which must be answered before `due`."""

    who: Who
    token: str
    context: str
    due: int


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer on its way to a client, which reaches it before `due` or never."""

    who: Who
    pair: TokenPair
    due: int


class World:
    """A session, its clients and the network. Each public method is something that happens.

    Attributes:
        requests: On their way to the server.
        answers: On their way back.
        ended: Why the session may never answer again, if so.
    """

    def __init__(self, rig: Rig, clock: ManualClock) -> None:
        """Sign in, in one browser with any number of tabs and one cookie jar."""
        self._rig = rig
        self._clock = clock
        self._race = milliseconds(rig.policy.race_window)
        self._recovery = milliseconds(rig.policy.recovery_window)
        pair = rig.manager.issue("user-1", context=HOME)
        self._sid = UUID(pair.session_id)
        self._jar = pair.refresh_token
        self._access = pair.access_token
        self._context = HOME
        self._loot: tuple[str, str] | None = None
        self._theft = False
        self._lossy = False
        self._heard = False
        self._elapsed = 0
        self._settled_at = 0
        self._past: list[Session] = []
        self._row = self._read()
        self._ledger = Ledger(pair.refresh_token, race_window=self._race, now=clock.millis)
        self.requests: list[Request] = []
        self.answers: list[Answer] = []
        self.ended: str | None = None

    # ----------------------------------------------------------------------------------- the network

    def send(self) -> None:
        """A tab refreshes with what is in the jar now."""
        self._send("tab", self._jar, self._context)

    def arrive(self, index: int) -> None:
        """A request reaches the server."""
        request = self.requests.pop(index)
        answer = self._answer(request)
        if answer is not None:
            self.answers.append(answer)

    def repeat(self, index: int) -> None:
        """A request reaches the server and is sent once more by the network."""
        self.requests.append(self.requests[index])
        self.arrive(index)

    def lose_request(self, index: int) -> None:
        """A request never arrives."""
        del self.requests[index]

    def receive(self, index: int) -> None:
        """An answer reaches its client, which keeps a refresh token that it was sent."""
        answer = self.answers.pop(index)
        if answer.who == "thief":
            context = self._loot[1] if self._loot else LAIR
            self._loot = (answer.pair.refresh_token, context)
            return
        self._heard = True
        self._access = answer.pair.access_token
        if answer.pair.rotated:
            self._jar = answer.pair.refresh_token

    def repeat_answer(self, index: int) -> None:
        """An answer reaches its client now, and again later."""
        self.answers.append(self.answers[index])
        self.receive(index)

    def lose_answer(self, index: int) -> None:
        """An answer never reaches its client, which will try again."""
        del self.answers[index]

    # ------------------------------------------------------------------------------------------ time

    def wait(self, millis: int) -> None:
        """Let a little time pass; round trips stay shorter than half a race window meanwhile.

        Clients whose answers were lost try again well within the recovery window.
        """
        if self._elapsed + millis - self._settled_at > self._recovery // 2:
            self.settle()
        until = self._elapsed + millis
        while due := self._next_due(until):
            self._pass(max(0, due - self._elapsed))
            self._deliver(due)
        self._pass(until - self._elapsed)

    def rest(self, millis: int) -> None:
        """Leave everything alone for long, with nothing on its way."""
        self.settle()
        self._pass(millis)
        self._settled_at = self._elapsed

    def settle(self) -> None:
        """Let everything arrive, and let the browser try again until it has got an answer."""
        self._deliver_all()
        self._heard = False
        for _ in range(_PATIENCE):
            if self.ended is None and not self._heard:
                self.send()
                self._deliver_all()
        self._settled_at = self._elapsed

    def set_clock(self, millis: int) -> None:
        """Set the server's clock forward, with nothing on its way, or back, at any time."""
        if millis > 0:
            self.settle()
        self._clock.jump(millis / 1000)

    # --------------------------------------------------------------------------------------- clients

    def use(self) -> None:
        """A tab uses its newest access token; the server tells the store, off the critical path."""
        try:
            principal = self._rig.manager.authenticate(self._access)
        except AccessTokenError:
            return
        if self.ended not in {None, "expired"}:
            raise Violation(4, f"an access token was accepted after the session was {self.ended}")
        self._rig.manager.flush()
        self._wrote()
        if principal.generation is not None:
            self._ledger.used(principal.generation)

    def change_network(self) -> None:
        """The browser moves to another network, between two bursts of requests."""
        self.settle()
        self._context = AWAY if self._context == HOME else HOME

    def sign_out(self) -> None:
        """The session is revoked, as often as it takes until the server acknowledges it."""
        if not self._revoke():
            raise Violation(4, "a session that is there was not found")
        self._wrote()
        self.ended = self.ended or "revoked"

    def steal(self, *, same_context: bool) -> None:
        """A thief copies the jar; with `same_context` the server cannot tell its client from the victim's."""
        self._loot = (self._jar, self._context if same_context else LAIR)

    def abuse(self) -> None:
        """The thief refreshes with what it has, if it has anything."""
        if self._loot is not None:
            self._send("thief", *self._loot)

    # ----------------------------------------------------------------------------------------- store

    def lose_writes(self, count: int) -> None:
        """The store fails over and has lost its last writes; so have all connections what was on its way.

        A lost revocation cannot be made up for by anyone, so an ended session keeps its rows.
        """
        if self.ended is not None or not self._past:
            return
        self.requests.clear()
        self.answers.clear()
        restored = self._past[-min(count, len(self._past))]
        self._past.clear()
        self._lossy = True
        self._rig.rows.delete([self._sid])
        self._rig.rows.create(Create(restored, limit=None, evict=False, now=self._clock.millis))
        self._row = restored
        self._ledger.lost(restored.gen)

    # ---------------------------------------------------------------------------------------- checks

    def _revoke(self) -> bool:
        for _ in range(_PATIENCE):
            with suppress(StoreUnavailable):
                return self._rig.manager.revoke(str(self._sid))
        raise Violation(4, "a revocation is never acknowledged")

    def _send(self, who: Who, token: str, context: str) -> None:
        self.requests.append(Request(who, token, context, due=self._elapsed + self._race // 2 - 1))

    def _answer(self, request: Request) -> Answer | None:
        """Let the server answer, and hold the answer to the properties."""
        before, now = self._row, self._clock.millis
        self._theft = self._theft or request.who == "thief"
        try:
            pair = self._rig.manager.refresh(request.token, context=request.context)
        except StoreUnavailable:  # nobody knows whether it was written; the client will try again
            self._wrote()
            self._unanswered(before, now)
            return None
        except RefreshError as error:
            self._wrote()
            self._refused(request, before, now, error)
            return None
        self._wrote()
        if self.ended is not None:
            raise Violation(4, f"tokens were given after the session was {self.ended}")
        if ending(before, now) is not None:
            raise Violation(4, f"tokens were given past the {ending(before, now)} limit")
        self._ledger.granted(request.token, request.context, pair, self._row.gen, now)
        return Answer(request.who, pair, request.due)

    def _refused(self, request: Request, before: Session, now: int, error: RefreshError) -> None:
        if self.ended is not None:
            return
        limit = ending(before, now)
        if isinstance(error, ExpiredToken) and limit in {"idle", "absolute"}:
            self.ended = "expired"
        elif isinstance(error, ReusedToken):
            if not self._theft:
                raise Violation(2, f"an honest client was taken for a thief: {error.detail}")
            if self._row.revoked_at is None:
                raise Violation(3, "reuse was noticed and the session goes on")
            self.ended = "reused"
        else:
            what = f"{request.who} was refused without need: {type(error).__name__} {error.detail}"
            raise Violation(6 if self._lossy else 2, what)

    def _unanswered(self, before: Session, now: int) -> None:
        """Judge an end that nobody was told of."""
        if self.ended is not None or self._row.revoked_at is None:
            return
        if self._row.revoked_reason == ending(before, now):
            self.ended = "expired"
        elif self._theft:
            self.ended = "reused"
        else:
            raise Violation(2, f"an honest session has ended: {self._row.revoked_reason}")

    def _wrote(self) -> None:
        """Look at what the last operation did to the store."""
        if self._rig.rows.count() != 1:
            raise Violation(5, f"one session takes {self._rig.rows.count()} rows")
        row = self._read()
        if (
            row.gen > self._row.gen + 1
        ):  # made up for lost writes: losing this one would be losing more than two
            self._past.clear()
        elif row != self._row:
            self._past.append(self._row)
        self._row = row

    def _read(self) -> Session:
        found = self._rig.rows.lookup(Lookup(self._sid))
        if not isinstance(found, Found):
            raise Violation(5, "the session's row is gone")
        return found.session

    # -------------------------------------------------------------------------------------- delivery

    def _pass(self, millis: int) -> None:
        self._elapsed += millis
        self._clock.advance(millis / 1000)

    def _next_due(self, until: int) -> int | None:
        dues = [each.due for each in self.requests] + [each.due for each in self.answers]
        return min((due for due in dues if due <= until), default=None)

    def _deliver(self, due: int) -> None:
        """Let everything that is due get where it must."""
        for request in [each for each in self.requests if each.due <= due]:
            self.arrive(self.requests.index(request))
        for answer in [each for each in self.answers if each.due <= due]:
            self.receive(self.answers.index(answer))

    def _deliver_all(self) -> None:
        while self.requests:
            self.arrive(0)
        while self.answers:
            self.receive(0)
