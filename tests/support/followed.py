"""Processes in miniature: managers of either colour over one store that they follow. They know no rule."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from keyturn import AsyncTokenManager, KeyRing, StoreUnavailable, TokenManager
from keyturn.events import StoreUnavailable as Outage
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.testing.clock import ManualClock
from keyturn.testing.wrappers import AsyncStoreWrapper, StoreWrapper

T = TypeVar("T")
RING = KeyRing.from_secret("a long secret of more than 32 bytes, for tests only")


class Line:
    """The line to a store: what was asked over it, and what it does not carry right now.

    Attributes:
        asked: How often each method was called.
        cut: The methods that fail; "*" is every one.
        lost: The methods whose answers are lost.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.cut: set[str] = set()
        self.lost: set[str] = set()

    def bring_back(self, method: str, answer: T) -> T:
        """Give an answer, unless it is lost."""
        if method in self.lost:
            raise StoreUnavailable(detail="unreachable")
        return answer

    def pass_on(self, method: str) -> None:
        """Count a call, and fail where the line is cut."""
        self.asked[method] += 1
        if self.cut & {method, "*"}:
            raise StoreUnavailable(detail="unreachable")


class Far(StoreWrapper):
    """A store in memory as if it were on another machine."""

    def __init__(self, rows: MemoryStore) -> None:
        super().__init__(rows)
        self.line = Line()

    @property
    def at_hand(self) -> bool:
        """It is not."""
        return False

    def around(self, method: str, call: Callable[[], T]) -> T:
        """Go over the line."""
        self.line.pass_on(method)
        return self.line.bring_back(method, call())


class AsyncFar(AsyncStoreWrapper):
    """The same for asyncio."""

    def __init__(self, rows: MemoryStore) -> None:
        inner = AsyncMemoryStore()
        inner._store = rows
        super().__init__(inner)
        self.line = Line()

    @property
    def at_hand(self) -> bool:
        """It is not."""
        return False

    async def around(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Go over the line."""
        self.line.pass_on(method)
        return self.line.bring_back(method, await call())


class Process:
    """A manager of either colour as one process has it; its methods are called alike, and awaited here.

    Attributes:
        line: Its line to the store.
        clock: The clock, which all share.
        outages: What it told of the store.
    """

    def __init__(self, colour: str, rows: MemoryStore, clock: ManualClock, **options: Any) -> None:
        self.clock = clock
        self._runner = asyncio.Runner() if colour == "async" else None
        store = AsyncFar(rows) if colour == "async" else Far(rows)
        kind: Any = AsyncTokenManager if colour == "async" else TokenManager
        self.line = store.line
        self.manager = kind(
            **{"store": store, "keys": RING, "issuer": "https://i", "audience": "api", "clock": clock}
            | options
        )
        self.outages: list[Outage] = []
        self.manager.events.subscribe(Outage, self.outages.append)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.manager, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._runner is None:
                return method(*args, **kwargs)

            async def main() -> Any:
                result = method(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

            return self._runner.run(main())

        return call

    def end(self) -> None:
        """Close the manager and its event loop."""
        self.close()
        if self._runner is not None:
            self._runner.close()
