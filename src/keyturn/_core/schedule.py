"""When each key of a ring is published, signs, verifies and is refused. It knows no key and no clock.

```
pending ──► active ──► verifying ──► retired
published   signs      verifies      refused, still listed
```
A turn of keys is a plan of moments. Whoever has read it once knows at every later moment which key signs, so
that all processes switch together, without another message, and also while they cannot read it again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final, Literal, TypeAlias, assert_never

from keyturn.errors import ConfigurationError
from keyturn.policy import Policy

KeyState: TypeAlias = Literal["pending", "active", "verifying", "retired"]
"""`pending` is published and accepted but does not sign yet; `retired` is refused."""

JWKS_MAX_AGE: Final = 300  # seconds that a published JWK Set may be cached
PICK_UP: Final = 60.0  # seconds in which every process has read a change, and by which clocks may differ
PUBLISH_AT_LEAST: Final = JWKS_MAX_AGE + PICK_UP
PUBLISH_FOR: Final = 600.0
_LATEST: Final = 253_402_300_799.0  # the end of the year 9999
KEEP: Final = 30 * 86_400.0
NEVER: Final = math.inf


@dataclass(frozen=True, slots=True)
class Times:
    """When a key enters each state, POSIX seconds; None where that is not planned.

    Attributes:
        created_at: Since when it is published.
        active_at: When it begins to sign.
        verifying_at: When the next key signs instead.
        retired_at: When its tokens begin to be refused.
    """

    created_at: float
    active_at: float | None = None
    verifying_at: float | None = None
    retired_at: float | None = None

    def __post_init__(self) -> None:
        """Refuse times that are out of order.

        Raises:
            ConfigurationError: They are.
        """
        known = [each for each in (self.active_at, self.verifying_at, self.retired_at) if each is not None]
        if not all(0 <= each <= _LATEST for each in (self.created_at, *known)):  # also where it is NaN
            raise ConfigurationError("the times of a key are no moments of this age")
        if known != sorted(known):
            raise ConfigurationError("the times of a key are not in the order of its life")
        if self.active_at is not None and self.verifying_at is None and self.retired_at is not None:
            raise ConfigurationError("a key that signs cannot be retired before another signs")


Schedule: TypeAlias = Mapping[str, Times]
"""The times of a ring's keys by `kid`, in the order in which they came."""


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """How long the parts of a turn take, in seconds.

    Attributes:
        publish_for: How long the new key is published before it signs: longer than verifiers cache the
            published keys and than workers need to read a change.
        drain: How long the old key verifies after that: as long as anything lives that it signed.
        keep: How long a retired key stays listed.
    """

    drain: float
    publish_for: float = PUBLISH_FOR
    keep: float = KEEP

    @classmethod
    def of(cls, policy: Policy) -> TurnPlan:
        """Plan for a policy; see `drain_of`."""
        return cls(drain_of(policy))


def drain_of(policy: Policy) -> float:
    """Tell how long a key must verify after its last signature, in seconds.

    A refresh token carries the tag of the key that signed when it was made, and is redeemed as long as its
    session lives. `issue` may give a session an idle limit of its own, or none; what bounds them all is the
    absolute end. No access token of a session outlives that.
    """
    return policy.absolute_ttl + policy.leeway + PICK_UP


def least_drain_of(policy: Policy) -> float:
    """Tell the same where no session was given limits of its own: those that are not used end earlier.

    A session's last token from a key is redeemed before the idle limit; where the answer is lost then, it is
    redeemed once more within the recovery window, and within the race window after that.
    """
    if policy.idle_ttl is None:
        return drain_of(policy)
    repeats = policy.recovery_window + policy.race_window
    return min(drain_of(policy), policy.idle_ttl + repeats + policy.leeway + PICK_UP)


def longest_unread_of(policy: Policy) -> float:
    """Tell for how long a process may sign without reading the keys, in seconds.

    A turn that it has not noticed may have ended by then, so that others refuse what it signs.
    """
    return max(PUBLISH_AT_LEAST, least_drain_of(policy) - PICK_UP)


