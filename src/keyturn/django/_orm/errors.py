"""What Django's database errors mean. It knows no operation and no table."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.db import DataError, Error, InterfaceError, OperationalError

from keyturn.errors import KeyturnError, SchemaError, StoreUnavailable
from keyturn.stores._sql.codes import GOING
from keyturn.stores._sql.meanings import (
    code_of,
    is_not_storable,
    lacks_schema,
    not_storable,
    why_unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Generator

    from django.db.backends.base.base import BaseDatabaseWrapper

# MariaDB and MySQL: the server has gone, also in the middle of an answer; and the driver's own word for it.
_GONE: Final = GOING | {0, 2006, 2013, 2055}


@contextmanager
def translated(connection: BaseDatabaseWrapper) -> Generator[None]:
    """Turn what Django and the driver raise into Keyturn's errors; give up a connection that is lost.

    Raises:
        StoreUnavailable: The database cannot answer.
        SchemaError: Tables or columns are missing.
        InvalidInput: A value cannot be stored at all.
    """
    try:
        yield
    except Error as error:
        raise _meaning(error, connection) from error
    except OSError as error:
        raise StoreUnavailable(detail=type(error).__name__) from error
    except (UnicodeError, OverflowError) as error:
        raise not_storable() from error


def _meaning(error: Error, connection: BaseDatabaseWrapper) -> KeyturnError:
    cause = error.__cause__ or error
    if lacks_schema(cause):
        return SchemaError(
            "Keyturn's tables are missing or old: run `manage.py migrate`.", detail="no_schema"
        )
    if is_not_storable(cause) or isinstance(error, DataError):
        return not_storable()
    lost = _is_lost(error, cause, connection)
    theirs = connection.in_atomic_block or not connection.autocommit  # closing would lose what they did
    if lost and not theirs:
        connection.close()  # the next use opens another
    return why_unavailable(cause, lost=lost)


def _is_lost(error: Error, cause: BaseException, connection: BaseDatabaseWrapper) -> bool:
    if connection.vendor == "sqlite" or not isinstance(error, OperationalError | InterfaceError):
        return False
    if connection.connection is None:
        return True  # given up by Django, when it could not roll back
    return code_of(cause) in _GONE or bool(getattr(connection.connection, "closed", False))
