"""Connections of psycopg that wait for no answer without an end. It knows no statement and no table.

libpq has a limit for the connection and one for the network, but none for a server that has the question and
never answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from psycopg import AsyncConnection, Connection, OperationalError
from psycopg.pq import TransactionStatus

if TYPE_CHECKING:
    from psycopg.abc import PQGen

T = TypeVar("T")

_LATE: Final = "the server did not answer: timed out"


class _Patient(Connection[Any]):
    """A connection that is closed where an answer takes too long: it would come in place of the next one."""

    patience: float | None = None  # while it is being opened, libpq's own limit counts

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for an answer."""
        if timeout is not None or self.patience is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.patience)
        except OperationalError as error:
            if _gave_up(self):
                raise OperationalError(_LATE) from error
            raise  # the server's own answer


class _AsyncPatient(AsyncConnection[Any]):
    """The same for asyncio.

    Nobody need cancel a wait from outside, which would ask the server, in vain, for ten seconds more.
    """

    patience: float | None = None

    async def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:  # noqa: ASYNC109
        """Wait for an answer."""
        if timeout is not None or self.patience is None:
            return await super().wait(gen, interval, timeout)
        try:
            return await super().wait(gen, interval, self.patience)
        except OperationalError as error:
            if _gave_up(self):
                raise OperationalError(_LATE) from error
            raise  # the server's own answer


def _gave_up(connection: Connection[Any] | AsyncConnection[Any]) -> bool:
    if connection.pgconn.transaction_status != TransactionStatus.ACTIVE:
        return False
    connection.pgconn.finish()
    return True


def connect(patience: float, *arguments: Any, **options: Any) -> Connection[Any]:  # noqa: ANN401  (psycopg's)
    """Connect as psycopg does, then wait no longer than so many seconds for any answer."""
    connection = _Patient.connect(*arguments, **options)
    connection.patience = patience
    return connection


async def connect_async(patience: float, *arguments: Any, **options: Any) -> AsyncConnection[Any]:  # noqa: ANN401
    """Do as `connect`, for asyncio."""
    connection = await _AsyncPatient.connect(*arguments, **options)
    connection.patience = patience
    return connection
