"""SQLAlchemy engines that connect as the PostgreSQL store does, for other tables. They know no table."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import create_engine

from keyturn.stores._postgres.connections import Watch, WatchedConnection
from keyturn.stores._postgres.settings import Settings
from keyturn.stores._sql import engines

if TYPE_CHECKING:
    from sqlalchemy import Engine


def open_engine(url: str) -> Engine:
    """Open a database for threads, each statement committed by itself.

    Args:
        url: As `PostgresStore.from_url` takes it, its own parameters and several hosts included.

    Raises:
        ConfigurationError: The URL cannot be used.
    """
    settings = Settings(pool_size=engines.POOL_SIZE).with_url(url)
    # A little more patient than the server is told to be: its own refusal says more.
    watch = Watch(settings.answer_timeout + 1)
    connect = partial(WatchedConnection.connect, watch=watch, **settings.working())
    engine = create_engine(
        "postgresql+psycopg://",
        creator=connect,
        **engines.pooling(engines.Settings(settings.busy_timeout, settings.pool_size)),
    )
    engines.leave_in_parent(engine)
    return engine
