"""What the exception of a database driver means, as an error of Keyturn's. It knows no engine and no wrapper.

No message holds a value of a statement.
"""

from __future__ import annotations

from keyturn.errors import InvalidInput, StoreUnavailable
from keyturn.stores._sql.codes import (
    LOST,
    NO_SCHEMA,
    NOT_STORABLE,
    SQLITE,
    UNAVAILABLE,
    Meaning,
    by_code,
    by_words,
)


def code_of(error: BaseException | None) -> int | str | None:
    """Give PostgreSQL's five characters, or the number of MariaDB and MySQL."""
    first = error.args[0] if error is not None and error.args else None
    if isinstance(first, int):
        return first
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)  # psycopg 3, psycopg 2
    return None if state is None else str(state)


def lacks_schema(error: BaseException | None) -> bool:
    """Tell whether tables or columns are missing."""
    words = str(error)
    return code_of(error) in NO_SCHEMA or any(each in words for each in NO_SCHEMA if isinstance(each, str))


def is_not_storable(error: BaseException | None) -> bool:
    """Tell whether a value is one that no row can hold."""
    words = str(error)
    return code_of(error) in NOT_STORABLE or any(
        each in words for each in NOT_STORABLE if isinstance(each, str)
    )


def not_storable() -> InvalidInput:
    """Give the error for a value that no row can hold."""
    return InvalidInput("A value cannot be stored.", detail="not_storable")


def unavailable(meaning: Meaning) -> StoreUnavailable:
    """Give the error for a database that cannot answer, in the words of a meaning."""
    return StoreUnavailable(meaning.words, detail=meaning.detail)


def why_unavailable(error: BaseException | None, *, lost: bool) -> StoreUnavailable:
    """Say why the database cannot answer, as well as its driver's exception tells.

    Args:
        error: The driver's exception.
        lost: Whether the connection is gone.
    """
    code, words = code_of(error), str(error)
    known = by_code(code, words) or by_words(words)
    if known is not None:
        return unavailable(known)
    if lost:
        return unavailable(LOST)
    # Extended codes of SQLite append to the primary one: SQLITE_BUSY_SNAPSHOT, SQLITE_IOERR_FSYNC.
    name = str(getattr(error, "sqlite_errorname", ""))
    primary = "_".join(name.split("_")[:2])
    return StoreUnavailable(
        SQLITE.get(primary, UNAVAILABLE), detail=name.lower() or str(code or type(error).__name__)
    )
