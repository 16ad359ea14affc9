"""The key ring: keys in one process, changed at once and by hand. It knows no token and no store.

```
pending ──► active ──► verifying ──► retired
published   signs      verifies      refused, still listed
```
A ring has one active key. A ring that several processes share, with turns that are planned, is
`keyturn.keystores.SharedKeyRing`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self, get_args

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa

from keyturn._core.encoding import encode_base64url
from keyturn._core.jwk import Material, material_from_secret
from keyturn._core.keyset import Algorithm
from keyturn._core.ring import MAX_DOCUMENT_BYTES, Entry, KeyInfo, Ring, entry_of, ring_from_json
from keyturn._core.schedule import KeyState, Times, activated, retired, signing
from keyturn._core.signatures import derive
from keyturn.errors import ConfigurationError
from keyturn.files import read_file, write_private_file
from keyturn.sealing import Seal, sealed, unsealed
from keyturn.signers import Signer, entry_of_signer, try_signer
from keyturn.timed import SYSTEM_CLOCK, Clock, TimedKeys

__all__ = ["KeyInfo", "KeyRing", "KeyState", "new_entry"]

_KID_BYTES: Final = 12


class KeyRing(TimedKeys):
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

    def __init__(self, ring: Ring, clock: Clock, now: float) -> None:
        """Use `generate`, `from_secret`, `from_signer` or `load` instead."""
        super().__init__(ring, clock, now)

    def _start_afresh(self) -> None:
        super()._start_afresh()
        self._lock = threading.Lock()

    @classmethod
    def generate(
        cls, alg: Algorithm = "ES256", kid: str | None = None, *, clock: Clock = SYSTEM_CLOCK
    ) -> Self:
        """Make a ring with one new key.

        Args:
            alg: ES256, EdDSA, Ed25519, RS256, or HS256 where issuer and verifier are one party.
            kid: Its name in tokens; random unless given.
            clock: Gives POSIX seconds, for the times in the ring.

        Raises:
            ConfigurationError: The algorithm or the name is not acceptable.
        """
        now = clock()
        return cls(Ring((new_entry(alg, kid, Times(now, active_at=now)),)), clock, now)

    @classmethod
    def from_secret(
        cls,
        secret: str | bytes,
        *,
        previous: Sequence[str | bytes] = (),
        kid: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
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
        if isinstance(previous, str | bytes):  # a string is a sequence of strings: the likely slip
            raise ConfigurationError("previous must be a list of secrets")
        former = [_secret_entry(one, None, Times(now, verifying_at=now)) for one in previous]
        return cls(Ring((_secret_entry(secret, kid, Times(now, active_at=now)), *former)), clock, now)

    @classmethod
    def from_signer(
        cls,
        signer: Signer,
        *,
        refresh_secret: str | bytes,
        previous: Sequence[Signer] = (),
        pending: Sequence[Signer] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Make a ring whose private keys something else holds, such as a KMS or an HSM.

        What signs, or is going to, signs once, so that a wrong key or a wrong form of its signatures is
        noticed now. Such a ring cannot be saved.

        Args:
            signer: The key that signs.
            refresh_secret: At least 32 random bytes, the same in every process. Refresh tokens are tagged
                with what is derived from them, because a key that cannot leave its place vouches for none.
            previous: Former signers: their tokens are still accepted, and none is asked to sign.
            pending: Signers of the next turn: they are published and accepted, and sign nothing yet.
            clock: Gives POSIX seconds, for the times in the ring.

        Raises:
            ConfigurationError: A signer or the secret is not acceptable, or signatures do not verify.
            StoreUnavailable: The signer cannot sign now.
        """
        now = clock()
        secret = refresh_secret.encode() if isinstance(refresh_secret, str) else refresh_secret
        active = entry_of_signer(signer, secret, Times(now, active_at=now))
        former = [entry_of_signer(one, secret, Times(now, verifying_at=now)) for one in previous]
        coming = [entry_of_signer(one, secret, Times(now)) for one in pending]
        ring = Ring((active, *former, *coming))
        for entry in (active, *coming):
            try_signer(entry.key)
        return cls(ring, clock, now)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        seal: Seal | None = None,
        unsafe_allow_readable_by_others: bool = False,
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Read a ring from a file that `save` wrote, or from any JWK Set with one private key.

        The file is read once. To follow a file that changes, use `SharedKeyRing`.

        Args:
            path: The file.
            seal: What it is encrypted with; a file that is not encrypted is read all the same.
            unsafe_allow_readable_by_others: Accept a file that its group or others may read.
            clock: Gives POSIX seconds, for the times in the ring.

        Raises:
            ConfigurationError: The file cannot be read or decrypted, others may read it, or a key is
                malformed or weak.
        """
        private = not unsafe_allow_readable_by_others
        data = read_file(Path(path), what="key file", limit=MAX_DOCUMENT_BYTES, private=private)
        now = clock()
        return cls(ring_from_json(unsealed(data, seal), now, where=str(path)), clock, now)

    def save(self, path: str | Path, *, seal: Seal | None = None) -> None:
        """Write the ring, with its private keys, to a file that only its owner may read.

        The file is replaced at once: a crash leaves the old one or the new one, never half of one.

        Args:
            path: The file.
            seal: What to encrypt it with; None: it is written in clear.

        Raises:
            ConfigurationError: The file cannot be written, or a key is held elsewhere.
        """
        ring = self._held[0].next(self._clock())
        write_private_file(Path(path), sealed(ring.to_json(), seal), what="key file")

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
        matters, `add` it first and `activate` it later, or use `KeyKeeper.rotate`, which plans all of it.

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
            now = self._clock()
            ring = self._inactive(kid, now)
            self._put(ring.scheduled(retired(ring.schedule, kid, now)), now)

    def remove(self, kid: str) -> None:
        """Forget a key and refuse its tokens from now on.

        Raises:
            ConfigurationError: There is no such key, or it is the active one.
        """
        with self._lock:
            now = self._clock()
            schedule = retired(self._inactive(kid, now).schedule, kid, now)
            del schedule[kid]
            self._put(self._held[0].scheduled(schedule), now)

    # What follows is called with the lock held.

    def _inactive(self, kid: str, now: float) -> Ring:
        ring = self._held[0]
        ring.find(kid)
        if kid == signing(ring.schedule, now):
            raise ConfigurationError(f"the key {kid!r} signs now; let another key sign first")
        return ring

    def _add(self, alg: Algorithm | None, kid: str | None, now: float) -> KeyInfo:
        ring = self._held[0]
        entry = new_entry(alg or ring.find(signing(ring.schedule, now)).key.alg, kid, Times(now))
        ring, view = self._put(replace(ring, entries=(*ring.entries, entry)), now)
        return ring.infos(view.states)[-1]

    def _activate(self, kid: str, now: float) -> KeyInfo:
        ring = self._held[0]
        ring.find(kid)
        ring, view = self._put(ring.scheduled(activated(ring.schedule, kid, now)), now)
        return next(info for info in ring.infos(view.states) if info.kid == kid)


def new_entry(alg: Algorithm, kid: str | None, times: Times) -> Entry:
    """Make a new key.

    Args:
        alg: Its algorithm.
        kid: Its name; None: a random one.
        times: When it is in which state.

    Raises:
        ConfigurationError: The algorithm or the name is not acceptable.
    """
    return entry_of(_random_kid() if kid is None else kid, alg, _new_material(alg), times)


def _random_kid() -> str:
    """Draw a name. None that begins with a dash: on a command line that would be an option."""
    while (kid := encode_base64url(secrets.token_bytes(_KID_BYTES)).decode()).startswith("-"):
        pass
    return kid


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


def _secret_entry(secret: str | bytes, kid: str | None, times: Times) -> Entry:
    material = material_from_secret(secret.encode() if isinstance(secret, str) else secret)
    derived = encode_base64url(derive(material, "keyturn kid v1", length=_KID_BYTES)).decode()
    return entry_of(kid or derived, "HS256", material, times)
