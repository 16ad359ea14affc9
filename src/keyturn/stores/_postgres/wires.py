"""Driving operations on psycopg's connections, one twin for each colour. They know no table and no pool.

A wire belongs to a connection for as long as that lives: its cursors keep what psycopg has found out about
the types of values and columns. Several queries go out together and are answered together; one goes plainly.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from json import loads
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from psycopg import AsyncConnection, AsyncRawCursor, Connection, Error, RawCursor
from psycopg.adapt import Buffer, Loader
from psycopg.pq import ExecStatus, Format
from psycopg.rows import tuple_row
from psycopg.types.json import JsonBinaryDumper
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.uuid import UUIDBinaryDumper, UUIDBinaryLoader

from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.stores._postgres.texts import kept, whole
from keyturn.stores._sql.meanings import not_storable
from keyturn.stores._sql.queries import Reply, flavour
from keyturn.stores._sql.servers import too_old

if TYPE_CHECKING:
    from keyturn.stores._sql.queries import Batch, Operation, Query, Replies

T = TypeVar("T")

FLAVOUR: Final = flavour("postgresql", returning=True)
NO_AUTOCOMMIT: Final = "The pool's connections must be in autocommit: give it kwargs={'autocommit': True}."
_ROLLBACK: Final = "ROLLBACK"
_OLDEST_UNIT: Final = 10_000  # of the number that libpq gives: 150004 is 15.4
_WIRE: Final = "_keyturn_wire"


class Wire:
    """Takes batches of queries to the server, for threads."""

    def __init__(self, connection: Connection[Any], age: int) -> None:
        """Take a connection that is in autocommit.

        Args:
            connection: The connection.
            age: Which generation of connections it belongs to: see `Gate`.

        Raises:
            StoreUnavailable: The server is too old.
        """
        _accept(connection)
        self.age = age
        self._connection = connection
        self._cursors: list[RawCursor[tuple[Any, ...]]] = []

    @classmethod
    def of(cls, connection: Connection[Any], age: int) -> Wire:
        """Give the wire of a connection; the first time, make it."""
        wire: Wire | None = vars(connection).get(_WIRE)
        if wire is None:
            vars(connection)[_WIRE] = wire = cls(connection, age)
        return wire

    def run(self, operation: Operation[T]) -> T:
        """Drive an operation to its end."""
        try:
            batch = next(operation)
            while True:
                try:
                    replies = self._send(batch)
                except BaseException as error:  # noqa: BLE001  (the operation rolls back, and raises it again)
                    batch = operation.throw(error)
                else:
                    batch = operation.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result

    def _send(self, batch: Batch) -> Replies:
        while len(self._cursors) < len(batch):
            self._cursors.append(_made_ready(RawCursor(self._connection, row_factory=tuple_row)))
        if len(batch) == 1:
            return (self._alone(self._cursors[0], batch[0]),)
        with self._connection.pipeline():
            for cursor, query in zip(self._cursors, batch, strict=False):
                self._start(cursor, query)
        return [self._reply(cursor) for cursor, _ in zip(self._cursors, batch, strict=False)]

    def _alone(self, cursor: RawCursor[tuple[Any, ...]], query: Query) -> Reply:
        if query.statement == _ROLLBACK:
            self._roll_back(cursor)
            return Reply()
        self._start(cursor, query)
        return self._reply(cursor)

    def _start(self, cursor: RawCursor[tuple[Any, ...]], query: Query) -> None:
        sql, values, many, prepare = _to_send(query)
        if many is not None:
            cursor.executemany(sql, many)
        else:
            cursor.execute(sql, values, prepare=prepare)

    def _reply(self, cursor: RawCursor[tuple[Any, ...]]) -> Reply:
        return Reply(cursor.fetchall() if _has_rows(cursor) else (), cursor.rowcount)

    def _roll_back(self, cursor: RawCursor[tuple[Any, ...]]) -> None:
        with suppress(Error):  # where a connection is lost, the server has rolled back
            if not self._connection.closed:
                cursor.execute(_ROLLBACK, prepare=False)
                return
        self._connection.close()


class AsyncWire:
    """Takes batches of queries to the server, for asyncio: `Wire` with `await`."""

    def __init__(self, connection: AsyncConnection[Any], age: int) -> None:
        """Take a connection that is in autocommit: see `Wire`."""
        _accept(connection)
        self.age = age
        self._connection = connection
        self._cursors: list[AsyncRawCursor[tuple[Any, ...]]] = []

    @classmethod
    def of(cls, connection: AsyncConnection[Any], age: int) -> AsyncWire:
        """Give the wire of a connection; the first time, make it."""
        wire: AsyncWire | None = vars(connection).get(_WIRE)
        if wire is None:
            vars(connection)[_WIRE] = wire = cls(connection, age)
        return wire

    async def run(self, operation: Operation[T]) -> T:
        """Drive an operation to its end."""
        try:
            batch = next(operation)
            while True:
                try:
                    replies = await self._send(batch)
                except BaseException as error:  # noqa: BLE001  (as above)
                    batch = operation.throw(error)
                else:
                    batch = operation.send(replies)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send(self, batch: Batch) -> Replies:
        while len(self._cursors) < len(batch):
            self._cursors.append(_made_ready(AsyncRawCursor(self._connection, row_factory=tuple_row)))
        if len(batch) == 1:
            return (await self._alone(self._cursors[0], batch[0]),)
        async with self._connection.pipeline():
            for cursor, query in zip(self._cursors, batch, strict=False):
                await self._start(cursor, query)
        return [await self._reply(cursor) for cursor, _ in zip(self._cursors, batch, strict=False)]

    async def _alone(self, cursor: AsyncRawCursor[tuple[Any, ...]], query: Query) -> Reply:
        if query.statement == _ROLLBACK:
            await self._roll_back(cursor)
            return Reply()
        await self._start(cursor, query)
        return await self._reply(cursor)

    async def _start(self, cursor: AsyncRawCursor[tuple[Any, ...]], query: Query) -> None:
        sql, values, many, prepare = _to_send(query)
        if many is not None:
            await cursor.executemany(sql, many)
        else:
            await cursor.execute(sql, values, prepare=prepare)

    async def _reply(self, cursor: AsyncRawCursor[tuple[Any, ...]]) -> Reply:
        return Reply(await cursor.fetchall() if _has_rows(cursor) else (), cursor.rowcount)

    async def _roll_back(self, cursor: AsyncRawCursor[tuple[Any, ...]]) -> None:
        with suppress(Error):
            if not self._connection.closed:
                await cursor.execute(_ROLLBACK, prepare=False)
                return
        await self._connection.close()


class _JsonDumper(JsonBinaryDumper):
    """Writes JSON; what is none is the caller's mistake."""

    def dump(self, obj: Any) -> Buffer | None:  # noqa: ANN401  (psycopg's)
        """Write a value."""
        try:
            return super().dump(obj)
        except (TypeError, ValueError, RecursionError) as error:
            raise not_storable() from error


