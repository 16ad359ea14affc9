"""What psycopg's exceptions mean. It knows no operation.

No message of ours holds a parameter; nor does psycopg's, which speaks of places in the statement.
"""

from __future__ import annotations

from typing import Final

from psycopg import DataError, Error, OperationalError
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from keyturn.errors import KeyturnError, StoreUnavailable
from keyturn.stores._sql.codes import (
    GOING,
    LOST,
    NO_SCHEMA,
    NOT_STORABLE,
    UNAVAILABLE,
    Meaning,
    by_code,
    by_words,
)
from keyturn.stores._sql.errors import no_schema
from keyturn.stores._sql.meanings import not_storable

FAILURES: Final = (Error, OSError, UnicodeError, OverflowError)
"""What leaves psycopg where the server, the network or a value is at fault."""

_BUSY: Final = Meaning("pool_timeout", "All connections of the pool are busy.")
_CLOSED: Final = Meaning("pool_closed", "The store, or the connection pool that it was given, is closed.")
_CONNECTING: Final = ("connection ", "failed to resolve host")  # how psycopg's errors begin, then


def meaning_of(error: BaseException) -> KeyturnError:
    """Give Keyturn's error for one of `FAILURES`; it is to be raised from that."""
    if isinstance(error, UnicodeError | OverflowError):
        return not_storable()
    state: str | None = getattr(error, "sqlstate", None)
    if state in NO_SCHEMA:
        return no_schema()
    if state in NOT_STORABLE or (state is None and isinstance(error, DataError)):
        return not_storable()
    known = _known(error, state, str(error))
    if known is None:
        return StoreUnavailable(UNAVAILABLE, detail=state or type(error).__name__)
    return StoreUnavailable(known.words, detail=known.detail)


def _known(error: BaseException, state: str | None, words: str) -> Meaning | None:
    if isinstance(error, PoolTimeout | TooManyRequests):
        return _BUSY
    if isinstance(error, PoolClosed):
        return _CLOSED
    if state is not None:
        return LOST if state in GOING else by_code(state, words)
    broke = isinstance(error, OperationalError) and not words.startswith(_CONNECTING)
    return LOST if broke and "timed out" not in words else by_words(words)
