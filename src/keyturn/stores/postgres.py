"""Sessions in PostgreSQL through psycopg, for threads and for asyncio. No decision is made here.

Each operation is in `keyturn.stores._sql.operations`, once, as a generator of statements; the two stores
differ only in how they drive it. This is the store for scale: the driver alone costs a third of what it costs
with SQLAlchemy's connections around it. `keyturn.stores.sqlalchemy` is for an engine that is there.

Behind PgBouncer's transaction pooling, say `prepared=False`, or `?prepared=false` in the URL. Then nothing is
prepared, and nothing is set for the session, which others share. The server's own time limits for statements
and locks are then the role's: `ALTER ROLE … SET statement_timeout = '10s'`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from keyturn.stores._postgres import missing_extra

try:
    from psycopg.conninfo import conninfo_to_dict
    from psycopg_pool import AsyncConnectionPool, ConnectionPool
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    from keyturn.stores import schema
    from keyturn.stores._postgres import settings as defaults
    from keyturn.stores._postgres.bells import AsyncPostgresBell, PostgresBell
    from keyturn.stores._postgres.connections import AsyncWatchedConnection, Watch, WatchedConnection
    from keyturn.stores._postgres.gates import AsyncGate, Gate
    from keyturn.stores._postgres.settings import Settings
    from keyturn.stores._postgres.wires import FLAVOUR
    from keyturn.stores._sql import keeping, log, operations
    from keyturn.stores._sql.tables import metadata
except ModuleNotFoundError as error:
    raise missing_extra(error) from error

from keyturn._core.decide import converges
from keyturn.errors import ConfigurationError
from keyturn.stores.protocol import EVERY, PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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

__all__ = ["AsyncPostgresStore", "PostgresStore", "metadata"]

_PATIENCE: Final = 600.0  # seconds for one step of a migration, which may go through all rows


class PostgresStore:
    """A store in PostgreSQL, for threads and processes."""

    at_hand = False

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        """Use a connection pool of the application's.

        Args:
            pool: Made with `kwargs={"autocommit": True}`; `prepare_threshold=0` there is faster. It stays the
                application's: its settings are left as they are, timeouts too, and closing the store does not
                close it. A process that forks must make another in the child.

        Raises:
            ConfigurationError: The store could not keep its promises on this pool.
        """
        self._gate = Gate.to_given(pool)
        self._target: Callable[[], dict[str, Any]] = partial(_of_pool, pool)
        self._listening = _listening_like(pool)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        pool_size: int = defaults.POOL_SIZE,
        busy_timeout: float = defaults.BUSY_TIMEOUT,
        connect_timeout: float = defaults.CONNECT_TIMEOUT,
        answer_timeout: float = defaults.ANSWER_TIMEOUT,
        prepared: bool = True,
    ) -> Self:
        """Use a database; nothing is opened before the first use.

        Args:
            url: For example `postgresql://user:password@host:5432/database`. It takes libpq's parameters, for
                example `?sslmode=verify-full`, and `prepared` and `pool_size` besides. Of several hosts, the
                one that takes writes is used.
            pool_size: Connections at most.
            busy_timeout: Seconds to wait for a free connection, and for another's lock.
            connect_timeout: Seconds to wait for a connection to be made.
            answer_timeout: Seconds to wait for an answer.
            prepared: False behind a pooler that shares the server's sessions: see above. Nothing is prepared
                then, and the server's limits for statements and locks are the role's.

        Returns:
            A store that owns its pool: `close()` closes it.

        Raises:
            ConfigurationError: The URL or an option cannot be used.
        """
        settings = Settings(
            pool_size=pool_size,
            busy_timeout=busy_timeout,
            connect_timeout=connect_timeout,
            answer_timeout=answer_timeout,
            prepared=prepared,
        ).with_url(url)
        gate = Gate.to_own(settings)
        store = cls(gate.pool)
        store._gate, store._target = gate, settings.connecting
        store._listening = _listening(settings)
        return store

    def create_schema(self) -> None:
        """Make the tables, or bring them to this version. Safe when several processes start at once.

        Raises:
            SchemaError: Says what is in the way.
            StoreUnavailable: The database cannot answer.
        """
        _upgrade(self._target())

    def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return self._gate.run(partial(operations.create, FLAVOUR, command))

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        return self._gate.run(operations.rotating(FLAVOUR, command), repeatable=converges(command))

    def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return self._gate.run(partial(operations.lookup, command), repeatable=True)

    def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return self._gate.run(partial(operations.check, command), repeatable=True)

    def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        self._gate.run(partial(operations.confirm, command), repeatable=True)

    def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return self._gate.run(partial(operations.revoke, FLAVOUR, command))

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return self._gate.run(partial(operations.revoke_user, FLAVOUR, command))

    def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        self._gate.run(partial(operations.deny, FLAVOUR, command), repeatable=True)

    def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`."""
        return self._gate.run(partial(keeping.find, where, limit), repeatable=True)

    def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`."""
        return self._gate.run(partial(keeping.count, where), repeatable=True)

    def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return self._gate.run(partial(keeping.erase, FLAVOUR, keeping.Tally(), sids))

    def purge(self, command: Purge, /) -> int:
        """See `Store.purge`."""
        return self._gate.run(partial(keeping.purge, keeping.Tally(), command))

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`."""
        self._gate.run(partial(keeping.note, FLAVOUR, entries), repeatable=True)

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return self._gate.run(partial(keeping.history, sid, after, limit), repeatable=True)

    def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`."""
        return self._gate.run(partial(keeping.forget, keeping.Tally(), before, limit))

    def follow(self, command: Follow, /) -> Followed:
        """See `RevocationLog.follow`."""
        return self._gate.run(partial(log.follow, command), repeatable=True)

    def bell(self) -> PostgresBell | None:
        """See `RevocationLog.bell`. Behind a pooler that shares sessions there is none."""
        if self._listening is None:
            return None
        return PostgresBell(partial(WatchedConnection.connect, **self._listening))

    def close(self) -> None:
        """See `Store.close`. A pool of the application's stays open."""
        self._gate.close()


