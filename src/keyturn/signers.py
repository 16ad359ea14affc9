"""Keys whose private part something else holds: a KMS, an HSM, an agent. It knows no token and no store."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from keyturn._core.encoding import EncodingError, dump_json, parse_json_object
from keyturn._core.jwk import PRIVATE_MEMBERS, PUBLIC_MEMBERS, algorithm_of, public_from_jwk
from keyturn._core.keyset import Algorithm, Key
from keyturn._core.ring import Entry
from keyturn._core.schedule import Times
from keyturn._core.signatures import check_secret, derive
from keyturn.errors import ConfigurationError, StoreUnavailable

_LOG: Final = logging.getLogger("keyturn")
_SELF_TEST: Final = b"keyturn signer self-test v1"
_P256_BYTES: Final = 32
_FAILED: Final = "signer"
_WRONG: Final = "signer_wrong"


class Signer(Protocol):
    """Signs with a private key that stays where it is."""

    @property
    def kid(self) -> str:
        """The key's name in tokens: 1 to 128 printable ASCII characters without spaces."""
        ...

    @property
    def alg(self) -> Algorithm:
        """The key's one algorithm: ES256, EdDSA, Ed25519 or RS256."""
        ...

    def public_jwk(self) -> Mapping[str, Any]:
        """Give the public key (RFC 7517): `kty` and the members that it needs. Asked once."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """Sign a message.

        It is called in the thread that asked for the token, and on asyncio in the event loop: as long as it
        takes, the loop does nothing else.

        Args:
            message: The whole signing input, not its digest.

        Returns:
            The signature as JOSE has it: for ES256 the 64 bytes `r || s` (RFC 7518, section 3.4), which
            `raw_signature` makes of what most services return.

        Raises:
            Exception: Whatever it raises is an outage: `StoreUnavailable`, over HTTP 503.
        """
        ...


def raw_signature(der: bytes) -> bytes:
    """Turn an ECDSA signature on P-256 in DER, as most services return it, into the `r || s` of JOSE.

    Args:
        der: The signature (RFC 3279, section 2.2.3).

    Raises:
        ValueError: It is no such signature.

    Examples:
        >>> raw_signature(bytes.fromhex("3006020101020102")).hex() == f"{1:064x}{2:064x}"
        True
    """
    r, s = decode_dss_signature(der)
    if not (0 < r < 1 << 256 and 0 < s < 1 << 256):
        raise ValueError("not a signature on P-256")
    return r.to_bytes(_P256_BYTES) + s.to_bytes(_P256_BYTES)


def entry_of_signer(signer: Signer, refresh_secret: bytes, times: Times) -> Entry:
    """Take a signer in as a key of a ring.

    Args:
        signer: The signer. It is not asked to sign yet; see `try_signer`.
        refresh_secret: What the secret for refresh tokens of this key is derived from.
        times: When the key is in which state.

    Raises:
        ConfigurationError: The name, the algorithm or the public key is not acceptable, or the secret weak.
        StoreUnavailable: The public key cannot be read now.
    """
    check_secret(refresh_secret)
    if inspect.iscoroutinefunction(signer.sign):
        raise ConfigurationError("a signer's `sign` must return the signature, not a coroutine")
    kid, alg = signer.kid, signer.alg
    public = _public_of(signer, kid)
    if not PRIVATE_MEMBERS.isdisjoint(public):
        raise ConfigurationError(f"the signer {kid!r} gives its private key away")
    if algorithm_of({**public, "alg": alg}) != alg:
        raise ConfigurationError(f"the public key of the signer {kid!r} is not of the kind that {alg} needs")
    verifying = public_from_jwk(kid, alg, public)
    members = {name: value for name, value in public.items() if name in PUBLIC_MEMBERS}
    secret = derive(refresh_secret, f"keyturn refresh of signer v1 {kid}")
    key = replace(verifying, sign=_signing(signer, verifying), refresh_secret=secret)
    return Entry(key, times, members)


def _public_of(signer: Signer, kid: str) -> dict[str, Any]:
    try:
        given = signer.public_jwk()
    except Exception as error:
        raise StoreUnavailable(
            f"the public key of the signer {kid!r} cannot be read right now: {type(error).__name__}",
            detail=_FAILED,
        ) from error
    try:
        return parse_json_object(dump_json(dict(given)))
    except (EncodingError, TypeError, ValueError):
        raise ConfigurationError(f"the public key of the signer {kid!r} is no JWK") from None


def try_signer(key: Key) -> None:
    """Have a key sign once, so that a wrong one is noticed before it signs a token.

    Raises:
        ConfigurationError: What it signs does not verify with its public key.
        StoreUnavailable: It cannot sign now.
    """
    if key.sign is None:
        raise ConfigurationError(f"the key {key.kid!r} can only verify")
    try:
        key.sign(_SELF_TEST)
    except StoreUnavailable as error:
        if error.detail != _WRONG:
            raise
        raise ConfigurationError(
            f"the signer {key.kid!r} returns signatures that its public key does not verify: "
            "is it another key's, is the message hashed twice, or is it DER (see raw_signature)?"
        ) from None


def _signing(signer: Signer, verifying: Key) -> Callable[[bytes], bytes]:
    def sign(message: bytes) -> bytes:
        try:
            signature = bytes(signer.sign(message))
        except Exception as error:
            _LOG.warning("the signer %s failed: %s", verifying.kid, type(error).__name__)
            raise StoreUnavailable(
                "The signing key cannot be used right now; try again.", detail=_FAILED
            ) from error
        # Costs little beside the call. A service may answer with another version of a key than the one whose
        # public part was read at the start: nobody would accept the token, and the session would be lost.
        if not verifying.verify(message, signature):
            _LOG.error("the signer %s returned a signature that does not verify", verifying.kid)
            raise StoreUnavailable("The signing key cannot be used right now; try again.", detail=_WRONG)
        return signature

    return sign
