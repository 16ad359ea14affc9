"""The managers in both colours: every public operation, its events, its errors.

Each test runs on both twins.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from keyturn import (
    KEEP_CLAIMS,
    AccessTokenError,
    AsyncTokenManager,
    ConfigurationError,
    Denied,
    ExpiredToken,
    InvalidInput,
    InvalidProof,
    InvalidToken,
    Issued,
    KeyRing,
    Policy,
    RefreshConflict,
    RefreshConverged,
    Refreshed,
    RefreshRejected,
    ReuseDetected,
    ReusedToken,
    Revoked,
    RevokedToken,
    SessionExpired,
    SessionLimitReached,
    SteppedUp,
    StoreUnavailable,
    TokenManager,
    UserInactive,
)
from keyturn import events as event_types
from keyturn._core.commands import Create
from keyturn._core.jwt import sign_jwt
from keyturn._core.keyset import KeySet
from keyturn._core.outcomes import CheckOutcome, RotateOutcome
from keyturn._core.records import Session
from keyturn.results import KeepClaims
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore

RING = KeyRing.from_secret("a long secret of more than 32 bytes, for tests only")
MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0
THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"  # from RFC 7638, section 3.1


class Clock:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Broken:
    """Raises `StoreUnavailable` wherever a test says so, and is a store of memory otherwise."""

    def __init__(self) -> None:
        self.fails: set[str] = set()

    def check_health(self, operation: str) -> None:
        if operation in self.fails:
            raise StoreUnavailable(detail="unreachable")


class BrokenStore(Broken, MemoryStore):
    """A store that is out for some operations."""

    def __init__(self) -> None:
        Broken.__init__(self)
        MemoryStore.__init__(self)

    def rotate(self, command: Any, /) -> RotateOutcome:
        self.check_health("rotate")
        return super().rotate(command)

    def check(self, command: Any, /) -> CheckOutcome:
        self.check_health("check")
        return super().check(command)

    def confirm(self, command: Any, /) -> None:
        self.check_health("confirm")
        super().confirm(command)


class AsyncBrokenStore(AsyncMemoryStore):
    """The same for asyncio."""

    def __init__(self) -> None:
        super().__init__()
        self._store = self.plain = BrokenStore()


class Bench:
    """One manager of either colour, driven alike: coroutines are run to their end."""

    def __init__(self, colour: str, **options: Any) -> None:
        self.clock = Clock()
        self.colour = colour
        self._runner = asyncio.Runner() if colour == "async" else None
        self.broken = BrokenStore()
        shared: dict[str, Any] = {"keys": RING, "issuer": "https://i", "audience": "api", "clock": self.clock}
        shared.update(options)
        if colour == "async":
            store = AsyncBrokenStore()
            self.broken = store.plain
            self.manager: Any = AsyncTokenManager(store=store, **shared)
        else:
            self.manager = TokenManager(store=self.broken, **shared)
        self.seen: list[Any] = []
        for name in (
            "Issued",
            "Refreshed",
            "RefreshConverged",
            "RefreshRejected",
            "RefreshForged",
            "ReuseDetected",
        ):
            self.manager.events.subscribe(getattr(event_types, name), self.seen.append)
        for name in (
            "SteppedUp",
            "SessionExpired",
            "Revoked",
            "Denied",
            "StoreRolledBack",
            "StoreUnavailable",
        ):
            self.manager.events.subscribe(getattr(event_types, name), self.seen.append)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.manager, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._runner is None:
                return method(*args, **kwargs)

            async def run() -> Any:
                result = method(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

            return self._runner.run(run())

        return call

    def stop(self) -> None:
        self.close()
        if self._runner is not None:
            self._runner.close()


@pytest.fixture(params=["sync", "async"])
def bench(request: pytest.FixtureRequest) -> Iterator[Callable[..., Bench]]:
    """Make managers of one colour and end them."""
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        made.append(Bench(request.param, **options))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def test_a_session_from_sign_in_to_logout(bench: Callable[..., Bench]) -> None:
    """Sign in, use, refresh, log out: each step gives what the documentation says, and the next one fails."""
    b = bench()
    pair = b.issue("user-1", claims={"roles": ["member"]}, device={"name": "Firefox"}, context="ua")
    assert (pair.expires_in, pair.refresh_expires_in, pair.rotated) == (900, 7 * 86_400, True)
    who = b.authenticate(pair.access_token)
    assert (who.user_id, who.session_id, who.claims) == ("user-1", pair.session_id, {"roles": ["member"]})
    assert (who.issued_at, who.expires_at, who.auth_time) == (1_700_000_000, 1_700_000_900, 1_700_000_000)
    later = b.refresh(pair.refresh_token, context="ua")
    assert later.session_id == pair.session_id
    assert later.refresh_token != pair.refresh_token
    assert b.verify_refresh(later.refresh_token).generation == 1
    assert b.revoke_token(later.refresh_token) is True
    with pytest.raises(AccessTokenError):
        b.authenticate(later.access_token)
    with pytest.raises(RevokedToken):
        b.refresh(later.refresh_token, context="ua")
    kinds = [type(event) for event in b.seen]
    assert kinds == [Issued, Refreshed, Revoked, RefreshRejected]


def test_a_race_converges_on_the_same_successor(bench: Callable[..., Bench]) -> None:
    """Two refreshes of one token by one client give the same refresh token (cases 8 and 10)."""
    b = bench()
    pair = b.issue("u", context="ua")
    first, second = b.refresh(pair.refresh_token, context="ua"), b.refresh(pair.refresh_token, context="ua")
    assert first.refresh_token == second.refresh_token
    assert isinstance(b.seen[-1], RefreshConverged)
    assert b.seen[-1].kind == "race"


def test_the_current_token_is_kept_within_the_window(bench: Callable[..., Bench]) -> None:
    """A session rotates at most once per race window; then the presented token comes back (case 8b)."""
    b = bench()
    first = b.refresh(b.issue("u").refresh_token)
    kept = b.refresh(first.refresh_token)
    assert (kept.refresh_token, kept.rotated) == (first.refresh_token, False)
    assert kept.access_token != first.access_token
    b.clock.now += 10
    assert b.refresh(first.refresh_token).rotated is True


def test_a_lost_response_is_recovered(bench: Callable[..., Bench]) -> None:
    """Hours later, the client whose response was lost gets the same successor (case 11)."""
    b = bench()
    pair = b.issue("u")
    lost = b.refresh(pair.refresh_token)
    b.clock.now += 5 * HOUR
    assert b.refresh(pair.refresh_token).refresh_token == lost.refresh_token
    assert b.seen[-1].kind == "recovered"


def test_an_accepted_access_token_ends_the_recovery(bench: Callable[..., Bench]) -> None:
    """Once the successor's access token was accepted, the predecessor is spent for good (case 12)."""
    b = bench()
    pair = b.issue("u")
    later = b.refresh(pair.refresh_token)
    b.authenticate(later.access_token)
    b.flush()
    b.clock.now += MINUTE
    with pytest.raises(ReusedToken):
        b.refresh(pair.refresh_token)
    with pytest.raises(AccessTokenError):
        b.authenticate(later.access_token)
    assert [type(event) for event in b.seen[-2:]] == [ReuseDetected, Revoked]
    assert b.seen[-2].kind == "previous"