class AsyncPostgresStore:
    """A store in PostgreSQL, for asyncio: `PostgresStore` with `await`.

    An operation that has begun runs to its end, also where the task that asked for it is cancelled: a
    revocation is not lost with the request that brought it.
    """

    at_hand = False

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        """Use a connection pool of the application's: see `PostgresStore`."""
        self._gate = AsyncGate.to_given(pool)
        self._target: Callable[[], dict[str, Any]] = partial(_of_pool, pool)
        self._listening = _listening_like(pool)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        pool_size: int = defaults.POOL_SIZE,
        busy_timeout: float = defaults.BUSY_TIMEOUT,
        connect_timeout: float = defaults.CONNECT_TIMEOUT,
        answer_timeout: float = defaults.ANSWER_TIMEOUT,
        prepared: bool = True,
    ) -> Self:
        """Use a database; nothing is opened before the first use: see `PostgresStore.from_url`."""
        settings = Settings(
            pool_size=pool_size,
            busy_timeout=busy_timeout,
            connect_timeout=connect_timeout,
            answer_timeout=answer_timeout,
            prepared=prepared,
        ).with_url(url)
        gate = AsyncGate.to_own(settings)
        store = cls(gate.pool)
        store._gate, store._target = gate, settings.connecting
        store._listening = _listening(settings)
        return store

    async def create_schema(self) -> None:
        """Make the tables, or bring them to this version. Safe when several processes start at once.

        See `PostgresStore.create_schema`.
        """
        await asyncio.to_thread(_upgrade, self._target())

    async def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return await self._gate.run(partial(operations.create, FLAVOUR, command))

    async def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        return await self._gate.run(operations.rotating(FLAVOUR, command), repeatable=converges(command))

    async def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return await self._gate.run(partial(operations.lookup, command), repeatable=True)

    async def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return await self._gate.run(partial(operations.check, command), repeatable=True)

    async def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        await self._gate.run(partial(operations.confirm, command), repeatable=True)

    async def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return await self._gate.run(partial(operations.revoke, FLAVOUR, command))

    async def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return await self._gate.run(partial(operations.revoke_user, FLAVOUR, command))

    async def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        await self._gate.run(partial(operations.deny, FLAVOUR, command), repeatable=True)

    async def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`."""
        return await self._gate.run(partial(keeping.find, where, limit), repeatable=True)

    async def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`."""
        return await self._gate.run(partial(keeping.count, where), repeatable=True)

    async def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return await self._gate.run(partial(keeping.erase, FLAVOUR, keeping.Tally(), sids))

    async def purge(self, command: Purge, /) -> int:
        """See `Store.purge`."""
        return await self._gate.run(partial(keeping.purge, keeping.Tally(), command))

    async def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`."""
        await self._gate.run(partial(keeping.note, FLAVOUR, entries), repeatable=True)

    async def history(
        self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE
    ) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return await self._gate.run(partial(keeping.history, sid, after, limit), repeatable=True)

    async def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`."""
        return await self._gate.run(partial(keeping.forget, keeping.Tally(), before, limit))

    async def follow(self, command: Follow, /) -> Followed:
        """See `RevocationLog.follow`."""
        return await self._gate.run(partial(log.follow, command), repeatable=True)

    def bell(self) -> AsyncPostgresBell | None:
        """See `RevocationLog.bell`. Behind a pooler that shares sessions there is none."""
        if self._listening is None:
            return None
        return AsyncPostgresBell(partial(AsyncWatchedConnection.connect, **self._listening))

    async def close(self) -> None:
        """See `Store.close`. A pool of the application's stays open."""
        await self._gate.close()


def _of_pool(pool: ConnectionPool[Any] | AsyncConnectionPool[Any]) -> dict[str, Any]:
    """Say how an application's pool connects."""
    target, options = pool.conninfo, pool.kwargs
    if callable(target) or callable(options):
        raise ConfigurationError(
            "This pool makes its connection settings anew each time: run `keyturn db upgrade` instead."
        )
    return {"conninfo": target, **(options or {})}


def _listening(settings: Settings) -> dict[str, Any] | None:
    """Say how a bell connects; None: there is none, where the server's sessions are shared."""
    # A little more patient than the server is told to be: its own refusal says more.
    return {**settings.working(), "watch": Watch(settings.answer_timeout + 1)} if settings.prepared else None


def _listening_like(pool: ConnectionPool[Any] | AsyncConnectionPool[Any]) -> dict[str, Any] | None:
    """Say how a bell connects beside an application's pool; None also where that cannot be known."""
    target, options = pool.conninfo, pool.kwargs
    if callable(target) or callable(options):
        return None
    given = options or {}
    # This is how psycopg is told that a pooler is in between.
    is_shared = given.get("prepare_threshold", 0) is None
    ours = _listening(Settings(target=conninfo_to_dict(target), prepared=not is_shared))
    return None if ours is None else {**ours, **given, "prepare_threshold": None}


def _upgrade(target: dict[str, Any]) -> None:
    """Bring a database to this version. Migrations are SQLAlchemy's, through an engine for this once."""
    connect = partial(WatchedConnection.connect, watch=Watch(_PATIENCE), **target)
    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool, hide_parameters=True)
    schema.upgrade(engine)
