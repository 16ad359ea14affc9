"""What the labs of both colours have alike: the clock, the events, the outage. It awaits nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final, TypeVar, overload

from keyturn import errors
from keyturn.events import Event, StoreUnavailable
from keyturn.lab.bench import Bench, Manager
from keyturn.lab.clock import ManualClock
from keyturn.lab.held import Held, Holding
from keyturn.lab.recorder import Recorder

EventT = TypeVar("EventT", bound=Event)

THIEF: Final = "another client"


class Common:
    """The part of a lab that asks no manager."""

    def __init__(self, bench: Bench) -> None:
        """Work on a bench."""
        self._bench = bench

    @property
    def manager(self) -> Manager:
        """The application's own manager."""
        return self._bench.manager

    @property
    def clock(self) -> ManualClock:
        """What the manager goes by until the test ends. It stands still unless the test turns it."""
        return self._bench.clock

    @property
    def events(self) -> Recorder:
        """What has happened since the test began."""
        return self._bench.events

    def store_away(self) -> AbstractContextManager[None]:
        """Let the manager's store be unreachable until the block ends: every call raises `StoreUnavailable`.

        What has no need of the store goes on. An access token is accepted without asking where the manager
        follows its store and has heard from it within `Policy.max_staleness`; turn the clock past that.
        """
        return self._bench.gate.shut()

    @overload
    def assert_event(self, kind: type[EventT], /, **having: object) -> EventT: ...
    @overload
    def assert_event(self, kind: type[errors.StoreUnavailable], /, **having: object) -> StoreUnavailable: ...
    def assert_event(self, kind: type[Any], /, **having: object) -> Any:
        """Fail unless something happened: see `Recorder.assert_event`."""
        __tracebackhide__ = True  # the test's own line is shown instead
        return self.events.assert_event(kind, **having)

    @overload
    def assert_no_event(self, kind: type[EventT], /, **having: object) -> None: ...
    @overload
    def assert_no_event(self, kind: type[errors.StoreUnavailable], /, **having: object) -> None: ...
    def assert_no_event(self, kind: type[Any], /, **having: object) -> None:
        """Fail if something happened: see `Recorder.assert_no_event`."""
        __tracebackhide__ = True  # as above
        self.events.assert_no_event(kind, **having)

    def _copy(self, victim: Held | str, context: str) -> Holding:
        """Copy what a client holds, or one refresh token, for another client."""
        if isinstance(victim, Held):
            return replace(victim.holding, context=context)
        info = self.manager.verify_refresh(victim)
        return Holding(None, info.session_id, context, victim, None)
