"""Holds the conformance kit itself to its promise: it catches stores that break theirs, and only those."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import ClassVar

import pytest

from keyturn.stores.memory import MemoryStore
from keyturn.stores.protocol import Store
from keyturn.testing.conformance import Capability, StoreConformance
from tests.conformance.planted import PLANTED, ConfirmIgnoresTheGeneration, LosesTheHandOut
from tests.conformance.planted_logs import PLANTED_LOGS
from tests.conformance.planted_trails import PLANTED_TRAILS

BUGS = PLANTED | PLANTED_TRAILS | PLANTED_LOGS

# Bugs that a random history must find on its own, so that it is known to reach them.
FOUND_BY_CHANCE = (ConfirmIgnoresTheGeneration, LosesTheHandOut)


def duties() -> dict[str, Callable[[Store], None]]:
    """Return every test of the kit that takes a store and nothing else, by name."""
    return {
        name: test
        for name, test in inspect.getmembers(StoreConformance(), inspect.ismethod)
        if name.startswith("test_") and list(inspect.signature(test).parameters) == ["subject"]
    }


def test_the_kit_is_all_there() -> None:
    """What is run here is the kit: all of its tests but those that ask for an engine that is away."""
    named = {name for name in dir(StoreConformance) if name.startswith("test_")}
    assert named - duties().keys() == {
        "test_an_engine_that_is_away_is_said_to_be_unavailable",
        "test_a_trail_that_is_away_is_said_to_be_unavailable",
        "test_a_log_that_is_away_is_said_to_be_unavailable",
    }


@pytest.mark.parametrize("duty", sorted(set(BUGS.values())))
def test_a_right_store_fulfils(duty: str) -> None:
    """The counterpart of what follows: without a bug the same duty is fulfilled."""
    duties()[duty](MemoryStore())


@pytest.mark.parametrize(("make", "duty"), BUGS.items())
def test_a_planted_bug_is_caught(make: Callable[[], MemoryStore], duty: str) -> None:
    """Each bug that real stores have had fails the test of the duty that it breaks."""
    with pytest.raises(AssertionError):
        duties()[duty](make())


class Thorough(StoreConformance):
    """The suite with so many histories that chance plays no part."""

    examples = 500
    shrink = False


@pytest.mark.parametrize("make", FOUND_BY_CHANCE)
def test_a_random_history_finds_a_planted_bug(make: Callable[[], MemoryStore]) -> None:
    """The comparison with the model reaches confirmations and hand-outs."""
    with pytest.raises(AssertionError):
        Thorough().test_any_history_is_that_of_the_model(make())


class Forgetful(StoreConformance):
    """A suite that leaves something out without a reason, and one thing that does not exist."""

    lacks: ClassVar[Mapping[Capability, str]] = {"races": " "}


def test_nothing_is_left_out_without_a_reason(request: pytest.FixtureRequest) -> None:
    """A capability without a reason fails every test, instead of leaving some out in silence."""
    check = inspect.unwrap(StoreConformance.only_what_the_store_can)
    with pytest.raises(pytest.fail.Exception, match="has no reason"):
        check(Forgetful(), request)
