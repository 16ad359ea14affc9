"""Keys that follow their schedule: what holds now, without I/O. It knows no place where keys are kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from keyturn._core.keyset import KeySet
from keyturn._core.ring import KeyInfo, Ring, View
from keyturn._core.schedule import NEVER
from keyturn.forks import in_forked_children

Clock: TypeAlias = Callable[[], float]
"""Gives POSIX seconds."""

SYSTEM_CLOCK: Final[Clock] = time.time


class TimedKeys:
    """A ring and a clock. Each change swaps one immutable value, so that a reader never sees half of one."""

    def __init__(self, ring: Ring, clock: Clock, now: float) -> None:
        """Begin with a ring, as it is at a moment."""
        self._clock = clock
        self._start_afresh()
        in_forked_children(self, type(self)._start_afresh)  # noqa: SLF001  (its own)
        self._put(ring, now)

    def _start_afresh(self) -> None:
        """Begin with no lock taken: in a forked child, who had it is not there."""
        self._swapping = threading.Lock()

    @property
    def current(self) -> KeySet:
        """The keys as they are now; a snapshot that never changes, and the same one until something does."""
        # Asked for every token. No clock is read where nothing is planned.
        until = self._until
        if until == NEVER or self._clock() < until:
            return self._keys
        return self._view()[1].keys

    def infos(self) -> list[KeyInfo]:
        """Describe all keys, in the order in which they came, retired ones included."""
        ring, view = self._view()
        return ring.infos(view.states)

    def jwks(self) -> dict[str, Any]:
        """Give the public keys as a JWK Set (RFC 7517, section 5); secrets are never in it."""
        ring, view = self._view()
        return ring.jwks(view.states)

    def may_miss_keys(self) -> bool:
        """Tell whether there may be keys that are not known here: not where nobody else changes them."""
        return False

    def unread_for(self) -> float:
        """Tell for how many seconds a change of the keys may have gone unnoticed."""
        return 0.0

    def __repr__(self) -> str:
        """Show names, algorithms and states."""
        keys = (f"{one.kid}: {one.alg} {one.state}" for one in self.infos())
        return f"{type(self).__name__}({', '.join(keys)})"

    def _view(self) -> tuple[Ring, View]:
        held = self._held
        # A clock that is set back changes nothing here.
        if held[1].until != NEVER and (now := self._clock()) >= held[1].until:
            return self._put(None, now)
        return held

    def _put(self, ring: Ring | None, now: float) -> tuple[Ring, View]:
        """Hold a ring as it is at a moment; None: the one that is held, unless that was done meanwhile."""
        with self._swapping:
            if ring is not None:
                self._held = (ring, ring.at(now))
            elif now >= self._held[1].until:
                self._held = (self._held[0], self._held[0].at(now))
            self._keys = self._held[1].keys
            self._until = self._held[1].until
            return self._held