def signing(schedule: Schedule, now: float) -> str:
    """Give the `kid` of the key that signs.

    It is the first whose signing has not ended. Where clocks differ, it may be a key that another machine has
    just made and let sign: then it signs here a moment early, rather than none.

    Args:
        schedule: One that `check` accepts.
        now: POSIX seconds.
    """
    return min(
        (times.active_at, kid)
        for kid, times in schedule.items()
        if times.active_at is not None and now < _or_never(times.verifying_at)
    )[1]


def states(schedule: Schedule, now: float) -> dict[str, KeyState]:
    """Give the state of each key at a moment: one of them is active."""
    active = signing(schedule, now)
    return {kid: "active" if kid == active else _waiting(times, now) for kid, times in schedule.items()}


def since(times: Times, state: KeyState) -> float:
    """Give the moment at which a key has entered its state."""
    match state:
        case "pending":
            return times.created_at
        case "active":
            entered = times.active_at
        case "verifying":
            entered = times.verifying_at
        case "retired":
            entered = times.retired_at
        case _:
            assert_never(state)
    return times.created_at if entered is None else entered


def next_change(schedule: Schedule, now: float) -> float:
    """Give the next moment at which a state changes; `NEVER` where none is planned."""
    moments = (
        at for times in schedule.values() for at in (times.active_at, times.verifying_at, times.retired_at)
    )
    return min((at for at in moments if at is not None and at > now), default=NEVER)


def check(schedule: Schedule) -> None:
    """Refuse a schedule by which two keys sign at one moment, or at last none.

    Raises:
        ConfigurationError: It is such a schedule.
    """
    signing_spans = sorted(
        (times.active_at, _or_never(times.verifying_at))
        for times in schedule.values()
        if times.active_at is not None
    )
    lasting = sum(end == NEVER for _, end in signing_spans)
    if lasting != 1:
        raise ConfigurationError(f"a key ring must have one active key, not {lasting}")
    if any(end > begin for (_, end), (begin, _) in pairwise(signing_spans)):
        raise ConfigurationError("two keys of the ring would sign at one moment")


def planned(schedule: Schedule, now: float) -> str | None:
    """Give the `kid` of a key that is going to sign; None where no turn is under way."""
    active = signing(schedule, now)
    waiting = (kid for kid, times in schedule.items() if times.active_at is not None and kid != active)
    return next((kid for kid in waiting if now < (schedule[kid].active_at or 0.0)), None)


def activated(schedule: Schedule, kid: str, now: float) -> dict[str, Times]:
    """Let a key sign from now on; the one that signed goes on verifying, and no other is going to sign.

    Raises:
        ConfigurationError: It is retired.
    """
    active = signing(schedule, now)
    if states(schedule, now)[kid] == "retired":
        raise ConfigurationError(f"the key {kid!r} is retired")
    if kid == active:
        return dict(schedule)
    at = max(now, schedule[active].active_at or now)  # this machine's clock may be behind
    changed = _without_plans(schedule, active, now)
    changed[active] = replace(changed[active], verifying_at=at)
    changed[kid] = Times(schedule[kid].created_at, active_at=at)
    return changed


def turned(schedule: Schedule, kid: str, now: float, plan: TurnPlan) -> dict[str, Times]:
    """Plan a whole turn to a new key, and forget keys that were retired long ago.

    Args:
        schedule: The ring as it is.
        kid: The new key, which is not in it.
        now: POSIX seconds.
        plan: How long each part takes.

    Raises:
        ConfigurationError: A turn is under way.
    """
    if (waiting := planned(schedule, now)) is not None:
        begins = _moment(schedule[waiting].active_at)
        raise ConfigurationError(f"a turn is under way: the key {waiting} signs from {begins}")
    active = signing(schedule, now)
    at = max(now, schedule[active].active_at or now) + plan.publish_for
    kept = {
        each: times
        for each, times in schedule.items()
        if times.retired_at is None or now < times.retired_at + plan.keep
    }
    kept[active] = replace(kept[active], verifying_at=at, retired_at=at + plan.drain)
    kept[kid] = Times(now, active_at=at)
    return kept


