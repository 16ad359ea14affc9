"""What a store keeps besides its sessions, in both colours: their audit trails, and the revocation log.

They bring the way to the server along, which the sessions' operations take, too. They know no session.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from keyturn.stores._redis import async_channels, channels, stream, walks
from keyturn.stores._redis.bells import AsyncRedisBell, RedisBell
from keyturn.stores._redis.keys import keys_of
from keyturn.stores._unbroken import Unbroken
from keyturn.stores.protocol import PAGE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from keyturn._core.commands import Follow
    from keyturn._core.outcomes import Followed
    from keyturn._core.records import Millis
    from keyturn._core.trail import TrailEntry
    from keyturn.stores._redis.async_channels import AsyncChannel
    from keyturn.stores._redis.calls import Operation
    from keyturn.stores._redis.channels import Channel
    from keyturn.stores._redis.driver import AsyncConnection
    from keyturn.stores._redis.opening import Checked

T = TypeVar("T")

TRAIL_MS: Final = 400 * 86_400_000  # after a trail's last line: longer than whoever forgets lines keeps them


class Ledgers:
    """For threads."""

    at_hand = False

    def _reach(self, channel: Channel, settings: Checked) -> None:
        self._channel = channel
        self._keys = keys_of(settings.prefix)
        self._stream = stream.Stream(self._keys.log, channel.sharded)
        self._patience = settings.timeout
        self._forgetting = walks.Place()

    def _run(self, operation: Operation[T]) -> T:
        return channels.run(self._channel, operation)

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`. A session's trail keeps its latest 10,000 lines."""
        self._run(walks.note(self._keys, TRAIL_MS, entries, sharded=self._channel.sharded))

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return self._run(walks.history(self._keys, sid, after, limit))

    def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`. It goes on where the last one stopped, as `purge` does."""
        return self._run(walks.forget(self._keys, self._forgetting, before, limit))

    def follow(self, command: Follow, /) -> Followed:
        """See `RevocationLog.follow`."""
        return self._run(stream.follow(self._stream, command))

    def bell(self) -> RedisBell | None:
        """See `RevocationLog.bell`. It has a connection besides those of the pool.

        None: a client of the application's does not say how it makes its connections.
        """
        if not self._channel.spares:
            return None
        return RedisBell(self._stream, partial(self._channel.spare, self._stream.key), self._patience)


class AsyncLedgers:
    """For asyncio: `Ledgers` with `await`."""

    at_hand = False

    def _reach(self, channel: AsyncChannel, settings: Checked) -> None:
        self._channel = channel
        self._keys = keys_of(settings.prefix)
        self._stream = stream.Stream(self._keys.log, channel.sharded)
        self._patience = settings.timeout
        self._forgetting = walks.Place()
        self._unbroken = Unbroken()

    async def _run(self, operation: Operation[T]) -> T:
        if self._channel.fragile:
            return await self._to_its_end(operation)
        return await async_channels.run(self._channel, operation)

    async def _to_its_end(self, operation: Operation[T]) -> T:
        return await self._unbroken.run(async_channels.run(self._channel, operation))

    async def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`. A session's trail keeps its latest 10,000 lines."""
        await self._to_its_end(walks.note(self._keys, TRAIL_MS, entries, sharded=self._channel.sharded))

    async def history(
        self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE
    ) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return await self._run(walks.history(self._keys, sid, after, limit))

    async def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`. It goes on where the last one stopped, as `purge` does."""
        return await self._to_its_end(walks.forget(self._keys, self._forgetting, before, limit))

    async def follow(self, command: Follow, /) -> Followed:
        """See `RevocationLog.follow`."""
        return await self._run(stream.follow(self._stream, command))

    def bell(self) -> AsyncRedisBell | None:
        """See `RevocationLog.bell`. It has a connection besides those of the pool.

        None: a client of the application's does not say how it makes its connections.
        """
        return AsyncRedisBell(self._stream, self._spare, self._patience) if self._channel.spares else None

    async def _spare(self) -> AsyncConnection:
        # A cluster's client must not be interrupted while it asks for the nodes.
        return await self._unbroken.run(self._channel.spare(self._stream.key))