def test_two_clients_of_one_token_are_noticed(bench: Callable[..., Bench]) -> None:
    """A thief in step with the victim is on another branch.

    The second of them to refresh ends it (case 9).
    """
    b = bench()
    stolen = b.issue("u", context="victim").refresh_token
    victim, thief = b.refresh(stolen, context="victim"), b.refresh(stolen, context="thief")
    assert victim.refresh_token != thief.refresh_token
    b.clock.now += 11
    b.refresh(thief.refresh_token, context="thief")
    with pytest.raises(ReusedToken):
        b.refresh(victim.refresh_token, context="victim")
    assert b.seen[-2].kind == "fork"


def test_reuse_can_end_all_sessions_of_the_user(bench: Callable[..., Bench]) -> None:
    """With on_reuse="user" every session of the user ends, and the event counts them."""
    b = bench(policy=Policy(on_reuse="user", recovery_window=0))
    other = b.issue("u")
    pair = b.issue("u")
    b.refresh(pair.refresh_token)
    b.clock.now += MINUTE
    with pytest.raises(ReusedToken):
        b.refresh(pair.refresh_token)
    with pytest.raises(RevokedToken):
        b.refresh(other.refresh_token)
    reuse = next(event for event in b.seen if isinstance(event, ReuseDetected))
    assert reuse.others == 1


def test_a_race_can_be_a_conflict(bench: Callable[..., Bench]) -> None:
    """With on_race="conflict" the loser is told so, and nothing else happens."""
    b = bench(policy=Policy(on_race="conflict"))
    pair = b.issue("u")
    winner = b.refresh(pair.refresh_token)
    with pytest.raises(RefreshConflict):
        b.refresh(pair.refresh_token)
    assert b.refresh(winner.refresh_token).rotated is False


def test_without_rotation_the_token_stays(bench: Callable[..., Bench]) -> None:
    """rotation=False: the same refresh token, a new access token, and the idle limit moves."""
    b = bench(policy=Policy(rotation=False))
    pair = b.issue("u")
    b.clock.now += 6 * DAY
    again = b.refresh(pair.refresh_token)
    assert (again.refresh_token, again.rotated) == (pair.refresh_token, False)
    b.clock.now += 6 * DAY
    assert b.refresh(pair.refresh_token).refresh_expires_in == 7 * 86_400


def test_an_access_token_never_outlives_its_session(bench: Callable[..., Bench]) -> None:
    """Also where the session was refreshed without moving its idle limit: what expires is not logged."""
    b = bench(policy=Policy(access_ttl="15m", idle_ttl="1h", recovery_window="1h", absolute_ttl="2h"))
    first = b.issue("u")
    b.refresh(first.refresh_token)  # the answer is lost
    b.clock.now += 50 * MINUTE
    again = b.refresh(first.refresh_token)  # the same successor, and no more time
    assert again.expires_in == 10 * MINUTE == again.refresh_expires_in
    b.clock.now += 5 * MINUTE
    assert b.refresh(again.refresh_token).expires_in == 15 * MINUTE


def test_idle_and_absolute_limits(bench: Callable[..., Bench]) -> None:
    """A session ends unused after its idle limit and, whatever it did, at its absolute end; it says which."""
    b = bench(policy=Policy(absolute_ttl="10d"))
    pair = b.issue("u")
    b.clock.now += 7 * DAY
    for _ in range(2):
        with pytest.raises(ExpiredToken) as caught:
            b.refresh(pair.refresh_token)
        assert caught.value.detail == "idle"
    expired = [event for event in b.seen if isinstance(event, SessionExpired)]
    assert [event.kind for event in expired] == ["idle"]
    pair = b.issue("u", idle_ttl=None)
    b.clock.now += 10 * DAY - 100
    last = b.refresh(pair.refresh_token)
    assert (last.expires_in, last.refresh_expires_in) == (100, 100)
    b.clock.now += 100
    with pytest.raises(ExpiredToken) as caught:
        b.refresh(last.refresh_token)
    assert caught.value.detail == "absolute"


def test_lifetimes_per_session(bench: Callable[..., Bench]) -> None:
    """A session may have lifetimes of its own, and keeps them when it refreshes."""
    b = bench()
    pair = b.issue("u", access_ttl="1m", idle_ttl="30d", absolute_ttl="60d")
    assert (pair.expires_in, pair.refresh_expires_in) == (60, 30 * 86_400)
    b.clock.now += 20 * DAY
    later = b.refresh(pair.refresh_token)
    assert (later.expires_in, later.refresh_expires_in) == (60, 30 * 86_400)
    with pytest.raises(ConfigurationError, match="access_ttl must be shorter"):
        b.issue("u", access_ttl="40d", idle_ttl="30d")


def test_the_session_limit_evicts_or_refuses(bench: Callable[..., Bench]) -> None:
    """At max_sessions_per_user the oldest session ends, or the sign-in is refused."""
    b = bench(policy=Policy(max_sessions_per_user=2))
    first = b.issue("u")
    b.clock.now += 1
    b.issue("u")
    b.issue("u")
    with pytest.raises(RevokedToken):
        b.refresh(first.refresh_token)
    assert b.seen[-2].reason == "limit"
    strict = bench(policy=Policy(max_sessions_per_user=1, on_session_limit="refuse"))
    strict.issue("u")
    with pytest.raises(SessionLimitReached):
        strict.issue("u")
    strict.issue("another")


