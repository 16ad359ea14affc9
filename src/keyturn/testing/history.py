"""What every client was told, and whether the store keeps to it. It knows no store and no rule of `decide`.

Clients act in threads while servers die, connections break and replicas take over. Each writes down what it
asked and what it was answered. Afterwards `History.check` holds the rows against that:

- a sign-in that was acknowledged is there, and so is every rotation that a client was told of;
- a session rotates once for a refresh, however often the refresh had to be repeated;
- no session ends that nobody ended, and an outage is never an answer about a token;
- what was revoked stays revoked, and gives no tokens from the acknowledgement on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from uuid import UUID

from keyturn._core.commands import Lookup
from keyturn._core.outcomes import Found
from keyturn._core.refresh_tokens import peek_opaque
from keyturn.errors import StoreUnavailable
from keyturn.testing.ledger import Violation

if TYPE_CHECKING:
    from keyturn._core.records import Session
    from keyturn.results import TokenPair
    from keyturn.stores.protocol import Store
    from keyturn.testing.world import Manager

Deed: TypeAlias = Literal["sign-in", "refresh", "use", "sign-out"]

# How an ended session may be spoken of.
_ENDED: Final[dict[Deed, str]] = {"refresh": "RevokedToken", "use": "AccessTokenError"}


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that a client asked for, and what it was told.

    Attributes:
        deed: What it asked for.
        session: Which session it is about; empty for a sign-in that was not answered.
        began: Its place in the order of all beginnings and ends.
        ended: The same for its end.
        refused: The name of the error; `StoreUnavailable`: it was told nothing. Empty: it worked.
        presented: The generation that it presented, for a refresh.
        generation: The generation that it was given.
        token: The refresh token that it was given.
    """

    deed: Deed
    session: str
    began: int
    ended: int
    refused: str = ""
    presented: int = 0
    generation: int | None = None
    token: str = field(default="", repr=False)

    @property
    def unanswered(self) -> bool:
        """Whether the client does not know what happened."""
        return self.refused == StoreUnavailable.__name__


class History:
    """Everything that clients were told, in order. Thread-safe."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = Lock()
        self._ticks = count()
        self._told: list[Told] = []

    @property
    def told(self) -> list[Told]:
        """What was told so far, by its end."""
        with self._lock:
            return list(self._told)

    def now(self) -> int:
        """Give the next place in the order."""
        return next(self._ticks)

    def add(self, told: Told) -> None:
        """Write down what a client was told."""
        with self._lock:
            self._told.append(told)

    def answered(self, deed: Deed) -> int:
        """Count what was asked for and done."""
        return sum(each.deed == deed and not each.refused for each in self.told)

    def unanswered(self) -> int:
        """Count what clients do not know the end of."""
        return sum(each.unanswered for each in self.told)

    def check(self, rows: Store, *, lost_writes: int = 0) -> None:
        """Hold the rows against what was told; nobody may act meanwhile.

        Args:
            rows: The store, which answers now.
            lost_writes: How many of its last writes each session may have lost, none of them a sign-in or a
                revocation.

        Raises:
            Violation: Something does not fit.
        """
        sessions: defaultdict[str, list[Told]] = defaultdict(list)
        for told in self.told:
            sessions[told.session].append(told)
        nameless = sessions.pop("", [])
        for session, story in sessions.items():
            found = rows.lookup(Lookup(UUID(session)))
            if not isinstance(found, Found):
                raise Violation(2, f"session {session}, whose sign-in was acknowledged, is gone")
            _check_answers(story)
            _check_end(story, found.session)
            _check_generation(story, found.session, lost_writes)
        there = rows.count()
        if not len(sessions) <= there <= len(sessions) + len(nameless):
            raise Violation(5, f"{len(sessions)} sessions take {there} rows")


class Client:
    """A client with one session at a time, in one thread: it remembers its tokens and writes down the rest.

    Attributes:
        pair: The tokens that it was given last; None before its sign-in.
    """

    def __init__(self, manager: Manager, history: History, user_id: str) -> None:
        """Begin, signed out."""
        self._manager = manager
        self._history = history
        self._user = user_id
        self.pair: TokenPair | None = None

    @property
    def generation(self) -> int:
        """The generation that its refresh token redeems."""
        return _generation(self._held())

    def sign_in(self) -> bool:
        """Begin a session; tell whether it was acknowledged."""
        self.pair = None
        began = self._history.now()
        return self._tell("sign-in", "", began, lambda: self._manager.issue(self._user, context=self._user))

    def refresh(self) -> bool:
        """Redeem the newest refresh token; tell whether that gave tokens."""
        pair, began = self._held(), self._history.now()

        def redeem() -> TokenPair:
            return self._manager.refresh(pair.refresh_token, context=self._user)

        return self._tell("refresh", pair.session_id, began, redeem)

    def use(self) -> bool:
        """Use the newest access token; tell whether it was accepted."""
        pair, began = self._held(), self._history.now()

        def authenticate() -> None:
            self._manager.authenticate(pair.access_token)

        return self._tell("use", pair.session_id, began, authenticate)

    def sign_out(self) -> bool:
        """End the session; tell whether that was acknowledged. The tokens are kept, to be tried again."""
        pair, began = self._held(), self._history.now()

        def revoke() -> None:
            if not self._manager.revoke(pair.session_id):
                raise Violation(4, f"session {pair.session_id} was not found when it was to be ended")

        return self._tell("sign-out", pair.session_id, began, revoke)

    def _held(self) -> TokenPair:
        assert self.pair is not None, "sign in first"
        return self.pair

    def _tell(self, deed: Deed, session: str, began: int, call: Callable[[], TokenPair | None]) -> bool:
        """Ask, and write down the answer: whatever else than Keyturn's errors comes out is one too."""
        presented = _generation(self.pair) if self.pair else 0
        try:
            pair = call()
        except Exception as error:  # noqa: BLE001  (it is judged with everything else, at the end)
            refused = type(error).__name__ if not isinstance(error, Violation) else str(error)
            self._history.add(Told(deed, session, began, self._history.now(), refused, presented))
            return False
        if pair is None:
            self._history.add(Told(deed, session, began, self._history.now(), presented=presented))
            return True
        generation, token = _generation(pair), pair.refresh_token
        told = Told(deed, pair.session_id, began, self._history.now(), "", presented, generation, token)
        self._history.add(told)
        self.pair = pair
        return True


