"""Connections of psycopg that wait for nothing without an end, and tell how connecting went. No statement.

libpq limits how long connecting takes and how long a network may be silent. It has no limit for a server, or
something between, that takes a question and never answers.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from psycopg import AsyncConnection, Connection, OperationalError
from psycopg.pq import TransactionStatus

if TYPE_CHECKING:
    from psycopg.abc import PQGen

T = TypeVar("T")

_CHECK: Final = 0.1  # seconds between looks at signals, as in psycopg
_LEFT: Final[int] = getattr(select, "POLLRDHUP", 0)  # Linux; elsewhere only errors are seen
_LATE: Final = "the server did not answer: timed out"


class Watch:
    """What became of the attempts to connect.

    Attributes:
        patience: Seconds to wait for any answer on a connection.
        failure: What the last attempt failed with; None after a success.
        failures: How many have failed.
        sure: Connecting worked, and no connection was lost since.
    """

    def __init__(self, patience: float) -> None:
        """Start before the first attempt."""
        self.patience = patience
        self.failure: Exception | None = None
        self.failures = 0
        self.sure = False

    def failed(self, error: Exception) -> None:
        """Note that an attempt failed."""
        self.failure, self.sure = error, False
        self.failures += 1

    def succeeded(self) -> None:
        """Note that an attempt succeeded."""
        self.failure, self.sure = None, True


class WatchedConnection(Connection[Any]):
    """A connection for threads; `connect` takes a `watch` besides."""

    patience: float | None = None  # while it is being opened, the limit for connecting counts

    @classmethod
    def connect(cls, conninfo: str = "", **options: Any) -> Self:  # noqa: ANN401  (psycopg's)
        """Connect as psycopg does, and tell the watch."""
        watch: Watch = options.pop("watch")
        try:
            connection = super().connect(conninfo, **options)
        except Exception as error:
            watch.failed(error)
            raise
        connection.patience = watch.patience
        watch.succeeded()
        return connection

    def wait(self, gen: PQGen[T], interval: float = _CHECK, timeout: float | None = None) -> T:
        """Wait for an answer, with patience."""
        try:
            return super().wait(gen, interval, timeout or self.patience)
        except OperationalError as error:
            if _broke_off(self):
                raise OperationalError(_LATE) from error
            raise


class AsyncWatchedConnection(AsyncConnection[Any]):
    """A connection for asyncio; `connect` takes a `watch` besides."""

    patience: float | None = None

    @classmethod
    async def connect(cls, conninfo: str = "", **options: Any) -> Self:  # noqa: ANN401  (psycopg's)
        """Connect as psycopg does, and tell the watch."""
        watch: Watch = options.pop("watch")
        try:
            connection = await super().connect(conninfo, **options)
        except Exception as error:
            watch.failed(error)
            raise
        connection.patience = watch.patience
        watch.succeeded()
        return connection

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = _CHECK,
        timeout: float | None = None,  # noqa: ASYNC109  (psycopg's)
    ) -> T:
        """Wait for an answer, with patience."""
        try:
            return await super().wait(gen, interval, timeout or self.patience)
        except OperationalError as error:
            if _broke_off(self):
                raise OperationalError(_LATE) from error
            raise


def has_been_left(connection: Connection[Any] | AsyncConnection[Any]) -> bool:
    """Tell whether the server has closed its end, as far as the operating system knows.

    That costs no round trip, so it is looked at before what cannot be tried again.
    """
    if connection.closed:
        return True
    look = select.poll()
    look.register(connection.fileno(), _LEFT)
    return bool(look.poll(0))


def _broke_off(connection: Connection[Any] | AsyncConnection[Any]) -> bool:
    if connection.pgconn.transaction_status != TransactionStatus.ACTIVE:
        return False
    # The question is still being answered: what comes next could not be told from that answer.
    connection.pgconn.finish()
    return True
