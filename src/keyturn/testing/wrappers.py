"""A store around a store, in both colours: every call passes one place. They know no engine.

Subclass to watch or disturb a store: override `around` for all methods, or a single method for one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from keyturn.stores.protocol import EVERY, PAGE, AsyncRevocationLog, AsyncTrail, RevocationLog, Trail

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    from keyturn.stores.protocol import AsyncBell, AsyncStore, Bell, Store

T = TypeVar("T")


class StoreWrapper:
    """A store for threads around another one."""

    def __init__(self, inner: Store) -> None:
        """Wrap a store."""
        self.inner = inner

    def around(self, method: str, call: Callable[[], T]) -> T:
        """Make one call; this is the place to override.

        Args:
            method: The name of the store's method.
            call: The call; it may be made once, never, or more often.
        """
        del method
        return call()

    def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return self.around("create", lambda: self.inner.create(command))

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        return self.around("rotate", lambda: self.inner.rotate(command))

    def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return self.around("lookup", lambda: self.inner.lookup(command))

    def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return self.around("check", lambda: self.inner.check(command))

    def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        self.around("confirm", lambda: self.inner.confirm(command))

    def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return self.around("revoke", lambda: self.inner.revoke(command))

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return self.around("revoke_user", lambda: self.inner.revoke_user(command))

    def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        self.around("deny", lambda: self.inner.deny(command))

    def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`."""
        return self.around("find", lambda: self.inner.find(where, limit=limit))

    def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`."""
        return self.around("count", lambda: self.inner.count(where))

    def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return self.around("delete", lambda: self.inner.delete(sids))

    def purge(self, command: Purge, /) -> int:
        """See `Store.purge`."""
        return self.around("purge", lambda: self.inner.purge(command))

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`."""
        self.around("note", lambda: self._trail.note(entries))

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return self.around("history", lambda: self._trail.history(sid, after=after, limit=limit))

    def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`."""
        return self.around("forget", lambda: self._trail.forget(before, limit))

    @property
    def at_hand(self) -> bool:
        """See `RevocationLog.at_hand`. A store that keeps no log can only be asked itself."""
        return not isinstance(self.inner, RevocationLog) or self.inner.at_hand

    def follow(self, command: Follow, /) -> Followed:
        """See `RevocationLog.follow`."""
        return self.around("follow", lambda: self._log.follow(command))

    def bell(self) -> Bell | None:
        """See `RevocationLog.bell`. Making it does not pass `around`."""
        return self._log.bell()

    def close(self) -> None:
        """See `Store.close`. Closing does not pass `around`."""
        self.inner.close()

    @property
    def _trail(self) -> Trail:
        if not isinstance(self.inner, Trail):
            raise TypeError(f"{type(self.inner).__name__} keeps no trail")
        return self.inner

    @property
    def _log(self) -> RevocationLog:
        if not isinstance(self.inner, RevocationLog):
            raise TypeError(f"{type(self.inner).__name__} keeps no revocation log")
        return self.inner


class AsyncStoreWrapper:
    """A store for asyncio around another one."""

    def __init__(self, inner: AsyncStore) -> None:
        """Wrap a store."""
        self.inner = inner

    async def around(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make one call; see `StoreWrapper.around`."""
        del method
        return await call()

    async def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return await self.around("create", lambda: self.inner.create(command))

    async def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        return await self.around("rotate", lambda: self.inner.rotate(command))

    async def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return await self.around("lookup", lambda: self.inner.lookup(command))

    async def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return await self.around("check", lambda: self.inner.check(command))

    async def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        await self.around("confirm", lambda: self.inner.confirm(command))

    async def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return await self.around("revoke", lambda: self.inner.revoke(command))

    async def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return await self.around("revoke_user", lambda: self.inner.revoke_user(command))

    async def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        await self.around("deny", lambda: self.inner.deny(command))

    async def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`."""
        return await self.around("find", lambda: self.inner.find(where, limit=limit))

    async def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`."""
        return await self.around("count", lambda: self.inner.count(where))

    async def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return await self.around("delete", lambda: self.inner.delete(sids))

    async def purge(self, command: Purge, /) -> int:
        """See `Store.purge`."""
        return await self.around("purge", lambda: self.inner.purge(command))

    async def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`."""
        await self.around("note", lambda: self._trail.note(entries))

    async def history(
        self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE
    ) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return await self.around("history", lambda: self._trail.history(sid, after=after, limit=limit))

    async def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`."""
        return await self.around("forget", lambda: self._trail.forget(before, limit))

    @property
    def at_hand(self) -> bool:
        """See `AsyncRevocationLog.at_hand`. A store that keeps no log can only be asked itself."""
        return not isinstance(self.inner, AsyncRevocationLog) or self.inner.at_hand

    async def follow(self, command: Follow, /) -> Followed:
        """See `AsyncRevocationLog.follow`."""
        return await self.around("follow", lambda: self._log.follow(command))

    def bell(self) -> AsyncBell | None:
        """See `AsyncRevocationLog.bell`. Making it does not pass `around`."""
        return self._log.bell()

    async def close(self) -> None:
        """See `Store.close`. Closing does not pass `around`."""
        await self.inner.close()

    @property
    def _trail(self) -> AsyncTrail:
        if not isinstance(self.inner, AsyncTrail):
            raise TypeError(f"{type(self.inner).__name__} keeps no trail")
        return self.inner

    @property
    def _log(self) -> AsyncRevocationLog:
        if not isinstance(self.inner, AsyncRevocationLog):
            raise TypeError(f"{type(self.inner).__name__} keeps no revocation log")
        return self.inner
