"""Where the coroutines of a test without `await` run. It knows no deed.

An asyncio store belongs to the event loop that it is used in, so a test must use it where its application
does:
1. where the test says, if it says so;
2. in the loop of a test client that the test has entered (`with TestClient(app) as client`);
3. in the loop in which the store was used last, if that runs still, as that of a server in a thread does;
4. else in a loop of the plugin's own, the same for all tests of a run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable
from inspect import getattr_static
from typing import Any, Final, Protocol, TypeVar

from keyturn.lab.bench import Bench
from keyturn.lab.faults import LabError
from keyturn.lab.loops import OwnLoop
from keyturn.manager import AsyncTokenManager

T = TypeVar("T")

PATIENCE_SECONDS: Final = 60.0  # whoever holds up the application's loop for so long must fail the test

_PORTALS: Final = ("portal", "blocking_portal")  # of Starlette's and FastAPI's client, and of Litestar's


class Runner(Protocol):
    """Carries coroutines out and waits for their end."""

    def run(self, work: Coroutine[Any, Any, T], /) -> T:
        """Carry a coroutine out."""
        ...

    def end(self) -> None:
        """Leave nothing behind that would be in the next test's way."""
        ...


class Portal(Protocol):
    """The way into an event loop in another thread, such as a `TestClient`'s `portal`."""

    def call(self, func: Callable[[], Coroutine[Any, Any, T]], /) -> T:
        """Run a coroutine function there, and wait for its result."""
        ...


class WithoutWaiting:
    """For managers whose methods never await: the coroutine runs through, in the thread that asks."""

    def run(self, work: Coroutine[Any, Any, T], /) -> T:
        """See `Runner.run`."""
        try:
            work.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        work.close()
        raise LabError("a manager for threads has awaited something")

    def end(self) -> None:
        """See `Runner.end`."""


class InTheApplicationsLoop:
    """For managers that belong to an event loop: see the rules above."""

    def __init__(
        self,
        bench: Bench,
        manager: AsyncTokenManager[Any],
        portal: Portal,
        beside: Callable[[], Iterable[object]],
    ) -> None:
        """Find the loop whenever it is needed.

        Args:
            bench: Its gate has seen where the store was used.
            manager: Which belongs to the loop.
            portal: What the test has named, or the plugin's own loop.
            beside: Gives what the test works with, test clients among them.
        """
        self._manager, self._gate = manager, bench.gate
        self._portal, self._beside = portal, beside
        self._used_own = False

    def run(self, work: Coroutine[Any, Any, T], /) -> T:
        """See `Runner.run`.

        Raises:
            LabError: The test runs in that loop, which would wait for itself.
        """
        if not isinstance(self._portal, OwnLoop):
            return self._portal.call(lambda: work)
        entered = next(filter(None, map(_portal_of, self._beside())), None)
        if entered is not None:
            return entered.call(lambda: work)
        loop = self._gate.loop
        if loop is None or not loop.is_running():
            self._used_own = True
            return self._portal.call(lambda: work)
        if loop is _running_loop():
            work.close()
            raise LabError("this test is a coroutine: it needs the fixture async_keyturn, and `await`")
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE_SECONDS)

    def end(self) -> None:
        """Let the application's loop be the next, where the plugin's own was the last.

        What was put off is done here, where it began. Not every store may be used again once it is closed, so
        only one that says so is let go of; another one stays with the loop of its first use.
        """
        if self._used_own and isinstance(self._portal, OwnLoop):
            self._portal.call(self._let_go)

    async def _let_go(self) -> None:
        await self._manager.flush()
        if getattr(self._manager.store, "reopens", False):
            await self._manager.store.close()


def runner_of(bench: Bench, portal: Portal, beside: Callable[[], Iterable[object]]) -> Runner:
    """Say where a bench's coroutines run, for a test without `await`: see `InTheApplicationsLoop`."""
    if isinstance(bench.manager, AsyncTokenManager):
        return InTheApplicationsLoop(bench, bench.manager, portal, beside)
    return WithoutWaiting()


def _portal_of(client: object) -> Portal | None:
    """Give the way into a test client's loop, once it was entered.

    A test may work with anything, so nothing is asked of it: no property runs, and no mock answers.
    """
    anyio: Any = sys.modules.get("anyio.from_thread")
    if anyio is None:  # nobody has imported it, so there is no portal
        return None
    found = (getattr_static(client, name, None) for name in _PORTALS)
    return next((each for each in found if isinstance(each, anyio.BlockingPortal)), None)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