def test_a_bound_session_needs_its_key(bench: Callable[..., Bench]) -> None:
    """A session bound to a key refreshes only with proof of that key.

    And a failure never ends it (case 3).
    """
    b = bench()
    pair = b.issue("u", jkt=THUMBPRINT)
    for wrong in (None, THUMBPRINT[::-1]):
        with pytest.raises(InvalidProof):
            b.refresh(pair.refresh_token, jkt=wrong)
    later = b.refresh(pair.refresh_token, jkt=THUMBPRINT)
    assert b.authenticate(later.access_token).jkt == THUMBPRINT


def test_sessions_are_listed_and_ended(bench: Callable[..., Bench]) -> None:
    """A user sees their sessions, newest first; ends one; then all but the current one."""
    b = bench()
    pairs = []
    for name in ("phone", "laptop", "tv"):
        pairs.append(b.issue("u", device={"name": name}))
        b.clock.now += 1
    stranger = b.issue("v")
    listed = b.sessions("u", current=pairs[1].session_id)
    assert [(s.device["name"], s.current) for s in listed] == [
        ("tv", False),
        ("laptop", True),
        ("phone", False),
    ]
    assert b.revoke(pairs[0].session_id, user_id="v") is False
    assert b.revoke(pairs[0].session_id, user_id="u") is True
    assert b.revoke(pairs[0].session_id, user_id="u") is True
    assert b.revoke("no such id") is False
    assert b.revoke_user("u", keep=pairs[1].session_id) == 1
    assert [s.id for s in b.sessions("u")] == [pairs[1].session_id]
    ended = {s.id: s.end_reason for s in b.sessions("u", active=False) if not s.active}
    assert ended == {pairs[0].session_id: "revoked", pairs[2].session_id: "user"}
    assert b.authenticate(stranger.access_token).user_id == "v"
    with pytest.raises(InvalidInput):
        b.revoke_user("u", keep="no such id")


def test_one_access_token_is_denied(bench: Callable[..., Bench]) -> None:
    """A denied token is refused at once; its session and its other tokens go on."""
    b = bench()
    pair = b.issue("u")
    b.deny(pair.access_token, reason="password changed")
    assert isinstance(b.seen[-1], Denied)
    with pytest.raises(AccessTokenError) as caught:
        b.authenticate(pair.access_token)
    assert caught.value.detail == "denied"
    assert b.authenticate(b.refresh(pair.refresh_token).access_token).user_id == "u"
    lone = b.sign_access("robot", claims={"scope": "read"})
    assert b.authenticate(lone).session_id is None
    b.deny(lone)
    with pytest.raises(AccessTokenError):
        b.authenticate(lone)
    assert b.verify_access(lone).claims == {"scope": "read"}


def test_inspect_does_not_rotate(bench: Callable[..., Bench]) -> None:
    """A refresh token's session can be looked at without redeeming it, and after its end."""
    b = bench()
    pair = b.issue("u", device={"name": "x"})
    info = b.inspect(pair.refresh_token)
    assert (info.user_id, info.active, info.generation, info.device) == ("u", True, 0, {"name": "x"})
    b.revoke(pair.session_id)
    assert b.inspect(pair.refresh_token).end_reason == "revoked"
    with pytest.raises(InvalidToken):
        b.inspect("ktr_nonsense")


def test_renew_gives_a_fresh_access_token_and_nothing_more(bench: Callable[..., Bench]) -> None:
    """A renewed access token never outlives the session's limits, and renewing does not extend them."""
    b = bench(policy=Policy(idle_ttl="1h"))
    token = b.issue("u").access_token
    for _ in range(4):
        b.clock.now += 14 * MINUTE
        token = b.renew(token).access_token
    assert b.verify_access(token).expires_at == 1_700_000_000 + 3600
    b.clock.now += 4 * MINUTE + 6
    with pytest.raises(AccessTokenError):
        b.renew(token)


def test_renewing_confirms_nothing(bench: Callable[..., Bench]) -> None:
    """A renewed token keeps its generation: it says nothing of a successor that may have been lost."""
    b = bench()
    pair = b.issue("u")
    lost = b.refresh(pair.refresh_token)
    b.clock.now += MINUTE
    renewed = b.renew(pair.access_token).access_token
    assert b.authenticate(renewed).generation == 0
    b.flush()
    assert b.refresh(pair.refresh_token).refresh_token == lost.refresh_token


def test_renewing_heals_nothing(bench: Callable[..., Bench]) -> None:
    """A denied or revoked token is not renewed, and a renewed one has the claims of the old one."""
    b = bench(load_claims=lambda _: {"roles": ["member"]})
    pair = b.issue("u", claims={"roles": ["admin"]})
    later = b.refresh(pair.refresh_token)
    assert b.verify_access(b.renew(later.access_token).access_token).claims == {"roles": ["member"]}
    b.deny(later.access_token)
    with pytest.raises(AccessTokenError) as caught:
        b.renew(later.access_token)
    assert caught.value.detail == "denied"
    b.revoke(pair.session_id)
    with pytest.raises(AccessTokenError) as caught:
        b.renew(pair.access_token)
    assert caught.value.detail == "revoked"


def test_a_refresh_keeps_the_time_of_the_sign_in_and_a_step_up_sets_it(bench: Callable[..., Bench]) -> None:
    """A step-up lasts as long as its token, renewals included; the session knows nothing of it (RFC 9470)."""
    b = bench()
    start = int(b.clock.now)
    pair = b.issue("u", claims={"roles": ["member"]})
    b.clock.now += 10 * MINUTE
    later = b.refresh(pair.refresh_token)
    assert b.authenticate(later.access_token).auth_time == start
    stepped_up = b.authenticate(b.step_up(pair.access_token).access_token)
    assert (stepped_up.auth_time, stepped_up.session_id) == (start + 600, pair.session_id)
    assert (stepped_up.claims, stepped_up.generation) == ({"roles": ["member"]}, 0)
    assert b.seen[-1] == SteppedUp(b.clock.now, "u", pair.session_id)
    again = b.step_up(pair.access_token).access_token
    b.clock.now += MINUTE
    assert b.authenticate(b.renew(again).access_token).auth_time == start + 600
    assert b.authenticate(b.renew(pair.access_token).access_token).auth_time == start
    assert b.authenticate(b.refresh(later.refresh_token).access_token).auth_time == start


