"""Bringing the parts together from the settings: store, users, keys, manager. It knows no request."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import Engine, StaticPool, create_engine, make_url
from sqlalchemy.exc import ArgumentError

from keyturn.errors import ConfigurationError
from keyturn.keys import KeyRing
from keyturn.manager import AsyncTokenManager
from keyturn.server import keys_file
from keyturn.server.demo import has_demo_users
from keyturn.server.login import Answer, Desk, OwnLogin, UserLogin, load_authenticator
from keyturn.server.logs import log_events
from keyturn.server.passwords import Passwords
from keyturn.server.safety import check_safety
from keyturn.server.settings import MEMORY, Settings
from keyturn.server.users import Users
from keyturn.stores._sql import engines
from keyturn.stores.memory import AsyncMemoryStore
from keyturn.stores.protocol import AsyncStore
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore

Login: TypeAlias = Callable[[str, str], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running server.

    Attributes:
        settings: The settings.
        manager: The lifecycle.
        login: Checks who signs in.
        users: The table of users; None with an authenticator of the application's own.
        new_keys: Whether the keys file was made just now.
        close: Ends the lifecycle, the threads and the connections.
    """

    settings: Settings
    manager: AsyncTokenManager
    login: Login
    users: Users | None
    new_keys: bool
    close: Callable[[], Awaitable[None]]


def open_service(settings: Settings, *, demo: bool = False) -> Service:
    """Open everything that a server needs, and make what is not there yet: tables and keys.

    Args:
        settings: The settings.
        demo: Whether it is a demonstration; users left over from one count as one too.

    Raises:
        ConfigurationError: A setting is not usable here, or unsafe where others can reach the server.
        StoreError: The database cannot be used.
    """
    own = None if settings.authenticator is None else load_authenticator(settings.authenticator)
    check_safety(settings, demo=demo)
    engine = _memory_engine() if settings.store == MEMORY else open_engine(settings, create=True)
    passwords = Passwords()
    passwords.prepare()
    users = open_users(engine, passwords)
    held = 0
    if settings.store != MEMORY:
        sessions = SQLAlchemyStore(engine)
        sessions.create_schema()
        held = sessions.count()
    users.create_schema()
    check_safety(settings, demo=demo or has_demo_users(users))
    keys, new_keys = _open_keys(settings, sessions=held)
    desk = Desk()
    by_table = UserLogin(users, desk)
    manager: AsyncTokenManager = AsyncTokenManager(
        store=_async_store(settings),
        keys=keys,
        policy=settings,
        issuer=settings.issuer_url,
        audience=settings.audience,
        load_claims=by_table.load_claims if own is None else None,
    )
    log_events(manager.events)

    async def close() -> None:
        await manager.close()
        desk.close()
        engine.dispose()

    return Service(
        settings=settings,
        manager=manager,
        login=by_table.login if own is None else OwnLogin(own, desk).login,
        users=users if own is None else None,
        new_keys=new_keys,
        close=close,
    )


def open_engine(settings: Settings, *, create: bool) -> Engine:
    """Open the database of sessions and users.

    Args:
        settings: Where it is.
        create: Make the file, readable to its owner only, where there is none.

    Raises:
        ConfigurationError: It is not there, or no database that Keyturn can use.
    """
    if settings.store == MEMORY:
        raise ConfigurationError(f"{MEMORY} lives inside a running server: nobody else can see it")
    _find_file(database_file(settings), create=create)
    options = engines.options(busy_timeout=engines.BUSY_TIMEOUT, pool_size=engines.POOL_SIZE)
    engine = create_engine(engines.sqlite_url(settings.store, "pysqlite"), **options)
    engines.adopt(engine, "FULL")
    return engine


def _memory_engine() -> Engine:
    """Make a database of users that lives as long as its one connection."""
    return create_engine(
        "sqlite://",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
    )


def open_users(engine: Engine, passwords: Passwords | None = None) -> Users:
    """Open the table of users."""
    return Users(engine, passwords=passwords or Passwords(), clock=time.time, entropy=os.urandom)


def database_file(settings: Settings) -> Path:
    """Give the file that `store` names.

    Raises:
        ConfigurationError: It names none.
    """
    try:
        url = make_url(settings.store)
    except ArgumentError:
        url = None
    name = url.database if url is not None and url.get_backend_name() == "sqlite" else None
    if not name or name.startswith((":", "file:")):  # SQLite's names for memory and for URIs
        raise ConfigurationError(f"store must be sqlite:///FILE or {MEMORY}")
    return Path(name)


def _find_file(path: Path, *, create: bool) -> None:
    if path.exists():
        return
    if not create:
        raise ConfigurationError(
            f"there is no database {path}: `keyturn serve` or `keyturn db upgrade` makes it"
        )
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite gives its other files the same mode
    except OSError as error:
        raise ConfigurationError(f"cannot make the database {path}: {error.strerror}") from None


def _async_store(settings: Settings) -> AsyncStore:
    if settings.store == MEMORY:
        return AsyncMemoryStore()
    return AsyncSQLAlchemyStore.from_url(settings.store)


def _open_keys(settings: Settings, *, sessions: int) -> tuple[KeyRing, bool]:
    path = Path(settings.keys_file)
    if sessions and not path.exists():
        raise ConfigurationError(
            f"the keys file {path} is gone, but the store holds {sessions} sessions: bring it back, or run "
            "`keyturn keys generate` to begin with new keys, and everybody has to sign in again"
        )
    return keys_file.load_or_create(path, settings.key_algorithm)
