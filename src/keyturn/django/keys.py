"""The signing keys that `KEYTURN["KEYS"]` names. They know no token and no session."""

from __future__ import annotations

import hmac
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from django.conf import settings
from django.utils.encoding import force_bytes
from django.utils.module_loading import import_string

from keyturn.errors import ConfigurationError
from keyturn.keys import KeyRing
from keyturn.keystores import SharedKeyRing, key_store_from_url
from keyturn.keystores.files import FileKeyStore
from keyturn.stores.urls import kind_of

if TYPE_CHECKING:
    from keyturn._core.minting import KeySource

_PURPOSE: Final = b"keyturn django signing keys v1"  # so that nothing else of SECRET_KEY's can pass for ours
_LEAST: Final = 32  # bytes of SECRET_KEY: RFC 7518, section 3.2, asks for as many of an HMAC key


def open_keys(named: object) -> KeySource:
    """Open the keys.

    Args:
        named: A key file or the URL of a key store, which are followed; a ring; a dotted path to a ring, or
            to what makes one; None: keys that are derived from `SECRET_KEY`, and from
            `SECRET_KEY_FALLBACKS` to verify with.

    Raises:
        ConfigurationError: There are none, or they cannot be used.
        StoreError: Their database cannot be asked.
    """
    match named:
        case None:
            return derived()
        case str() if is_url(named):
            return SharedKeyRing(key_store_from_url(named))
        case str() if is_path(named):
            return SharedKeyRing(FileKeyStore(named))
        case Path():
            return SharedKeyRing(FileKeyStore(named))
        case str():
            return _ring(named)
        case _:
            return _as_source(named)


def check_keys(named: object) -> None:
    """See whether the keys can be opened, without asking any database.

    Raises:
        ConfigurationError: They cannot.
    """
    if isinstance(named, str) and is_url(named):
        kind_of(named)
        return
    opened = open_keys(named)
    if isinstance(opened, SharedKeyRing) and is_opened_here(named):
        opened.close()


def is_opened_here(named: object) -> bool:
    """Tell whether `open_keys` opens something that is to be closed, rather than use what is there."""
    return isinstance(named, Path) or (isinstance(named, str) and (is_url(named) or is_path(named)))


def is_url(named: str) -> bool:
    """Tell whether a text is the URL of a key store."""
    return "://" in named


def is_path(named: str) -> bool:
    """Tell whether a text is a key file: a dotted path has neither a slash nor this ending."""
    return os.sep in named or named.endswith(".json")


def derived() -> KeyRing:
    """Derive the keys from `SECRET_KEY` (HMAC-SHA-256 of a purpose of their own).

    Raises:
        ConfigurationError: It is too short.
    """
    current = _derive(settings.SECRET_KEY, "SECRET_KEY")
    former = [_derive(secret, "SECRET_KEY_FALLBACKS") for secret in settings.SECRET_KEY_FALLBACKS]
    others = dict.fromkeys(secret for secret in former if secret != current)
    return KeyRing.from_secret(current, previous=list(others))


def _derive(secret: str | bytes, name: str) -> bytes:
    material = force_bytes(secret)
    if len(material) < _LEAST:
        raise ConfigurationError(f"{name} has less than {_LEAST} bytes: too few to derive signing keys from")
    return hmac.digest(material, _PURPOSE, "sha256")


def _ring(path: str) -> KeySource:
    try:
        found = import_string(path)
    except ImportError as error:
        raise ConfigurationError(f"{error}; a key file's name has a slash in it or ends in .json") from error
    return _as_source(found() if callable(found) else found)


def _as_source(ring: object) -> KeySource:
    if not hasattr(ring, "current") or not hasattr(ring, "jwks"):
        raise ConfigurationError(f"it is no key ring, but a {type(ring).__name__}")
    return cast("KeySource", ring)
