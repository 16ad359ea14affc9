"""The databases that the settings name: the users' tables and the sessions' store. It knows no request."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

from sqlalchemy import Engine, StaticPool, create_engine, make_url
from sqlalchemy.exc import ArgumentError

from keyturn._core.commands import Confirm
from keyturn.errors import ConfigurationError
from keyturn.server.passwords import Passwords
from keyturn.server.settings import MEMORY, Settings
from keyturn.server.users import Users
from keyturn.stores._sql import missing_extra
from keyturn.stores.engines import engine_from_url
from keyturn.stores.urls import AsyncOwnStore, OwnStore, Warns, async_store_from_url, kind_of, store_from_url

_NOBODYS: Final = UUID(int=0)  # no session has this id


def open_engine(settings: Settings, *, create: bool) -> Engine:
    """Open the database of the users.

    Args:
        settings: Where it is.
        create: Make the file, readable to its owner only, where there is none.

    Raises:
        ConfigurationError: It is not there, or no database that Keyturn can use.
    """
    url = settings.users_url
    if url is None:
        raise ConfigurationError("there is no table of users: an authenticator of your own is set")
    return open_url(url, create=create)


def open_url(url: str, *, create: bool) -> Engine:
    """Open an SQL database for threads: see `open_engine`."""
    if url == MEMORY:
        return _memory_engine()
    find_file(url, create=create)
    with drivers():
        return engine_from_url(url)


def _memory_engine() -> Engine:
    """Make a database of users that lives as long as its one connection."""
    return create_engine(
        "sqlite://",
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
    )


def has_users(settings: Settings) -> bool:
    """Tell whether users are anywhere: nobody may have made the file that is only the default's."""
    url = settings.users_url
    if url is None:
        return False
    chosen = settings.users is not None or url == settings.store
    return chosen or _file_of(url).exists()


def open_users(engine: Engine, passwords: Passwords | None = None) -> Users:
    """Open the table of users."""
    return Users(engine, passwords=passwords or Passwords(), clock=time.time, entropy=os.urandom)


def open_store(settings: Settings, *, create: bool) -> OwnStore:
    """Open the sessions' store for threads.

    Args:
        settings: Where it is.
        create: Make the file, where it is one and there is none.

    Raises:
        ConfigurationError: It is not there, or this URL cannot be used, or its driver is not installed.
    """
    find_file(settings.store, create=create)
    with drivers():
        return store_from_url(settings.store)


def open_async_store(settings: Settings) -> AsyncOwnStore:
    """Open the sessions' store for asyncio. It makes nothing, and connects when it is first asked.

    Raises:
        ConfigurationError: This URL cannot be used, or its driver is not installed.
    """
    if kind_of(settings.store).name == "SQLite":
        _file_of(settings.store)  # says in the server's words what is wrong with it
    with drivers():
        return async_store_from_url(settings.store)


def prepare_store(store: OwnStore) -> Sequence[str]:
    """Bring a store to this version, and see whether it can be written to: a replica cannot.

    Returns:
        What is unsafe about the settings of its server, a sentence each.

    Raises:
        StoreError: It cannot be used; the message says why, and what to do.
    """
    if isinstance(store, Warns):  # it has no tables: asking for the warnings is its whole check
        warnings = store.warnings()
    else:
        store.create_schema()
        warnings = ()
    store.confirm(Confirm(_NOBODYS, 0, 0))  # asks for a write, and changes nothing
    return warnings


@contextmanager
def drivers() -> Generator[None]:
    """Say that a driver is missing as every other mistake in the settings is said."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigurationError(str(missing_extra(error))) from error
    except ImportError as error:
        raise ConfigurationError(str(error)) from error


def find_file(url: str, *, create: bool) -> None:
    """Look for the file that a URL names, if it names one.

    Args:
        url: The URL.
        create: Make it, readable to its owner only, where there is none.

    Raises:
        ConfigurationError: It is not there, or cannot be made.
    """
    if kind_of(url).name != "SQLite":
        return
    path = _file_of(url)
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


def _file_of(url: str) -> Path:
    try:
        name = make_url(url).database
    except ArgumentError:
        name = None
    if not name or name.startswith((":", "file:")):  # SQLite's names for memory and for URIs
        raise ConfigurationError(f"an SQLite database is written sqlite:///FILE; {MEMORY} keeps nothing")
    return Path(name)
