"""Work off the critical path: one thread, or one task of an event loop.

It knows no token, no store and no event. Such work is done one piece after the other. It may be late but
never stops a request: what waits is bounded, what fails is logged, what does not fit is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from queue import Full, Queue
from threading import Event, Lock, Thread, current_thread
from typing import Any, Final, TypeAlias, TypeVar

from keyturn.forks import in_forked_children
from keyturn.stores._unbroken import Unbroken

_LOG: Final = logging.getLogger("keyturn")
MOST_WAITING: Final = 10_000
PATIENCE: Final = 30.0  # seconds; for an application that waits for its deferred work

T = TypeVar("T")
Work: TypeAlias = Callable[[], object]
_Queue: TypeAlias = "Queue[Work | None]"


class _Lane:
    """A thread with its queue; None in the queue ends it."""

    def __init__(self) -> None:
        self.queue: _Queue = Queue(MOST_WAITING)
        self.thread = Thread(target=_run, args=(self.queue,), name="keyturn-deferred", daemon=True)
        self.thread.start()


class Worker:
    """Runs callables one after the other in a thread of its own, which starts when it is first needed."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self.dropped = 0
        self.start_afresh()
        in_forked_children(self, Worker.start_afresh)

    def start_afresh(self) -> None:
        """Begin with nothing waiting: a forked child has the parent's queue, but not its thread."""
        self._lock = Lock()
        self._lane: _Lane | None = None

    def submit(self, work: Work, *, dropped: Work | None = None) -> None:
        """Have something done soon; where too much is waiting, count it as dropped and call `dropped`."""
        with self._lock:
            if self._lane is None:
                self._lane = _Lane()
            try:
                self._lane.queue.put_nowait(work)
            except Full:
                self.dropped += 1
            else:
                return
        _report(self.dropped, dropped)

    def flush(self, timeout: float = PATIENCE) -> bool:
        """Wait until all that was submitted is done.

        Args:
            timeout: Seconds to wait at most, twice where the queue is full.

        Returns:
            Whether all of it was done in time; False at once for deferred work that would wait for itself.
        """
        lane = self._lane
        if lane is None:
            return True
        if current_thread() is lane.thread:
            return False
        done = Event()
        try:
            lane.queue.put(done.set, timeout=timeout)
        except Full:
            return False
        return done.wait(timeout)

    def close(self, timeout: float = PATIENCE) -> None:
        """Finish what is waiting and end the thread. A later `submit` starts a new one.

        Args:
            timeout: Seconds to wait at most, twice where the queue is full.
        """
        with self._lock:
            lane, self._lane = self._lane, None
        if lane is None or current_thread() is lane.thread:
            return
        try:
            lane.queue.put(None, timeout=timeout)
        except Full:
            return
        lane.thread.join(timeout)


class Tasks:
    """Runs coroutines one after the other in a task of the running event loop."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._waiting: deque[Callable[[], Awaitable[object]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._unbroken = Unbroken()
        self.dropped = 0

    @property
    def busy(self) -> bool:
        """Whether a task of the running loop is at work; one of a loop that has ended never works again."""
        task = self._task
        return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()

    def submit(self, work: Callable[[], Awaitable[object]], *, dropped: Work | None = None) -> None:
        """Have something done soon; where too much is waiting, count it as dropped and call `dropped`."""
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            _report(self.dropped, dropped)
            return
        self._waiting.append(work)
        self._begin()

    async def carry_out(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something now, to its end, also where whoever waits for it is cancelled meanwhile."""
        return await self._unbroken.run(work)

    async def flush(self, timeout: float = PATIENCE) -> bool:  # noqa: ASYNC109  (as its twin)
        """Wait until all that was submitted is done, and all that nobody waits for any more.

        Args:
            timeout: Seconds to wait at most for each of the two.

        Returns:
            Whether all of it was done in time; False at once for deferred work that would wait for itself.
        """
        if not await self._unbroken.done(timeout):
            return False
        if self._waiting:  # perhaps left by an event loop that has ended
            self._begin()
        if self._task is None or self._task.done():
            return True
        if asyncio.current_task() is self._task:
            return False
        _, late = await asyncio.wait({self._task}, timeout=timeout)
        return not late

    def _begin(self) -> None:
        if not self.busy:
            # In no context of whoever came first: what a request has made for itself may be gone by then.
            self._task = asyncio.get_running_loop().create_task(self._work_off(), context=Context())

    async def _work_off(self) -> None:
        own = asyncio.current_task()  # asked here: who is thrown away at the end has no loop to ask
        try:
            while self._waiting:
                await self._do(self._waiting.popleft())
        finally:  # a task that is kept keeps its event loop, which then is never freed
            if self._task is own:
                self._task = None

    async def _do(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except Exception:  # noqa: BLE001  (nobody waits for it: the log is all there is)
            _LOG.exception("keyturn: deferred work failed")
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise  # the loop is ending; else the work cancelled itself, which is its own affair
            _LOG.warning("keyturn: deferred work was cancelled")


def run_coroutine(awaitable: Awaitable[Any]) -> None:
    """Run an awaitable to its end in a thread that has no event loop."""

    async def run() -> None:
        await awaitable

    coroutine: Coroutine[Any, Any, None] = run()
    asyncio.run(coroutine)


def _report(count: int, dropped: Work | None) -> None:
    _LOG.warning("keyturn: %d pieces of deferred work dropped so far: too much is waiting", count)
    if dropped is not None:
        dropped()


def _run(queue: _Queue) -> None:
    while (work := queue.get()) is not None:
        try:
            work()
        except BaseException:  # noqa: BLE001  (whatever it is, it must not end the thread for all that follows)
            _LOG.exception("keyturn: deferred work failed")
        del work  # else it would be kept in use, with all that it knows, until there is more
