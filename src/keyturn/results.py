"""What callers get back: token pairs, principals, session descriptions.

They know no store and no token format.

All times are POSIX seconds (UTC), as in a JWT's NumericDate (RFC 7519, section 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Final, Generic, NoReturn, TypeAlias

from typing_extensions import TypeVar

from keyturn._core.frozen import quickly_made
from keyturn._core.records import EndReason, Json, Session, ending
from keyturn._core.trail import TrailEntry, TrailKind

ClaimsT = TypeVar("ClaimsT", default=dict[str, Any])
"""The type of an application's claims: a dict, unless the manager was given a model."""


class KeepClaims(Enum):
    """The type of `KEEP_CLAIMS`: None is what a lookup gives that has found no user, and says nothing."""

    VALUE = "keep claims"


KEEP_CLAIMS: Final = KeepClaims.VALUE
"""What an application's `load_claims` gives to let the claims of the sign-in go on."""

LoadedClaims: TypeAlias = ClaimsT | Mapping[str, Any] | KeepClaims
"""What an application's `load_claims` may give."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """One signed access token.

    Attributes:
        access_token: The token, a JWT of `typ: at+jwt` (RFC 9068). It is not part of the repr.
        expires_in: Seconds until it expires.
        token_id: Its `jti`.
    """

    access_token: str = field(repr=False)
    expires_in: int
    token_id: str


@quickly_made
@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client gets at sign-in and at each refresh.

    Attributes:
        access_token: The access token (RFC 9068). Neither token is part of the repr.
        refresh_token: The refresh token to present next time.
        expires_in: Seconds until the access token expires (RFC 6749, section 5.1).
        refresh_expires_in: Seconds until the refresh token can no longer be used if it rests unused.
        session_id: The session that both belong to.
        rotated: Whether the refresh token differs from the one presented, so that it must be stored. At
            sign-in True.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    refresh_expires_in: int
    session_id: str
    rotated: bool = True


class NeverSent:
    """Marks what is never read from a request: whoever sent it would be whoever they say.

    FastAPI takes a parameter of any dataclass from the body, so a route that forgot to say where its
    principal comes from would let anybody in as anybody. With this mark, such an application does not start.
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> NoReturn:
        """Refuse to be read: this is pydantic's hook for how a value is read.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            "a Principal comes from an access token, never from a request's body: write "
            "Annotated[Principal, Security(auth.current)]"
        )


@quickly_made
@dataclass(frozen=True, slots=True)
class Principal(Generic[ClaimsT]):
    """Who an accepted access token speaks for.

    Attributes:
        user_id: The token's `sub`.
        session_id: Its `sid`; None for a token that belongs to no session.
        token_id: Its `jti`.
        claims: The application's own claims. A dict is read-only, because a token that is used often is read
            once: change a copy (`dict(claims)`).
        issued_at: Its `iat`, POSIX seconds.
        expires_at: Its `exp`, POSIX seconds.
        auth_time: When the user signed in (OpenID Connect Core, section 2), POSIX seconds.
        generation: The generation of the session that it was issued in.
        jkt: The thumbprint of the key that it is bound to (RFC 9449, section 6.1), if any.
    """

    user_id: Annotated[str, NeverSent]
    session_id: str | None
    token_id: str
    claims: ClaimsT
    issued_at: int
    expires_at: int
    auth_time: int | None = None
    generation: int | None = None
    jkt: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshTokenInfo:
    """What a refresh token says of itself, its tag verified and nothing else.

    Attributes:
        session_id: The session that it belongs to.
        generation: The generation that it redeems.
        key_id: The `kid` of the key that it is under.
    """

    session_id: str
    generation: int
    key_id: str


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session as a person may see it: nothing in it can be used as a token.

    Attributes:
        id: The session's id.
        user_id: Whose it is.
        device: What the application knows of the client.
        created_at: When the user signed in, POSIX seconds.
        last_seen_at: When it was last seen in use, POSIX seconds.
        expires_at: When it ends if it rests unused: the nearer of its idle and absolute limits, POSIX
            seconds.
        absolute_expires_at: Its absolute end, POSIX seconds.
        generation: How often it has rotated.
        current: Whether it is the session of the request that asks.
        active: Whether it still lives.
        ended_at: When it was ended or found expired; None while it lives or if nobody looked.
        end_reason: Why it is over; None while it lives.
        claims: The claims of its sign-in.
    """

    id: str
    user_id: str
    device: Json
    created_at: float
    last_seen_at: float
    expires_at: float
    absolute_expires_at: float
    generation: int
    current: bool
    active: bool
    ended_at: float | None
    end_reason: EndReason | None
    claims: Json = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a session's audit trail.

    Attributes:
        at: When it happened, POSIX seconds.
        kind: What happened.
        reason: Why or how, for example "fork" or "logout"; may be empty.
        generation: The session's generation afterwards.
        device: What the application knows of the client; empty for a denial.
        context: A digest of the client's context, 16 hexadecimal digits: the same client gives the same one
            within a session. Empty where the client was not there, or gave none.
    """

    at: float
    kind: TrailKind
    reason: str
    generation: int
    device: Json
    context: str


def recount(entry: TrailEntry) -> HistoryEntry:
    """Turn a line of the trail into what a person may see.

    Args:
        entry: The line.
    """
    return HistoryEntry(
        at=entry.at / 1000,
        kind=entry.kind,
        reason=entry.reason,
        generation=entry.gen,
        device=deepcopy(entry.device),  # a trail in memory must not be changed through it
        context=entry.context,
    )


def describe(session: Session, *, now: int, current: str | None = None) -> SessionInfo:
    """Turn a row into what a person may see.

    Args:
        session: The row.
        now: The moment to judge at, in milliseconds.
        current: The id of the session that asks, if any.
    """
    reason = ending(session, now)
    return SessionInfo(
        id=str(session.sid),
        user_id=session.user_id,
        device=deepcopy(session.device),  # a store in memory must not be changed through it
        created_at=session.created_at / 1000,
        last_seen_at=session.last_seen_at / 1000,
        expires_at=rests_until(session) / 1000,
        absolute_expires_at=session.expires_at / 1000,
        generation=session.gen,
        current=str(session.sid) == current,
        active=reason is None,
        ended_at=None if session.revoked_at is None else session.revoked_at / 1000,
        end_reason=reason,
        claims=deepcopy(session.claims),
    )


def rests_until(session: Session) -> int:
    """Give the moment (milliseconds) at which a session ends if nothing more happens to it."""
    return (
        session.expires_at
        if session.idle_expires_at is None
        else min(session.idle_expires_at, session.expires_at)
    )
