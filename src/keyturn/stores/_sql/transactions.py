"""Transactions on a connection that is in autocommit. It knows no table.

Each operation that is one statement is its own transaction: one round trip. Those that read before they write
open one here, and take the lock first.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Generator

    from sqlalchemy import Connection


@contextmanager
def transaction(connection: Connection) -> Generator[None]:
    """Run a block in one transaction, on SQLite with the write lock from the start.

    SQLAlchemy's own `begin()` would let the driver begin late and without the lock, and could then fail at
    the first write however long the busy timeout is. The statements are sent as they are: this works on any
    engine, and leaves no listener on it.
    """
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.dialect.name == "sqlite" else "BEGIN")
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: Connection) -> None:
    if connection.invalidated:
        return  # closed by SQLAlchemy, after a cancellation or a lost connection: that rolled back
    try:
        connection.exec_driver_sql("ROLLBACK")
    except SQLAlchemyError:
        connection.invalidate()  # whatever it is in, nobody gets this connection again
