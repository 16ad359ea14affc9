"""Opening a key store by its place, a file or a URL. It knows no engine, and loads only the named one."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import cast

from keyturn.errors import ConfigurationError
from keyturn.keystores.files import FileKeyStore
from keyturn.keystores.protocol import KeyStore
from keyturn.stores.urls import MEMORY, kind_of


def key_store_at(place: str | Path) -> KeyStore:
    """Open a key store: a file by its path, anything else by its URL.

    Args:
        place: For example `keys.json`, or what `key_store_from_url` takes.

    Raises:
        ConfigurationError: No key store has such URLs, or it refuses this one.
        ImportError: The store's driver is not installed; the message is the command that brings it.
    """
    if isinstance(place, str) and "://" in place:
        return key_store_from_url(place)
    return FileKeyStore(place)


def key_store_from_url(url: str) -> KeyStore:
    """Open a key store: the scheme of the URL says which.

    Args:
        url: For example `sqlite:///keyturn.db`, `postgresql://user@host/database`, `redis://host:6379/0`.

    Returns:
        A store that owns what it opened: `close()` gives it back.

    Raises:
        ConfigurationError: No key store has such URLs, or it refuses this one.
        ImportError: The store's driver is not installed; the message is the command that brings it.
    """
    kind = kind_of(url)
    if url == MEMORY:
        raise ConfigurationError(f"{MEMORY} would forget the keys: give their file, or a database")
    module, name = ("sql", "SQLKeyStore") if kind.is_sql else ("redis", "RedisKeyStore")
    opened = getattr(import_module(f"keyturn.keystores.{module}"), name)
    return cast("KeyStore", opened.from_url(url))
