"""Transactions on a connection that is in autocommit. They know no table and no driver.

Each operation that is one statement is its own transaction: one round trip. Those that read before they write
are bodies of a transaction: they open it together with their first statement, which takes the lock, and
commit it together with their last. The statements are sent as they are: this works on any engine, and leaves
no listener on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from keyturn.stores._sql.queries import Query, ask

if TYPE_CHECKING:
    from sqlalchemy import Executable

    from keyturn.stores._sql.queries import Flavour, Operation, Parameters, Replies, Reply

T = TypeVar("T")


def transaction(body: Operation[T]) -> Operation[T]:
    """Run a body that opens and commits a transaction; roll back whatever it raises."""
    try:
        return (yield from body)
    except BaseException:
        yield from ask("ROLLBACK")  # where even this fails, the driver throws the connection away
        raise


def opening(
    flavour: Flavour, statement: Executable, parameters: Parameters | None = None
) -> Operation[Reply]:
    """Open a transaction with its first statement, in one round trip where the driver can."""
    *_, reply = yield (*map(Query, flavour.begin), Query(statement, parameters))
    return reply


def committing(*queries: Query) -> Operation[Replies]:
    """Commit, with the last statements of the transaction, in one round trip where the driver can."""
    *replies, _ = yield (*queries, Query("COMMIT"))
    return replies


def whole(flavour: Flavour, *queries: Query) -> Operation[Replies]:
    """Run statements as a transaction, in one round trip where the driver can."""
    opened = tuple(map(Query, flavour.begin))
    replies = yield (*opened, *queries, Query("COMMIT"))
    return replies[len(opened) : -1]
