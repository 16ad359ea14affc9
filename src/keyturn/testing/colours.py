"""Both colours of store as one: an asyncio store driven from threads. It knows no engine."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING

from typing_extensions import TypeIs

from keyturn.lab.loops import LoopThread
from keyturn.lab.together import PATIENCE_SECONDS, together
from keyturn.stores.protocol import EVERY, PAGE, AsyncRevocationLog, AsyncStore, AsyncTrail, Store

if TYPE_CHECKING:
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

__all__ = [
    "PATIENCE_SECONDS",
    "BlockingBell",
    "BlockingStore",
    "LoopThread",
    "blocking",
    "is_async",
    "together",
]


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
