"""Calls at one moment, each in a thread of its own. It knows nothing of what is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Final, TypeVar

T = TypeVar("T")

PATIENCE_SECONDS: Final = 120.0  # nothing here takes a hundredth of it; a deadlock must end the test


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all calls at one moment, each in a thread of its own, and give their results in order.

    Args:
        calls: What to call. An error in one is raised when all have ended.

    Examples:
        >>> together([lambda: 1, lambda: 2])
        [1, 2]
    """
    gate = Barrier(len(calls))

    def start(call: Callable[[], T]) -> T:
        gate.wait(PATIENCE_SECONDS)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(start, calls))
