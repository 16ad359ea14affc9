"""Encryption of a ring's document: an encrypted JWK Set (RFC 7517, section 7). It knows no key and no file.

A document is a compact JWE (RFC 7516) with AES-256-GCM, under a passphrase (PBES2, RFC 7518, section 4.8) or
under a key of 32 bytes (`dir`, section 4.5).
"""

from __future__ import annotations

import warnings
from base64 import b64decode
from binascii import Error as BinasciiError
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self, TypeAlias

from joserfc import jwe
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OctKey

from keyturn._core.encoding import EncodingError, decode_base64url, encode_base64url, parse_json_object
from keyturn.errors import ConfigurationError

Algorithm: TypeAlias = Literal["PBES2-HS512+A256KW", "dir"]

ITERATIONS: Final = 210_000  # OWASP Password Storage Cheat Sheet (2023), for PBKDF2-HMAC-SHA512
MOST_ITERATIONS: Final = 300_000  # what a document may ask of us, and the most that joserfc does
_LEAST_ITERATIONS: Final = 1000  # RFC 7518, section 4.8.1.2
_SHORTEST_PASSPHRASE: Final = 12
_KEY_BYTES: Final = 32
_MEMBERS: Final = frozenset({"alg", "enc", "cty", "p2s", "p2c"})
_ENC: Final = "A256GCM"
_FAULTS: Final = (JoseError, ValueError, TypeError, KeyError)


@dataclass(frozen=True, slots=True)
class Seal:
    """What a document is encrypted with.

    Examples:
        >>> seal = Seal.from_passphrase("correct horse battery staple")
        >>> seal
        Seal(alg='PBES2-HS512+A256KW')
        >>> seal.open(seal.close(b"{}"))
        b'{}'
    """

    alg: Algorithm
    secret: bytes = field(repr=False)
    iterations: int = field(default=ITERATIONS, repr=False)

    def __post_init__(self) -> None:
        """Refuse what would make a document that is weak, or that nobody can open again.

        Raises:
            ConfigurationError: It is such a thing.
        """
        if self.alg == "dir":
            if len(self.secret) != _KEY_BYTES:
                raise ConfigurationError(f"the key that encrypts the keys must have {_KEY_BYTES} bytes")
            return
        if self.alg != "PBES2-HS512+A256KW":
            raise ConfigurationError("the keys are encrypted with PBES2-HS512+A256KW or with dir")
        if len(self.secret) < _SHORTEST_PASSPHRASE:
            raise ConfigurationError(
                f"the passphrase of the keys must have at least {_SHORTEST_PASSPHRASE} characters"
            )
        if type(self.iterations) is not int or not ITERATIONS <= self.iterations <= MOST_ITERATIONS:
            raise ConfigurationError(
                f"iterations must be a number from {ITERATIONS:,} to {MOST_ITERATIONS:,}"
            )

    @classmethod
    def from_passphrase(cls, passphrase: str, *, iterations: int = ITERATIONS) -> Self:
        """Use a passphrase, of which a slow function makes the key.

        Args:
            passphrase: At least 12 characters; several random words are good.
            iterations: Of PBKDF2, from 210,000 to 300,000.

        Raises:
            ConfigurationError: It is too short, or there are too few or too many iterations.
        """
        if len(passphrase) < _SHORTEST_PASSPHRASE:
            raise ConfigurationError(
                f"the passphrase of the keys must have at least {_SHORTEST_PASSPHRASE} characters"
            )
        return cls("PBES2-HS512+A256KW", passphrase.encode("utf-8", "surrogatepass"), iterations)

    @classmethod
    def from_key(cls, key: str | bytes) -> Self:
        """Use a key.

        Args:
            key: 32 random bytes, or their base64 or base64url, as `openssl rand -base64 32` prints it.

        Raises:
            ConfigurationError: It is something else.
        """
        if isinstance(key, str):
            try:
                key = b64decode(key.strip().rstrip("=").translate(_TO_STANDARD) + "=", validate=True)
            except (BinasciiError, ValueError):
                key = b""
        if len(key) != _KEY_BYTES or len(set(key)) == 1:
            raise ConfigurationError(
                "the key that encrypts the keys must be 32 random bytes in base64, such as "
                "`openssl rand -base64 32` prints"
            )
        return cls("dir", key)

    def close(self, document: bytes) -> bytes:
        """Encrypt a document, and see that it can be decrypted again.

        Raises:
            ConfigurationError: It cannot.
        """
        header: dict[str, Any] = {"alg": self.alg, "enc": _ENC, "cty": "jwk-set+json"}
        if self.alg != "dir":
            header["p2c"] = self.iterations
        sealed = jwe.encrypt_compact(header, document, self._key(), algorithms=[self.alg, _ENC])
        written = sealed.encode() + b"\n"
        if self.open(written) != document:
            raise ConfigurationError("the keys could not be decrypted again: they were not written")
        return written

    def open(self, sealed: bytes) -> bytes:
        """Decrypt a document.

        Raises:
            ConfigurationError: It was encrypted in another way or with another secret, or was changed.
        """
        header = _header(sealed)
        alg = header["alg"]
        if alg != self.alg:
            raise ConfigurationError(_needs(str(alg), instead=True))
        try:
            return (
                jwe.decrypt_compact(sealed.strip(), self._key(), algorithms=[self.alg, _ENC]).plaintext or b""
            )
        except _FAULTS:
            pass
        what = "key" if self.alg == "dir" else "passphrase"
        raise ConfigurationError(f"the keys cannot be decrypted: the {what} is wrong, or they were changed")

    def _key(self) -> OctKey:
        jwk: dict[str, str | list[str]] = {"kty": "oct", "k": encode_base64url(self.secret).decode()}
        with warnings.catch_warnings():  # of a short passphrase, as if it were the key itself
            warnings.simplefilter("ignore", SecurityWarning)
            return OctKey.import_key(jwk)


