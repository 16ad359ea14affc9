"""Where the signing keys are, by the settings: in a file or in a database. It knows no request."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from keyturn.errors import ConfigurationError
from keyturn.keystores import KeyKeeper, KeyStore, SharedKeyRing, key_store_from_url
from keyturn.keystores.files import FileKeyStore
from keyturn.server.databases import drivers, find_file
from keyturn.server.logs import LOG
from keyturn.server.settings import Settings
from keyturn.stores.protocol import Store


def open_key_store(settings: Settings, *, create: bool) -> KeyStore:
    """Open what the keys are kept in.

    Args:
        settings: Where they are.
        create: Make an SQLite file where there is none, and the table.

    Raises:
        ConfigurationError: It is not there, or cannot be used.
    """
    url = settings.keys_url
    if url is None:
        return FileKeyStore(settings.keys_file)
    find_file(url, create=create)
    with drivers():
        store = key_store_from_url(url)
    if create:
        with ExitStack() as undo:
            undo.callback(store.close)
            store.prepare()
            undo.pop_all()
    return store


@contextmanager
def kept_keys(settings: Settings, *, create: bool = False) -> Generator[KeyKeeper]:
    """Open the keys to look at them or to change them: see `open_key_store`."""
    store = open_key_store(settings, create=create)
    try:
        yield KeyKeeper(store, seal=settings.seal)
    finally:
        store.close()


def open_ring(settings: Settings, sessions: Store) -> tuple[SharedKeyRing, bool]:
    """Open the keys to sign with, and make them where there are none.

    Args:
        settings: Where they are.
        sessions: The store of the sessions: where it holds some, missing keys are lost keys.

    Returns:
        The ring, and whether its key was made just now.

    Raises:
        ConfigurationError: The keys cannot be read or made, or are lost.
        StoreError: Their database cannot be used.
    """
    # What the sessions and the keys share was made and checked with the sessions.
    store = open_key_store(settings, create=settings.keys_url != settings.store)
    with ExitStack() as undo:
        undo.callback(store.close)
        if store.read() is None and sessions.find(limit=1):  # asked for one: there may be millions
            raise ConfigurationError(
                f"{settings.keys_place} is gone, but the store holds sessions: bring it back, or run "
                "`keyturn keys generate` to begin with new keys, and everybody has to sign in again"
            )
        keeper = KeyKeeper(store, seal=settings.seal)
        is_new = keeper.create(settings.key_algorithm)
        # With a secret, the ring warns of keys in clear by itself.
        if settings.seal is None and (warning := warning_of(settings, keeper)) is not None:
            LOG.warning("%s", warning)
        ring = SharedKeyRing(store, seal=settings.seal, refresh_every=settings.keys_refresh)
        undo.pop_all()
    return ring, is_new


def warning_of(settings: Settings, keeper: KeyKeeper) -> str | None:
    """Say what is unsafe about how the keys are kept, in a sentence; None where nothing is."""
    if keeper.is_encrypted():
        return None
    if settings.seal is not None:
        return (
            "the keys are not encrypted yet, so they cannot be changed: if they are yours, run "
            "`keyturn keys encrypt`"
        )
    if settings.keys_url is not None:
        return (
            "the keys are in a database in clear: whoever reads it can sign access tokens; "
            "set KEYTURN_KEYS_PASSPHRASE or KEYTURN_KEYS_KEY, and run `keyturn keys encrypt`"
        )
    return None
