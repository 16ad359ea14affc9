"""The schedule of a ring: at each moment one key signs, and none is refused while its tokens can be alive."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn._core.schedule import (
    JWKS_MAX_AGE,
    NEVER,
    PICK_UP,
    PUBLISH_AT_LEAST,
    PUBLISH_FOR,
    Schedule,
    Times,
    TurnPlan,
    activated,
    check,
    drain_of,
    ended,
    least_drain_of,
    longest_unread_of,
    next_change,
    planned,
    replaced,
    retired,
    safe_from,
    signing,
    since,
    states,
    turned,
)
from keyturn.errors import ConfigurationError
from keyturn.policy import Policy

DAY = 86_400.0
LIFE = 90 * DAY
PLAN = TurnPlan(drain=LIFE + PICK_UP)
FIRST: Schedule = {"a": Times(0.0, active_at=0.0)}
WORKER = 10.0  # seconds between two readings of a worker
SKEW = PICK_UP / 2  # by which each clock may be wrong


@dataclass(frozen=True)
class Step:
    """What an administrator does, some time after the last step."""

    after: float
    action: str
    which: int


# Random, and near the moments at which something changes.
gaps = st.one_of(
    st.floats(0, 1000.0),
    st.floats(0, 40 * DAY),
    st.floats(PUBLISH_FOR - 30, PUBLISH_FOR + 30),
    st.floats(LIFE - DAY, LIFE + PUBLISH_FOR + 200),
)
steps = st.lists(
    st.builds(
        Step, gaps, st.sampled_from(["rotate", "rotate", "activate", "retire", "end"]), st.integers(0, 9)
    ),
    max_size=12,
)


def apply(schedule: Schedule, step: Step, now: float, name: str) -> Schedule:
    """Do a step that is safe; one that is refused changes nothing."""
    chosen = list(schedule)[step.which % len(schedule)]
    try:
        match step.action:
            case "rotate":
                return turned(schedule, name, now, PLAN)
            case "end":
                return ended(schedule, chosen, now, PLAN.drain)
            case _:
                return schedule
    except ConfigurationError:
        return schedule


def history(taken: list[Step]) -> list[tuple[float, Schedule]]:
    """Give the schedules that were kept, each with the moment from which it was."""
    now, schedule = 0.0, FIRST
    kept = [(now, schedule)]
    for number, step in enumerate(taken):
        now += step.after
        schedule = apply(schedule, step, now, f"k{number}")
        kept.append((now, schedule))
    return kept


def known_at(kept: list[tuple[float, Schedule]], moment: float) -> Schedule:
    """Give the schedule that a worker knows that read it last at a moment."""
    return next((schedule for since, schedule in reversed(kept) if since <= moment), kept[0][1])


@dataclass(frozen=True)
class Worker:
    """How far one of the workers is behind the others: by its clock, and by what it has read."""

    skew: float
    lag: float


workers = st.builds(Worker, st.floats(-SKEW, SKEW), st.floats(0, WORKER))


@settings(max_examples=300)
@given(st.data(), steps, workers, workers)
def test_a_token_is_accepted_as_long_as_it_lives(
    data: st.DataObject, taken: list[Step], signer: Worker, reader: Worker
) -> None:
    """Whoever signs it and whoever verifies it, through any turns, with stale readings and wrong clocks.

    The rule of `publish_for` and `drain`: no key signs that another worker does not know, and none is refused
    or forgotten whose tokens can be alive.
    """
    kept = history(taken)
    switches = [times.active_at or 0.0 for _, schedule in kept for times in schedule.values()]
    signed = data.draw(st.sampled_from(switches)) + data.draw(st.floats(-SKEW, SKEW) | gaps)
    verified = signed + data.draw(st.just(LIFE) | st.floats(0, 60) | st.floats(0, LIFE))
    kid = signing(known_at(kept, signed - signer.lag), signed + signer.skew)
    known = known_at(kept, verified - reader.lag)
    assert known.get(kid), f"{kid} is unknown"
    assert states(known, verified + reader.skew)[kid] != "retired"


@given(steps, st.floats(0, 400 * DAY))
def test_one_key_signs_at_every_moment(taken: list[Step], moment: float) -> None:
    """Whatever was done, and also by a clock that is before all of it."""
    for _, schedule in history(taken):
        check(schedule)
        assert list(states(schedule, moment).values()).count("active") == 1
        assert states(schedule, moment)[signing(schedule, moment)] == "active"


@given(steps, st.booleans())
def test_any_change_by_hand_leaves_one_key_that_signs(taken: list[Step], everything: bool) -> None:  # noqa: FBT001
    """`activate`, `retire` and an emergency, at any moment of any history, give a schedule that holds."""
    now, schedule = 0.0, FIRST
    for number, step in enumerate(taken):
        now += step.after
        chosen = list(schedule)[step.which % len(schedule)]
        before = states(schedule, now)
        match step.action:
            case "activate" if before[chosen] != "retired":
                schedule = activated(schedule, chosen, now)
                assert signing(schedule, now) == chosen
            case "retire" if before[chosen] != "active":
                schedule = retired(schedule, chosen, now)
                assert states(schedule, now)[chosen] == "retired"
            case "end":
                dropped = {kid for kid, state in before.items() if state in {"active", "pending"}}
                schedule = replaced(schedule, f"k{number}", now, everything=everything)
                assert not dropped & schedule.keys()
                assert signing(schedule, now) == f"k{number}"
                assert not everything or "verifying" not in states(schedule, now).values()
            case _:
                schedule = apply(schedule, step, now, f"k{number}")
        check(schedule)
        assert list(states(schedule, now).values()).count("active") == 1


@given(steps)
def test_states_only_go_forward_and_change_when_said(taken: list[Step]) -> None:
    """Between two moments of `next_change` no state changes, and each change is one step of a key's life."""
    order = ["pending", "active", "verifying", "retired"]
    now, schedule = history(taken)[-1]
    before = states(schedule, now)
    while (after := next_change(schedule, now)) < NEVER:
        assert states(schedule, (now + after) / 2) == before
        now, then = after, states(schedule, after)
        assert all(order.index(then[kid]) >= order.index(before[kid]) for kid in schedule)
        assert then != before
        assert all(since(schedule[kid], then[kid]) <= now for kid in schedule)
        before = then


