"""Both colours of store as one: an asyncio store driven from threads. It knows no engine."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from typing_extensions import TypeIs

from keyturn.stores.protocol import EVERY, PAGE, AsyncRevocationLog, AsyncStore, AsyncTrail, Store

if TYPE_CHECKING:
    from types import TracebackType
    from uuid import UUID

    from keyturn._core.commands import (
        Check,
        Confirm,
        Create,
        Deny,
        Follow,
        Lookup,
        Purge,
        Revoke,
        RevokeUser,
        Rotate,
        Where,
    )
    from keyturn._core.outcomes import (
        CheckOutcome,
        CreateOutcome,
        Followed,
        LookupOutcome,
        Revocation,
        RotateOutcome,
    )
    from keyturn._core.records import Millis, Session
    from keyturn._core.trail import TrailEntry
    from keyturn.stores.protocol import AsyncBell, Bell

T = TypeVar("T")

PATIENCE_SECONDS: Final = 120.0  # nothing here takes a hundredth of it; a deadlock must end the test


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
        self._thread = Thread(target=self._main, name="keyturn-testing-loop", daemon=True)
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


def is_async(store: Store | AsyncStore) -> TypeIs[AsyncStore]:
    """Tell a store's colour."""
    return inspect.iscoroutinefunction(store.rotate)


def blocking(store: Store | AsyncStore, loop: LoopThread) -> Store:
    """Give a store that threads can use, whatever its colour.

    Args:
        store: A store of either colour; a sync one is given back as it is.
        loop: Where an async one runs.
    """
    return BlockingStore(store, loop) if is_async(store) else store


def together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all calls at one moment, each in a thread of its own, and give their results in order.

    Args:
        calls: What to call. An error in one is raised when all have ended.
    """
    gate = Barrier(len(calls))

    def start(call: Callable[[], T]) -> T:
        gate.wait(PATIENCE_SECONDS)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(start, calls))


class BlockingStore:
    """An asyncio store with the face of a store for threads."""

    def __init__(self, inner: AsyncStore, loop: LoopThread) -> None:
        """Drive a store in a loop."""
        self._inner = inner
        self._loop = loop
        self._run = loop.run

    def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return self._run(self._inner.create(command))

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        return self._run(self._inner.rotate(command))

    def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return self._run(self._inner.lookup(command))

    def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return self._run(self._inner.check(command))

    def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        self._run(self._inner.confirm(command))

    def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return self._run(self._inner.revoke(command))

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return self._run(self._inner.revoke_user(command))

    def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        self._run(self._inner.deny(command))

    def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`."""
        return self._run(self._inner.find(where, limit=limit))

    def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`."""
        return self._run(self._inner.count(where))

    def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return self._run(self._inner.delete(sids))

    def purge(self, command: Purge, /) -> int:
        """See `Store.purge`."""
        return self._run(self._inner.purge(command))

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`."""
        self._run(self._trail.note(entries))

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return self._run(self._trail.history(sid, after=after, limit=limit))

    def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`."""
        return self._run(self._trail.forget(before, limit))

    @property
    def at_hand(self) -> bool:
        """See `RevocationLog.at_hand`."""
        return self._log.at_hand

    def follow(self, command: Follow, /) -> Followed:
        """See `RevocationLog.follow`."""
        return self._run(self._log.follow(command))

    def bell(self) -> Bell | None:
        """See `RevocationLog.bell`."""
        bell = self._log.bell()
        return None if bell is None else BlockingBell(bell, self._loop)

    def close(self) -> None:
        """See `Store.close`."""
        self._run(self._inner.close())

    @property
    def _trail(self) -> AsyncTrail:
        if not isinstance(self._inner, AsyncTrail):
            raise TypeError(f"{type(self._inner).__name__} keeps no trail")
        return self._inner

    @property
    def _log(self) -> AsyncRevocationLog:
        if not isinstance(self._inner, AsyncRevocationLog):
            raise TypeError(f"{type(self._inner).__name__} keeps no revocation log")
        return self._inner


class BlockingBell:
    """An asyncio store's bell with the face of one for threads."""

    def __init__(self, inner: AsyncBell, loop: LoopThread) -> None:
        """Drive a bell in a loop."""
        self._inner = inner
        self._run = loop.run

    def wait(self, cursor: object | None, seconds: float, /) -> None:
        """See `Bell.wait`."""
        self._run(self._inner.wait(cursor, seconds))

    def close(self) -> None:
        """See `Bell.close`."""
        self._run(self._inner.close())
