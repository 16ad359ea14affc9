"""A ring of keys as one value: what holds at a moment, and its document. It knows no file and no clock.

The document is a JWK Set (RFC 7517, section 5) with private keys. What Keyturn adds to a key are its times,
in members of its own, which others ignore.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from keyturn._core.encoding import EncodingError, is_array, is_object, parse_json_object
from keyturn._core.jwk import (
    PRIVATE_MEMBERS,
    PUBLIC_MEMBERS,
    Material,
    algorithm_of,
    jwk_of,
    material_from_jwk,
    prepare,
    serves,
)
from keyturn._core.keyset import Algorithm, Key, KeySet, key_set
from keyturn._core.schedule import TIME_NAMES, KeyState, Times, check, next_change, since, states
from keyturn.errors import ConfigurationError

MAX_DOCUMENT_BYTES: Final = 1024 * 1024
_PREFIX: Final = "keyturn_"
_FORMAT: Final = f"{_PREFIX}format"
_SERIAL: Final = f"{_PREFIX}serial"
_TIMES: Final = frozenset(f"{_PREFIX}{name}" for name in TIME_NAMES)
_OURS: Final = 1
_NEWER: Final = "it was written by a newer version of Keyturn"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key as a person may see it. Times are POSIX seconds.

    Attributes:
        kid: Its name in tokens.
        alg: Its algorithm.
        state: Where it is in its life.
        created_at: When it was made or taken in.
        changed_at: Since when it is in its state.
        active_at: When it begins to sign, or has begun; None where that is not planned.
        verifying_at: When the next key signs instead; None where that is not planned.
        retired_at: When its tokens begin to be refused; None where that is not planned.
    """

    kid: str
    alg: Algorithm
    state: KeyState
    created_at: float
    changed_at: float
    active_at: float | None = None
    verifying_at: float | None = None
    retired_at: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a ring.

    Attributes:
        key: The key, prepared.
        times: When it is in which state.
        public: Its public part as a JWK; None for a secret, which has none.
        material: What it is made of; None where something else holds it, such as a KMS.
        others: Members of its JWK that mean nothing here; they are kept, and not published.
    """

    key: Key
    times: Times
    public: Mapping[str, Any] | None = field(default=None, repr=False)
    material: Material | None = field(default=None, repr=False)
    others: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)


@dataclass(frozen=True, slots=True)
class View:
    """A ring at a moment, and for some time after it.

    Attributes:
        keys: What is accepted and what signs.
        states: The state of each key.
        until: When this changes.
    """

    keys: KeySet
    states: Mapping[str, KeyState]
    until: float


@dataclass(frozen=True, slots=True)
class Ring:
    """All keys of an issuer with their times; it never changes.

    Attributes:
        entries: The keys, in the order in which they came.
        serial: It grows with each change that is kept, so that an older document is known for one; 0: it was
            never kept, or others wrote it.
    """

    entries: tuple[Entry, ...]
    serial: int = 0

    def __post_init__(self) -> None:
        """Refuse a ring in which not exactly one key signs at every moment.

        Raises:
            ConfigurationError: It is such a ring, or two of its keys have one name.
        """
        if len(self.schedule) != len(self.entries):
            raise ConfigurationError("a key ring must not have two keys with one kid, or one secret twice")
        check(self.schedule)

    @property
    def schedule(self) -> dict[str, Times]:
        """The times of the keys."""
        return {entry.key.kid: entry.times for entry in self.entries}

    def at(self, now: float) -> View:
        """Give the ring as it is at a moment."""
        schedule = self.schedule
        found = states(schedule, now)
        active = next(entry.key for entry in self.entries if found[entry.key.kid] == "active")
        accepted = (entry.key for entry in self.entries if found[entry.key.kid] != "retired")
        return View(key_set(accepted, active=active), found, next_change(schedule, now))

    def find(self, kid: str) -> Entry:
        """Give a key by its name.

        Raises:
            ConfigurationError: There is none.
        """
        for entry in self.entries:
            if entry.key.kid == kid:
                return entry
        raise ConfigurationError(f"the key ring has no key {kid!r}")

    def scheduled(self, schedule: Mapping[str, Times], *more: Entry) -> Ring:
        """Give the keys that a schedule names, with its times.

        Args:
            schedule: The times of the keys; a key that it does not name is left out.
            more: Keys that are new.
        """
        every = (*self.entries, *more)
        kept = (replace(each, times=schedule[each.key.kid]) for each in every if each.key.kid in schedule)
        return replace(self, entries=tuple(kept))

    def next(self, now: float) -> Ring:
        """Give the ring as it is kept next, with a higher serial: also than that of a ring that was lost."""
        return replace(self, serial=max(self.serial + 1, round(now * 1000)))

    def infos(self, known: Mapping[str, KeyState]) -> list[KeyInfo]:
        """Describe all keys in their states."""
        return [_info(entry, known[entry.key.kid]) for entry in self.entries]

    def jwks(self, known: Mapping[str, KeyState]) -> dict[str, Any]:
        """Give the public keys that are not retired as a JWK Set; secrets are never in it."""
        return {
            "keys": [
                {**entry.public, "use": "sig", "alg": entry.key.alg, "kid": entry.key.kid}
                for entry in self.entries
                if entry.public is not None and known[entry.key.kid] != "retired"
            ]
        }

    def to_json(self) -> bytes:
        """Write the document, private keys included.

        Raises:
            ConfigurationError: A private key is held elsewhere, so that it cannot be written.
        """
        document = {
            _FORMAT: _OURS,
            _SERIAL: self.serial,
            "keys": [_to_jwk(entry) for entry in self.entries],
        }
        return json.dumps(document, indent=2).encode() + b"\n"


def entry_of(kid: str, alg: Algorithm, material: Material, times: Times) -> Entry:
    """Prepare a key of a ring.

    Raises:
        ConfigurationError: The name is not acceptable, or the material is weak or does not fit.
    """
    public = None if isinstance(material, bytes) else jwk_of(material, private=False)
    return Entry(prepare(kid, alg, material), times, public, material)


def ring_from_json(data: bytes, now: float, *, where: str) -> Ring:
    """Read a document that `Ring.to_json` wrote, or any JWK Set with one private key, which then signs.

    Args:
        data: The document.
        now: When a key of others counts as made, POSIX seconds.
        where: What holds it, for errors.

    Raises:
        ConfigurationError: It is malformed, or a key is malformed or weak.
    """
    try:
        document = parse_json_object(data)
    except EncodingError as error:
        pem = ": it is PEM; a JWK Set is needed" if data.lstrip().startswith(b"-----BEGIN") else f": {error}"
        raise ConfigurationError(f"{where} is no key file{pem}") from None
    jwks = document.get("keys")
    if not is_array(jwks):
        raise ConfigurationError(f'{where} is no key file: it has no list "keys"')
    try:
        serial = _serial_of(document)
        return Ring(tuple(_from_jwk(jwk, now) for jwk in jwks), serial)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _info(entry: Entry, state: KeyState) -> KeyInfo:
    key, times = entry.key, entry.times
    return KeyInfo(
        key.kid,
        key.alg,
        state,
        times.created_at,
        since(times, state),
        times.active_at,
        times.verifying_at,
        times.retired_at,
    )


def _to_jwk(entry: Entry) -> dict[str, Any]:
    if entry.material is None:
        raise ConfigurationError(f"the private key {entry.key.kid!r} is held elsewhere: it cannot be saved")
    named = {name: getattr(entry.times, name) for name in TIME_NAMES}
    return {
        **entry.others,
        **jwk_of(entry.material, private=True),
        "use": "sig",
        "alg": entry.key.alg,
        "kid": entry.key.kid,
        **{f"keyturn_{name}": at for name, at in named.items() if at is not None},
    }


def _from_jwk(jwk: object, now: float) -> Entry:
    if not is_object(jwk):
        raise ConfigurationError("a key file holds something that is no key")
    _check_members(jwk, _TIMES)
    kid, alg = jwk.get("kid"), algorithm_of(jwk)
    if not isinstance(kid, str) or alg is None or not serves(jwk, "sign"):
        raise ConfigurationError(
            "a key file holds a key without a kid, of an unknown kind or for another use"
        )
    entry = entry_of(kid, alg, material_from_jwk(kid, jwk), _times(jwk, kid, now))
    ours = PUBLIC_MEMBERS | PRIVATE_MEMBERS | _TIMES
    return replace(entry, others={name: value for name, value in jwk.items() if name not in ours})


def _serial_of(document: Mapping[str, Any]) -> int:
    _check_members(document, {_FORMAT, _SERIAL})
    if document.get(_FORMAT, _OURS) != _OURS:
        raise ConfigurationError(_NEWER)
    serial = document.get(_SERIAL, 0)
    if type(serial) is not int or serial < 0:
        raise ConfigurationError(f"{_SERIAL} must be a whole number")
    return serial


def _check_members(found: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse members of a later version: to drop what they mean could let a key sign that must not."""
    if any(name.startswith(_PREFIX) and name not in known for name in found):
        raise ConfigurationError(_NEWER)


def _times(jwk: Mapping[str, Any], kid: str, now: float) -> Times:
    given = {name: jwk[f"keyturn_{name}"] for name in TIME_NAMES if f"keyturn_{name}" in jwk}
    if not given:  # not written by us: it signs
        return Times(now, active_at=now)
    if not all(isinstance(at, int | float) and not isinstance(at, bool) for at in given.values()):
        raise ConfigurationError(f"the key {kid!r} has a time that is no number")
    return Times(**{"created_at": now, **{name: float(at) for name, at in given.items()}})
