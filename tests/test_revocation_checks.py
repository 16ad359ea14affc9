"""How access tokens are checked for revocation, in both colours: from a view, in the store, or not at all.

Each test runs on both twins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import pytest

from keyturn import AccessTokenError, ConfigurationError, KeyRing, Policy, RefreshError, StoreUnavailable
from keyturn.stores.memory import MemoryStore
from keyturn.testing.clock import ManualClock
from tests.support.followed import Process

Starter: TypeAlias = Callable[..., Process]
MINUTE = 60.0
T0 = ManualClock()()


@pytest.fixture(params=["threads", "async"])
def begin(request: pytest.FixtureRequest) -> Iterator[Starter]:
    """Begin processes that share a store and a clock, and end them."""
    rows, clock, processes = MemoryStore(), ManualClock(), list[Process]()

    def begin_one(**options: Any) -> Process:
        processes.append(Process(request.param, rows, clock, **options))
        return processes[-1]

    yield begin_one
    for process in processes:
        process.line.cut.clear()
        process.end()


def refused(process: Process, token: str, **options: Any) -> str:
    """Give why a token is refused."""
    with pytest.raises(AccessTokenError) as caught:
        process.authenticate(token, **options)
    return caught.value.detail


def used(process: Process) -> str:
    """Sign somebody in, use the access token once, and let that be told: from now on nothing is due."""
    token: str = process.issue("user-1", claims={"roles": ["member"]}).access_token
    process.start()
    process.authenticate(token)
    process.flush()
    process.line.asked.clear()
    return token


def test_a_token_that_is_used_often_costs_the_store_nothing(begin: Starter) -> None:
    """With a fresh view, a thousand checks ask the store nothing at all."""
    process = begin()
    token = used(process)
    for _ in range(1000):
        assert process.authenticate(token).user_id == "user-1"
    assert process.line.asked.keys() <= {"follow"}  # off the critical path


def test_the_first_use_in_a_process_confirms_once(begin: Starter) -> None:
    """Each process tells the store once of each generation, whatever a client does with it."""
    process, other = begin(), begin()
    pair = process.issue("user-1")
    for each in (process, other):
        each.start()
        for _ in range(5):
            each.authenticate(pair.access_token)
            each.flush()
        assert each.line.asked["confirm"] == 1
    later = process.refresh(pair.refresh_token)
    for _ in range(5):
        process.authenticate(later.access_token)
        process.flush()
    assert process.line.asked["confirm"] == 2
    assert process.sessions("user-1")[0].last_seen_at == process.clock()


def test_a_confirmation_that_failed_is_tried_again(begin: Starter) -> None:
    """The next accepted token tells the store what it could not be told before."""
    process = begin()
    pair = process.issue("user-1")
    process.start()
    process.line.cut = {"confirm"}
    for second in (0, 0.5, 1, 2, 2.5, 3, 4, 4.5, 7):  # not at each request, but after 1, 2 and 4 seconds
        process.clock.jump(T0 + second - process.clock())
        process.start()
        process.authenticate(pair.access_token)
        process.flush()
    assert process.line.asked["confirm"] == 4
    assert len([each for each in process.outages if each.operation == "confirm"]) == 4
    process.line.cut.clear()
    for _ in range(3):
        process.clock.advance(8)
        process.start()
        process.authenticate(pair.access_token)
        process.flush()
    assert process.line.asked["confirm"] == 5


def test_before_the_log_was_read_the_store_is_asked(begin: Starter) -> None:
    """A new process accepts nothing on the word of a view that it has not read."""
    process, other = begin(), begin()
    pair = process.issue("user-1")
    process.revoke(pair.session_id)
    other.line.cut = {"follow"}
    assert refused(other, pair.access_token) == "revoked"
    assert other.line.asked["check"] == 1
    fresh = process.issue("user-1")
    for _ in range(3):
        assert other.authenticate(fresh.access_token).session_id == fresh.session_id
    assert other.line.asked["check"] == 4
    assert other.manager.revocations.staleness(other.clock()) is None


ENDS: dict[str, Callable[[Process, Any], object]] = {
    "revoke": lambda process, pair: process.revoke(pair.session_id),
    "revoke_token": lambda process, pair: process.revoke_token(pair.refresh_token),
    "revoke_user": lambda process, _: process.revoke_user("user-1"),
    "deny": lambda process, pair: process.deny(pair.access_token),
    "limit": lambda process, _: process.issue("user-1"),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_a_process_revokes_itself_acts_at_once(
    begin: Starter, end: Callable[[Process, Any], object]
) -> None:
    """The own view knows when the call returns, without reading the log again."""
    process = begin(policy=Policy(max_sessions_per_user=1))
    pair = process.issue("user-1")
    process.start()
    process.authenticate(pair.access_token)
    process.line.cut = {"follow", "check"}
    end(process, pair)
    assert refused(process, pair.access_token) == "revoked"


def test_reuse_acts_at_once(begin: Starter) -> None:
    """Theft that a refresh has noticed ends the access tokens of that process with it."""
    process = begin(policy=Policy.strict())
    first = process.issue("user-1")
    later = process.refresh(first.refresh_token)
    process.start()
    process.authenticate(later.access_token)
    process.line.cut = {"follow", "check"}
    with pytest.raises(RefreshError):
        process.refresh(first.refresh_token)
    assert refused(process, later.access_token) == "revoked"


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_another_process_revokes_acts_when_the_log_was_read(
    begin: Starter, end: Callable[[Process, Any], object]
) -> None:
    """A revocation anywhere reaches a process by the log, and costs its requests no store call."""
    policy = Policy(max_sessions_per_user=1)
    process, other = begin(policy=policy), begin(policy=policy)
    pair = process.issue("user-1")
    other.start()
    other.authenticate(pair.access_token)
    end(process, pair)
    other.start()  # what the follower does within a second
    other.line.asked.clear()
    assert refused(other, pair.access_token) == "revoked"
    assert other.line.asked["check"] == 0


def test_an_end_whose_answer_was_lost_is_not_forgotten(begin: Starter) -> None:
    """Nobody knows what became of it: until the log was read again, the store is asked about each token."""
    process = begin()
    pair, other = process.issue("user-1"), process.issue("user-2")
    process.start()
    for each in (pair, other):
        process.authenticate(each.access_token)
        process.flush()
    ends: list[Callable[[], object]] = [
        lambda: process.revoke(pair.session_id),
        lambda: process.revoke_user("user-1"),
        lambda: process.deny(other.access_token),
    ]
    process.line.lost = {"revoke", "revoke_user", "deny"}
    process.line.cut = {"follow"}
    for end in ends:
        with pytest.raises(StoreUnavailable):
            end()
    process.line.asked.clear()
    assert refused(process, pair.access_token) == "revoked"
    assert refused(process, other.access_token) == "denied"
    assert process.line.asked["check"] == 2
    process.line.cut = set()
    process.start()
    process.line.asked.clear()
    assert refused(process, pair.access_token) == refused(process, other.access_token) == "revoked"
    assert process.line.asked["check"] == 0


def test_an_end_that_was_found_acts_at_once(begin: Starter) -> None:
    """Another process was first, a moment ago: whoever acknowledges the end here knows of it, too."""
    process, other = begin(), begin()
    pairs = [process.issue("user-1"), process.issue("user-2")]
    for pair in pairs:
        other.start()
        other.authenticate(pair.access_token)
        process.revoke(pair.session_id)
    other.line.cut = {"follow"}
    other.revoke(pairs[0].session_id)
    assert refused(other, pairs[0].access_token) == "revoked"
    other.revoke_user("user-2")
    assert refused(other, pairs[1].access_token) == "revoked"


def test_a_stale_view_asks_the_store(begin: Starter) -> None:
    """Past `max_staleness` the store decides; what the view knows to be revoked is refused all the same."""
    process, other = begin(), begin()
    token, lost = used(other), process.issue("user-1")
    other.authenticate(lost.access_token)
    other.line.cut = {"follow"}
    process.revoke(lost.session_id)
    other.clock.advance(5)
    assert other.authenticate(lost.access_token).session_id == lost.session_id, "within the stated bound"
    other.clock.advance(0.001)
    assert refused(other, lost.access_token) == "revoked"
    assert other.authenticate(token).user_id == "user-1"
    assert other.line.asked["check"] == 2


def test_a_stale_view_without_a_store_refuses(begin: Starter) -> None:
    """Where the store cannot be asked either, that is no answer about the token, and is told."""
    process = begin()
    token = used(process)
    gone = process.issue("user-2")
    process.revoke(gone.session_id)
    process.line.cut = {"*"}
    process.clock.advance(6)
    with pytest.raises(StoreUnavailable):
        process.authenticate(token)
    assert "check" in {event.operation for event in process.outages}
    assert refused(process, gone.access_token) == "revoked", "that is known, store or not"


def test_a_stale_view_without_a_store_lets_pass_where_asked_for_by_name(begin: Starter) -> None:
    """`on_store_error="allow"` prefers availability, but lets nothing pass that is known to be revoked."""
    process = begin(policy=Policy(on_store_error="allow"))
    token = used(process)
    gone = process.issue("user-2")
    process.revoke(gone.session_id)
    process.line.cut = {"*"}
    process.clock.advance(6)
    assert process.authenticate(token).user_id == "user-1"
    assert refused(process, gone.access_token) == "revoked"


def test_an_outage_that_is_over_is_made_up_for(begin: Starter) -> None:
    """When the log can be read again the view is fresh again, and knows what happened meanwhile."""
    process, other = begin(), begin()
    token = used(other)
    lost = process.issue("user-1")
    other.authenticate(lost.access_token)
    other.line.cut = {"*"}
    process.revoke(lost.session_id)
    other.clock.advance(60)
    other.line.cut.clear()
    other.start()
    other.line.asked.clear()
    assert refused(other, lost.access_token) == "revoked"
    assert other.authenticate(token).user_id == "user-1"
    assert other.line.asked["check"] == 0


def test_a_clock_that_is_set_back_makes_nothing_fresh(begin: Starter) -> None:
    """A view from the future is as stale as one from the past."""
    process = begin()
    token = used(process)
    process.line.cut = {"follow"}
    process.clock.jump(-4)
    process.authenticate(token)
    assert process.line.asked["check"] == 0
    process.clock.jump(-2)
    with pytest.raises(AccessTokenError):  # it was not issued yet
        process.authenticate(token)
    process.clock.jump(-3600)
    early = process.issue("user-1").access_token
    process.authenticate(early)
    assert process.line.asked["check"] == 1


def test_a_token_older_than_the_view_looks_back_is_asked_about(begin: Starter) -> None:
    """A session with longer access tokens than the policy has is as safe: the store knows what is old."""
    process, other = begin(), begin()
    pair = process.issue("user-1", access_ttl="2h")
    process.revoke(pair.session_id)
    other.clock.advance(20 * MINUTE)
    other.start()
    assert refused(other, pair.access_token) == "revoked"
    assert other.line.asked["check"] == 1


def test_strict_asks_the_store_each_time(begin: Starter) -> None:
    """A revocation anywhere acts on the very next strict check, by policy or by call."""
    process = begin()
    other = begin(policy=Policy(revocation="strict"))
    pair = process.issue("user-1")
    for each, options in ((process, {"revocation": "strict"}), (other, {})):
        each.start()
        for _ in range(3):
            each.authenticate(pair.access_token, **options)
        assert each.line.asked["check"] == 3
    process.revoke(pair.session_id)
    assert refused(other, pair.access_token) == "revoked"


def test_strict_refuses_what_is_known_to_be_revoked(begin: Starter) -> None:
    """Also where the store is out and others may pass: the stronger check must not be the weaker one."""
    process = begin(policy=Policy(on_store_error="allow"))
    token = used(process)
    gone = process.issue("user-2")
    process.revoke(gone.session_id)
    process.line.cut = {"*"}
    assert refused(process, gone.access_token, revocation="strict") == "revoked"
    assert process.authenticate(token, revocation="strict").user_id == "user-1"


def test_a_clock_that_leaps_makes_nobody_forget(begin: Starter) -> None:
    """A clock that goes on by an hour and comes back, and a revocation in between, leave all revoked."""
    process = begin()
    one, other = process.issue("user-1"), process.issue("user-2")
    process.start()
    process.revoke(one.session_id)
    process.line.cut = {"follow", "check"}  # nobody but the own view can say so
    process.clock.jump(3600)
    process.revoke(other.session_id)
    process.clock.jump(-3600)
    for pair in (one, other):
        assert refused(process, pair.access_token) == "revoked"


def test_none_asks_nobody(begin: Starter) -> None:
    """Where it was asked for by name, signature and expiry decide alone; the use is still confirmed."""
    process = begin(policy=Policy(revocation="none"))
    pair = process.issue("user-1")
    process.revoke(pair.session_id)
    process.line.cut = {"check", "follow"}
    process.authenticate(pair.access_token)
    process.flush()
    assert process.line.asked["confirm"] == 1
    assert process.line.asked.keys().isdisjoint({"check", "follow"})
    process.authenticate(pair.access_token)
    process.clock.advance(16 * MINUTE)
    assert refused(process, pair.access_token) == "expired"


def test_an_unknown_way_of_checking_is_a_mistake(begin: Starter) -> None:
    """It must not pass for any of the three: neither for a new token nor for one that was used before."""
    process = begin()
    for token in (process.issue("user-1").access_token, used(process)):
        with pytest.raises(ConfigurationError, match="view, strict, none, not 'veiw'"):
            process.authenticate(token, revocation="veiw")


def test_expiry_is_checked_every_time(begin: Starter) -> None:
    """A token that was verified before is refused at its end, and not a moment earlier."""
    process = begin()
    token = used(process)
    left = process.authenticate(token).expires_at + 5 - process.clock()
    process.clock.advance(left - 0.001)
    process.start()
    assert process.authenticate(token)
    process.clock.advance(0.001)
    assert refused(process, token) == "expired"


def test_a_removed_key_takes_its_verified_tokens_along(begin: Starter) -> None:
    """What a key has verified is not remembered longer than the key."""
    ring = KeyRing.generate("HS256")
    process = begin(keys=ring)
    token = used(process)
    old = ring.infos()[0].kid
    ring.rotate()
    assert process.authenticate(token).user_id == "user-1"
    ring.remove(old)
    assert refused(process, token) == "unknown_key"


def test_a_process_without_memory_for_tokens_verifies_each_time(begin: Starter) -> None:
    """`verified_tokens=0` remembers none, and everything works."""
    process = begin(policy=Policy(verified_tokens=0))
    token = used(process)
    first, second = process.authenticate(token), process.authenticate(token)
    assert first == second
    assert first is not second


def test_verified_claims_cannot_be_changed(begin: Starter) -> None:
    """A handler that appends to the roles of its principal gives them to nobody, not even to itself."""
    process = begin()
    token = used(process)
    for _ in range(2):
        who = process.authenticate(token)
        with pytest.raises(TypeError):
            who.claims["roles"] = ["admin"]
        with pytest.raises(TypeError):
            who.claims["roles"].append("admin")
        assert who.claims == {"roles": ["member"]}


@dataclass
class Roles:
    """Claims that a handler can change."""

    roles: list[str]


@dataclass(frozen=True)
class FrozenRoles:
    """Claims that look as if nobody could change them."""

    roles: list[str] = field(default_factory=list)


@pytest.mark.parametrize("model", [Roles, FrozenRoles])
def test_a_claims_model_is_made_anew(begin: Starter, model: Any) -> None:
    """Each request gets a model of its own, of claims of its own: a frozen one may hold what is not."""
    process = begin(claims=model)
    for role in ("member", "guest"):
        token = process.issue("user-1", claims=model(roles=[role])).access_token
        process.start()
        for _ in range(3):
            who = process.authenticate(token)
            assert who.claims == model(roles=[role])
            who.claims.roles.append("admin")
            process.flush()
    if model is FrozenRoles:  # with what the model makes itself, where the token says nothing
        token = process.issue("user-1", claims={}).access_token
        for _ in range(3):
            who = process.authenticate(token)
            assert who.claims.roles == []
            who.claims.roles.append("admin")
            process.flush()


@dataclass
class Particular:
    """Claims that change what they are given, and that do not fit for ever."""

    roles: list[str]
    fits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.roles.sort()
        if not self.fits:
            raise ValueError("the trial is over")


def test_a_claims_model_may_be_particular(begin: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may change what it is given, as at sign-in; where it does not fit any more, that is no accident."""
    process = begin(claims=Particular)
    token = process.issue("user-1", claims=Particular(roles=["b", "a"])).access_token
    process.start()
    for _ in range(2):
        assert process.authenticate(token).claims.roles == ["a", "b"]
        process.flush()
    monkeypatch.setattr(Particular, "fits", False)
    assert refused(process, token) == "claims"
    assert refused(process, token, revocation="strict") == "claims"


