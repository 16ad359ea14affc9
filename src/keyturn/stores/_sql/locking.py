"""One process at a time at a database's schema. It knows no table and no migration."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from keyturn.errors import StoreUnavailable
from keyturn.stores._sql.codes import LOCKED
from keyturn.stores._sql.errors import translated
from keyturn.stores._sql.running import flavour_of, roll_back
from keyturn.stores._sql.servers import MYSQL

if TYPE_CHECKING:
    from collections.abc import Generator

    from sqlalchemy import Connection

POSTGRES_LOCK: Final = 0x6B65797475726E  # "keyturn", in ASCII; such locks belong to one database
_MYSQL_LOCK: Final = "CONCAT('keyturn_', MD5(DATABASE()))"  # while these belong to the whole server
_PATIENCE: Final = 8  # seconds: less than the time to wait for an answer


@contextmanager
def alone(connection: Connection) -> Generator[None]:
    """Run a block while no other process runs one on this database: in a transaction, where that undoes DDL.

    Raises:
        StoreUnavailable: Another process does not come to its end.
    """
    if connection.dialect.name in MYSQL:
        # Every CREATE and ALTER commits by itself there: a transaction would neither hold a lock nor undo.
        taken = connection.exec_driver_sql(f"SELECT GET_LOCK({_MYSQL_LOCK}, {_PATIENCE})").scalar()
        if taken != 1:
            raise _busy()
        try:
            yield
        finally:
            connection.exec_driver_sql(f"DO RELEASE_LOCK({_MYSQL_LOCK})")
        return
    for statement in flavour_of(connection.dialect).begin:
        connection.exec_driver_sql(statement)
    try:
        if connection.dialect.name == "postgresql":
            _lock_postgres(connection)
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def _lock_postgres(connection: Connection) -> None:
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_PATIENCE}s'")  # not every connection has a limit
    try:
        with translated():
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")
    except StoreUnavailable as error:
        if error.detail != LOCKED.detail:
            raise
        raise _busy() from error.__cause__


def _busy() -> StoreUnavailable:
    return StoreUnavailable("Another process is changing the database's schema.", detail="schema_lock")
