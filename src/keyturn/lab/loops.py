"""Event loops in threads of their own, for tests that do not await. They know nothing of what runs there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Self, TypeVar

from keyturn.lab.together import PATIENCE_SECONDS

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T")


class LoopThread:
    """One event loop in a thread of its own, for as long as the `with` block.

    Calls from several threads become tasks of the one loop, and so race as requests of an asyncio server do.

    Examples:
        >>> with LoopThread() as loop:
        ...     loop.run(asyncio.sleep(0, "done"))
        'done'
    """

    def __init__(self) -> None:
        """Prepare; the loop starts with the `with` block."""
        self._thread = Thread(target=self._main, name="keyturn-lab-loop", daemon=True)
        self._started = Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def __enter__(self) -> Self:
        """Start the loop."""
        self._thread.start()
        self._started.wait(PATIENCE_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the loop and wait for its thread."""
        if self._loop is not None and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_SECONDS)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for its result; any thread may ask.

        Args:
            work: The coroutine.

        Raises:
            RuntimeError: The loop does not run.
        """
        if self._loop is None:
            work.close()
            raise RuntimeError("the loop runs only inside its `with` block")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    def _main(self) -> None:
        asyncio.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._started.set()
        await self._stop.wait()
        self._loop = None


class OwnLoop:
    """A loop that starts when it is first needed, and goes on until it is closed.

    Examples:
        >>> loop = OwnLoop()
        >>> loop.call(lambda: asyncio.sleep(0, "done"))
        'done'
        >>> loop.close()
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._lock = Lock()
        self._thread: LoopThread | None = None

    def call(self, func: Callable[[], Coroutine[Any, Any, T]], /) -> T:
        """Run a coroutine function in the loop, and wait for its result.

        Args:
            func: Such as a manager's `close`; what needs arguments is a `lambda`.
        """
        with self._lock:
            if self._thread is None:
                self._thread = LoopThread().__enter__()
        return self._thread.run(func())

    def close(self) -> None:
        """End the loop, if it has begun."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.__exit__(None, None, None)
