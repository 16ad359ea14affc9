"""Driving operations on SQLAlchemy's connections. It knows no operation and no table."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from keyturn.stores._sql.queries import Query, Reply, flavour

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect

    from keyturn.stores._sql.queries import Flavour, Operation

T = TypeVar("T")


def flavour_of(dialect: Dialect, *, ours: bool = False) -> Flavour:
    """Give the flavour of an engine's dialect.

    Args:
        dialect: The dialect.
        ours: Whether the engine is one that we have set up.
    """
    return flavour(dialect.name, returning=dialect.update_returning, read_committed=ours)


def run(connection: Connection, operation: Operation[T]) -> T:
    """Drive an operation to its end on a connection in autocommit."""
    try:
        batch = next(operation)
        while True:
            try:
                replies = [_send(connection, query) for query in batch]
            except BaseException as error:  # noqa: BLE001  (the operation rolls back, and raises it again)
                batch = operation.throw(error)
            else:
                batch = operation.send(replies)
    except StopIteration as end:
        result: T = end.value
        return result


def _send(connection: Connection, query: Query) -> Reply:
    if isinstance(query.statement, str):
        if query.statement == "ROLLBACK":
            roll_back(connection)
        else:
            connection.exec_driver_sql(query.statement)
        return Reply()
    result = connection.execute(query.statement, query.parameters)
    return Reply(result.all() if result.returns_rows else (), result.rowcount)


def roll_back(connection: Connection) -> None:
    """Leave a transaction, or the whole connection where even that fails."""
    if connection.invalidated:
        return  # closed by SQLAlchemy, after a cancellation or a lost connection: that rolled back
    try:
        connection.exec_driver_sql("ROLLBACK")
    except SQLAlchemyError:
        connection.invalidate()  # whatever it is in, nobody gets this connection again
