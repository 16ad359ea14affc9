"""Ways through a pool of connections: taking one, giving it back, trying once more. They know no table.

A connection that breaks seldom breaks alone: where one is lost, all that were made before it go. While it is
not known that connecting works, nobody waits in vain: when an attempt fails, whoever waits is told why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil
from threading import Lock
from time import sleep
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from psycopg import OperationalError
from psycopg.errors import ReadOnlySqlTransaction
from psycopg_pool import AsyncConnectionPool, ConnectionPool, PoolClosed, PoolTimeout

from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.forks import in_forked_children
from keyturn.stores._postgres.connections import Watch, has_been_left
from keyturn.stores._postgres.errors import FAILURES, meaning_of
from keyturn.stores._postgres.pools import own_async_pool, own_pool
from keyturn.stores._postgres.wires import FLAVOUR, NO_AUTOCOMMIT, AsyncWire, Wire, age_of
from keyturn.stores._sql.codes import ROLLED_BACK
from keyturn.stores._sql.isolated import isolated
from keyturn.stores._sql.retries import Tries
from keyturn.stores._unbroken import Unbroken

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection

    from keyturn.stores._postgres.settings import Settings
    from keyturn.stores._sql.queries import Operation

T = TypeVar("T")

_LOOK: Final = 0.1  # seconds between looks at how connecting goes, while it is not known to work


class Way:
    """What both colours know of a pool.

    Attributes:
        settings: How to make a pool of our own; None: it is the application's.
        watch: How connecting goes. On an application's pool it is not asked.
        age: How often all connections were lost: those of an earlier age are stale.
        closed: The store was closed.
    """

    def __init__(self, settings: Settings | None) -> None:
        """Start before the first use."""
        self.settings = settings
        self.closed = False
        self._inherited: list[object] = []
        self._orphaned = False
        self._start()

    def _start(self) -> None:
        # A little more patient than the server is told to be: its own refusal says more.
        self.watch = Watch(self.settings.answer_timeout + 1 if self.settings else 0)
        self.watch.sure = self.settings is None
        self.age = 0
        self._lock = Lock()

    @property
    def looks(self) -> int:
        """How often to look whether connecting failed, in the time that one waits for a connection."""
        return ceil(self.settings.busy_timeout / _LOOK) if self.settings else 0

    def is_first(self, connection: object) -> bool:
        """Tell whether a lost connection's companions are still in the pool.

        One that was never used has no age, and may be as old as they are.
        """
        return age_of(connection) in {None, self.age}

    def lose(self, connection: object) -> None:
        """Note that the companions of a lost connection have left the pool."""
        with self._lock:
            if self.is_first(connection):
                self.age += 1
                self.watch.sure = self.settings is None

    def check_open(self) -> None:
        """Raise what says that nothing more can be done here, if so."""
        if self._orphaned:
            raise StoreUnavailable(
                "The process was forked, and a pool does not survive that: "
                "make the pool and its store in the child process.",
                detail="forked",
            )
        if self.closed:
            raise PoolClosed("the store was closed")

    def refusal(self, waited: PoolTimeout, failures: int, *, last: bool) -> Exception | None:
        """Give what to raise after a wait for a connection, or None to wait on.

        Args:
            waited: What the pool said.
            failures: How many attempts to connect had failed before the first wait.
            last: There is no more time.
        """
        failure = self.watch.failure
        if failure is not None and self.watch.failures > failures:
            return failure.with_traceback(None)  # several threads may raise it
        return waited if last else None

    def close(self) -> None:
        """Let nothing more begin."""
        self.closed, self.watch.sure = True, False

    def start_in_child(self, pool: object) -> None:
        """Start afresh in a forked process.

        The inherited pool is kept where no collector finds it: what it holds is the parent's, and a lock in
        it may be held for ever.
        """
        self._inherited.append(pool)
        self._start()
        if self.settings is None:
            self._orphaned, self.watch.sure = True, False


class Stale(OperationalError):
    """A connection of the pool was broken before anything was sent: nothing was done."""


def check_given(options: object) -> None:
    """Refuse a pool whose connections are known not to be in autocommit.

    Args:
        options: The pool's `kwargs`; where a function makes them, each connection is checked instead.

    Raises:
        ConfigurationError: Says how it is done.
    """
    if options is None or (
        isinstance(options, dict) and not cast("dict[str, object]", options).get("autocommit")
    ):
        raise ConfigurationError(NO_AUTOCOMMIT)


class Gate:
    """The way to a database for threads."""

    def __init__(self, way: Way, pool: ConnectionPool[Any]) -> None:
        """Use a pool.

        Args:
            way: What both colours know of it.
            pool: The pool; one of our own may be made again in a forked process.
        """
        self._way = way
        self.pool: ConnectionPool[Any] = pool
        in_forked_children(self, Gate._start_in_child)

    @classmethod
    def to_own(cls, settings: Settings) -> Gate:
        """Make a pool that opens at its first use and closes with the store."""
        way = Way(settings)
        return cls(way, own_pool(way.watch, settings))

    @classmethod
    def to_given(cls, pool: ConnectionPool[Any]) -> Gate:
        """Use a pool of the application's.

        Raises:
            ConfigurationError: Its connections are not in autocommit.
        """
        check_given(pool.kwargs)
        return cls(Way(None), pool)

    def run(self, begin: Callable[[], Operation[T]], *, repeatable: bool = False) -> T:
        """Drive an operation to its end; once more where it failed and that is safe.

        Args:
            begin: Makes the operation.
            repeatable: Whether it may be done twice without harm.

        Raises:
            KeyturnError: As a store's duties say.
        """
        try:
            return self._once(begin(), sure=repeatable)
        except FAILURES as error:
            return self._again(begin, error, repeatable=repeatable)

    def _again(self, begin: Callable[[], Operation[T]], error: Exception, *, repeatable: bool) -> T:
        tries = Tries(safe=repeatable or isinstance(error, Stale))
        while True:
            said = meaning_of(error)
            if not (isinstance(said, StoreUnavailable) and tries.allow_another(said)):
                raise said from error
            sleep(tries.pause)
            undone = said.detail == ROLLED_BACK.detail
            try:
                operation = isolated(FLAVOUR, begin()) if undone else begin()
                return self._once(operation, sure=repeatable)
            except FAILURES as another:
                error = another

    def _once(self, operation: Operation[T], *, sure: bool) -> T:
        pool = self.pool
        connection: Connection[Any] = pool.getconn() if self._way.watch.sure else self._take_warily()
        lost = False  # not closed here, of which the pool would warn: it closes what is older than a drain
        try:
            if not sure:
                _check_is_there(connection)
            return Wire.of(connection, self._way.age).run(operation)
        except (Stale, ReadOnlySqlTransaction):
            lost = True  # after a failover, this may be a replica, and another the primary
            raise
        finally:
            if (lost or connection.closed) and self._way.is_first(connection):
                pool.drain()
                self._way.lose(connection)
            pool.putconn(connection)

    def _take_warily(self) -> Any:  # noqa: ANN401  (a connection of the pool's own kind)
        way = self._way
        way.check_open()
        self.pool.open()
        failures = way.watch.failures
        for looks in range(way.looks, 0, -1):
            try:
                return self.pool.getconn(_LOOK)
            except PoolTimeout as waited:
                refusal = way.refusal(waited, failures, last=looks == 1)
                if refusal is not None:
                    raise refusal from None
        raise AssertionError

    def close(self) -> None:
        """Close a pool of our own, and end its threads."""
        self._way.close()
        if self._way.settings is not None:
            self.pool.close()

    def _start_in_child(self) -> None:
        way = self._way
        way.start_in_child(self.pool)
        if way.settings is not None:
            self.pool = own_pool(way.watch, way.settings)


class AsyncGate:
    """The way to a database for asyncio: `Gate` with `await`.

    An operation that has begun runs to its end, whoever is cancelled.
    """

    def __init__(self, way: Way, pool: AsyncConnectionPool[Any]) -> None:
        """Use a pool: see `Gate`."""
        self._way = way
        self.pool: AsyncConnectionPool[Any] = pool
        self._unbroken = Unbroken()
        in_forked_children(self, AsyncGate._start_in_child)

    @classmethod
    def to_own(cls, settings: Settings) -> AsyncGate:
        """Make a pool that opens at its first use and closes with the store."""
        way = Way(settings)
        return cls(way, own_async_pool(way.watch, settings))

    @classmethod
    def to_given(cls, pool: AsyncConnectionPool[Any]) -> AsyncGate:
        """Use a pool of the application's: see `Gate.to_given`."""
        check_given(pool.kwargs)
        return cls(Way(None), pool)

    async def run(self, begin: Callable[[], Operation[T]], *, repeatable: bool = False) -> T:
        """Drive an operation to its end: see `Gate.run`."""
        return await self._unbroken.run(self._run(begin, repeatable=repeatable))

    async def _run(self, begin: Callable[[], Operation[T]], *, repeatable: bool) -> T:
        try:
            return await self._once(begin(), sure=repeatable)
        except FAILURES as error:
            return await self._again(begin, error, repeatable=repeatable)

    async def _again(self, begin: Callable[[], Operation[T]], error: Exception, *, repeatable: bool) -> T:
        tries = Tries(safe=repeatable or isinstance(error, Stale))
        while True:
            said = meaning_of(error)
            if not (isinstance(said, StoreUnavailable) and tries.allow_another(said)):
                raise said from error
            await asyncio.sleep(tries.pause)
            undone = said.detail == ROLLED_BACK.detail
            try:
                operation = isolated(FLAVOUR, begin()) if undone else begin()
                return await self._once(operation, sure=repeatable)
            except FAILURES as another:
                error = another

    async def _once(self, operation: Operation[T], *, sure: bool) -> T:
        pool = self.pool
        connection: AsyncConnection[Any] = await (
            pool.getconn() if self._way.watch.sure else self._take_warily()
        )
        lost = False  # as above
        try:
            if not sure:
                _check_is_there(connection)
            return await AsyncWire.of(connection, self._way.age).run(operation)
        except (Stale, ReadOnlySqlTransaction):  # as above
            lost = True
            raise
        finally:
            if (lost or connection.closed) and self._way.is_first(connection):
                await pool.drain()
                self._way.lose(connection)
            await pool.putconn(connection)

    async def _take_warily(self) -> Any:  # noqa: ANN401  (as above)
        way = self._way
        way.check_open()
        await self.pool.open()
        failures = way.watch.failures
        for looks in range(way.looks, 0, -1):
            try:
                return await self.pool.getconn(_LOOK)
            except PoolTimeout as waited:
                refusal = way.refusal(waited, failures, last=looks == 1)
                if refusal is not None:
                    raise refusal from None
        raise AssertionError

    async def close(self) -> None:
        """Wait for what has begun; close a pool of our own, and end its tasks."""
        await self._unbroken.done()
        self._way.close()
        if self._way.settings is not None:
            await self.pool.close()

    def _start_in_child(self) -> None:
        way = self._way
        way.start_in_child(self.pool)
        if way.settings is not None:
            self.pool = own_async_pool(way.watch, way.settings)


def _check_is_there(connection: Connection[Any] | AsyncConnection[Any]) -> None:
    """Raise `Stale` where the server has closed its end."""
    if has_been_left(connection):
        raise Stale("the server has closed the connection before it was used")
