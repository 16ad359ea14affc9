"""Connection pools of our own: how large they are, and how they end. They know no operation and no table."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from psycopg_pool import AsyncConnectionPool, ConnectionPool

from keyturn.stores._postgres.connections import AsyncWatchedConnection, Watch, WatchedConnection

if TYPE_CHECKING:
    from keyturn.stores._postgres.settings import Settings


def own_pool(watch: Watch, settings: Settings) -> ConnectionPool[WatchedConnection]:
    """Make a pool for threads; it is not open yet."""
    return ConnectionPool(
        connection_class=WatchedConnection,
        kwargs={**settings.working(), "watch": watch},
        **_sizes(settings),
    )


def own_async_pool(watch: Watch, settings: Settings) -> AsyncConnectionPool[AsyncWatchedConnection]:
    """Make a pool for asyncio; it is not open yet."""
    return _EndingPool(
        connection_class=AsyncWatchedConnection,
        kwargs={**settings.working(), "watch": watch},
        **_sizes(settings),
    )


class _EndingPool(AsyncConnectionPool[AsyncWatchedConnection]):
    """A pool whose workers end when they are cancelled, also while they connect.

    psycopg's go on then, and an event loop that ends before its pool was closed would wait for them for ever.
    """

    @classmethod
    async def worker(cls, q: Any) -> None:  # noqa: ANN401  (psycopg's own queue)
        """Do what the queue brings until this task is cancelled."""
        await super().worker(cast("Any", _EndingQueue(q)))


class _EndingQueue:
    def __init__(self, queue: Any) -> None:  # noqa: ANN401  (as above)
        self._queue = queue

    async def get(self) -> object:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        return await self._queue.get()


def _sizes(settings: Settings) -> dict[str, Any]:
    return {
        "min_size": 0,
        "max_size": settings.pool_size,
        "timeout": settings.busy_timeout,
        # An attempt to connect that fails is over, and the next call makes the next one. By itself, the pool
        # would wait longer and longer between its attempts, also when the server is long back.
        "reconnect_timeout": 0,
        "open": False,
        "name": "keyturn",
    }
