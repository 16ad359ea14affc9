"""Holds the whole protocol, on every store and in both colours, to the six properties of the rotation."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from keyturn.stores.memory import AsyncMemoryStore
from keyturn.testing.colours import LoopThread
from keyturn.testing.machine import MakeRig, protocol_machine, storm
from tests.machine.rigs import on_async, on_memory, on_store
from tests.support.stores import STORES, StoreKind, async_opened, empty_place, opened

# How many histories an ordinary run tries. In memory they cost nothing; elsewhere each takes some hundred
# round trips, and there are a dozen stores to try.
EXAMPLES: Final = {"memory": 60}
FEWER_EXAMPLES: Final = 15
STORMS: Final = {"memory": 20}
FEWER_STORMS: Final = 10


@pytest.fixture(scope="module", params=["memory", *STORES], ids=str)
def name(request: pytest.FixtureRequest) -> str:
    """The name of a store."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module", params=["sync", "async"])
def make_rig(
    request: pytest.FixtureRequest, name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeRig]:
    """Each store in each colour below a manager of its colour."""
    is_async = request.param == "async"
    kind = STORES.get(name)
    if kind is None and is_async:
        with LoopThread() as loop:
            yield on_async(AsyncMemoryStore(), loop)
    elif kind is None:
        yield on_memory
    else:
        with empty_place(kind, request, tmp_path_factory.mktemp("machine")) as url:
            yield from _on_server(kind, url, is_async=is_async)


def _on_server(kind: StoreKind, url: str, *, is_async: bool) -> Iterator[MakeRig]:
    if is_async:
        with LoopThread() as loop, async_opened(kind, url, loop) as store:
            yield on_async(store, loop)
    else:
        with opened(kind, url) as store:
            yield on_store(store)


def explore(make_rig: MakeRig, *, examples: int, steps: int) -> None:
    """Let Hypothesis look for a history that breaks a property."""
    run_state_machine_as_test(
        protocol_machine(make_rig),
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )


def rage(make_rig: MakeRig, seeds: range) -> None:
    """Let storms of chance go over the protocol, with and without a thief."""
    for seed in seeds:
        storm(make_rig, Random(seed), thief=bool(seed % 2))  # noqa: S311 - it chooses a history


def test_no_history_breaks_a_property(make_rig: MakeRig, name: str) -> None:
    """Tabs, losses, delays, a thief, revocations, clock jumps, lost writes: all properties hold."""
    explore(make_rig, examples=EXAMPLES.get(name, FEWER_EXAMPLES), steps=40)


def test_no_storm_breaks_a_property(make_rig: MakeRig, name: str) -> None:
    """Longer histories, with the weights of real life."""
    rage(make_rig, range(STORMS.get(name, FEWER_STORMS)))


@pytest.mark.slow
def test_no_long_history_breaks_a_property(make_rig: MakeRig) -> None:
    """The same for minutes."""
    explore(make_rig, examples=800, steps=80)


@pytest.mark.slow
def test_no_long_storm_breaks_a_property(make_rig: MakeRig) -> None:
    """The same for minutes."""
    rage(make_rig, range(1000, 2000))