def test_a_store_in_this_process_is_asked_itself(begin: Starter) -> None:
    """A view of what is at hand already would only be late: nothing is followed there."""
    far = begin()
    assert far.manager.revocations is not None
    near = begin(store=MemoryStore() if far._runner is None else _async_memory())
    assert near.manager.revocations is None
    near.start()
    pair = near.issue("user-1")
    near.authenticate(pair.access_token)
    near.revoke(pair.session_id)
    assert refused(near, pair.access_token) == "revoked"


def _async_memory() -> Any:
    from keyturn.stores.memory import AsyncMemoryStore  # noqa: PLC0415  (used once)

    return AsyncMemoryStore()


def test_starting_says_that_the_log_cannot_be_read(begin: Starter) -> None:
    """An application that starts while the store is out may want to know; it works when the store is back."""
    process = begin()
    process.line.cut = {"*"}
    with pytest.raises(StoreUnavailable):
        process.start()
    process.line.cut.clear()
    token = process.issue("user-1").access_token
    assert process.authenticate(token).user_id == "user-1"


def test_what_this_process_knows_to_be_revoked_stands_no_more(begin: Starter) -> None:
    """An open socket's session is over without a question where this process has ended it."""
    process = begin()
    principal = process.authenticate(used(process))
    assert process.stands(principal)
    process.revoke(principal.session_id)
    process.line.asked.clear()
    assert not process.stands(principal)
    assert "check" not in process.line.asked