def replaced(schedule: Schedule, kid: str, now: float, *, everything: bool) -> dict[str, Times]:
    """Let a new key sign at once, and forget the one that signed, with those that were to sign after it.

    Args:
        schedule: The ring as it is.
        kid: The new key, which is not in it.
        now: POSIX seconds.
        everything: Forget the keys that only verify, too.
    """
    known = states(schedule, now)
    kept = {
        each: times
        for each, times in schedule.items()
        if known[each] == "retired" or (known[each] == "verifying" and not everything)
    }
    return {**kept, kid: Times(now, active_at=now)}


def retired(schedule: Schedule, kid: str, now: float) -> dict[str, Times]:
    """Refuse a key's tokens from now on; where it was going to sign, the one that signs goes on signing.

    The key must not be the one that signs.
    """
    times = schedule[kid]
    changed = dict(schedule)
    if kid == planned(schedule, now):
        changed = _without_plans(schedule, signing(schedule, now), now)
    past = None if times.verifying_at is None else min(times.verifying_at, now)
    signed = times.active_at if past is not None else None
    changed[kid] = Times(times.created_at, None if signed is None else min(signed, now), past, now)
    return changed


def ended(schedule: Schedule, kid: str, now: float, drain: float) -> dict[str, Times]:
    """End a key where nothing can be alive that it has signed, and else refuse to.

    Args:
        schedule: The ring as it is.
        kid: The key. A turn to it is called off: then it is accepted for as long as processes may use it
            that have not noticed that. Another pending one, or a retired one, is forgotten.
        now: POSIX seconds.
        drain: How long the tokens live that a key may have signed last, in seconds, where no turn has planned
            its end.

    Raises:
        ConfigurationError: It signs, is going to in a moment, or what it signed may be alive.
    """
    times, state = schedule[kid], states(schedule, now)[kid]
    if state == "active":
        raise ConfigurationError(f"the key {kid} signs now: `keyturn keys rotate` turns to another")
    if kid == planned(schedule, now) and (times.active_at or now) - now < PICK_UP:
        raise ConfigurationError(
            f"the key {kid} signs from {_moment(times.active_at)}: it is too late to call that off everywhere"
        )
    if state == "pending" and times.retired_at is not None:
        raise ConfigurationError(
            f"the turn to the key {kid} was called off; servers that have not noticed may use it, so it "
            f"is accepted until {_moment(times.retired_at)}"
        )
    if state == "verifying" and now < (safe := safe_from(times, drain)):
        raise ConfigurationError(
            f"tokens that the key {kid} has signed may be alive until {_moment(safe)}; a key that has leaked "
            "is dropped with `keyturn keys rotate --emergency`"
        )
    changed = retired(schedule, kid, now)
    if kid == planned(schedule, now):
        # Who has not noticed signs for at most one drain more (`longest_unread_of`), and that lives for one.
        changed[kid] = Times(times.created_at, retired_at=now + 2 * drain)
    elif state != "verifying":
        del changed[kid]  # nobody needs to know of it any more
    return changed


def safe_from(times: Times, drain: float) -> float:
    """Give the moment from which nothing can live that a key has signed: by its plan, or else by the drain.

    Args:
        times: Of a key that does not sign.
        drain: How long the tokens live that it may have signed last, in seconds.
    """
    if times.retired_at is not None:
        return times.retired_at
    return times.created_at if times.verifying_at is None else times.verifying_at + drain


def _without_plans(schedule: Schedule, active: str, now: float) -> dict[str, Times]:
    """Call off what was going to happen to the key that signs, and to keys that were going to sign."""
    changed = dict(schedule)
    for kid, times in schedule.items():
        if kid == active:
            changed[kid] = replace(times, verifying_at=None, retired_at=None)
        elif times.active_at is not None and times.active_at > now:
            changed[kid] = Times(times.created_at)
    return changed


def _waiting(times: Times, now: float) -> KeyState:
    if now >= _or_never(times.retired_at):
        return "retired"
    return "verifying" if now >= _or_never(times.verifying_at) else "pending"


def _moment(at: float | None) -> str:
    return datetime.fromtimestamp(at or 0.0, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _or_never(at: float | None) -> float:
    return NEVER if at is None else at


TIME_NAMES: Final = tuple(field.name for field in fields(Times))