def _generation(pair: TokenPair) -> int:
    return peek_opaque(pair.refresh_token)[2]


def _check_answers(story: list[Told]) -> None:
    """Each refresh that worked went on from what was presented, to one successor."""
    successors: dict[int, str] = {}
    for told in story:
        if told.deed != "refresh" or told.generation is None:
            continue
        if told.generation not in {told.presented, told.presented + 1}:
            raise Violation(1, f"generation {told.presented} was answered with {told.generation}: {told}")
        if successors.setdefault(told.generation, told.token) != told.token:
            raise Violation(1, f"a client got two different tokens of generation {told.generation}: {told}")


def _check_end(story: list[Told], row: Session) -> None:
    """A session ends where its client ended it, for good, and nowhere else."""
    asked = min((told.began for told in story if told.deed == "sign-out"), default=None)
    acknowledged = min(
        (told.ended for told in story if told.deed == "sign-out" and not told.refused), default=None
    )
    for told in story:
        if told.unanswered:
            continue
        if told.refused and (asked is None or told.ended < asked or told.refused != _ENDED.get(told.deed)):
            raise Violation(2, f"refused without need: {told}")
        late = acknowledged is not None and told.began > acknowledged
        if late and not told.refused and told.deed != "sign-out":
            raise Violation(4, f"accepted after the session was revoked: {told}")
    if acknowledged is not None and row.revoked_at is None:
        raise Violation(4, f"the acknowledged revocation of session {row.sid} is lost")
    if asked is None and row.revoked_at is not None:
        raise Violation(2, f"session {row.sid} was ended by nobody: {row.revoked_reason}")


def _check_generation(story: list[Told], row: Session, lost_writes: int) -> None:
    """The row is where its client is, or one rotation further, whose answer the client never got."""
    newest = max(told.generation for told in story if told.generation is not None)
    in_doubt = any(told.unanswered and told.deed == "refresh" and told.presented == newest for told in story)
    if row.gen < newest - lost_writes:
        lost = f"generation {newest} of session {row.sid} was handed out, and the store is at {row.gen}"
        raise Violation(6 if lost_writes else 1, lost)
    if row.gen > newest + in_doubt:
        raise Violation(1, f"session {row.sid} is at {row.gen} and its client at {newest}: who rotated it?")
