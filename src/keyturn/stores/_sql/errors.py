"""What an engine's exceptions mean. It knows no operation and no table.

No message holds a parameter: the statement's values are hidden in the cause as well, whatever the engine's
own setting, because a traceback prints causes.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from keyturn.errors import InvalidInput, KeyturnError, SchemaError, StoreUnavailable
from keyturn.stores._sql.codes import (
    IN_THE_WAY,
    LATE,
    LOST,
    NO_SCHEMA,
    NOT_STORABLE,
    READ_ONLY,
    SQLITE,
    UNAVAILABLE,
    Meaning,
    by_code,
    by_words,
)

if TYPE_CHECKING:
    from collections.abc import Generator

_NO_SCHEMA: Final = (
    "The database does not have the tables that this version of Keyturn needs. "
    "Run `keyturn db upgrade`, or call `store.create_schema()`. If that changes nothing, tables were dropped "
    "and the record of their version was not: drop what is left of Keyturn's tables, those named "
    "…alembic_version too, and try again."
)


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
        raise not_storable() from error
    except TimeoutError as error:
        raise _unavailable(LATE) from error
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(UNAVAILABLE, detail=type(error).__name__) from error
    except (UnicodeError, OverflowError) as error:
        raise not_storable() from error


def is_in_the_way(error: DBAPIError) -> bool:
    """Tell whether a table could not be made because there is one of that name."""
    return _code(error) in IN_THE_WAY or "already exists" in str(error.orig)


def is_read_only(error: BaseException | None) -> bool:
    """Tell whether the server takes no writes."""
    return isinstance(error, DBAPIError) and by_code(_code(error), str(error.orig)) is READ_ONLY


def no_schema() -> SchemaError:
    """Give the error for a database without our tables, or with those of another version."""
    return SchemaError(_NO_SCHEMA, detail="no_schema")


def not_storable() -> InvalidInput:
    """Give the error for a value that no row can hold."""
    return InvalidInput("A value cannot be stored.", detail="not_storable")


def _meaning(error: DBAPIError) -> KeyturnError:
    code, words = _code(error), str(error.orig)
    if code in NO_SCHEMA or any(each in words for each in NO_SCHEMA if isinstance(each, str)):
        return no_schema()
    if code in NOT_STORABLE or any(each in words for each in NOT_STORABLE if isinstance(each, str)):
        return not_storable()
    known = by_code(code, words) or by_words(words)
    if known is not None:
        return _unavailable(known)
    if error.connection_invalidated:
        return _unavailable(LOST)
    # Extended codes of SQLite append to the primary one: SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_FSYNC.
    name = str(getattr(error.orig, "sqlite_errorname", ""))
    primary = "_".join(name.split("_")[:2])
    return StoreUnavailable(
        SQLITE.get(primary, UNAVAILABLE), detail=name.lower() or str(code or type(error.orig).__name__)
    )


def _code(error: DBAPIError) -> int | str | None:
    """Give PostgreSQL's five characters, or the number of MariaDB and MySQL."""
    first = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if isinstance(first, int):
        return first
    state = getattr(error.orig, "sqlstate", None)
    return None if state is None else str(state)


def _unavailable(meaning: Meaning) -> StoreUnavailable:
    return StoreUnavailable(meaning.words, detail=meaning.detail)
