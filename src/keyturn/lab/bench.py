"""Managers with a clock that a test turns and a record of what happens. It knows no test and no colour."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from threading import Lock
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


class Bench:
    """What a lab works with.

    Attributes:
        clock: What the managers go by.
        events: What has happened.
        gate: Before the managers' stores.
        leave: What each thread calls that the lab has started, before it ends.
    """

    def __init__(
        self,
        manager: Callable[[], Manager],
        settings: Callable[[], HttpSettings],
        leave: Callable[[], object] = lambda: None,
    ) -> None:
        """Set up for the manager of now; `opened` takes it down again.

        Args:
            manager: Gives the application's own, the one of the moment.
            settings: Gives how its tokens travel.
            leave: See the attributes.
        """
        self._manager, self._settings = manager, settings
        first = manager()
        self.clock = ManualClock(first.now())
        self.events = Recorder(began=self.clock())
        self.gate = Gate(first.store)
        self.leave = leave
        self._lock = Lock()
        self._joined: list[Manager] = []
        self._undo = ExitStack()
        self.join(first)

    @property
    def manager(self) -> Manager:
        """The application's own manager, as it is at the moment."""
        return self._manager()

    @property
    def settings(self) -> HttpSettings:
        """How its tokens travel, at the moment."""
        return self._settings()

    def join(self, manager: Manager) -> None:
        """Have one more of the application's managers go by the clock, and be watched; any thread may ask."""
        with self._lock:
            if any(each is manager for each in self._joined):
                return
            self._joined.append(manager)
            self._undo.callback(manager.use_clock, manager.use_clock(self.clock))
            self._undo.callback(manager.events.watch(self.events.note))
            self.gate.join(manager.store)

    def close(self) -> None:
        """Give every manager its own clock again, and watch none."""
        with self._lock:
            self._undo.close()


@contextmanager
def opened(
    manager: Manager | Callable[[], Manager],
    settings: HttpSettings | Callable[[], HttpSettings] | None = None,
    *,
    leave: Callable[[], object] = lambda: None,
) -> Generator[Bench]:
    """Have a manager go by a clock of the test's, and record what happens, until the block ends.

    The clock stands still, and starts where the manager's own is. That one is given back in any case.

    Args:
        manager: The application's own, or what gives it where it may become another one during the test.
        settings: How its tokens travel, or what gives that; None: the defaults.
        leave: What each thread calls that the lab has started, before it ends, to close what is its own.
    """
    travels = settings or HttpSettings()
    bench = Bench(
        manager if callable(manager) else lambda: manager,
        travels if callable(travels) else lambda: travels,
        leave,
    )
    try:
        yield bench
    finally:
        bench.close()
