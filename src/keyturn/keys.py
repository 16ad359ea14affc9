"""The key ring: which keys sign and verify now, and where they are kept. It knows no token and no store.

```
pending ──► active ──► verifying ──► retired
published   signs      verifies      refused, still listed
```
A ring has one active key. Each change swaps one immutable snapshot, `KeyRing.current`, so that a reader never
sees half a change.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias, get_args

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa

from keyturn._core.encoding import EncodingError, encode_base64url, is_array, is_object, parse_json_object
from keyturn._core.jwk import (
    Material,
    algorithm_of,
    jwk_of,
    material_from_jwk,
    material_from_secret,
    prepare,
    serves,
)
from keyturn._core.keyset import Algorithm, Key, KeySet, key_set
from keyturn._core.signatures import derive
from keyturn.errors import ConfigurationError
from keyturn.files import read_file, write_private_file

KeyState: TypeAlias = Literal["pending", "active", "verifying", "retired"]
"""`pending` is published and accepted but does not sign yet; `retired` is refused."""

Clock: TypeAlias = Callable[[], float]
"""Gives POSIX seconds."""

_MAX_FILE_BYTES: Final = 1024 * 1024
_KID_BYTES: Final = 12
_STATE, _CREATED, _CHANGED = "keyturn_state", "keyturn_created_at", "keyturn_changed_at"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key as a person may see it.

    Attributes:
        kid: Its name in tokens.
        alg: Its algorithm.
        state: Where it is in its life.
        created_at: When it was made or taken in, POSIX seconds.
        changed_at: Since when it is in its state, POSIX seconds.
    """

    kid: str
    alg: Algorithm
    state: KeyState
    created_at: float
    changed_at: float


@dataclass(frozen=True, slots=True)
class _Entry:
    info: KeyInfo
    key: Key
    material: Material = field(repr=False)


