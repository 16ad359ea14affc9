"""Keys as the core sees them: names and prepared functions. It knows no key format and no file.

An algorithm belongs to a key and is never taken from a token (RFC 8725, section 3.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from keyturn.errors import ConfigurationError

Algorithm: TypeAlias = Literal["HS256", "EdDSA", "Ed25519", "ES256", "RS256"]
"""The signature algorithms (RFC 7518, RFC 8037). `Ed25519` is RFC 9864's name for what `EdDSA` does with that
curve; a key has one of the two names and accepts no other."""

_KID: Final = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Key:
    """One key, prepared for use.

    Attributes:
        kid: Its name in tokens (RFC 7515, section 4.1.4): 1 to 128 printable ASCII characters without spaces.
        alg: Its one algorithm.
        verify: Tells whether a raw signature fits a signing input; never raises.
        sign: Signs a signing input; None for a key that only verifies.
        refresh_secret: 32 bytes derived for refresh tokens; None for a public key.
    """

    kid: str
    alg: Algorithm
    verify: Callable[[bytes, bytes], bool] = field(repr=False)
    sign: Callable[[bytes], bytes] | None = field(default=None, repr=False)
    refresh_secret: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the name."""
        if not _KID.fullmatch(self.kid):
            raise ConfigurationError("a key's kid must be 1 to 128 printable ASCII characters without spaces")


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys at one moment: which are accepted, and which one signs.

    Attributes:
        active: The key that signs; None where tokens are only verified.
        keys: All accepted keys by `kid`, the active one included; read-only.
    """

    active: Key | None
    keys: Mapping[str, Key]


def key_set(keys: Iterable[Key], *, active: Key | None = None) -> KeySet:
    """Make a set of keys.

    Args:
        keys: The accepted keys.
        active: The one that signs; it must be among them.

    Raises:
        ConfigurationError: Two keys share a `kid`, or the active key is not among them or cannot sign.
    """
    by_kid: dict[str, Key] = {}
    for key in keys:
        if by_kid.setdefault(key.kid, key) is not key:
            raise ConfigurationError(f"two keys have the same kid {key.kid!r}")
    if active is not None and (by_kid.get(active.kid) is not active or active.sign is None):
        raise ConfigurationError("the active key must be in the set and able to sign")
    return KeySet(active, MappingProxyType(by_kid))
