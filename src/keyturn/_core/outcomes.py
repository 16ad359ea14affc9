"""What a store answers: one closed union per command. They know no store, no token and no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from keyturn._core.records import Session

if TYPE_CHECKING:
    from keyturn._core.revocations import LogEntry

# --- Create ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Created:
    """The session is stored; `evicted` had to end for it, as they are after their end."""

    session: Session
    evicted: tuple[Session, ...] = ()


@dataclass(frozen=True, slots=True)
class LimitReached:
    """The user has `live` sessions and may have no more. Nothing was stored."""

    live: int


CreateOutcome: TypeAlias = Created | LimitReached
"""What a sign-in ends in."""

# --- Rotate (the cases of `decide`) ---------------------------------------------------------------

ReuseKind: TypeAlias = Literal["fork", "previous", "stale"]
ConvergeKind: TypeAlias = Literal["race", "recovered"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such session."""


@dataclass(frozen=True, slots=True)
class Unproven:
    """The session is bound to a key whose possession was not proven. Nothing changed."""

    session: Session


@dataclass(frozen=True, slots=True)
class Forged:
    """The tag was right but the secret is not: a signing key has leaked. Nothing changed."""

    session: Session


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over. `first`: this very request found it expired and marked it."""

    session: Session
    first: bool


@dataclass(frozen=True, slots=True)
class Rotated:
    """The session moved to its next generation. `lost` writes of the store were made up for (0 to 2)."""

    session: Session
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """The presented refresh token stays valid; only a fresh access token is due."""

    session: Session


@dataclass(frozen=True, slots=True)
class Converged:
    """The token was redeemed before; the same successor is due again."""

    session: Session
    kind: ConvergeKind


@dataclass(frozen=True, slots=True)
class Conflicted:
    """As `Converged`, but the policy wants the loser of a race to be told so. Nothing changed."""

    session: Session
    kind: ConvergeKind


@dataclass(frozen=True, slots=True)
class Reused:
    """A spent token turned up; the session has been ended.

    `others`: the user's sessions that ended with it.
    """

    session: Session
    kind: ReuseKind
    others: tuple[Session, ...] = ()


@dataclass(frozen=True, slots=True)
class Ahead:
    """The token is `by` generations ahead of the store: too far to make up for. Nothing changed."""

    session: Session
    by: int


RotateOutcome: TypeAlias = (
    Unknown | Unproven | Forged | Ended | Rotated | Kept | Converged | Conflicted | Reused | Ahead
)
"""What a store answers to a refresh."""

Granted: TypeAlias = Rotated | Kept | Converged
"""The outcomes after which the client gets tokens."""

# --- The others -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """The session that was asked for."""

    session: Session


LookupOutcome: TypeAlias = Found | Unknown | Forged
"""What a store answers to a question about a refresh token's session."""


@dataclass(frozen=True, slots=True)
class Live:
    """The access token counts. `session` is its session, or None for a token without one."""

    session: Session | None


@dataclass(frozen=True, slots=True)
class Denied:
    """The access token was denied by its id."""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """The store could not be asked and the policy lets the token pass. No store answers this."""


CheckOutcome: TypeAlias = Live | Denied | Ended | Unknown | Unchecked
"""What a store answers to a question about an access token."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """What a revocation found and did.

    Attributes:
        found: There was such a session (and it was that user's, where one was named).
        ended: The sessions that were not marked as ended until now, as they are after their end.
    """

    found: bool
    ended: tuple[Session, ...]


@dataclass(frozen=True, slots=True)
class Inactive:
    """The application says that the user may not go on; the user's sessions were ended.

    No store answers this.
    """

    session: Session
    ended: tuple[Session, ...]


RefreshOutcome: TypeAlias = RotateOutcome | Inactive
"""What a refresh ends in: the store's answer, or the application's veto after it."""

# --- The revocation log ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Followed:
    """A page of the revocation log.

    Attributes:
        entries: Its lines. They may come in any order, and some of them again.
        cursor: Where to read on; None: from the beginning, because the log is not the one that was followed
            before: a backup was restored, a fail-over has lost its last lines, or they have become too old.
        more: Whether to read on at once. Where not, everything is known that was logged before this page was
            asked for.
    """

    entries: tuple[LogEntry, ...]
    cursor: object | None
    more: bool
