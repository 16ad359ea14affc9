"""What happened in each session, kept in bounded memory for those who watch. It knows no words, no request.

It belongs to one event loop. What it keeps are the events of the manager, in which there is never a token.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from keyturn.events import Event, ReuseDetected, Revoked, SessionExpired

MOST_SESSIONS: Final = 64
MOST_MOMENTS: Final = 200
"""How much is kept: so many sessions, and of each so many moments; the oldest go first."""

Actor: TypeAlias = Literal["owner", "thief"]

_ACTOR: Final[ContextVar[Actor]] = ContextVar("keyturn.demonstration.actor", default="owner")


@dataclass(frozen=True, slots=True)
class Stolen:
    """The refresh token was copied. No manager can know of that: the demonstration did it itself."""

    at: float
    session_id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """The answer of a refresh was thrown away.

    Attributes:
        at: When, POSIX seconds.
        session_id: Of which session.
        generation: The session's.
        lost: Whether the answer had a token that the client has not.
    """

    at: float
    session_id: str
    generation: int
    lost: bool = True


Told: TypeAlias = Event | Stolen | Dropped


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened in a session.

    Attributes:
        number: Grows with time, over all sessions.
        told: What happened.
        actor: Whose request it came from.
    """

    number: int
    told: Told
    actor: Actor

    @property
    def is_end(self) -> bool:
        """Whether the session is over with it."""
        return isinstance(self.told, ReuseDetected | Revoked | SessionExpired)


@contextmanager
def acting_as(actor: Actor) -> Generator[None]:
    """Say who causes what happens in the block."""
    reset = _ACTOR.set(actor)
    try:
        yield
    finally:
        _ACTOR.reset(reset)


class Recorder:
    """The moments of the sessions that were seen last."""

    def __init__(self, *, most_sessions: int = MOST_SESSIONS, most_moments: int = MOST_MOMENTS) -> None:
        """Start with nothing."""
        self._most_sessions = most_sessions
        self._most_moments = most_moments
        self._sessions: OrderedDict[str, deque[Moment]] = OrderedDict()
        self._bell = asyncio.Event()
        self.last = 0
        self.is_closed = False

    def record(self, told: Told) -> None:
        """Keep what happened, where it is of a session, and wake those who wait for it."""
        session_id: str | None = getattr(told, "session_id", None)
        if session_id is None:
            return
        self.last += 1
        moments = self._sessions.setdefault(session_id, deque(maxlen=self._most_moments))
        self._sessions.move_to_end(session_id)
        moments.append(Moment(self.last, told, _ACTOR.get()))
        if len(self._sessions) > self._most_sessions:
            self._sessions.popitem(last=False)
        self._ring()

    def since(self, session_id: str, after: int) -> tuple[Moment, ...]:
        """Give what is kept of a session and newer than a number."""
        return tuple(each for each in self._sessions.get(session_id, ()) if each.number > after)

    async def news(self, session_id: str, after: int, *, patience: float) -> tuple[Moment, ...]:
        """Wait until there is something newer than a number.

        Args:
            session_id: The session.
            after: The number of the newest moment that is known; what has been forgotten since is skipped,
                so that a slow reader holds nothing but its place.
            patience: Seconds.

        Returns:
            What is newer; nothing where patience has ended, or the recorder is closed.
        """
        try:
            async with asyncio.timeout(patience):
                while not (found := self.since(session_id, after)) and not self.is_closed:
                    await self._bell.wait()
        except TimeoutError:
            return ()
        return found

    def close(self) -> None:
        """Let nobody wait any more: the server is about to end."""
        self.is_closed = True
        self._ring()

    def _ring(self) -> None:
        self._bell.set()
        self._bell = asyncio.Event()