class KeyRing:
    """The keys of an issuer. Safe to share between threads.

    Examples:
        >>> ring = KeyRing.generate("EdDSA", kid="2026-11")
        >>> ring
        KeyRing(2026-11: EdDSA active)
        >>> ring.rotate().alg
        'EdDSA'
        >>> [info.state for info in ring.infos()]
        ['verifying', 'active']
    """

    def __init__(self, entries: Iterable[_Entry], clock: Clock) -> None:
        """Use `generate`, `from_secret` or `load` instead."""
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: tuple[_Entry, ...] = ()
        self._current = self._swap(entries)

    @classmethod
    def generate(cls, alg: Algorithm = "ES256", kid: str | None = None, *, clock: Clock = time.time) -> Self:
        """Make a ring with one new key.

        Args:
            alg: ES256, EdDSA, Ed25519, RS256, or HS256 where issuer and verifier are one party.
            kid: Its name in tokens; random unless given.
            clock: Gives POSIX seconds, for the times in the ring.

        Raises:
            ConfigurationError: The algorithm or the name is not acceptable.
        """
        return cls([_entry(_new_material(alg), alg, kid, "active", clock())], clock)

    @classmethod
    def from_secret(
        cls,
        secret: str | bytes,
        *,
        previous: Sequence[str | bytes] = (),
        kid: str | None = None,
        clock: Clock = time.time,
    ) -> Self:
        """Make a ring for HS256 from a secret; its bytes are the HMAC key, as in any other HS256 library.

        Args:
            secret: At least 32 random bytes (RFC 7518, section 3.2); text counts as UTF-8.
            previous: Former secrets: their tokens are still accepted, none is signed with them.
            kid: The name of the first secret; derived from it unless given: the same everywhere.
            clock: Gives POSIX seconds, for the times in the ring.

        Raises:
            ConfigurationError: A secret is too short, trivially weak, given twice, or a key of another kind.
        """
        now = clock()
        entries = [_secret_entry(secret, kid, "active", now)]
        if isinstance(previous, str | bytes):  # a string is a sequence of strings: the likely slip
            raise ConfigurationError("previous must be a list of secrets")
        entries += [_secret_entry(one, None, "verifying", now) for one in previous]
        return cls(entries, clock)

    @classmethod
    def load(
        cls, path: str | Path, *, unsafe_allow_readable_by_others: bool = False, clock: Clock = time.time
    ) -> Self:
        """Read a ring from a file that `save` wrote, or from any JWK Set with one private key.

        Args:
            path: The file.
            unsafe_allow_readable_by_others: Accept a file that its group or others may read.
            clock: Gives POSIX seconds, for the times in the ring.

        Raises:
            ConfigurationError: The file cannot be read, others may read it, or a key is malformed or weak.
        """
        private = not unsafe_allow_readable_by_others
        data = read_file(Path(path), what="key file", limit=_MAX_FILE_BYTES, private=private)
        try:
            jwks = parse_json_object(data).get("keys")
        except EncodingError as error:
            raise ConfigurationError(f"{path} is no key file: {error}") from None
        if not is_array(jwks):
            raise ConfigurationError(f'{path} is no key file: it has no list "keys"')
        now = clock()
        return cls([_entry_from_jwk(jwk, now) for jwk in jwks], clock)

    def save(self, path: str | Path) -> None:
        """Write the ring, with its private keys, to a file that only its owner may read.

        The file is replaced at once: a crash leaves the old one or the new one, never half of one.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        jwks = [_entry_to_jwk(entry) for entry in self._entries]
        write_private_file(Path(path), json.dumps({"keys": jwks}, indent=2).encode() + b"\n", what="key file")

    @property
    def current(self) -> KeySet:
        """The keys as they are now; a snapshot that never changes."""
        return self._current

    def infos(self) -> list[KeyInfo]:
        """Describe all keys, in the order in which they came, retired ones included."""
        return [entry.info for entry in self._entries]

    def jwks(self) -> dict[str, Any]:
        """Give the public keys as a JWK Set (RFC 7517, section 5); secrets are never in it."""
        return {
            "keys": [
                {
                    **jwk_of(entry.material, private=False),
                    "use": "sig",
                    "alg": entry.info.alg,
                    "kid": entry.info.kid,
                }
                for entry in self._entries
                if entry.info.state != "retired" and not isinstance(entry.material, bytes)
            ]
        }

    def add(self, alg: Algorithm | None = None, kid: str | None = None) -> KeyInfo:
        """Add a new key as pending: it is published and accepted, and signs once it is activated.

        Args:
            alg: Its algorithm; that of the active key unless given.
            kid: Its name; random unless given.

        Raises:
            ConfigurationError: The algorithm or the name is not acceptable, or the name is taken.
        """
        with self._lock:
            return self._add(alg, kid, self._clock())

    def activate(self, kid: str) -> None:
        """Let a key sign; the one that signed until now goes on verifying.

        Raises:
            ConfigurationError: There is no such key, or it is retired.
        """
        with self._lock:
            self._activate(kid, self._clock())

    def rotate(self, alg: Algorithm | None = None, kid: str | None = None) -> KeyInfo:
        """Add a new key and let it sign at once.

        Verifiers that cache the published keys learn of it only when they fetch them again; where that
        matters, `add` it first and `activate` it later.

        Args:
            alg: Its algorithm; that of the active key unless given.
            kid: Its name; random unless given.

        Raises:
            ConfigurationError: The algorithm or the name is not acceptable, or the name is taken.
        """
        with self._lock:
            now = self._clock()
            return self._activate(self._add(alg, kid, now).kid, now)

    def retire(self, kid: str) -> None:
        """Refuse a key's tokens from now on; it stays in the list.

        Raises:
            ConfigurationError: There is no such key, or it is the active one.
        """
        with self._lock:
            self._swap(_with_state(self._entries, self._inactive(kid), "retired", self._clock()))

    def remove(self, kid: str) -> None:
        """Forget a key and refuse its tokens from now on.

        Raises:
            ConfigurationError: There is no such key, or it is the active one.
        """
        with self._lock:
            gone = self._inactive(kid)
            self._swap(entry for entry in self._entries if entry is not gone)

    def __repr__(self) -> str:
        """Show names, algorithms and states."""
        keys = (f"{one.kid}: {one.alg} {one.state}" for one in self.infos())
        return f"KeyRing({', '.join(keys)})"

    # What follows is called with the lock held.

    def _swap(self, entries: Iterable[_Entry]) -> KeySet:
        changed = tuple(entries)
        active = [entry.key for entry in changed if entry.info.state == "active"]
        if len(active) != 1:
            raise ConfigurationError(f"a key ring must have one active key, not {len(active)}")
        if len({entry.info.kid for entry in changed}) != len(changed):
            raise ConfigurationError("a key ring must not have two keys with one kid, or one secret twice")
        accepted = (entry.key for entry in changed if entry.info.state != "retired")
        self._current = key_set(accepted, active=active[0])
        self._entries = changed
        return self._current

    def _find(self, kid: str) -> _Entry:
        for entry in self._entries:
            if entry.info.kid == kid:
                return entry
        raise ConfigurationError(f"the key ring has no key {kid!r}")

    def _signing(self) -> _Entry:
        return next(entry for entry in self._entries if entry.info.state == "active")

    def _inactive(self, kid: str) -> _Entry:
        entry = self._find(kid)
        if entry.info.state == "active":
            raise ConfigurationError(f"the key {kid!r} signs now; let another key sign first")
        return entry

    def _add(self, alg: Algorithm | None, kid: str | None, now: float) -> KeyInfo:
        chosen: Algorithm = self._signing().info.alg if alg is None else alg
        entry = _entry(_new_material(chosen), chosen, kid, "pending", now)
        self._swap([*self._entries, entry])
        return entry.info

    def _activate(self, kid: str, now: float) -> KeyInfo:
        chosen = self._find(kid)
        if chosen.info.state == "retired":
            raise ConfigurationError(f"the key {kid!r} is retired")
        before = self._signing()
        if chosen is not before:
            entries = _with_state(self._entries, before, "verifying", now)
            self._swap(_with_state(entries, chosen, "active", now))
        return self._find(kid).info


def _with_state(entries: Iterable[_Entry], chosen: _Entry, state: KeyState, now: float) -> tuple[_Entry, ...]:
    changed = replace(chosen, info=replace(chosen.info, state=state, changed_at=now))
    return tuple(changed if entry is chosen else entry for entry in entries)


def _new_material(alg: Algorithm) -> Material:
    match alg:
        case "ES256":
            return generate_ec(SECP256R1())
        case "EdDSA" | "Ed25519":
            return Ed25519PrivateKey.generate()
        case "RS256":
            return generate_rsa(public_exponent=65537, key_size=2048)
        case "HS256":
            return secrets.token_bytes(32)
        case _:
            raise ConfigurationError(f"alg must be one of {', '.join(get_args(Algorithm))}, not {alg!r}")


def _entry(material: Material, alg: Algorithm, kid: str | None, state: KeyState, now: float) -> _Entry:
    kid = encode_base64url(secrets.token_bytes(_KID_BYTES)).decode() if kid is None else kid
    return _Entry(KeyInfo(kid, alg, state, now, now), prepare(kid, alg, material), material)


def _secret_entry(secret: str | bytes, kid: str | None, state: KeyState, now: float) -> _Entry:
    material = material_from_secret(secret.encode() if isinstance(secret, str) else secret)
    derived = encode_base64url(derive(material, "keyturn kid v1", length=_KID_BYTES)).decode()
    return _entry(material, "HS256", kid or derived, state, now)


def _entry_to_jwk(entry: _Entry) -> dict[str, Any]:
    info = entry.info
    return {
        **jwk_of(entry.material, private=True),
        "use": "sig",
        "alg": info.alg,
        "kid": info.kid,
        _STATE: info.state,
        _CREATED: info.created_at,
        _CHANGED: info.changed_at,
    }


def _entry_from_jwk(jwk: object, now: float) -> _Entry:
    if not is_object(jwk):
        raise ConfigurationError("a key file holds something that is no key")
    kid, alg, state = jwk.get("kid"), algorithm_of(jwk), jwk.get(_STATE, "active")
    if not isinstance(kid, str) or alg is None or not serves(jwk, "sign"):
        raise ConfigurationError(
            "a key file holds a key without a kid, of an unknown kind or for another use"
        )
    if state not in get_args(KeyState):
        raise ConfigurationError(f"the key {kid!r} has an unknown state")
    created = _moment(jwk.get(_CREATED, now), kid)
    changed = _moment(jwk.get(_CHANGED, created), kid)
    material = material_from_jwk(kid, jwk)
    return _Entry(KeyInfo(kid, alg, state, created, changed), prepare(kid, alg, material), material)


def _moment(value: object, kid: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"the key {kid!r} has a time that is no number")
    return float(value)
