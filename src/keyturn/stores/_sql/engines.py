"""Engines: how a database is opened, and which engines a store accepts. It knows no table.

SQLite, from a URL: write-ahead log (readers and the one writer do not wait for each other), a busy timeout
(writers queue, also across processes), and `synchronous=FULL`: a revocation that was acknowledged survives a
power cut, not only the end of the process. With `NORMAL`, which is faster, a power cut may take back the last
transactions: the tokens of lost refreshes are made up for, lost revocations are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from sqlalchemy import event, make_url
from sqlalchemy.exc import ArgumentError

from keyturn.errors import ConfigurationError
from keyturn.forks import in_forked_children

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry, Pool

Synchronous: TypeAlias = Literal["NORMAL", "FULL", "EXTRA"]

BUSY_TIMEOUT: Final = 5.0  # seconds; the default of sqlite3 and of many tools
POOL_SIZE: Final = 5  # SQLAlchemy's default; SQLite has one writer at a time however many there are
_WAL_ATTEMPTS: Final = 20
_LONGEST_TIMEOUT: Final = 86_400.0  # SQLite counts milliseconds in 32 bits


def sqlite_url(url: str | URL, driver: str) -> URL:
    """Read a URL of an SQLite file and name the driver in it.

    Args:
        url: For example `sqlite:///keyturn.db`, three slashes for a relative path, four for an absolute one.
        driver: `pysqlite` or `aiosqlite`; put in where the URL names none.

    Returns:
        The URL.

    Raises:
        ConfigurationError: It is no URL of an SQLite file.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError("The database URL cannot be read: write sqlite:///keyturn.db") from error
    if parsed.get_backend_name() != "sqlite":
        raise ConfigurationError(f"from_url opens SQLite files, not {parsed.get_backend_name()}.")
    named = parsed.set(drivername=f"sqlite+{driver}")
    if parsed.drivername not in {"sqlite", named.drivername}:
        raise ConfigurationError(
            f"This store uses the driver {driver}: write sqlite:///… or {named.drivername}:///…"
        )
    _refuse_memory(named)
    return named


def options(*, busy_timeout: float, pool_size: int) -> dict[str, Any]:
    """Return the arguments of `create_engine` for an SQLite file.

    Args:
        busy_timeout: Seconds to wait for another writer, and for a connection of the pool.
        pool_size: Connections at most.

    Raises:
        ConfigurationError: One of them is out of its range.
    """
    if not 0 <= busy_timeout < _LONGEST_TIMEOUT:
        raise ConfigurationError("busy_timeout must be seconds, from 0 to a day")
    if pool_size < 1:
        raise ConfigurationError("pool_size must be at least 1")
    return {
        "connect_args": {"timeout": busy_timeout, "check_same_thread": False},
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": busy_timeout,
        "hide_parameters": True,
        # Every operation leaves its connection without a transaction, so there is nothing to reset. With
        # these three, taking and giving back one costs no round trip (in aiosqlite: no hop of threads).
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "pool_reset_on_return": None,
    }


def adopt(engine: Engine, synchronous: Synchronous) -> None:
    """Set up a new engine of our own: its connections, and what becomes of them in a forked process."""
    if synchronous not in get_args(Synchronous):
        raise ConfigurationError("synchronous must be NORMAL, FULL or EXTRA")
    broken = engine.dialect.loaded_dbapi.OperationalError

    def set_up(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for attempt in range(1, _WAL_ATTEMPTS + 1):
            try:
                cursor.execute("PRAGMA journal_mode = WAL")
                break
            except broken:
                # Of two connections that switch a new file at once, SQLite refuses one without any wait.
                # The lock does wait: it lets the other finish first.
                if attempt == _WAL_ATTEMPTS:
                    raise
                cursor.execute("BEGIN IMMEDIATE")
                cursor.execute("COMMIT")
        cursor.execute(f"PRAGMA synchronous = {synchronous}")
        cursor.close()

    event.listen(engine, "connect", set_up)
    _forget_in_children(engine)


def _forget_in_children(engine: Engine) -> None:
    # SQLite forbids to carry a connection into a forked process, even to close it there: so the child gets an
    # empty pool, and keeps the inherited one where no collector closes it.
    inherited: list[Pool] = []

    def start_afresh(mine: Engine) -> None:
        inherited.append(mine.pool)
        mine.dispose(close=False)

    in_forked_children(engine, start_afresh)


def accept(engine: Engine) -> None:
    """Refuse an engine on which a store could not keep its promises.

    Raises:
        ConfigurationError: Says why.
    """
    if engine.dialect.name != "sqlite":
        raise ConfigurationError(f"Keyturn's SQL stores work on SQLite, not on {engine.dialect.name}.")
    _refuse_memory(engine.url)
    if engine.dispatch.begin:
        raise ConfigurationError(
            "The engine has a listener for 'begin', which would open transactions around Keyturn's own. "
            "Give the store an engine of its own."
        )


def _refuse_memory(url: URL) -> None:
    database = url.database or ""
    if (
        database in {"", ":memory:", "file::memory:"}
        or "mode=memory" in f"{database}?mode={url.query.get('mode')}"
    ):
        raise ConfigurationError(
            "An SQLite database in memory belongs to one connection, and a store needs several. "
            "Use keyturn.stores.memory.MemoryStore, or a file."
        )
