"""Holds the whole protocol, on every store and in both colours, to the six properties of the rotation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from keyturn.stores.memory import AsyncMemoryStore
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.testing.colours import LoopThread
from keyturn.testing.machine import MakeRig, protocol_machine, storm
from tests.machine.rigs import on_async, on_memory, on_sqlite


@pytest.fixture(params=["memory", "sqlite", "async memory", "async sqlite"])
def make_rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeRig]:
    """Each store in each colour below a manager of its colour."""
    url = f"sqlite:///{tmp_path}/keyturn.db"
    match request.param:
        case "memory":
            yield on_memory
        case "sqlite":
            store = SQLAlchemyStore.from_url(url, synchronous="NORMAL")
            store.create_schema()
            yield on_sqlite(store)
            store.close()
        case "async memory":
            with LoopThread() as loop:
                yield on_async(AsyncMemoryStore(), loop)
        case _:
            with LoopThread() as loop:
                sqlite = AsyncSQLAlchemyStore.from_url(url, synchronous="NORMAL")
                loop.run(sqlite.create_schema())
                yield on_async(sqlite, loop)
                loop.run(sqlite.close())


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


def test_no_history_breaks_a_property(make_rig: MakeRig) -> None:
    """Tabs, losses, delays, a thief, revocations, clock jumps, lost writes: all properties hold."""
    explore(make_rig, examples=60, steps=40)


def test_no_storm_breaks_a_property(make_rig: MakeRig) -> None:
    """Longer histories, with the weights of real life."""
    rage(make_rig, range(20))


@pytest.mark.slow
def test_no_long_history_breaks_a_property(make_rig: MakeRig) -> None:
    """The same for minutes."""
    explore(make_rig, examples=800, steps=80)


@pytest.mark.slow
def test_no_long_storm_breaks_a_property(make_rig: MakeRig) -> None:
    """The same for minutes."""
    rage(make_rig, range(1000, 2000))
