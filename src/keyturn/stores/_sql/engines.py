"""Engines: how a database is opened by its URL, and which engines a store accepts. It knows no table.

An engine of our own leaves each connection without a transaction, so taking one and giving it back costs no
round trip; it waits for nothing without an end; and a forked process gets connections of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine

from keyturn.errors import ConfigurationError
from keyturn.forks import in_forked_children
from keyturn.stores._sql import missing_extra, servers, sqlite
from keyturn.stores._sql.following import LONGEST_ANSWER
from keyturn.stores._sql.sqlite import Synchronous

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import Pool

BUSY_TIMEOUT: Final = 5.0  # seconds; the default of sqlite3 and of many tools
POOL_SIZE: Final = 5  # SQLAlchemy's default; SQLite has one writer at a time however many there are
CONNECT_TIMEOUT: Final = 5.0
ANSWER_TIMEOUT: Final = 10.0
_LONGEST: Final = 86_400.0  # SQLite counts milliseconds in 32 bits
_UNREADABLE_PARAMETER: Final = "A parameter of the URL has a value that its driver cannot read."
_LAST_PORT: Final = 65_535
RECYCLE: Final = 1800  # seconds: firewalls and servers cut connections that are older, without a word


@dataclass(frozen=True, slots=True)
class Settings:
    """How a database is opened.

    Attributes:
        busy_timeout: Seconds to wait for another's lock, and for a free connection.
        pool_size: Connections at most.
        synchronous: SQLite: what survives a power cut.
        connect_timeout: Servers: seconds to wait for a connection.
        answer_timeout: Servers: seconds to wait for an answer.
    """

    busy_timeout: float = BUSY_TIMEOUT
    pool_size: int = POOL_SIZE
    synchronous: Synchronous = "FULL"
    connect_timeout: float = CONNECT_TIMEOUT
    answer_timeout: float = ANSWER_TIMEOUT

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigurationError: A value is out of its range.
        """
        if not 0 <= self.busy_timeout < _LONGEST:
            raise ConfigurationError("busy_timeout must be seconds, from 0 to a day")
        if self.pool_size < 1:
            raise ConfigurationError("pool_size must be at least 1")
        if self.synchronous not in get_args(Synchronous):
            raise ConfigurationError("synchronous must be NORMAL, FULL or EXTRA")
        if not 0 < self.connect_timeout < _LONGEST:
            raise ConfigurationError("connect_timeout must be seconds, more than 0 and less than a day")
        check_answer_timeout(self.answer_timeout)


def check_answer_timeout(seconds: float) -> None:
    """Refuse a time limit that does not end transactions before followers of the log give them up.

    Raises:
        ConfigurationError: It is none, or too long.
    """
    if not 0 < seconds <= LONGEST_ANSWER:
        raise ConfigurationError(
            f"answer_timeout must be seconds, more than 0 and at most {LONGEST_ANSWER:g}: "
            "a longer transaction could hide a revocation from other processes"
        )


def open_engine(url: str | URL, settings: Settings) -> Engine:
    """Open a database for threads, each statement committed by itself.

    Args:
        url: As `SQLAlchemyStore.from_url` takes it.
        settings: How.

    Raises:
        ConfigurationError: No store can use this URL.
        ImportError: Its driver is not installed; the message is the command that brings it.
    """
    named, arguments = _prepared(url, settings, asynchronous=False)
    try:
        engine = create_engine(named, **arguments)
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error
    except ValueError:  # its message would quote the URL
        raise ConfigurationError(_UNREADABLE_PARAMETER) from None
    _adopt(engine, settings)
    return engine


def open_async_engine(url: str | URL, settings: Settings) -> AsyncEngine:
    """Open a database for asyncio: see `open_engine`."""
    named, arguments = _prepared(url, settings, asynchronous=True)
    try:
        engine = create_async_engine(named, **arguments)
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error
    except ValueError:  # its message would quote the URL
        raise ConfigurationError(_UNREADABLE_PARAMETER) from None
    _adopt(engine.sync_engine, settings)
    return engine


def _prepared(url: str | URL, settings: Settings, *, asynchronous: bool) -> tuple[URL, dict[str, Any]]:
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        named = sqlite.url_of(parsed, "aiosqlite" if asynchronous else "pysqlite")
        connecting: dict[str, Any] = {"timeout": settings.busy_timeout, "check_same_thread": False}
        recycle = -1  # a file does not cut connections
    else:
        named = servers.url_of(parsed, asynchronous=asynchronous)
        connecting = servers.connecting(
            named, connect_timeout=settings.connect_timeout, answer_timeout=settings.answer_timeout
        )
        recycle = RECYCLE
    return named, {**pooling(settings), "connect_args": connecting, "pool_recycle": recycle}


def pooling(settings: Settings) -> dict[str, Any]:
    """Return the arguments of `create_engine` that hold for every engine of our own."""
    return {
        "pool_size": settings.pool_size,
        "max_overflow": 0,
        "pool_timeout": settings.busy_timeout,
        "pool_recycle": RECYCLE,
        "hide_parameters": True,
        # Every operation leaves its connection without a transaction, so there is nothing to reset. With
        # these three, taking and giving back one costs no round trip (in aiosqlite: no hop of threads).
        "isolation_level": "AUTOCOMMIT",
        "skip_autocommit_rollback": True,
        "pool_reset_on_return": None,
    }


def _parsed(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their messages, and what they hold, could show a password
        raise ConfigurationError(
            "The database URL cannot be read: write sqlite:///keyturn.db, "
            "postgresql://user:password@host/name or mysql://user:password@host/name, "
            "with %-signs for special characters of the password."
        ) from None
    if parsed.port is not None and not 0 < parsed.port <= _LAST_PORT:
        raise ConfigurationError("port in the database URL must be a number from 1 to 65535")
    if parsed.get_backend_name() not in {"sqlite", *servers.NAMES}:
        raise ConfigurationError(
            f"from_url opens SQLite, PostgreSQL, MariaDB and MySQL, not {parsed.get_backend_name()}."
        )
    return parsed


def _adopt(engine: Engine, settings: Settings) -> None:
    if engine.dialect.name == "sqlite":
        sqlite.set_up(engine, settings.synchronous)
    else:
        servers.refuse_parameters(engine)
        servers.set_up(engine, lock_timeout=settings.busy_timeout, answer_timeout=settings.answer_timeout)
    leave_in_parent(engine)


def leave_in_parent(engine: Engine) -> None:
    """Give a forked process an empty pool; what it inherited stays where no collector closes it.

    SQLite forbids to carry a connection into a forked process, even to close it there, and a server would
    hear two processes on one line.
    """
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
    if engine.dialect.name not in {"sqlite", *servers.NAMES}:
        raise ConfigurationError(
            "Keyturn's SQL stores work on SQLite, PostgreSQL, MariaDB and MySQL, "
            f"not on {engine.dialect.name}."
        )
    if engine.dialect.name == "sqlite":
        sqlite.refuse_memory(engine.url)
    if engine.dispatch.begin:
        raise ConfigurationError(
            "The engine has a listener for 'begin', which would open transactions around Keyturn's own. "
            "Give the store an engine of its own."
        )
