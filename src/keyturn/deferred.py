"""Work off the critical path: one thread, or tasks of one event loop.

It knows no token, no store and no event.

Such work may be late but never stops a request: its queue is bounded, what fails is logged, and what does not
fit is dropped and counted.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from queue import Full, Queue
from threading import Event, Lock, Thread
from typing import Any, Final
from weakref import ref

_LOG: Final = logging.getLogger("keyturn")
MOST_WAITING: Final = 10_000


class Worker:
    """Runs callables one after the other in a thread of its own, which starts when it is first needed."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self.start_afresh()
        _start_afresh_in_children(self)

    def start_afresh(self) -> None:
        """Begin with nothing waiting: a forked child has the parent's queue, but not its thread."""
        self._lock = Lock()
        self._queue: Queue[Callable[[], object] | None] = Queue(MOST_WAITING)
        self._thread: Thread | None = None
        self.dropped = 0

    def submit(self, work: Callable[[], object], *, dropped: Callable[[], object] | None = None) -> None:
        """Have something done soon; where too much is waiting, count it as dropped and call `dropped`."""
        self._ensure_running()
        try:
            self._queue.put_nowait(work)
        except Full:
            self.dropped += 1
            _report(self.dropped, dropped)

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until all that was submitted is done.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether all of it was done in time.
        """
        if self._thread is None:
            return True
        done = Event()
        try:
            self._queue.put(done.set, timeout=timeout)
        except Full:
            return False
        return done.wait(timeout)

    def close(self) -> None:
        """Finish what is waiting and end the thread. A later `submit` starts a new one."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _ensure_running(self) -> None:
        if self._thread is not None:
            return
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=_run, args=(self._queue,), name="keyturn-deferred", daemon=True)
                self._thread.start()


class Tasks:
    """Runs coroutines as tasks of the running event loop, and keeps hold of them until they end."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.dropped = 0

    def submit(
        self, work: Callable[[], Awaitable[object]], *, dropped: Callable[[], object] | None = None
    ) -> None:
        """Have something done soon; where too much is waiting, count it as dropped and call `dropped`."""
        if len(self._tasks) >= MOST_WAITING:
            self.dropped += 1
            _report(self.dropped, dropped)
            return
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def flush(self) -> None:
        """Wait until all that was submitted is done, and what it submitted in turn."""
        while self._tasks:
            await asyncio.gather(*self._tasks)


def run_coroutine(awaitable: Awaitable[Any]) -> None:
    """Run an awaitable to its end in a thread that has no event loop."""

    async def run() -> None:
        await awaitable

    coroutine: Coroutine[Any, Any, None] = run()
    asyncio.run(coroutine)


def _start_afresh_in_children(worker: Worker) -> None:
    if not hasattr(os, "register_at_fork"):  # no fork, no children
        return
    known = ref(worker)  # the interpreter keeps the hook for ever, but must not keep the worker

    def start_afresh() -> None:
        mine = known()
        if mine is not None:
            mine.start_afresh()

    os.register_at_fork(after_in_child=start_afresh)


def _report(count: int, dropped: Callable[[], object] | None) -> None:
    _LOG.warning("keyturn: %d pieces of deferred work dropped so far: too much is waiting", count)
    if dropped is not None:
        dropped()


def _run(queue: Queue[Callable[[], object] | None]) -> None:
    while (work := queue.get()) is not None:
        try:
            work()
        except Exception:  # noqa: BLE001  (nobody waits for it: the log is all there is)
            _LOG.exception("keyturn: deferred work failed")


async def _logged(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except Exception:  # noqa: BLE001  (nobody waits for it: the log is all there is)
        _LOG.exception("keyturn: deferred work failed")
