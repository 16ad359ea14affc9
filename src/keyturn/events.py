"""What happened, as typed and frozen data. It knows no handler, no store and no token.

No event ever holds a token or a secret. `at` is POSIX seconds. Subscribe through `manager.events`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from keyturn._core.frozen import quickly_made
from keyturn._core.records import EndReason, Json

RejectReason: TypeAlias = Literal[
    "invalid", "unknown_key", "unknown_session", "proof", "revoked", "expired", "conflict", "inactive"
]


@dataclass(frozen=True, slots=True)
class Issued:
    """A user signed in: a session began."""

    at: float
    user_id: str
    session_id: str
    device: Json = field(default_factory=dict[str, Any])


@quickly_made
@dataclass(frozen=True, slots=True)
class Refreshed:
    """A session refreshed. `rotated` is False where the refresh token stayed (case 8b, or `rotation=False`).

    `key_migrated`: the token presented was under a key that no longer signs (case 17).
    """

    at: float
    user_id: str
    session_id: str
    generation: int
    rotated: bool = True
    key_migrated: bool = False


@dataclass(frozen=True, slots=True)
class SteppedUp:
    """A user signed in again within a session: an access token says so until it expires (RFC 9470)."""

    at: float
    user_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class RefreshConverged:
    """A token that was redeemed before got the same successor again: a race, or a lost response recovered."""

    at: float
    user_id: str
    session_id: str
    generation: int
    kind: Literal["race", "recovered"]


@dataclass(frozen=True, slots=True)
class RefreshRejected:
    """A refresh was refused, and nothing changed.

    Attributes:
        at: When, POSIX seconds.
        reason: Why.
        session_id: The session, where there is one.
        count: For how many refusals this event stands: those that anybody can cause are sampled.
    """

    at: float
    reason: RejectReason
    session_id: str | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class RefreshForged:
    """Critical: a token with a right tag and a wrong secret.

    Somebody else can sign: a signing key has leaked.
    """

    at: float
    user_id: str
    session_id: str
    key_id: str


@dataclass(frozen=True, slots=True)
class ReuseDetected:
    """A spent refresh token turned up: its session was ended, and with `on_reuse="user"` all of the user's.

    Attributes:
        at: When, POSIX seconds.
        user_id: Whose session.
        session_id: Which session.
        generation: The session's generation at the time.
        kind: "fork": two clients redeemed the same token; "previous" or "stale": a token from the past.
        others: How many other sessions of the user ended with it.
    """

    at: float
    user_id: str
    session_id: str
    generation: int
    kind: Literal["fork", "previous", "stale"]
    others: int = 0


@dataclass(frozen=True, slots=True)
class SessionExpired:
    """A refresh found its session past a limit."""

    at: float
    user_id: str
    session_id: str
    kind: Literal["absolute", "idle"]


@dataclass(frozen=True, slots=True)
class Revoked:
    """A session was ended."""

    at: float
    user_id: str
    session_id: str
    reason: EndReason


@dataclass(frozen=True, slots=True)
class Denied:
    """One access token was denied."""

    at: float
    user_id: str
    token_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StoreRolledBack:
    """A client holds a newer generation than the store: the store lost writes (fail-over, restored backup).

    `recovered` is False where it is too far ahead to make up for: critical.
    """

    at: float
    user_id: str
    session_id: str
    lost: int
    recovered: bool


@dataclass(frozen=True, slots=True)
class StoreUnavailable:
    """The store could not be asked. It says nothing about any token.

    Attributes:
        at: When, POSIX seconds.
        operation: What was asked.
        reason: Why, in a word for operators, such as "unreachable" or "wrong_password"; may be empty.
    """

    at: float
    operation: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AuditLost:
    """Lines of the audit trail could not be kept.

    Too many were waiting while its store was out, it was still out when the manager was closed, or it cannot
    store such a line.

    Attributes:
        at: When, POSIX seconds.
        count: How many lines.
        total: How many since the manager began.
    """

    at: float
    count: int
    total: int


Event: TypeAlias = (
    Issued
    | Refreshed
    | SteppedUp
    | RefreshConverged
    | RefreshRejected
    | RefreshForged
    | ReuseDetected
    | SessionExpired
    | Revoked
    | Denied
    | StoreRolledBack
    | StoreUnavailable
    | AuditLost
)
