"""Work on an event loop that nobody's cancellation breaks off. It knows no store."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Unbroken:
    """Runs each piece of work in a task of its own, which ends when the work has.

    Whoever waits for it may be cancelled meanwhile, and is free at once: the work goes on.
    """

    def __init__(self) -> None:
        """Start with nothing to do."""
        self._working: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Start a piece of work and wait for its end."""
        task = asyncio.create_task(work)
        self._working.add(task)  # the loop itself holds no task
        task.add_done_callback(self._working.discard)
        return await asyncio.shield(task)

    async def done(self) -> None:
        """Wait until all that was started has ended, well or not."""
        await asyncio.gather(*self._working, return_exceptions=True)