def test_a_whole_turn() -> None:
    """Published at once, signing after a while, at the same moment verifying, refused when it has drained."""
    schedule = turned(FIRST, "b", 1000.0, PLAN)
    switch, end = 1000.0 + PUBLISH_FOR, 1000.0 + PUBLISH_FOR + PLAN.drain
    assert states(schedule, 1000.0) == {"a": "active", "b": "pending"}
    assert states(schedule, switch - 0.001) == {"a": "active", "b": "pending"}
    assert states(schedule, switch) == {"a": "verifying", "b": "active"}
    assert states(schedule, end - 0.001) == {"a": "verifying", "b": "active"}
    assert states(schedule, end) == {"a": "retired", "b": "active"}
    assert (planned(schedule, 1000.0), planned(schedule, switch)) == ("b", None)


def test_a_second_turn_waits_for_the_first() -> None:
    """Turns do not pile up: what is planned already is said, with its moment."""
    schedule = turned(FIRST, "b", 1000.0, PLAN)
    with pytest.raises(ConfigurationError, match=r"the key b signs from 1970-01-01 00:26:40 UTC"):
        turned(schedule, "c", 1001.0, PLAN)
    assert list(turned(schedule, "c", 1000.0 + PUBLISH_FOR, PLAN)) == ["a", "b", "c"]


def test_retired_keys_are_forgotten_after_a_while() -> None:
    """They are listed for a month, and a later turn leaves them out."""
    schedule = turned(FIRST, "b", 0.0, PLAN)
    gone = PUBLISH_FOR + PLAN.drain
    assert "a" in turned(schedule, "c", gone + PLAN.keep - 1, PLAN)
    assert "a" not in turned(schedule, "c", gone + PLAN.keep, PLAN)


def test_a_key_is_ended_only_where_nothing_of_it_is_alive() -> None:
    """The one that signs never; one that verifies not before its tokens are dead, which is said."""
    schedule = turned(FIRST, "b", 0.0, PLAN)
    with pytest.raises(ConfigurationError, match="signs now"):
        ended(schedule, "a", 0.0, PLAN.drain)
    safe = PUBLISH_FOR + PLAN.drain
    with pytest.raises(ConfigurationError, match="alive until 1970-04-01 00:11:00 UTC"):
        ended(schedule, "a", safe - 1, PLAN.drain)
    by_hand = activated({**FIRST, "b": Times(0.0)}, "b", 50.0)  # nobody planned an end
    assert by_hand["a"].retired_at is None
    assert safe_from(by_hand["a"], 100.0) == 150.0
    assert states(ended(by_hand, "a", 150.0, 100.0), 150.0)["a"] == "retired"
    assert "a" not in ended(schedule, "a", safe, PLAN.drain), "it is retired already: it is forgotten"


