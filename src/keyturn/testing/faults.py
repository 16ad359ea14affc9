"""Stores that fail on purpose, in both colours, for what comes above them. They know no engine.

A fault happens before the commit (nothing was written), after it (all was written, but nobody is told: the
answer got lost), or is a mere delay. A timeout is a delay and then one of the first two.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Literal, TypeVar

from keyturn.errors import StoreUnavailable
from keyturn.testing.wrappers import AsyncStoreWrapper, StoreWrapper

if TYPE_CHECKING:
    from keyturn.stores.protocol import AsyncStore, Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one call.

    Attributes:
        when: `"before"` or `"after"` the commit the call fails; `"never"`: it is only slow.
        delay: Seconds of real time that the call takes longer.
    """

    when: Literal["before", "after", "never"]
    delay: float = 0.0


BEFORE = Fault("before")
AFTER = Fault("after")


class FaultPlan:
    """Which calls fail: the next ones, in order. Thread-safe.

    Examples:
        >>> plan = FaultPlan()
        >>> plan.next(BEFORE, AFTER, method="rotate")
        >>> plan.due("confirm"), plan.due("rotate"), plan.due("rotate"), plan.due("rotate")
        (None, Fault(when='before', delay=0.0), Fault(when='after', delay=0.0), None)
    """

    def __init__(self) -> None:
        """Plan nothing: every call works."""
        self._lock = Lock()
        self._due: deque[tuple[str | None, Fault]] = deque()

    def next(self, *faults: Fault, method: str | None = None) -> None:
        """Let the next calls fail.

        Args:
            faults: One per call, in order, after those that are planned already.
            method: Only calls of this method of the store; None: of any.
        """
        with self._lock:
            self._due.extend((method, fault) for fault in faults)

    def due(self, method: str) -> Fault | None:
        """Take the fault that is due for a call, if any."""
        with self._lock:
            for position, (only, fault) in enumerate(self._due):
                if only in {None, method}:
                    del self._due[position]
                    return fault
        return None


class FaultyStore(StoreWrapper):
    """A store for threads that fails as its plan says.

    Examples:
        >>> from keyturn.stores.memory import MemoryStore
        >>> store = FaultyStore(MemoryStore())
        >>> store.plan.next(BEFORE)
        >>> store.count()
        Traceback (most recent call last):
        ...
        keyturn.errors.StoreUnavailable: The store cannot be reached right now; try again.
        >>> store.count()
        0
    """

    def __init__(self, inner: Store, plan: FaultPlan | None = None) -> None:
        """Wrap a store.

        Args:
            inner: The store that works.
            plan: Which calls fail; None: a plan of its own, as attribute `plan`.
        """
        super().__init__(inner)
        self.plan = plan or FaultPlan()

    def around(self, method: str, call: Callable[[], T]) -> T:
        """Make one call, or let it fail."""
        fault = self.plan.due(method)
        if fault is None:
            return call()
        if fault.delay:
            time.sleep(fault.delay)
        _fail_if(fault.when == "before")
        result = call()
        _fail_if(fault.when == "after")
        return result


class AsyncFaultyStore(AsyncStoreWrapper):
    """A store for asyncio that fails as its plan says; see `FaultyStore`."""

    def __init__(self, inner: AsyncStore, plan: FaultPlan | None = None) -> None:
        """Wrap a store; see `FaultyStore`."""
        super().__init__(inner)
        self.plan = plan or FaultPlan()

    async def around(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make one call, or let it fail."""
        fault = self.plan.due(method)
        if fault is None:
            return await call()
        if fault.delay:
            await asyncio.sleep(fault.delay)
        _fail_if(fault.when == "before")
        result = await call()
        _fail_if(fault.when == "after")
        return result


def _fail_if(now: bool) -> None:  # noqa: FBT001 - it is a condition, no option
    if now:
        raise StoreUnavailable(detail="planned fault")
