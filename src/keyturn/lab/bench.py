"""A manager with a clock that a test turns and a record of what happens. It knows no test and no colour."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from keyturn.http import HttpSettings
from keyturn.lab.clock import ManualClock
from keyturn.lab.gate import Gate
from keyturn.lab.recorder import Recorder
from keyturn.manager import AsyncTokenManager, TokenManager

Manager: TypeAlias = TokenManager[Any] | AsyncTokenManager[Any]


def is_manager(value: object) -> bool:
    """Tell whether something is a manager, of either colour."""
    return isinstance(value, TokenManager | AsyncTokenManager)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a lab works with.

    Attributes:
        manager: The application's own.
        settings: How its tokens travel.
        clock: What the manager goes by.
        events: What has happened.
        gate: Before the manager's store.
        leave: What each thread calls that the lab has started, before it ends.
    """

    manager: Manager
    settings: HttpSettings = field(repr=False)
    clock: ManualClock
    events: Recorder = field(repr=False)
    gate: Gate = field(repr=False)
    leave: Callable[[], object] = field(repr=False)


@contextmanager
def opened(
    manager: Manager, settings: HttpSettings | None = None, *, leave: Callable[[], object] = lambda: None
) -> Generator[Bench]:
    """Have a manager go by a clock of the test's, and record what happens, until the block ends.

    The clock stands still, and starts where the manager's own is. That one is given back in any case.

    Args:
        manager: The application's own.
        settings: How its tokens travel; None: the defaults.
        leave: What each thread calls that the lab has started, before it ends, to close what is its own.
    """
    clock = ManualClock(manager.now())
    recorder = Recorder(began=clock())
    before = manager.use_clock(clock)
    stop = manager.events.watch(recorder.note)
    try:
        yield Bench(manager, settings or HttpSettings(), clock, recorder, Gate(manager.store), leave)
    finally:
        stop()
        manager.use_clock(before)
