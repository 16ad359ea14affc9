"""The policy: every lifetime, window and choice of the lifecycle, frozen and validated once.

It knows no store and no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Final, Generic, Literal, Self, TypeAlias, TypeVar, cast, get_args, overload

from keyturn.durations import Duration, seconds
from keyturn.errors import ConfigurationError

InT = TypeVar("InT")
OutT = TypeVar("OutT")

OnRace: TypeAlias = Literal["converge", "conflict"]
OnReuse: TypeAlias = Literal["session", "user"]
OnSessionLimit: TypeAlias = Literal["evict", "refuse"]
OnStoreError: TypeAlias = Literal["refuse", "allow"]
RefreshFormat: TypeAlias = Literal["opaque", "jwt"]
RevocationCheck: TypeAlias = Literal["view", "strict", "none"]
"""How an access token is checked for revocation: see `Policy.revocation`."""

MIN_STALENESS_SECONDS: Final = 0.1  # the log is read four times as often where nothing rings
MAX_LEEWAY_SECONDS: Final = 60.0  # RFC 7519, section 4.1.4: "a few minutes" is the upper end; we stay below


class FromPolicy(Enum):
    """The type of `FROM_POLICY`: "as the policy says", where None already means "no limit"."""

    VALUE = "from policy"


FROM_POLICY: Final = FromPolicy.VALUE


class Span(Generic[InT, OutT]):
    """A field that takes any duration (None too, where its default says so) and reads back as seconds."""

    def __init__(self, default: InT, *, optional: bool = False) -> None:
        """Remember the default; it is converted like any other value."""
        self._default = default
        self._optional = optional
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        """Learn the field's name, for errors."""
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> InT: ...
    @overload
    def __get__(self, instance: object, owner: type) -> OutT: ...
    def __get__(self, instance: object | None, owner: type) -> InT | OutT:
        """Give the seconds; on the class, the default (this is how `dataclass` finds it)."""
        if instance is None:
            return self._default
        value: OutT = vars(instance)[self._name]
        return value

    def __set__(self, instance: object, value: InT) -> None:
        """Convert and keep; the owner is a frozen dataclass, so this happens once."""
        unlimited = value is None and self._optional
        vars(instance)[self._name] = None if unlimited else seconds(cast("Duration", value), name=self._name)


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How sessions live, rotate and end. The defaults are safe; each field may be given on its own.

    Durations may be given as a `timedelta`, as seconds, or as text such as `"15m"`; they read back as
    seconds.

    Attributes:
        access_ttl: Lifetime of an access token. Short, because a purely stateless verifier sees a revocation
            only at its end (RFC 9700, section 2.2.2).
        idle_ttl: A session that has not been refreshed for so long ends. None: no such limit.
        absolute_ttl: A session ends so long after its sign-in, whatever it did (RFC 9700, section 4.14.2).
        race_window: For so long after a hand-out, the previous refresh token still converges on its
            successor,
            and the session does not rotate again. 0: every refresh rotates.
        recovery_window: For so long after a rotation, a client whose response was lost gets the same
            successor
            again, as long as the successor was not used. 0: no recovery. With 0 for both windows, refresh
            tokens are strictly one-time.
        rotation: False keeps the refresh token as it is; a stolen one then goes unnoticed.
        on_race: "converge" hands the loser of a race the same successor; "conflict" answers 409 instead.
        on_reuse: What ends when a spent refresh token turns up: its "session", or all sessions of the "user".
        refresh_format: "opaque" (compact, with a prefix for secret scanners) or "jwt" (`typ: rt+jwt`).
        max_sessions_per_user: How many live sessions a user may have at once. None: as many as they like.
        on_session_limit: At the limit, "evict" the oldest session or "refuse" the sign-in.
        on_store_error: "refuse" with 503 while the store cannot be asked; "allow" accepts an access token on
            its signature alone (unsafe: revocations do not act meanwhile).
        revocation: How access tokens are checked, where a call or route does not say otherwise. "view" looks
            in what this process knows to be revoked, which follows the store. "strict" asks the store each
            time: a revocation anywhere then acts at once. "none" trusts signature and expiry (unsafe:
            revocations do not act until a token expires).
        max_staleness: How old that view may be: a revocation in another process acts here within so long.
            Past it, the store is asked.
        verified_tokens: How many access tokens are remembered as verified, so that their signatures need not
            be checked again; 0: none.
        leeway: Tolerated clock skew for access tokens, at most 60 seconds.
        audit_retention: How long each line of the audit trail is kept: sign-ins, rotations, reuse, ends of
            sessions. None: no trail.

    Raises:
        ConfigurationError: A value is of the wrong kind or they do not fit together; the message names it.

    Examples:
        >>> Policy(access_ttl="5m").access_ttl
        300.0
        >>> Policy(access_ttl="30d")
        Traceback (most recent call last):
        ...
        keyturn.errors.ConfigurationError: access_ttl must be shorter than idle_ttl (604800s)
    """

    access_ttl: Span[Duration, float] = Span("15m")
    idle_ttl: Span[Duration | None, float | None] = Span("7d", optional=True)
    absolute_ttl: Span[Duration, float] = Span("90d")
    race_window: Span[Duration, float] = Span("10s")
    recovery_window: Span[Duration, float] = Span("24h")
    rotation: bool = True
    on_race: OnRace = "converge"
    on_reuse: OnReuse = "session"
    refresh_format: RefreshFormat = "opaque"
    max_sessions_per_user: int | None = None
    on_session_limit: OnSessionLimit = "evict"
    on_store_error: OnStoreError = "refuse"
    revocation: RevocationCheck = "view"
    max_staleness: Span[Duration, float] = Span("5s")
    verified_tokens: int = 10_000
    leeway: Span[Duration, float] = Span("5s")
    audit_retention: Span[Duration | None, float | None] = Span(None, optional=True)

    def __post_init__(self) -> None:
        """Check each value, then how they fit together."""
        for name, allowed in _CHOICES.items():
            value = getattr(self, name)
            if not isinstance(value, str) or value not in allowed:
                raise ConfigurationError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        check_switch("rotation", self.rotation)
        _check_session_limit(self.max_sessions_per_user)
        check_count("verified_tokens", self.verified_tokens)
        if self.max_staleness < MIN_STALENESS_SECONDS:
            raise ConfigurationError(
                f"max_staleness must be at least {MIN_STALENESS_SECONDS:g}s; revocation='strict' has none"
            )
        if self.leeway > MAX_LEEWAY_SECONDS:
            raise ConfigurationError(f"leeway must be at most {MAX_LEEWAY_SECONDS:g}s")
        if self.audit_retention is not None and self.audit_retention < 1:
            raise ConfigurationError("audit_retention must be at least 1 second, or None for no trail")
        check_lifetimes(
            access_ttl=self.access_ttl,
            idle_ttl=self.idle_ttl,
            absolute_ttl=self.absolute_ttl,
            race_window=self.race_window,
        )
        if self.recovery_window >= self.absolute_ttl:
            raise ConfigurationError("recovery_window must be shorter than absolute_ttl")
        if self.recovery_window and self.recovery_window < self.race_window:
            raise ConfigurationError(
                "recovery_window must not be shorter than race_window, or 0 to switch it off"
            )

    @classmethod
    def strict(cls) -> Self:
        """Give refresh tokens that work exactly once: a lost response or a race then ends the session.

        Examples:
            >>> Policy.strict().race_window
            0.0
        """
        return cls(race_window=0, recovery_window=0)

    @classmethod
    def stateless_resources(cls) -> Self:
        """Fit resource servers that verify access tokens without asking the store.

        Their acceptance cannot confirm a generation, so the recovery window is off: otherwise a thief who
        comes later from the same client context would not be noticed.
        """
        return cls(access_ttl="5m", recovery_window=0)

    @classmethod
    def mobile(cls) -> Self:
        """Fit applications on phones: long rests, lost responses, one sign-in for months."""
        return cls(idle_ttl="60d", absolute_ttl="365d", recovery_window="7d")

    @classmethod
    def aal2(cls) -> Self:
        """Fit NIST SP 800-63B-4 at AAL2 (section 2.2.3): sign in again after 24 hours, or 1 hour unused."""
        return cls(access_ttl="5m", idle_ttl="1h", absolute_ttl="24h", recovery_window="1h")

    def as_dict(self) -> dict[str, Any]:
        """Give every setting by name, durations in seconds."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


_CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "on_race": get_args(OnRace),
    "on_reuse": get_args(OnReuse),
    "refresh_format": get_args(RefreshFormat),
    "on_session_limit": get_args(OnSessionLimit),
    "on_store_error": get_args(OnStoreError),
    "revocation": get_args(RevocationCheck),
}


def check_lifetimes(
    *, access_ttl: float, idle_ttl: float | None, absolute_ttl: float, race_window: float
) -> None:
    """Refuse lifetimes that do not nest: access < idle <= absolute, and race window < idle.

    Args:
        access_ttl: Seconds.
        idle_ttl: Seconds, or None for no idle limit.
        absolute_ttl: Seconds.
        race_window: Seconds. Within it a session does not rotate, and so its idle limit does not move.

    Raises:
        ConfigurationError: They do not nest, or one is under a second.
    """
    for name, value in (("access_ttl", access_ttl), ("idle_ttl", idle_ttl), ("absolute_ttl", absolute_ttl)):
        if value is not None and value < 1:
            raise ConfigurationError(f"{name} must be at least 1 second")
    if idle_ttl is not None and idle_ttl > absolute_ttl:
        raise ConfigurationError(f"idle_ttl must not be longer than absolute_ttl ({absolute_ttl:.15g}s)")
    nearest, name = (absolute_ttl, "absolute_ttl") if idle_ttl is None else (idle_ttl, "idle_ttl")
    for shorter, span in (("access_ttl", access_ttl), ("race_window", race_window)):
        if span >= nearest:
            raise ConfigurationError(f"{shorter} must be shorter than {name} ({nearest:.15g}s)")


def check_switch(name: str, value: object) -> None:
    """Refuse a setting that is neither True nor False.

    Raises:
        ConfigurationError: It is something else; the message names it.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{name} must be True or False, not {value!r}")


def check_count(name: str, value: object) -> None:
    """Refuse a setting that is no whole number from 0.

    Raises:
        ConfigurationError: It is something else; the message names it.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{name} must be a whole number from 0, not {value!r}")


def _check_session_limit(limit: object) -> None:
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ConfigurationError(
            f"max_sessions_per_user must be a whole number from 1, or None, not {limit!r}"
        )
