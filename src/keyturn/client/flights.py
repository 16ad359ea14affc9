"""One refresh at a time in a process: who comes while it is under way waits for its outcome. Sends nothing.

Threads and tasks, also of several event loops, wait for the same flight. One that was given up (its task was
cancelled, its thread interrupted) has no outcome, and one of those who waited begins another.
"""

from __future__ import annotations

import threading
from threading import get_ident
from typing import Final, TypeAlias

import anyio

from keyturn.client.errors import TemporarilyUnavailable
from keyturn.client.tokens import Tokens
from keyturn.errors import ConfigurationError
from keyturn.forks import in_forked_children

Outcome: TypeAlias = Tokens | Exception | None
"""Fresh tokens, why there are none, or None: given up."""

_GLANCE: Final = 0.02  # seconds; how late a task may notice what another thread has done


class Flight:
    """One refresh under way.

    Attributes:
        patient: Whether it tries more than once.
        outcome: How it ended, once it has.
    """

    def __init__(self, *, patient: bool) -> None:
        """Begin, in this thread."""
        self.patient = patient
        self.outcome: Outcome = None
        self._thread = get_ident()
        self._landed = threading.Event()
        self._lock = threading.Lock()
        self._tasks: list[tuple[int, anyio.Event]] = []

    def land(self, outcome: Outcome) -> None:
        """End, and wake all who wait."""
        with self._lock:
            self.outcome = outcome
            self._landed.set()
            tasks, self._tasks = self._tasks, []
        for thread, event in tasks:
            if thread == get_ident():  # events belong to a loop; other threads' tasks look for themselves
                event.set()

    def wait(self, patience: float) -> None:
        """Wait for the end, in a thread.

        Args:
            patience: For how many seconds at most: whose event loop has stopped may never land.

        Raises:
            ConfigurationError: It can never come: a task of this very thread flies, which would wait here.
            TemporarilyUnavailable: It has not come.
        """
        if self._thread == get_ident() and not self._landed.is_set():
            raise ConfigurationError(
                "a plain request inside an event loop would wait for that loop for ever: use AsyncClient"
            )
        if not self._landed.wait(patience):
            raise _late()

    async def wait_async(self, patience: float) -> None:
        """Wait for the end, in a task: see `wait`."""
        event = anyio.Event()
        with self._lock:
            self._tasks.append((get_ident(), event))
        with anyio.move_on_after(patience):
            while not self._landed.is_set():
                with anyio.move_on_after(_GLANCE):
                    await event.wait()
        if not self._landed.is_set():
            raise _late()


def _late() -> TemporarilyUnavailable:
    return TemporarilyUnavailable("Another refresh does not come to an end.", detail="under_way")


class Flights:
    """Whether a refresh is under way."""

    def __init__(self) -> None:
        """Begin with none."""
        self._start_afresh()
        in_forked_children(self, Flights._start_afresh)

    def _start_afresh(self) -> None:
        """Begin with none: in a forked child, who flew is not there."""
        self._lock = threading.Lock()
        self._current: Flight | None = None

    def join(self, *, patient: bool) -> tuple[Flight, bool]:
        """Give the flight that is under way, or begin one, which the caller must then `land`.

        Returns:
            The flight, and whether it is the caller's.
        """
        with self._lock:
            if self._current is not None:
                return self._current, False
            self._current = Flight(patient=patient)
            return self._current, True

    def land(self, flight: Flight, outcome: Outcome) -> None:
        """End one's own flight."""
        with self._lock:
            if self._current is flight:
                self._current = None
        flight.land(outcome)
