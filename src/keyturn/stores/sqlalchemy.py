"""Sessions in an SQL database through SQLAlchemy, for threads and for asyncio. No decision is made here.

Each operation is in `keyturn.stores._sql.operations`, once, as a generator of statements; the two stores
differ only in how they drive it.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from keyturn.stores._sql import missing_extra

try:
    from keyturn.stores import schema
    from keyturn.stores._sql import engines, operations, servers
    from keyturn.stores._sql.connected import Connected
    from keyturn.stores._sql.errors import translated
    from keyturn.stores._sql.retries import async_tried, tried
    from keyturn.stores._sql.running import flavour_of, run
    from keyturn.stores._sql.tables import metadata
    from keyturn.stores._sql.turns import AsyncTurns, Turns
except ModuleNotFoundError as error:
    raise missing_extra(error) from error

from keyturn._core.decide import converges
from keyturn.stores._unbroken import Unbroken, UnbrokenInOneLoop
from keyturn.stores.protocol import EVERY, PAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager
    from uuid import UUID

    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

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
    from keyturn.stores._sql.queries import Operation
    from keyturn.stores._sql.sqlite import Synchronous

__all__ = ["AsyncSQLAlchemyStore", "SQLAlchemyStore", "metadata"]

T = TypeVar("T")


class SQLAlchemyStore(Connected):
    """A store in an SQL database, for threads and processes.

    Examples:
        >>> import tempfile
        >>> store = SQLAlchemyStore.from_url(f"sqlite:///{tempfile.mkdtemp()}/keyturn.db")
        >>> store.create_schema()
        >>> store.count()
        0
        >>> store.close()
    """

    at_hand = False

    def __init__(self, engine: Engine) -> None:
        """Use an engine of the application's.

        Args:
            engine: Stays the application's: its settings are left as they are, and closing the store does not
                close it. A process that forks must dispose of it in the child, as SQLAlchemy says.

        Raises:
            ConfigurationError: The store could not keep its promises on this engine.
        """
        super().__init__(engine)
        self._turns = Turns(engines.BUSY_TIMEOUT) if engine.dialect.name == "sqlite" else None
        self._flavour = flavour_of(engine.dialect)

    @classmethod
    def from_url(
        cls,
        url: str | URL,
        *,
        busy_timeout: float = engines.BUSY_TIMEOUT,
        pool_size: int = engines.POOL_SIZE,
        synchronous: Synchronous = "FULL",
        connect_timeout: float = engines.CONNECT_TIMEOUT,
        answer_timeout: float = engines.ANSWER_TIMEOUT,
    ) -> Self:
        """Open a database.

        Args:
            url: `sqlite:///keyturn.db` (the file is made where there is none, but its folder is not),
                `mysql://…`, `mariadb://…` or `postgresql://user:password@host/database`.
            busy_timeout: Seconds to wait for another's lock or for a free connection.
            pool_size: Connections at most.
            synchronous: SQLite: with `FULL`, what was acknowledged survives a power cut. `NORMAL` is faster;
                it does not.
            connect_timeout: Servers: seconds to wait for a connection.
            answer_timeout: Servers: seconds to wait for an answer.

        Returns:
            A store that owns its engine: `close()` closes it. It connects at its first operation.

        Raises:
            ConfigurationError: No store can use this URL.
            ImportError: The driver is not installed; the message is the command that brings it.
        """
        settings = engines.Settings(busy_timeout, pool_size, synchronous, connect_timeout, answer_timeout)
        engine = engines.open_engine(url, settings)
        store = cls(engine)
        store._engine, store._owned = engine, True  # in autocommit from the start
        store._flavour = flavour_of(engine.dialect, ours=True)
        if store._turns is not None:
            store._turns = Turns(busy_timeout)
        return store

    def create_schema(self) -> None:
        """Make the tables, or bring them to this version. Safe when several processes start at once.

        Raises:
            SchemaError: Says what is in the way.
            StoreUnavailable: The database cannot answer.
        """
        with self._turn():
            self._on_connection(schema.upgrade_on)

    def _turn(self) -> AbstractContextManager[None]:
        return nullcontext() if self._turns is None else self._turns.turn()

    def _read(self, make: Callable[[], Operation[T]]) -> T:
        return tried(lambda: self._on_connection(partial(run, operation=make())), safe=True)

    def _write(self, make: Callable[[], Operation[T]], *, safe: bool = True) -> T:
        def once() -> T:
            with self._turn():
                return self._on_connection(partial(run, operation=make()))

        return tried(once, safe=safe)

    def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return self._write(partial(operations.create, self._flavour, command), safe=False)

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        return self._write(operations.rotating(self._flavour, command), safe=converges(command))

    def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return self._read(partial(operations.lookup, command))

    def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return self._read(partial(operations.check, command))

    def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        self._write(partial(operations.confirm, command))

    def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return self._write(partial(operations.revoke, self._flavour, command), safe=False)

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return self._write(partial(operations.revoke_user, self._flavour, command), safe=False)

    def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        self._write(partial(operations.deny, self._flavour, command))

    def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`."""
        return self._read(partial(operations.find, where, limit))

    def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`."""
        return self._read(partial(operations.count, where))

    def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return self._write(partial(operations.erase, self._flavour, operations.Tally(), sids), safe=False)

    def purge(self, command: Purge, /) -> int:
        """See `Store.purge`."""
        return self._write(partial(operations.purge, operations.Tally(), command), safe=False)

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`."""
        self._write(partial(operations.note, self._flavour, entries))

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return self._read(partial(operations.history, sid, after, limit))

    def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`."""
        return self._write(partial(operations.forget, operations.Tally(), before, limit), safe=False)

    def follow(self, command: Follow, /) -> Followed:
        """See `RevocationLog.follow`."""
        return self._read(partial(operations.follow, command))

    def bell(self) -> None:
        """See `RevocationLog.bell`: there is none, and followers poll."""


