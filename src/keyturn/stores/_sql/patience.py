"""Connections of psycopg that wait for no answer without an end. It knows no statement and no table.

libpq has a limit for the connection and one for the network, but none for a server that has the question and
never answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.pq import TransactionStatus

if TYPE_CHECKING:
    from psycopg.abc import PQGen

T = TypeVar("T")


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
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise  # the server's own answer
            self.pgconn.finish()
            raise OperationalError("the server did not answer: timed out") from error


def connect(patience: float, *arguments: Any, **options: Any) -> Connection[Any]:  # noqa: ANN401  (psycopg's)
    """Connect as psycopg does, then wait no longer than so many seconds for any answer."""
    connection = _Patient.connect(*arguments, **options)
    connection.patience = patience
    return connection
