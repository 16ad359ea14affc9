"""Sessions in Redis, Redis Cluster or Valkey, for threads and for asyncio. No decision is made here.

Each operation is in `keyturn.stores._redis`, once: a script in Lua, and a generator of calls around it. The
two stores differ only in how they drive it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Self

from keyturn.stores._redis import missing_extra

try:
    from keyturn.stores._redis import checkup, clients, operations, walks
    from keyturn.stores._redis.errors import NO_PERMISSION, WRONG_MODE, WRONG_PASSWORD
    from keyturn.stores._redis.ledgers import AsyncLedgers, Ledgers
    from keyturn.stores._redis.opening import Settings, place_of, settings_of
except ModuleNotFoundError as error:
    if (error.name or "").startswith("keyturn"):
        raise
    raise missing_extra(error) from error

from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.stores.protocol import EVERY, PAGE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from redis import Redis, RedisCluster
    from redis.asyncio import Redis as AsyncRedis
    from redis.asyncio import RedisCluster as AsyncRedisCluster

    from keyturn._core.commands import (
        Check,
        Confirm,
        Create,
        Deny,
        Lookup,
        Purge,
        Revoke,
        RevokeUser,
        Rotate,
        Where,
    )
    from keyturn._core.outcomes import CheckOutcome, CreateOutcome, LookupOutcome, Revocation, RotateOutcome
    from keyturn._core.records import Session
    from keyturn.durations import Duration
    from keyturn.stores._redis.async_channels import AsyncChannel
    from keyturn.stores._redis.channels import Channel
    from keyturn.stores._redis.opening import Checked

__all__ = ["AsyncRedisStore", "RedisStore"]

_log: Final = logging.getLogger("keyturn.stores.redis")


class RedisStore(Ledgers):
    """A store in Redis or Redis Cluster, for threads and processes.

    Nothing outlives its use: a session's keys expire some time (`retention`) after its absolute end, also
    where nobody purges. A walk through the sessions of all users (`find` and `count` without a user, `purge`,
    `forget`) looks at every key of the server, in steps of a millisecond: it is for administrators and
    clean-up, not for requests.

    Examples:
        >>> store = RedisStore.from_url("redis://:hunter2@redis.example:6379/0", retention="2d")
        >>> store.close()
    """

    def __init__(
        self,
        client: Redis | RedisCluster,
        *,
        prefix: str = "keyturn",
        retention: Duration = "1d",
        wait_replicas: int = 0,
        wait_timeout: Duration = 1.0,
    ) -> None:
        """Use a client of the application's.

        Args:
            client: Stays the application's: its timeouts, its pool and its retries of connecting are left as
                they are, and closing the store does not close it. Give it a `socket_timeout`.
            prefix: What all keys begin with.
            retention: See `from_url`.
            wait_replicas: See `from_url`.
            wait_timeout: See `from_url`.

        Raises:
            ConfigurationError: A setting is wrong.
        """
        settings = Settings(
            prefix, retention, wait_replicas=wait_replicas, wait_timeout=wait_timeout
        ).checked()
        self._start(clients.adopt(client, settings), settings, impatient=clients.has_timeouts(client))

    def _start(self, channel: Channel, settings: Checked, *, impatient: bool) -> None:
        self._reach(channel, settings)
        self._retention = settings.retention
        self._wanted = checkup.Wanted(channel.sharded, settings.wait_replicas, impatient, self._keys.log)
        self._purging = walks.Place()

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str | None = None,
        retention: Duration | None = None,
        timeout: Duration | None = None,
        pool_size: int | None = None,
        wait_replicas: int | None = None,
        wait_timeout: Duration | None = None,
    ) -> Self:
        """Open a server, a cluster, or the master that Sentinel names. It connects when it is first asked.

        What is not given here may stand in the URL, after a question mark: `?retention=2d&wait_replicas=1`.

        Args:
            url: `redis://user:password@host:port/0`, `rediss://…` for TLS (with `ssl_ca_certs`,
                `ssl_certfile` and `ssl_keyfile` as options), `unix:///path/of/socket`, `redis+cluster://host:port,host:port`,
                `redis+sentinel://host:port,host:port/name-of-the-master/0`.
            prefix: What all keys begin with; `keyturn`.
            retention: How long after its absolute end a session is still told apart from an unknown
                one; a day.
            timeout: How long to wait for a connection, and for an answer; two seconds.
            pool_size: Connections at most; 32 (in a cluster, to each node).
            wait_replicas: How many replicas must have a revocation before it counts; none. Where too few have
                it in time, the revocation is reported as unavailable; to repeat it is safe.
            wait_timeout: How long to wait for them; a second.

        Returns:
            A store that owns its connections: `close()` closes them.

        Raises:
            ConfigurationError: The URL or a setting is wrong.
        """
        place = place_of(url)
        given = (prefix, retention, timeout, pool_size, wait_replicas, wait_timeout)
        settings = settings_of(place, given)
        store = cls.__new__(cls)
        store._start(clients.open_channel(place, settings), settings, impatient=True)  # noqa: SLF001  (its own)
        return store

    def create_schema(self) -> None:
        """Check that the server is one that the store can work on, and log what is unsafe about it.

        Raises:
            ConfigurationError: It is not: too old, a replica, of another kind than its URL says, or it
                refuses the user.
            StoreUnavailable: It cannot answer.
        """
        for warning in self.warnings():
            _log.warning("%s", warning)

    def warnings(self) -> tuple[str, ...]:
        """Say what is unsafe about the server's settings, a sentence each.

        Raises:
            ConfigurationError: See `create_schema`.
            StoreUnavailable: It cannot answer.
        """
        try:
            return self._run(checkup.examine(self._wanted))
        except StoreUnavailable as error:
            raise _as_configuration(error) from error.__cause__

    def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return self._run(operations.create(self._keys, self._stream, self._retention, command))

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        return self._run(operations.rotate(self._keys, self._stream, command))

    def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return self._run(operations.lookup(self._keys, command))

    def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return self._run(operations.check(self._keys, command))

    def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        self._run(operations.confirm(self._keys, command))

    def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return self._run(operations.revoke(self._keys, self._stream, command))

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return self._run(operations.revoke_user(self._keys, self._stream, command))

    def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        self._run(operations.deny(self._keys, self._stream, command))

    def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`. Without a user, each page is a walk through all keys."""
        return self._run(walks.find(self._keys, where, limit))

    def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`. Without a user, it is a walk through all keys."""
        return self._run(walks.count(self._keys, where))

    def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return self._run(walks.delete(self._keys, self._stream, sids))

    def purge(self, command: Purge, /) -> int:
        """See `Store.purge`. It goes on where the last one stopped, and ends when it has been everywhere."""
        return self._run(walks.purge(self._keys, self._purging, command))

    def close(self) -> None:
        """See `Store.close`. A client of the application's stays open."""
        self._channel.close()


class AsyncRedisStore(AsyncLedgers):
    """A store in Redis or Redis Cluster, for asyncio: `RedisStore` with `await`.

    What signs somebody in or out, and what removes something, runs to its end once it has begun, also where
    the task that asked for it is cancelled. A refresh that is cancelled has happened or not, which its client
    finds out by repeating it.
    """

    def __init__(
        self,
        client: AsyncRedis | AsyncRedisCluster,
        *,
        prefix: str = "keyturn",
        retention: Duration = "1d",
        wait_replicas: int = 0,
        wait_timeout: Duration = 1.0,
    ) -> None:
        """Use an asynchronous client of the application's: see `RedisStore`."""
        settings = Settings(
            prefix, retention, wait_replicas=wait_replicas, wait_timeout=wait_timeout
        ).checked()
        self._start(clients.adopt_async(client, settings), settings, impatient=clients.has_timeouts(client))

    def _start(self, channel: AsyncChannel, settings: Checked, *, impatient: bool) -> None:
        self._reach(channel, settings)
        self._retention = settings.retention
        self._wanted = checkup.Wanted(channel.sharded, settings.wait_replicas, impatient, self._keys.log)
        self._purging = walks.Place()

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str | None = None,
        retention: Duration | None = None,
        timeout: Duration | None = None,
        pool_size: int | None = None,
        wait_replicas: int | None = None,
        wait_timeout: Duration | None = None,
    ) -> Self:
        """Open a server, a cluster, or the master that Sentinel names. It connects when it is first asked.

        See `RedisStore.from_url`.
        """
        place = place_of(url)
        given = (prefix, retention, timeout, pool_size, wait_replicas, wait_timeout)
        settings = settings_of(place, given)
        store = cls.__new__(cls)
        store._start(clients.open_async_channel(place, settings), settings, impatient=True)  # noqa: SLF001  (its own)
        return store

    async def create_schema(self) -> None:
        """Check that the server is one that the store can work on, and log what is unsafe about it.

        See `RedisStore.create_schema`.
        """
        for warning in await self.warnings():
            _log.warning("%s", warning)

    async def warnings(self) -> tuple[str, ...]:
        """Say what is unsafe about the server's settings, a sentence each.

        See `RedisStore.warnings`.
        """
        try:
            return await self._to_its_end(checkup.examine(self._wanted))
        except StoreUnavailable as error:
            raise _as_configuration(error) from error.__cause__

    async def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return await self._to_its_end(operations.create(self._keys, self._stream, self._retention, command))

    async def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        return await self._run(operations.rotate(self._keys, self._stream, command))

    async def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return await self._run(operations.lookup(self._keys, command))

    async def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return await self._run(operations.check(self._keys, command))

    async def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        await self._run(operations.confirm(self._keys, command))

    async def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return await self._to_its_end(operations.revoke(self._keys, self._stream, command))

    async def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return await self._to_its_end(operations.revoke_user(self._keys, self._stream, command))

    async def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        await self._to_its_end(operations.deny(self._keys, self._stream, command))

    async def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`. Without a user, each page is a walk through all keys."""
        return await self._run(walks.find(self._keys, where, limit))

    async def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`. Without a user, it is a walk through all keys."""
        return await self._run(walks.count(self._keys, where))

    async def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return await self._to_its_end(walks.delete(self._keys, self._stream, sids))

    async def purge(self, command: Purge, /) -> int:
        """See `Store.purge`. It goes on where the last one stopped, and ends when it has been everywhere."""
        return await self._to_its_end(walks.purge(self._keys, self._purging, command))

    async def close(self) -> None:
        """See `Store.close`. A client of the application's stays open."""
        await self._unbroken.done()
        await self._channel.close()


def _as_configuration(error: StoreUnavailable) -> Exception:
    """What a person must mend is a mistake of the configuration, where the server is looked at."""
    if error.detail in {WRONG_PASSWORD, NO_PERMISSION, WRONG_MODE, "read_only"}:
        return ConfigurationError(str(error), detail=error.detail)
    return error