class _JsonLoader(Loader):
    """Reads JSON, above all the empty object that most rows have: what psycopg's own does, in less time."""

    format = Format.BINARY

    def load(self, data: Buffer) -> object:
        """Read a value."""
        return {} if data == b"{}" else loads(str(data, "utf-8"))


CursorT = TypeVar("CursorT", RawCursor[tuple[Any, ...]], AsyncRawCursor[tuple[Any, ...]])


def age_of(connection: object) -> int | None:
    """Give the age of a connection's wire; None where it has none."""
    wire: Wire | AsyncWire | None = vars(connection).get(_WIRE)
    return None if wire is None else wire.age


def _accept(connection: Connection[Any] | AsyncConnection[Any]) -> None:
    if not connection.autocommit:
        raise ConfigurationError(NO_AUTOCOMMIT)
    version = connection.info.server_version
    refusal = too_old("postgresql", (version // _OLDEST_UNIT, version % _OLDEST_UNIT), is_mariadb=False)
    if refusal is not None:
        raise StoreUnavailable(refusal, detail="server_too_old")


def _made_ready(cursor: CursorT) -> CursorT:
    # For this cursor alone: an application's own settings are left as they are, and do not reach us. All
    # numbers are sent as BIGINT, because each width of numbers would be a prepared statement of its own.
    adapters = cursor.adapters
    adapters.register_dumper(int, Int8BinaryDumper)
    adapters.register_dumper(dict, _JsonDumper)
    adapters.register_dumper(UUID, UUIDBinaryDumper)
    adapters.register_loader("json", _JsonLoader)
    adapters.register_loader("uuid", UUIDBinaryLoader)
    cursor.format = Format.BINARY  # of results
    return cursor


def _to_send(query: Query) -> tuple[bytes, list[Any] | None, list[list[Any]] | None, bool | None]:
    """Give text, values, many values, and whether it is prepared (None: as the connection is set up)."""
    statement, parameters = query.statement, query.parameters
    if isinstance(statement, str):
        return statement.encode(), None, None, False
    text = None if parameters is None else kept(statement)
    if text is None:  # as many forms as lists have lengths: not worth to be prepared
        return *whole(statement, parameters if isinstance(parameters, Mapping) else None), None, False
    if isinstance(parameters, Mapping):
        return text.sql, text.filled(parameters), None, None
    return text.sql, None, [text.filled(each) for each in parameters or ()], None


def _has_rows(cursor: RawCursor[Any] | AsyncRawCursor[Any]) -> bool:
    result = cursor.pgresult
    return result is not None and result.status == ExecStatus.TUPLES_OK
