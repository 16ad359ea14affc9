"""How the servers PostgreSQL, MariaDB and MySQL are spoken to. It knows no table and no pool.

Nothing waits without an end: not for a connection, not for another's lock, not for an answer. The server is
told to give up a statement when nobody waits for it any more.
"""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event

from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.stores._sql.errors import is_read_only

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Dialect, Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
    from sqlalchemy.pool import ConnectionPoolEntry

MYSQL: Final = ("mysql", "mariadb")  # the URL says which, whatever the server is
NAMES: Final = ("postgresql", *MYSQL)

# By dialect and colour.
_DRIVERS: Final = {
    ("postgresql", False): "psycopg",
    ("postgresql", True): "psycopg",
    ("mysql", False): "pymysql",
    ("mysql", True): "asyncmy",
}

# The oldest that Keyturn is meant for.
_OLDEST: Final = {"PostgreSQL": (13,), "MariaDB": (10, 6), "MySQL": (8, 0, 17)}

# Whatever the server's default: nothing is cut off, put in order or read in another way without an error.
_SQL_MODE: Final = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"


def url_of(parsed: URL, *, asynchronous: bool) -> URL:
    """Name the driver in the URL of a server's database.

    Raises:
        ConfigurationError: It names a driver that does not fit, or no database.
    """
    name = parsed.get_backend_name()
    driver = _DRIVERS["mysql" if name in MYSQL else name, asynchronous]
    _, _, given = parsed.drivername.partition("+")
    if given not in {"", driver}:
        raise ConfigurationError(
            f"This store uses the driver {driver}: write {name}://… or {name}+{driver}://…"
        )
    if not parsed.database and name in MYSQL:
        raise ConfigurationError(f"The URL names no database: write {name}://user:password@host/database")
    return parsed.set(drivername=f"{name}+{driver}")


def refuse_parameters(engine: Engine) -> None:
    """Refuse what a URL says to a driver that does not take it; the driver itself would when it connects.

    Raises:
        ConfigurationError: There is one. The message does not quote it: it may be a password's rest.
    """
    if engine.dialect.name == "postgresql":
        _, options = engine.dialect.create_connect_args(engine.url)
        parameters = import_module("keyturn.stores._postgres.parameters")
        parameters.refuse_wrong(options)
    if engine.dialect.name not in MYSQL:
        return
    driver = engine.dialect.driver
    taken = signature(import_module(driver).connect).parameters
    _, given = engine.dialect.create_connect_args(engine.url)
    if not taken.keys() >= given.keys():
        raise ConfigurationError(f"The URL has a parameter that {driver} does not take.")


def connecting(url: URL, *, connect_timeout: float, answer_timeout: float) -> dict[str, Any]:
    """Return what the driver is given besides the URL; what the URL itself says counts more.

    Args:
        url: With its driver.
        connect_timeout: Seconds to wait for a connection.
        answer_timeout: Seconds to wait for an answer.
    """
    seconds, patience = max(1, round(connect_timeout)), answer_timeout
    by_driver: dict[str, dict[str, Any]] = {
        "psycopg": {
            "connect_timeout": seconds,
            "tcp_user_timeout": round(patience * 1000),
            "application_name": "keyturn",
        },
        "pymysql": {"connect_timeout": seconds, "read_timeout": patience, "write_timeout": patience},
        "asyncmy": {"connect_timeout": seconds, "read_timeout": patience},
    }
    given = by_driver[url.get_driver_name()]
    return {name: value for name, value in given.items() if name not in url.query}


def set_up(engine: Engine, *, lock_timeout: float, answer_timeout: float) -> None:
    """Set up the connections of a new engine of our own.

    Args:
        engine: The engine.
        lock_timeout: Seconds to wait for another's lock.
        answer_timeout: Seconds to wait for an answer.
    """
    if engine.dialect.name == "postgresql":
        _wait_no_longer(engine, answer_timeout)
        settings = _postgres(lock_timeout, answer_timeout)
    else:
        settings = _mysql(lock_timeout, answer_timeout)

    def on_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for statement in settings:
            cursor.execute(statement)
        cursor.close()

    event.listen(engine, "connect", on_connect)
    event.listen(engine, "handle_error", _leave_read_only)