@pytest.mark.parametrize("method", ["renew", "step_up"])
def test_a_renewal_asks_about_the_user_as_a_refresh_does(bench: Callable[..., Bench], method: str) -> None:
    """A changed role counts from then on; a user who may not go on has no session; a failure is an outage."""
    answers: list[Any] = [{"roles": ["member"]}, KEEP_CLAIMS, LookupError("a bug"), UserInactive()]

    def load(_: str) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    b = bench(load_claims=load)
    token, other = (b.issue("u", claims={"roles": ["admin"]}).access_token for _ in range(2))
    renew = getattr(b, method)
    assert b.verify_access(renew(token).access_token).claims == {"roles": ["member"]}
    assert b.verify_access(renew(token).access_token).claims == {"roles": ["admin"]}
    with pytest.raises(StoreUnavailable):
        renew(token)
    assert b.authenticate(other).user_id == "u"
    with pytest.raises(AccessTokenError) as caught:
        renew(token)
    assert caught.value.detail == "inactive"
    for each in (token, other):
        with pytest.raises(AccessTokenError):
            b.authenticate(each)
    with pytest.raises(AccessTokenError):
        renew("garbage")  # nobody is asked about
    assert answers == []


def test_a_step_up_heals_nothing(bench: Callable[..., Bench]) -> None:
    """A token that does not count is not stepped up, and nothing is told of the attempt."""
    b = bench()
    pair, denied = b.issue("u"), b.issue("u")
    b.deny(denied.access_token)
    b.revoke(pair.session_id)
    b.seen.clear()
    for token, detail in (
        (denied.access_token, "denied"),
        (pair.access_token, "revoked"),
        (b.sign_access("u"), "no_session"),
        ("garbage", None),
    ):
        with pytest.raises(AccessTokenError) as caught:
            b.step_up(token)
        assert detail in {None, caught.value.detail}
    assert b.seen == []


def test_what_a_token_was_accepted_for_stands_until_its_session_ends(bench: Callable[..., Bench]) -> None:
    """Its own expiry does not count, the session's limits do; for a token without a session it is all."""
    b = bench(policy=Policy(idle_ttl="2h"))
    lives, revoked, denied, idle = (b.authenticate(b.issue("u").access_token) for _ in range(4))
    alone = b.authenticate(b.sign_access("u"))
    token = b.issue("v").access_token
    other = b.authenticate(token)
    assert all(b.stands(each) for each in (lives, revoked, denied, idle, alone, other))
    b.revoke(revoked.session_id)
    b.deny(token)
    assert [b.stands(each) for each in (lives, revoked, other, alone)] == [True, False, False, True]
    b.clock.now += HOUR
    assert [b.stands(each) for each in (lives, alone)] == [True, False]
    assert not b.stands(replace(lives, user_id="somebody else"))
    b.clock.now += HOUR + 1
    assert not b.stands(idle)
    b.broken.fails.add("check")
    with pytest.raises(StoreUnavailable):
        b.stands(lives)


def test_with_a_lax_policy_a_socket_outlives_an_outage(bench: Callable[..., Bench]) -> None:
    """`on_store_error="allow"` counts here as it does for requests, and says so in an event."""
    b = bench(policy=Policy(on_store_error="allow"))
    principal = b.authenticate(b.issue("u").access_token)
    b.broken.fails.add("check")
    assert b.stands(principal)