def is_sealed(document: bytes) -> bool:
    """Tell whether a document is encrypted: a compact JWE begins with no brace."""
    return not document.lstrip().startswith(b"{") and document.count(b".") == 4  # noqa: PLR2004  (RFC 7516)


def unsealed(document: bytes, seal: Seal | None) -> bytes:
    """Give a document in clear; one that is not encrypted is given as it is.

    Raises:
        ConfigurationError: It is encrypted, and there is no secret or a wrong one.
    """
    if not is_sealed(document):
        return document
    if seal is None:
        raise ConfigurationError(_needs(str(_header(document)["alg"]), instead=False))
    return seal.open(document)


def sealed(document: bytes, seal: Seal | None) -> bytes:
    """Encrypt a document where there is something to encrypt it with."""
    return document if seal is None else seal.close(document)


def _header(document: bytes) -> dict[str, Any]:
    """Read what a document says of its encryption: nothing else may be in it, and nothing that takes long.

    Raises:
        ConfigurationError: It is not of the form that `Seal.close` writes.
    """
    try:
        header = parse_json_object(decode_base64url(document.lstrip().partition(b".")[0]))
    except EncodingError:
        header = {}
    rounds = header.get("p2c", _LEAST_ITERATIONS)
    bounded = isinstance(rounds, int) and _LEAST_ITERATIONS <= rounds <= MOST_ITERATIONS
    if "alg" not in header or header.get("enc") != _ENC or not header.keys() <= _MEMBERS or not bounded:
        raise ConfigurationError("the keys are encrypted in a way that is not accepted")
    return header


def _needs(alg: str, *, instead: bool) -> str:
    means = {
        "dir": "a key (KEYTURN_KEYS_KEY)",
        "PBES2-HS512+A256KW": "a passphrase (KEYTURN_KEYS_PASSPHRASE)",
    }
    needed = means.get(alg, "something that Keyturn does not use")
    return f"the keys are encrypted with {needed}: {'that is needed instead' if instead else 'it is missing'}"


_TO_STANDARD: Final = str.maketrans("-_", "+/")
