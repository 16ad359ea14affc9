"""From a key store's document to a ring: found, decrypted, read. It knows no kind of store and no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn._core.ring import Ring, ring_from_json
from keyturn.errors import ConfigurationError
from keyturn.sealing import Seal, is_sealed, unsealed

if TYPE_CHECKING:
    from keyturn.keystores.protocol import Document, KeyStore


def existing(store: KeyStore) -> Document:
    """Read a store that must hold keys.

    Raises:
        ConfigurationError: It holds none.
        StoreError: It cannot be asked.
    """
    document = store.read()
    if document is None:
        raise ConfigurationError(f"there are no keys in {store.where}: `keyturn keys generate` makes them")
    return document


def ring_of(document: Document, where: str, seal: Seal | None, now: float) -> Ring:
    """Decrypt a document where it is encrypted, and read it.

    Raises:
        ConfigurationError: It cannot be decrypted or read.
    """
    return ring_from_json(unsealed(document.data, seal), now, where=where)


def check_sealed(document: Document, where: str) -> None:
    """Refuse keys in clear: whoever can write where they are kept would choose who signs.

    Raises:
        ConfigurationError: They are in clear.
    """
    if not is_sealed(document.data):
        raise ConfigurationError(
            f"the keys in {where} are in clear, although there is a secret to encrypt them with: if they are "
            "yours, `keyturn keys encrypt` encrypts them"
        )