def test_an_outage_is_logged_now_and_then(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    """What failed and why, once in ten seconds: each request meets it; without a line nobody would know."""
    b = bench()
    token = b.issue("u").access_token
    b.broken.fails.add("check")
    for seconds, lines in ((0, 1), (9, 1), (2, 2), (-8, 3)):
        b.clock.now += seconds
        with pytest.raises(StoreUnavailable):
            b.authenticate(token, revocation="strict")
        found = [each.getMessage() for each in caplog.records if "cannot be asked" in each.getMessage()]
        assert found == ["keyturn: the store cannot be asked: check: unreachable"] * lines


def test_nobody_is_not_everybody(bench: Callable[..., Bench]) -> None:
    """Asking without a user id is a mistake, never a question about all users."""
    b = bench()
    pair = b.issue("u")
    for wrong in (None, "", ["u"]):
        with pytest.raises(InvalidInput):
            b.sessions(wrong)
        with pytest.raises(InvalidInput):
            b.revoke_user(wrong)
    with pytest.raises(InvalidInput):
        b.revoke(pair.session_id, user_id="")
    with pytest.raises(InvalidInput, match="limit"):
        b.sessions("u", limit=0)


def test_a_short_list_has_the_newest(bench: Callable[..., Bench]) -> None:
    """A limit cuts off the oldest sessions, not the newest."""
    b = bench()
    ids = []
    for _ in range(5):
        ids.append(b.issue("u").session_id)
        b.clock.now += 1
    assert [session.id for session in b.sessions("u", limit=2)] == ids[:2:-1]


@pytest.mark.parametrize("reason", ["idle", "absolute", "x" * 500, None])
def test_a_reason_is_one_of_a_few(bench: Callable[..., Bench], reason: Any) -> None:
    """An expiry is found and never given as a reason, and no other text is one."""
    b = bench()
    pair = b.issue("u")
    with pytest.raises(InvalidInput, match="reason must be one of"):
        b.revoke(pair.session_id, reason=reason)
    with pytest.raises(InvalidInput, match="reason must be one of"):
        b.revoke_user("u", reason=reason)
    assert b.refresh(pair.refresh_token).rotated is True


@pytest.mark.parametrize("jkt", [5, "\ud800", "short", ""])
def test_a_proof_must_be_a_thumbprint(bench: Callable[..., Bench], jkt: Any) -> None:
    """What is handed in as proof and is no thumbprint is a mistake of the caller's."""
    b = bench()
    pair = b.issue("u", jkt=THUMBPRINT)
    with pytest.raises(InvalidInput):
        b.refresh(pair.refresh_token, jkt=jkt)


def test_what_is_shown_is_a_copy(bench: Callable[..., Bench]) -> None:
    """Changing what a list or an event shows changes no session."""
    b = bench()
    pair = b.issue("u", claims={"roles": ["member"]}, device={"name": ["x"]})
    b.sessions("u")[0].claims["roles"].append("admin")
    b.sessions("u")[0].device["name"].append("y")
    b.seen[0].device["name"].append("z")
    later = b.refresh(pair.refresh_token)
    assert b.verify_access(later.access_token).claims == {"roles": ["member"]}
    assert b.sessions("u")[0].device == {"name": ["x"]}


def test_a_lost_confirmation_is_made_up_for(bench: Callable[..., Bench]) -> None:
    """A store that loses a confirmation gets it again with the next accepted token (property 6)."""
    b = bench()
    pair = b.issue("u")
    later = b.refresh(pair.refresh_token)
    (before,) = b.broken.find()
    b.authenticate(later.access_token)
    b.flush()
    b.broken.delete([before.sid])
    b.broken.create(Create(before, None, evict=False, now=0))
    b.authenticate(later.access_token)
    b.flush()
    b.clock.now += MINUTE
    with pytest.raises(ReusedToken):
        b.refresh(pair.refresh_token)


def test_rotation_that_was_switched_off_keeps_the_table(bench: Callable[..., Bench]) -> None:
    """With rotation=False, presenting the current token confirms it, and a lost write forks nobody."""
    on = bench()
    pair = on.issue("u")
    (first,) = on.broken.find()
    later = on.refresh(pair.refresh_token)
    off = bench(policy=Policy(rotation=False))
    for row in on.broken.find():
        off.broken.create(Create(row, None, evict=False, now=0))
    assert off.refresh(later.refresh_token).rotated is False
    off.clock.now += MINUTE
    with pytest.raises(ReusedToken):
        off.refresh(pair.refresh_token)
    lossy = bench(policy=Policy(rotation=False))
    lossy.broken.create(Create(first, None, evict=False, now=0))
    moved = lossy.refresh(later.refresh_token)
    assert lossy.refresh(later.refresh_token).refresh_token == moved.refresh_token
    assert lossy.refresh(moved.refresh_token).rotated is False


def test_claims_are_loaded_afresh(bench: Callable[..., Bench]) -> None:
    """load_claims is asked at each refresh, so that a changed role reaches the next access token."""
    roles = {"u": ["member"]}
    b = bench(load_claims=lambda user_id: {"roles": roles[user_id]})
    pair = b.issue("u", claims={"roles": ["member"]})
    roles["u"] = ["member", "admin"]
    later = b.refresh(pair.refresh_token)
    assert b.authenticate(later.access_token).claims == {"roles": ["member", "admin"]}


def test_a_user_who_may_not_go_on_loses_all_sessions(bench: Callable[..., Bench]) -> None:
    """UserInactive at a refresh ends all sessions of the user (CVE-2024-22513.

    A disabled user kept their tokens).
    """

    def refuse(user_id: str) -> dict[str, Any]:
        raise UserInactive

    b = bench(load_claims=refuse)
    pair, other = b.issue("u"), b.issue("u")
    with pytest.raises(RevokedToken):
        b.refresh(pair.refresh_token)
    with pytest.raises(AccessTokenError):
        b.authenticate(other.access_token)
    assert {event.reason for event in b.seen if isinstance(event, Revoked)} == {"inactive"}


def test_claims_that_cannot_be_loaded_into_a_token_are_the_applications_fault(
    bench: Callable[..., Bench],
) -> None:
    """A loader that gives what is no claims raises a ConfigurationError: no client did anything wrong."""
    b = bench(load_claims=lambda _: {"sub": "root"})
    pair = b.issue("u")
    with pytest.raises(ConfigurationError, match="load_claims: claims must not contain sub"):
        b.refresh(pair.refresh_token)


def test_a_loader_that_says_so_keeps_the_claims_of_the_sign_in(bench: Callable[..., Bench]) -> None:
    """So load_claims may say no more than whether a user may go on."""
    asked: list[str] = []

    def load(user_id: str) -> KeepClaims:
        asked.append(user_id)
        return KEEP_CLAIMS

    b = bench(load_claims=load)
    pair = b.refresh(b.issue("u", claims={"plan": "pro"}).refresh_token)
    assert b.manager.verify_access(pair.access_token).claims == {"plan": "pro"}
    assert asked == ["u"]


@pytest.mark.parametrize("ask", ["refresh", "renew", "step_up"])
def test_a_loader_that_gives_none_lets_nobody_go_on(bench: Callable[..., Bench], ask: str) -> None:
    """None is what a lookup gives that has found no user: the application is told, and nothing is lost."""
    b = bench(load_claims={"ann": {"roles": ["member"]}}.get)
    pair = b.issue("bob", claims={"roles": ["admin"]})
    with pytest.raises(ConfigurationError, match=r"load_claims gave None.*raise UserInactive"):
        getattr(b, ask)(pair.refresh_token if ask == "refresh" else pair.access_token)
    assert b.inspect(pair.refresh_token).generation == 0


@pytest.mark.parametrize(
    "policy", [Policy(), Policy.strict(), Policy(recovery_window=0), Policy(on_race="conflict")]
)
def test_failing_to_load_claims_is_an_outage(bench: Callable[..., Bench], policy: Policy) -> None:
    """When the application's own database is out, nothing changes: the retry works, however late."""
    down = [True]

    def load(user_id: str) -> dict[str, Any]:
        if down:
            raise OSError
        return {"roles": []}

    b = bench(load_claims=load, policy=policy)
    pair = b.issue("u")
    with pytest.raises(StoreUnavailable):
        b.refresh(pair.refresh_token)
    b.clock.now += 3 * DAY
    down.clear()
    assert b.refresh(pair.refresh_token).rotated is True


def test_why_claims_cannot_be_loaded_is_logged(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    """The client is told of an outage alone, so a bug in the application's query would else stay unseen.

    Once for each failure, with its traceback and without a token.
    """

    def load(user_id: str) -> dict[str, Any]:
        raise KeyError(f"no column for {user_id}")

    b = bench(load_claims=load)
    pair = b.issue("u")
    for count in (1, 2):
        with pytest.raises(StoreUnavailable):
            b.refresh(pair.refresh_token)
        records = [record for record in caplog.records if "load_claims failed" in record.message]
        assert [(record.name, record.levelno) for record in records] == [("keyturn", logging.ERROR)] * count
    assert caplog.text.count("KeyError: 'no column for u'") == 2
    assert pair.refresh_token not in caplog.text
    assert pair.access_token not in caplog.text


def test_an_outage_says_nothing_about_a_token(bench: Callable[..., Bench]) -> None:
    """While the store is out every answer is "unavailable"; afterwards the same tokens work (case 16)."""
    b = bench()
    pair = b.issue("u")
    b.broken.fails = {"rotate", "check"}
    with pytest.raises(StoreUnavailable):
        b.refresh(pair.refresh_token)
    with pytest.raises(StoreUnavailable):
        b.authenticate(pair.access_token)
    outages = [event for event in b.seen if isinstance(event, event_types.StoreUnavailable)]
    assert [outage.operation for outage in outages] == ["rotate", "check"]
    assert {outage.reason for outage in outages} == {"unreachable"}
    b.broken.fails = set()
    assert b.authenticate(pair.access_token).user_id == "u"
    assert b.refresh(pair.refresh_token).rotated is True


def test_an_outage_lets_pass_only_by_name(bench: Callable[..., Bench]) -> None:
    """on_store_error="allow" accepts a token on its signature while the store is out.

    And says so in an event.
    """
    b = bench(policy=Policy(on_store_error="allow"))
    pair = b.issue("u")
    b.broken.fails = {"check"}
    assert b.authenticate(pair.access_token).user_id == "u"
    assert b.seen[-1].operation == "check"
    with pytest.raises(AccessTokenError):
        b.authenticate(pair.access_token[:-2])


def test_a_confirmation_that_failed_is_made_up_for(bench: Callable[..., Bench]) -> None:
    """Confirming is once per generation and process.

    Off the critical path, and tried again after an outage.
    """
    b = bench(policy=Policy(race_window="1s"))
    pair = b.issue("u")
    later = b.refresh(pair.refresh_token)
    b.broken.fails = {"confirm"}
    b.authenticate(later.access_token)
    b.flush()
    b.broken.fails = set()
    b.clock.now += 5
    b.authenticate(later.access_token)
    b.flush()
    with pytest.raises(ReusedToken):
        b.refresh(pair.refresh_token)


def test_purge_goes_in_batches_and_keeps_tombstones(bench: Callable[..., Bench]) -> None:
    """Purging removes what is past its absolute end and the retention.

    And nothing that a replay may still hit.
    """
    b = bench(policy=Policy(idle_ttl="1d", absolute_ttl="2d"))
    pairs = [b.issue(f"u{n}") for n in range(7)]
    b.revoke(pairs[0].session_id)
    assert b.purge(retention=0) == 0
    b.clock.now += 3 * DAY
    b.issue("fresh")
    assert b.purge(retention="2d") == 0
    progress: list[int] = []
    assert b.purge(retention=0, batch=3, progress=progress.append) == 7
    assert progress == [3, 6, 7]
    with pytest.raises(InvalidToken):
        b.refresh(pairs[0].refresh_token)
    with pytest.raises(InvalidInput):
        b.purge(batch=0)


@pytest.mark.parametrize("refresh_format", ["opaque", "jwt"])
def test_both_formats_are_read_whatever_is_written(
    bench: Callable[..., Bench], refresh_format: Literal["opaque", "jwt"]
) -> None:
    """A change of format logs nobody out: the next refresh gives the new one."""
    old = bench(policy=Policy(refresh_format=refresh_format))
    pair = old.issue("u")
    other: Literal["opaque", "jwt"] = "jwt" if refresh_format == "opaque" else "opaque"
    options: dict[str, Any] = {"keys": RING, "issuer": "https://i", "audience": "api", "clock": old.clock}
    options["policy"] = Policy(refresh_format=other)
    new: Any
    if old.colour == "sync":
        new = TokenManager(store=old.manager._store, **options)
        later = new.refresh(pair.refresh_token)
        new.close()
    else:
        new = AsyncTokenManager(store=old.manager._store, **options)
        later = asyncio.run(new.refresh(pair.refresh_token))
    assert later.refresh_token.startswith("ktr_") is (other == "opaque")


def test_a_refresh_survives_a_turn_of_keys(bench: Callable[..., Bench]) -> None:
    """A token under a key that no longer signs still works.

    Its retry converges, and new tokens use the new key.
    """
    secrets = ["first secret, long enough for HS256 keys", "second secret, long enough for HS256 keys"]
    ring = Turning(KeyRing.from_secret(secrets[0]))
    b = bench(keys=ring)
    pair = b.issue("u")
    before = b.refresh(pair.refresh_token)
    ring.turn(KeyRing.from_secret(secrets[1], previous=[secrets[0]]))
    after = b.refresh(pair.refresh_token)
    kids = [b.verify_refresh(one.refresh_token).key_id for one in (before, after)]
    assert kids[0] != kids[1]
    b.clock.now += 11
    moved = b.refresh(before.refresh_token)
    assert isinstance(b.seen[-1], Refreshed)
    assert b.seen[-1].key_migrated is True
    b.clock.now += 11
    assert b.refresh(after.refresh_token).refresh_token == moved.refresh_token
    ring.turn(KeyRing.from_secret(secrets[1]))
    with pytest.raises(InvalidToken):
        b.refresh(before.refresh_token)
    assert [event.reason for event in b.seen[-1:]] == ["unknown_key"]


def test_a_token_that_never_rotates_moves_to_the_active_key(bench: Callable[..., Bench]) -> None:
    """With rotation=False a turn of keys is the one time that the refresh token changes (case 17)."""
    ring = Turning(KeyRing.from_secret("first secret, long enough for HS256 keys"))
    b = bench(keys=ring, policy=Policy(rotation=False))
    pair = b.issue("u")
    ring.turn(
        KeyRing.from_secret(
            "second secret, long enough for HS256 keys", previous=["first secret, long enough for HS256 keys"]
        )
    )
    moved = b.refresh(pair.refresh_token)
    assert moved.rotated is True
    assert b.refresh(moved.refresh_token).refresh_token == moved.refresh_token


class Known:
    """What a key source says of which nothing can be unknown."""

    def may_miss_keys(self) -> bool:
        return False

    def unread_for(self) -> float:
        return 0.0


class Turning(Known):
    """A key source that a test turns from one ring to the next."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def turn(self, ring: KeyRing) -> None:
        self._ring = ring

    @property
    def current(self) -> Any:
        return self._ring.current


def test_a_session_that_is_gone(bench: Callable[..., Bench]) -> None:
    """A token of a session that the store does not know is invalid, and ends nothing (case 4)."""
    b = bench()
    pair = b.issue("u")
    b.broken.delete([session.sid for session in b.broken.find()])
    with pytest.raises(InvalidToken) as caught:
        b.refresh(pair.refresh_token)
    assert caught.value.detail == "unknown_session"
    assert b.seen[-1].reason == "unknown_session"
    for method in ("authenticate", "renew"):
        with pytest.raises(AccessTokenError):
            getattr(b, method)(pair.access_token)
    with pytest.raises(InvalidToken):
        b.inspect(pair.refresh_token)
    assert b.revoke_token(pair.refresh_token) is False


def test_a_forged_token_is_an_alarm(bench: Callable[..., Bench]) -> None:
    """A right tag with a wrong secret means that a key has leaked: an event, and no session ends (case 5)."""
    b = bench()
    pair = b.issue("u")
    (row,) = b.broken.find()
    b.broken.delete([row.sid])
    b.broken.create(Create(replace(row, secret_digest=bytes(32)), None, evict=False, now=0))
    with pytest.raises(InvalidToken):
        b.refresh(pair.refresh_token)
    assert isinstance(b.seen[-1], event_types.RefreshForged)
    assert b.revoke_token(pair.refresh_token) is False
    with pytest.raises(InvalidToken):
        b.inspect(pair.refresh_token)
    assert b.authenticate(pair.access_token).user_id == "u"


@pytest.mark.parametrize(("lost", "recovered"), [(1, True), (2, True), (3, False)])
def test_a_store_that_lost_writes(bench: Callable[..., Bench], lost: int, *, recovered: bool) -> None:
    """One or two lost rotations are made up for; more is refused, an alarm, and no end (cases 14 and 15)."""
    b = bench()
    token = b.issue("u").refresh_token
    rows: list[Session] = []
    for _ in range(lost):
        rows += b.broken.find()
        b.clock.now += MINUTE
        token = b.refresh(token).refresh_token
    b.broken.delete([rows[0].sid])
    b.broken.create(Create(rows[0], None, evict=False, now=0))
    b.clock.now += MINUTE
    if recovered:
        b.clock.now += MINUTE
        assert b.verify_refresh(b.refresh(token).refresh_token).generation == lost + 1
    else:
        with pytest.raises(InvalidToken):
            b.refresh(token)
    assert isinstance(b.seen[-1], event_types.StoreRolledBack)
    assert (b.seen[-1].lost, b.seen[-1].recovered) == (lost, recovered)


def test_a_session_of_somebody_else_does_not_vouch(bench: Callable[..., Bench]) -> None:
    """An access token whose user is not its session's is refused, whatever went wrong to make it."""
    b = bench()
    pair = b.issue("u")
    (row,) = b.broken.find()
    b.broken.delete([row.sid])
    b.broken.create(Create(replace(row, user_id="v"), None, evict=False, now=0))
    with pytest.raises(AccessTokenError):
        b.authenticate(pair.access_token)


def test_an_odd_session_id_is_not_taken_for_none(bench: Callable[..., Bench]) -> None:
    """A token of ours whose `sid` is no session id is refused, not accepted as a token without a session."""
    b = bench()
    now = int(b.clock())
    claims = {
        "iss": "https://i",
        "aud": "api",
        "sub": "u",
        "jti": "x",
        "iat": now,
        "exp": now + 9,
        "sid": "x",
    }
    active = RING.current.active
    assert active
    with pytest.raises(AccessTokenError):
        b.authenticate(sign_jwt(claims, active, "at+jwt"))


def test_a_token_without_a_session_is_not_renewed(bench: Callable[..., Bench]) -> None:
    """Only a session's access token can be renewed, and no token lives for less than a second."""
    b = bench()
    with pytest.raises(AccessTokenError) as caught:
        b.renew(b.sign_access("u"))
    assert caught.value.detail == "no_session"
    with pytest.raises(InvalidInput):
        b.sign_access("u", ttl=0)


def test_without_an_active_key_nothing_is_issued(bench: Callable[..., Bench]) -> None:
    """A ring that only verifies is a configuration error at the first attempt to sign."""

    class Verifying(Known):
        current = KeySet(None, RING.current.keys)

    b = bench(keys=Verifying())
    with pytest.raises(ConfigurationError, match="no active key"):
        b.issue("u")


def test_handlers_never_break_a_refresh(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    """A failing handler, plain or async, is logged and breaks nothing; flush waits for the async ones."""
    b = bench()
    noted: list[str] = []

    async def note(event: Refreshed) -> None:
        noted.append(event.session_id)

    async def fail(event: Refreshed) -> None:
        raise RuntimeError

    def fail_now(event: Refreshed) -> None:
        raise RuntimeError

    for handler in (fail_now, fail, note):
        b.manager.events.subscribe(Refreshed, handler)
    pair = b.refresh(b.issue("u").refresh_token)
    b.flush()
    assert noted == [pair.session_id]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.ERROR]


def test_a_subscription_ends_and_is_checked(bench: Callable[..., Bench]) -> None:
    """Unsubscribing stops a handler; subscribing to something that is no event is an error at once."""
    b = bench()
    noted: list[object] = []
    stop = b.manager.events.subscribe(Issued, noted.append)
    b.issue("u")
    stop()
    b.issue("u")
    assert len(noted) == 1
    stops = [b.manager.events.subscribe(Issued, noted.append) for _ in range(2)]
    stops[0]()
    b.issue("u")
    assert len(noted) == 2  # the same handler, subscribed twice: the other subscription stays
    b.manager.events.subscribe(StoreUnavailable, noted.append)  # the error stands for the event of its name
    b.broken.fails = {"check"}
    with pytest.raises(StoreUnavailable):
        b.authenticate(b.issue("u").access_token)
    assert isinstance(noted[-1], event_types.StoreUnavailable)
    with pytest.raises(ConfigurationError, match="is not an event"):
        b.manager.events.subscribe(InvalidToken, noted.append)
    with pytest.raises(ConfigurationError, match="callable"):
        b.manager.events.subscribe(Issued, None)


def test_refusals_that_anybody_can_cause_are_sampled(bench: Callable[..., Bench]) -> None:
    """Nonsense tokens cause one event per second, which counts those that were held back."""
    b = bench()
    for step in range(21):
        b.clock.now += 0.125 if step else 0  # eight in a second
        with pytest.raises(InvalidToken):
            b.refresh("nonsense")
    assert [event.count for event in b.seen] == [1, 8, 8]


def test_whoever_watches_sees_every_event(bench: Callable[..., Bench]) -> None:
    """Watching takes all types and holds nothing back, until it ends; what it breaks is its own."""
    b = bench()
    noted: list[object] = []
    stops = [b.manager.events.watch(noted.append) for _ in range(2)]
    b.manager.events.watch(lambda _: 1 / 0)
    b.issue("u")
    for _ in range(3):
        with pytest.raises(InvalidToken):
            b.refresh("nonsense")
    assert [type(event) for event in noted[::2]] == [
        Issued,
        RefreshRejected,
        RefreshRejected,
        RefreshRejected,
    ]
    assert noted[::2] == noted[1::2]
    stops[0]()
    b.issue("u")
    assert len(noted) == 9
    stops[1]()
    b.issue("u")
    assert len(noted) == 9
    with pytest.raises(ConfigurationError, match="callable"):
        b.manager.events.watch(None)


@pytest.mark.parametrize(
    ("user_id", "options", "message"),
    [
        ("", {}, "user_id"),
        ("x" * 256, {}, "user_id"),
        ("a\x00b", {}, "control"),
        ("\ud800", {}, "control"),
        (7, {}, "user_id"),
        ("u", {"claims": {"sub": "root"}}, "must not contain sub"),
        ("u", {"claims": {"x": object()}}, "JSON"),
        ("u", {"claims": {"x": "y" * 5000}}, "4096"),
        ("u", {"claims": ["roles"]}, "mapping"),
        ("u", {"claims": {f"c{n}": n for n in range(201)}}, "200"),
        ("u", {"device": {"x": float("nan")}}, "JSON"),
        ("u", {"device": "Firefox"}, "mapping"),
        ("u", {"context": 5}, "context"),
        ("u", {"context": "x" * 5000}, "context"),
        ("u", {"jkt": "short"}, "thumbprint"),
    ],
)
def test_bad_input_to_issue(
    bench: Callable[..., Bench], user_id: Any, options: dict[str, Any], message: str
) -> None:
    """Every unusable value is refused with a sentence that names it, and nothing is stored."""
    b = bench()
    with pytest.raises(InvalidInput, match=message):
        b.issue(user_id, **options)
    assert b.broken.count() == 0


@pytest.mark.parametrize(
    "token", ["", "ktr_", "x" * 100_000, "é", "a.b.c", "ktr_" + "A" * 104, "\x00", None, 5, b"x"]
)
def test_nonsense_tokens(bench: Callable[..., Bench], token: Any) -> None:
    """Whatever is not a token gets the one documented error of its kind.

    With nothing of it in the message.
    """
    b = bench()
    for method in ("refresh", "revoke_token", "verify_refresh", "inspect"):
        with pytest.raises(InvalidToken) as caught:
            getattr(b, method)(token)
        assert str(caught.value) == "The refresh token is not valid."
    for method in ("authenticate", "verify_access", "deny", "renew"):
        with pytest.raises(AccessTokenError) as refused:
            getattr(b, method)(token)
        assert str(refused.value) == "The access token is not acceptable."


@pytest.mark.parametrize(("issuer", "audience"), [("", "a"), ("i", ""), (None, "a"), ("i", 5), ("i\n", "a")])
def test_issuer_and_audience_are_checked(issuer: Any, audience: Any) -> None:
    """A manager is not made without usable names for who issues and for whom."""
    with pytest.raises(ConfigurationError):
        TokenManager(store=MemoryStore(), keys=RING, issuer=issuer, audience=audience)


def test_an_async_loader_needs_the_async_manager() -> None:
    """A coroutine function as load_claims of the plain manager is refused when the manager is made."""

    async def load(user_id: str) -> dict[str, Any]:
        return {}

    with pytest.raises(ConfigurationError, match="AsyncTokenManager"):
        TokenManager(store=MemoryStore(), keys=RING, issuer="i", audience="a", load_claims=load)


def test_the_async_manager_awaits_its_loader() -> None:
    """load_claims of the async manager may be a coroutine function."""

    async def load(user_id: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"roles": ["x"]}

    async def run() -> None:
        manager = AsyncTokenManager(
            store=AsyncMemoryStore(), keys=RING, issuer="i", audience="a", load_claims=load
        )
        pair = await manager.refresh((await manager.issue("u")).refresh_token)
        assert manager.verify_access(pair.access_token).claims == {"roles": ["x"]}
        await manager.close()

    asyncio.run(run())


@dataclass(frozen=True)
class Roles:
    """A claims model."""

    roles: list[str]
    plan: str = "free"


@dataclass(frozen=True)
class Nested:
    """A claims model that would not come back as it went."""

    roles: Roles


@dataclass(frozen=True)
class Picky:
    """A claims model that raises something unusual."""

    plan: str

    def __post_init__(self) -> None:
        raise KeyError(self.plan)


def test_a_claims_model_reaches_the_principal(bench: Callable[..., Bench]) -> None:
    """With a claims model, both directions are typed, and a token that does not fit is refused."""
    b = bench(claims=Roles)
    pair = b.issue("u", claims=Roles(["member"]))
    assert b.authenticate(pair.access_token).claims == Roles(["member"], "free")
    stranger = bench().sign_access("u", claims={"plan": "pro"})
    with pytest.raises(AccessTokenError):
        b.verify_access(stranger)
    with pytest.raises(InvalidInput, match="do not fit"):
        b.issue("u")  # every token of it would be refused
    with pytest.raises(InvalidInput):
        b.issue("u", claims="roles")
    for wrong in (int, {"plan": str}, Nested):
        with pytest.raises(ConfigurationError):
            bench(claims=wrong)
    assert bench(claims=dict[str, Any]).sign_access("u", claims={"plan": "pro"})


def test_a_model_may_refuse_in_its_own_way(bench: Callable[..., Bench]) -> None:
    """Whatever a claims model raises, the token is not acceptable, and nothing else leaves."""
    b = bench(claims=Picky)
    token = bench().sign_access("u", claims={"plan": "pro"})
    with pytest.raises(AccessTokenError) as caught:
        b.verify_access(token)
    assert caught.value.detail == "claims"


def test_tokens_and_secrets_are_in_no_repr(bench: Callable[..., Bench]) -> None:
    """Neither results nor rows nor managers show a token or a secret when they are printed."""
    b = bench()
    pair = b.issue("u", claims={"roles": ["secret-role"]})
    now = int(b.clock() * 1000)
    plan = b.manager._engine.refresh(
        pair.refresh_token, context="secret-ua", jkt=None, now=now, entropy=bytes(16)
    )
    shown = " ".join(map(repr, (pair, b.sessions("u"), b.broken.find(), b.manager, RING, plan, *b.seen)))
    for secret in (pair.access_token, pair.refresh_token, "secret-role", "secret-ua"):
        assert secret not in shown
