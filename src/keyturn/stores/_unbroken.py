"""Work on an event loop that nobody's cancellation breaks off. It knows no store."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from inspect import CORO_CREATED, getcoroutinestate
from typing import Any, TypeVar

from keyturn.errors import ConfigurationError
from keyturn.forks import in_forked_children

T = TypeVar("T")


class Unbroken:
    """Runs each piece of work in a task of its own, which ends when the work has.

    Whoever waits for it may be cancelled meanwhile, and is free at once: the work goes on. It does what
    `asyncio.shield` would do, with a turn of the loop and a callback less, which a short operation feels.
    """

    def __init__(self) -> None:
        """Start with nothing to do."""
        self.start_afresh()
        in_forked_children(self, type(self).start_afresh)

    def start_afresh(self) -> None:
        """Forget all work: in a forked process, that is the parent's."""
        self._working: set[asyncio.Task[None]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Start a piece of work and wait for its end."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        task = loop.create_task(self._carry_out(work, answer))
        self._working.add(task)  # the loop itself holds no task
        try:
            return await answer
        except asyncio.CancelledError:
            if (task.done() or task.cancelling()) and getcoroutinestate(work) == CORO_CREATED:
                work.close()  # the loop ends, and what has not begun never will
            raise

    async def _carry_out(self, work: Coroutine[Any, Any, T], answer: asyncio.Future[T]) -> None:
        try:
            result = await work
        except asyncio.CancelledError:
            answer.cancel()  # the loop ends
            raise
        except BaseException as error:  # noqa: BLE001  (whoever waits is to handle it)
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._working.discard(task)

    async def done(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  (all of it together)
        """Wait until all that was started in this event loop has ended, well or not.

        Args:
            timeout: Seconds to wait at most; None: as long as it takes.

        Returns:
            Whether all of it has ended.
        """
        loop, own = asyncio.get_running_loop(), asyncio.current_task()
        working = {task for task in self._working if task is not own and task.get_loop() is loop}
        if not working:
            return True
        _, late = await asyncio.wait(working, timeout=timeout)
        return not late


class UnbrokenInOneLoop(Unbroken):
    """The same for what belongs to the event loop of its first use; `start_afresh` lets it have another."""

    def start_afresh(self) -> None:
        """Forget all work, and the event loop."""
        super().start_afresh()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Start a piece of work and wait for its end.

        Raises:
            ConfigurationError: This is another event loop.
        """
        loop = asyncio.get_running_loop()
        if self._loop not in {None, loop}:
            work.close()
            raise ConfigurationError(
                "The store belongs to another event loop: close it there at its end, or make one for each."
            )
        self._loop = loop
        return await super().run(work)
