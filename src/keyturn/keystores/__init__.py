"""Keys that all processes of an issuer share: where they are kept, who follows them, who turns them.

`SharedKeyRing` is what a `TokenManager` signs with; `KeyKeeper` is what an administrator changes keys with.
Both work on a `KeyStore`: `keyturn.keystores.files`, `.sql` or `.redis`. They know no token and no session.
"""

from __future__ import annotations

from keyturn._core.schedule import TurnPlan
from keyturn.keystores.keeping import KeyKeeper, Replacement, Turn
from keyturn.keystores.protocol import Document, KeyStore
from keyturn.keystores.shared import SharedKeyRing
from keyturn.keystores.urls import key_store_from_url

__all__ = [
    "Document",
    "KeyKeeper",
    "KeyStore",
    "Replacement",
    "SharedKeyRing",
    "Turn",
    "TurnPlan",
    "key_store_from_url",
]
