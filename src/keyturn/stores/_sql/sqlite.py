"""How an SQLite file is opened. It knows no table and no other engine.

With a write-ahead log (readers and the one writer do not wait for each other), a busy timeout
(writers queue, also across processes), and `synchronous=FULL`: a revocation that was acknowledged survives a
power cut, not only the end of the process. With `NORMAL`, which is faster, a power cut may take back the last
transactions: the tokens of lost refreshes are made up for, lost revocations are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sqlalchemy import event

from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

Synchronous: TypeAlias = Literal["NORMAL", "FULL", "EXTRA"]

_WAL_ATTEMPTS: Final = 20


def url_of(parsed: URL, driver: str) -> URL:
    """Name the driver in the URL of an SQLite file.

    Args:
        parsed: For example `sqlite:///keyturn.db`, three slashes for a relative path, four
            for an absolute one.
        driver: `pysqlite` or `aiosqlite`; put in where the URL names none.

    Returns:
        The URL.

    Raises:
        ConfigurationError: It names another driver, or no file.
    """
    named = parsed.set(drivername=f"sqlite+{driver}")
    if parsed.drivername not in {"sqlite", named.drivername}:
        raise ConfigurationError(
            f"This store uses the driver {driver}: write sqlite:///… or {named.drivername}:///…"
        )
    refuse_memory(named)
    return named


def set_up(engine: Engine, synchronous: Synchronous) -> None:
    """Set up the connections of a new engine of our own."""
    broken = engine.dialect.loaded_dbapi.OperationalError

    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
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

    event.listen(engine, "connect", on_connect)


def refuse_memory(url: URL) -> None:
    """Refuse a database that lives in memory.

    Raises:
        ConfigurationError: It does.
    """
    database = url.database or ""
    if (
        database in {"", ":memory:", "file::memory:"}
        or "mode=memory" in f"{database}?mode={url.query.get('mode')}"
    ):
        raise ConfigurationError(
            "An SQLite database in memory belongs to one connection, and a store needs several. "
            "Use keyturn.stores.memory.MemoryStore, or a file."
        )
