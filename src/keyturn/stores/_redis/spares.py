"""Connections besides those of a pool: for what waits long, and must not count against the pool's limits.

They know no operation. Whoever makes one opens it, and closes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from keyturn.stores._redis.driver import Anything

if TYPE_CHECKING:
    from keyturn.stores._redis.driver import AsyncConnection, Connection


def spare_of(holder: Anything, **options: Anything) -> Connection:
    """Make a connection like those of a pool.

    Args:
        holder: The pool: it names the class of its connections, and their arguments.
        options: Arguments that are to be others.
    """
    never = {"retry": Retry(NoBackoff(), 0)}
    connection: Connection = holder.connection_class(**{**holder.connection_kwargs, **never, **options})
    return connection


def async_spare_of(holder: Anything, **options: Anything) -> AsyncConnection:
    """Make a connection like those of a pool for asyncio, or of a cluster's node: see `spare_of`."""
    never = {"retry": AsyncRetry(NoBackoff(), 0)}
    connection: AsyncConnection = holder.connection_class(**{**holder.connection_kwargs, **never, **options})
    return connection
