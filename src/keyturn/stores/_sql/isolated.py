"""Running an operation where the server's default isolation is stricter. It knows no table and no driver.

Under REPEATABLE READ and SERIALIZABLE a lone statement may be rolled back because another transaction was
there first, and what it then waits for is over. Under READ COMMITTED it looks again at the row as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from keyturn.stores._sql.transactions import transaction, whole

if TYPE_CHECKING:
    from keyturn.stores._sql.queries import Flavour, Operation

T = TypeVar("T")

_ENDS = ("COMMIT", "ROLLBACK")


def isolated(flavour: Flavour, operation: Operation[T]) -> Operation[T]:
    """Put each statement of an operation that stands alone into a transaction of its own, READ COMMITTED.

    Where the driver sends batches together, that takes no more round trips.
    """
    inside = False
    try:
        batch = next(operation)
        while True:
            inside = inside or batch[0].statement in flavour.begin
            try:
                replies = (yield batch) if inside else (yield from transaction(whole(flavour, *batch)))
            except BaseException as error:  # noqa: BLE001  (the operation rolls back, and raises it again)
                inside = inside and batch[-1].statement != "ROLLBACK"
                batch = operation.throw(error)
            else:
                inside = inside and batch[-1].statement not in _ENDS
                batch = operation.send(replies)
    except StopIteration as end:
        result: T = end.value
        return result