def _leave_read_only(context: ExceptionContext) -> None:
    # After a failover, connections may stay open to what is a replica now. SQLAlchemy throws all of a pool
    # away where one is lost, and whoever connects again finds the primary.
    if is_read_only(context.sqlalchemy_exception):
        context.is_disconnect = True


def _postgres(lock_timeout: float, answer_timeout: float) -> tuple[str, ...]:
    values = {
        "lock_timeout": f"{max(1, round(lock_timeout * 1000))}ms",
        "statement_timeout": f"{max(1, round(answer_timeout * 1000))}ms",
        "idle_in_transaction_session_timeout": f"{max(1, round(answer_timeout * 1000))}ms",
        "default_transaction_isolation": "read committed",
    }
    return (
        "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in values.items()),
    )


def _mysql(lock_timeout: float, answer_timeout: float) -> tuple[str, ...]:
    # MySQL takes what MariaDB alone reads for a remark: it has no such limits for writing, nor for
    # transactions that were left open.
    idle = max(1, round(answer_timeout))
    limit = f"/*M! , max_statement_time = {answer_timeout:.3f}, idle_transaction_timeout = {idle} */"
    lock = f"innodb_lock_wait_timeout = {max(1, round(lock_timeout))}"
    return (
        f"SET SESSION sql_mode = '{_SQL_MODE}', {lock} {limit}",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    )


def _wait_no_longer(engine: Engine, seconds: float) -> None:
    def connect(
        dialect: Dialect, _: ConnectionPoolEntry, arguments: list[Any], options: dict[str, Any]
    ) -> object:
        waiting = import_module("keyturn.stores._postgres.connections")  # here only, as it needs the driver
        options["watch"] = waiting.Watch(seconds)
        if not dialect.is_async:
            return waiting.WatchedConnection.connect(*arguments, **options)
        options["async_creator_fn"] = waiting.AsyncWatchedConnection.connect
        return None  # SQLAlchemy connects, with that

    event.listen(engine, "do_connect", connect)


def check(connection: Connection, *, ours: bool) -> None:
    """Refuse a server on which a store could not keep its promises.

    Args:
        connection: To it.
        ours: Whether the connection is one that we have set up.

    Raises:
        StoreUnavailable: It is too old, or set up so that it cuts off what is too long.
    """
    dialect = connection.dialect
    if dialect.name not in NAMES:
        return
    refusal = too_old(
        dialect.name,
        dialect.server_version_info or (),
        is_mariadb=getattr(dialect, "is_mariadb", False),
    )
    if refusal is not None:
        raise StoreUnavailable(refusal, detail="server_too_old")
    if dialect.name in MYSQL and not ours:
        mode = str(connection.exec_driver_sql("SELECT @@SESSION.sql_mode").scalar_one())
        if "STRICT_" not in mode:
            raise StoreUnavailable(
                "This engine's connections cut off text that is too long: "
                "add STRICT_ALL_TABLES to their sql_mode.",
                detail="not_strict",
            )


def too_old(name: str, version: tuple[int | str, ...], *, is_mariadb: bool) -> str | None:
    """Say that a server's version is not supported; None where it is.

    Args:
        name: SQLAlchemy's name of the dialect.
        version: The server's version.
        is_mariadb: Whether a server of that dialect is MariaDB.
    """
    product = "PostgreSQL" if name == "postgresql" else "MariaDB" if is_mariadb else "MySQL"
    numbers = tuple(part for part in version if isinstance(part, int))
    oldest = _OLDEST[product]
    if not numbers or numbers >= oldest:
        return None
    found, needed = (".".join(map(str, each)) for each in (numbers, oldest))
    return (
        f"The server is {product} {found}, and Keyturn needs {product} {needed} or newer: upgrade the server."
    )
