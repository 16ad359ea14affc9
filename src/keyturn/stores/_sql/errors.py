"""What an engine's exceptions mean. It knows no operation and no table.

No message holds a parameter: the statement's values are hidden in the cause as well, whatever the engine's
own setting, because a traceback prints causes.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from keyturn.errors import InvalidInput, SchemaError, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Generator

# SQLite tells a missing table only in words; PostgreSQL has codes for it (undefined table, undefined column).
_NO_SCHEMA_WORDS: Final = ("no such table: ", "no such column: ", "has no column named ")
_NO_SCHEMA_STATES: Final = {"42P01", "42703"}
_NO_SCHEMA: Final = (
    "The database does not have the tables that this version of Keyturn needs. "
    "Run `keyturn db upgrade`, or call `store.create_schema()`."
)

# By the name of SQLite's primary result code: what a person can do about it.
_SQLITE: Final = {
    "SQLITE_BUSY": "The database is locked by another process, for longer than the busy timeout.",
    "SQLITE_LOCKED": "The database is locked by another connection of this process.",
    "SQLITE_CANTOPEN": "The database file cannot be opened: is its folder there, and open to this process?",
    "SQLITE_READONLY": "The database file, or the folder it is in, is read-only for this process.",
    "SQLITE_FULL": "The disk is full.",
    "SQLITE_IOERR": "The disk of the database file failed.",
    "SQLITE_CORRUPT": "The database file is damaged.",
    "SQLITE_NOTADB": "The file is not an SQLite database.",
}
_IN_THE_WAY_STATE: Final = "42P07"  # PostgreSQL: duplicate table
_UNAVAILABLE: Final = "The database cannot answer right now."


@contextmanager
def translated() -> Generator[None]:
    """Turn what the engine and its driver raise into Keyturn's errors.

    Raises:
        StoreUnavailable: The database cannot answer.
        SchemaError: Its tables are missing or of another version.
        InvalidInput: A value cannot be stored at all, for example text with half of a surrogate pair.
    """
    try:
        yield
    except PoolTimeout as error:
        raise StoreUnavailable("All connections of the pool are busy.", detail="pool_timeout") from error
    except DBAPIError as error:
        error.hide_parameters = True
        raise _meaning(error) from error
    except StatementError as error:
        error.hide_parameters = True
        raise InvalidInput("A value cannot be stored.", detail="not_storable") from error
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(_UNAVAILABLE, detail=type(error).__name__) from error
    except (UnicodeError, OverflowError) as error:
        raise InvalidInput("A value cannot be stored.", detail="not_storable") from error


def is_in_the_way(error: DBAPIError) -> bool:
    """Tell whether a table could not be made because there is one of that name."""
    return getattr(error.orig, "sqlstate", None) == _IN_THE_WAY_STATE or "already exists" in str(error.orig)


def _meaning(error: DBAPIError) -> StoreError:
    cause = error.orig
    words = str(cause)
    if getattr(cause, "sqlstate", None) in _NO_SCHEMA_STATES or any(
        each in words for each in _NO_SCHEMA_WORDS
    ):
        return SchemaError(_NO_SCHEMA, detail="no_schema")
    # Extended codes append to the primary one: SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_FSYNC.
    code = str(getattr(cause, "sqlite_errorname", ""))
    primary = "_".join(code.split("_")[:2])
    return StoreUnavailable(_SQLITE.get(primary, _UNAVAILABLE), detail=code.lower() or type(cause).__name__)