class AsyncSQLAlchemyStore:
    """A store in an SQL database, for asyncio: `SQLAlchemyStore` with `await`.

    An operation that has begun runs to its end, also where the task that asked for it is cancelled: a
    revocation is not lost with the request that brought it, and no connection is torn from its statement.

    Its connections belong to the event loop that it is used in, until it is closed.
    """

    at_hand = False
    reopens = True
    """Once it is closed, it may be used again, and in another event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Use an asynchronous engine of the application's: see `SQLAlchemyStore`."""
        engines.accept(engine.sync_engine)
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._owned = False
        self._checked = False
        self._turns = AsyncTurns(engines.BUSY_TIMEOUT) if engine.dialect.name == "sqlite" else None
        self._answer_timeout = engines.ANSWER_TIMEOUT if self._turns is None else None
        self._flavour = flavour_of(engine.dialect)
        self._unbroken = Unbroken()

    @classmethod
    def from_url(
        cls,
        url: str | URL,
        *,
        busy_timeout: float = engines.BUSY_TIMEOUT,
        pool_size: int = engines.POOL_SIZE,
        synchronous: Synchronous = "FULL",
        connect_timeout: float = engines.CONNECT_TIMEOUT,
        answer_timeout: float = engines.ANSWER_TIMEOUT,
    ) -> Self:
        """Open a database: see `SQLAlchemyStore.from_url`."""
        settings = engines.Settings(busy_timeout, pool_size, synchronous, connect_timeout, answer_timeout)
        engine = engines.open_async_engine(url, settings)
        store = cls(engine)
        store._engine, store._owned = engine, True  # in autocommit from the start
        store._unbroken = UnbrokenInOneLoop()  # as the connections are
        store._flavour = flavour_of(engine.dialect, ours=True)
        if store._turns is not None:
            store._turns = AsyncTurns(busy_timeout)
        else:  # PostgreSQL's connections have patience of their own
            store._answer_timeout = None if engine.dialect.name == "postgresql" else answer_timeout
        return store

    async def create_schema(self) -> None:
        """Make the tables, or bring them to this version. Safe when several processes start at once.

        See `SQLAlchemyStore.create_schema`.
        """
        await self._unbroken.run(self._in_turn(schema.upgrade_on, None))

    async def _read(self, make: Callable[[], Operation[T]]) -> T:
        def once() -> Coroutine[Any, Any, T]:
            return self._on_connection(partial(run, operation=make()), self._answer_timeout)

        return await self._unbroken.run(async_tried(once, safe=True))

    async def _write(self, make: Callable[[], Operation[T]], *, safe: bool = True) -> T:
        def once() -> Coroutine[Any, Any, T]:
            return self._in_turn(partial(run, operation=make()), self._answer_timeout)

        return await self._unbroken.run(async_tried(once, safe=safe))

    async def _on_connection(self, work: Callable[[Connection], T], patience: float | None) -> T:
        with translated():
            async with self._engine.connect() as connection, asyncio.timeout(patience):
                if not self._checked:
                    await connection.run_sync(servers.check, ours=self._owned)
                    self._checked = True
                return await connection.run_sync(work)

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._turns is None else self._turns.turn()

    async def _in_turn(self, work: Callable[[Connection], T], patience: float | None) -> T:
        async with self._turn():
            return await self._on_connection(work, patience)

    async def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return await self._write(partial(operations.create, self._flavour, command), safe=False)

    async def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        return await self._write(operations.rotating(self._flavour, command), safe=converges(command))

    async def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return await self._read(partial(operations.lookup, command))

    async def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return await self._read(partial(operations.check, command))

    async def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        await self._write(partial(operations.confirm, command))

    async def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return await self._write(partial(operations.revoke, self._flavour, command), safe=False)

    async def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return await self._write(partial(operations.revoke_user, self._flavour, command), safe=False)

    async def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        await self._write(partial(operations.deny, self._flavour, command))

    async def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`."""
        return await self._read(partial(operations.find, where, limit))

    async def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`."""
        return await self._read(partial(operations.count, where))

    async def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return await self._write(
            partial(operations.erase, self._flavour, operations.Tally(), sids), safe=False
        )

    async def purge(self, command: Purge, /) -> int:
        """See `Store.purge`."""
        return await self._write(partial(operations.purge, operations.Tally(), command), safe=False)

    async def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`."""
        await self._write(partial(operations.note, self._flavour, entries))

    async def history(
        self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE
    ) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return await self._read(partial(operations.history, sid, after, limit))

    async def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`."""
        return await self._write(partial(operations.forget, operations.Tally(), before, limit), safe=False)

    async def follow(self, command: Follow, /) -> Followed:
        """See `RevocationLog.follow`."""
        return await self._read(partial(operations.follow, command))

    def bell(self) -> None:
        """See `RevocationLog.bell`: there is none, and followers poll."""

    async def close(self) -> None:
        """See `Store.close`. An engine of the application's stays open."""
        await self._unbroken.done()
        if self._owned:
            await self._engine.dispose()
        self._unbroken.start_afresh()
