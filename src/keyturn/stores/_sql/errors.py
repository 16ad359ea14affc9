"""What an engine's exceptions mean. It knows no operation and no table.

No message holds a parameter: the statement's values are hidden in the cause as well, whatever the engine's
own setting, because a traceback prints causes.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from keyturn.errors import KeyturnError, SchemaError, StoreUnavailable
from keyturn.stores._sql.codes import IN_THE_WAY, LATE, READ_ONLY, UNAVAILABLE, by_code
from keyturn.stores._sql.meanings import (
    code_of,
    is_not_storable,
    lacks_schema,
    not_storable,
    unavailable,
    why_unavailable,
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
        raise unavailable(LATE) from error
    except (SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(UNAVAILABLE, detail=type(error).__name__) from error
    except (UnicodeError, OverflowError) as error:
        raise not_storable() from error


def is_in_the_way(error: DBAPIError) -> bool:
    """Tell whether a table could not be made because there is one of that name."""
    return code_of(error.orig) in IN_THE_WAY or "already exists" in str(error.orig)


def is_read_only(error: BaseException | None) -> bool:
    """Tell whether the server takes no writes."""
    return isinstance(error, DBAPIError) and by_code(code_of(error.orig), str(error.orig)) is READ_ONLY


def no_schema() -> SchemaError:
    """Give the error for a database without our tables, or with those of another version."""
    return SchemaError(_NO_SCHEMA, detail="no_schema")


def _meaning(error: DBAPIError) -> KeyturnError:
    if lacks_schema(error.orig):
        return no_schema()
    if is_not_storable(error.orig):
        return not_storable()
    return why_unavailable(error.orig, lost=error.connection_invalidated)