def test_a_turn_can_be_called_off_in_time() -> None:
    """Then the key that signs goes on as if nothing had been planned; a minute before, it is too late."""
    schedule = turned(FIRST, "b", 0.0, PLAN)
    now = PUBLISH_FOR - PICK_UP
    off = ended(schedule, "b", now, PLAN.drain)
    assert off["a"] == FIRST["a"]
    assert planned(off, now) is None
    unaware = longest_unread_of(Policy()) + LIFE
    assert states(off, now + unaware)["b"] == "pending", "accepted while somebody may use it all the same"
    assert states(off, now + 2 * PLAN.drain)["b"] == "retired"
    with pytest.raises(ConfigurationError, match="was called off"):
        ended(off, "b", now, PLAN.drain)
    assert ended(off, "b", now + 2 * PLAN.drain, PLAN.drain) == FIRST
    with pytest.raises(ConfigurationError, match="too late"):
        ended(schedule, "b", PUBLISH_FOR - PICK_UP + 1, PLAN.drain)


def test_schedules_that_cannot_be() -> None:
    """Two keys that sign at one moment, none that ever does, a life in the wrong order."""
    with pytest.raises(ConfigurationError, match="one active key, not 0"):
        check({"a": Times(0.0)})
    with pytest.raises(ConfigurationError, match="one active key, not 2"):
        check({**FIRST, "b": Times(0.0, active_at=5.0)})
    with pytest.raises(ConfigurationError, match="at one moment"):
        check({"a": Times(0.0, 0.0, 10.0), "b": Times(0.0, 9.0)})
    for wrong in ((5.0, 4.0, None), (5.0, 6.0, 5.5), (float("nan"), None, None), (5.0, None, 6.0)):
        with pytest.raises(ConfigurationError, match="key"):
            Times(0.0, *wrong)


@pytest.mark.parametrize("at", [-1.0, 1e300, float("inf"), float("nan")])
def test_times_that_are_none(at: float) -> None:
    """No error of a later command says it better than the one where they are read."""
    with pytest.raises(ConfigurationError, match="no moments of this age"):
        Times(at)
    with pytest.raises(ConfigurationError, match="no moments of this age"):
        Times(1.0, active_at=at)


def test_a_clock_that_is_behind_finds_a_key_that_signs() -> None:
    """An emergency on a machine whose clock is ahead leaves a gap here: the new key signs early, not none."""
    schedule = replaced(turned(FIRST, "b", 0.0, PLAN), "c", 1000.0, everything=False)
    assert states(schedule, 990.0) == {"a": "verifying", "c": "active"}
    assert signing({"a": Times(100.0, active_at=100.0)}, 50.0) == "a"


@pytest.mark.parametrize(
    ("policy", "usual", "least"),
    [
        (Policy(), 90 * DAY + 5, 8 * DAY + 15),
        (Policy(idle_ttl=None), 90 * DAY + 5, 90 * DAY + 5),
        (Policy(recovery_window=0), 90 * DAY + 5, 7 * DAY + 15),
        (Policy(idle_ttl="24h", absolute_ttl="36h"), 1.5 * DAY + 5, 1.5 * DAY + 5),
    ],
)
def test_how_long_a_key_drains(policy: Policy, usual: float, least: float) -> None:
    """As long as a session may live; at least as long as a refresh token may rest and then be recovered."""
    assert drain_of(policy) == usual + PICK_UP
    assert least_drain_of(policy) == least + PICK_UP
    assert TurnPlan.of(policy).drain == drain_of(policy)


def test_how_long_a_process_signs_without_reading() -> None:
    """Less than the shortest turn takes; but never so short that a pause between two readings counts."""
    assert longest_unread_of(Policy()) == least_drain_of(Policy()) - PICK_UP
    assert longest_unread_of(Policy(access_ttl="5s", idle_ttl="20s", recovery_window=0)) == PUBLISH_AT_LEAST


def test_a_new_key_is_published_for_longer_than_it_is_cached() -> None:
    """So that no verifier that heeds `max-age` meets a key that it cannot know."""
    assert PUBLISH_FOR >= PUBLISH_AT_LEAST > JWKS_MAX_AGE + WORKER
