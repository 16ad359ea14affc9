"""JSON Web Keys (RFC 7517) to keys and back, through joserfc. It knows no file, no network and no clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias, assert_never

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from keyturn._core.encoding import decode_base64url, is_array
from keyturn._core.keyset import Algorithm, Key
from keyturn._core.signatures import PrivateKey, check_secret, private_key, public_key, secret_key
from keyturn.errors import ConfigurationError

Material: TypeAlias = bytes | PrivateKey
"""What a key is made of: the secret of HS256, or a private key."""

PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""The members that must never be published (RFC 7518, section 6)."""

PUBLIC_MEMBERS: Final = frozenset({"kty", "crv", "x", "y", "n", "e"})
_CURVES: Final = {"EC": "P-256", "OKP": "Ed25519"}
_ALGORITHMS: Final[dict[str, tuple[Algorithm, ...]]] = {  # the first is meant where a key does not say
    "EC": ("ES256",),
    "OKP": ("EdDSA", "Ed25519"),
    "RSA": ("RS256",),
    "oct": ("HS256",),
}
_LIBRARY_FAULTS: Final = (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, OverflowError)
_SHORTEST_MODULUS: Final = 2048 // 6  # base64url characters
_KEY_FILE_MARKS: Final = (b"-----BEGIN ", b"ssh-rsa ", b"ssh-dss ", b"ssh-ed25519 ", b"ecdsa-sha2-")


def prepare(kid: str, alg: Algorithm, material: Material) -> Key:
    """Prepare a key that signs.

    Raises:
        ConfigurationError: The material does not fit the algorithm, or is weak.
    """
    if isinstance(material, bytes):
        return secret_key(kid, material)
    return private_key(kid, alg, material)


def algorithm_of(jwk: Mapping[str, Any]) -> Algorithm | None:
    """Tell a key's one algorithm: its `alg`, or what its type implies; None where it is not one of ours."""
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _ALGORITHMS or jwk.get("crv") != _CURVES.get(kty):
        return None
    possible = _ALGORITHMS[kty]
    alg = jwk.get("alg", possible[0])
    return next((one for one in possible if one == alg), None)


def serves(jwk: Mapping[str, Any], operation: str) -> bool:
    """Tell whether a key is meant for an operation: honours `use` and `key_ops` (RFC 7517, 4.2 and 4.3).

    Args:
        jwk: The key.
        operation: `sign` or `verify`.
    """
    operations: object = jwk.get("key_ops", [operation])
    return jwk.get("use", "sig") == "sig" and is_array(operations) and operation in operations


def public_from_jwk(kid: str, alg: Algorithm, jwk: Mapping[str, Any]) -> Key:
    """Prepare a key that only verifies.

    Args:
        kid: Its name.
        alg: What `algorithm_of` gave for it.
        jwk: The key, without private members.

    Raises:
        ConfigurationError: It is malformed, weak or symmetric.
    """
    members = {name: value for name, value in jwk.items() if name in PUBLIC_MEMBERS}
    _check_modulus(members)
    try:
        match members.get("kty"):
            case "EC":
                return public_key(kid, alg, ECKey.import_key(members).public_key)
            case "RSA":
                return public_key(kid, alg, RSAKey.import_key(members).public_key)
            case _:
                return public_key(kid, alg, OKPKey.import_key(members).public_key)
    except ConfigurationError:
        raise
    except _LIBRARY_FAULTS:
        pass
    raise ConfigurationError(f"the public key {kid!r} is malformed")


def material_from_jwk(kid: str, jwk: Mapping[str, Any]) -> Material:
    """Read a secret or private key.

    Raises:
        ConfigurationError: It is malformed or public.
    """
    _check_modulus(jwk)
    members = {name: value for name, value in jwk.items() if name in PUBLIC_MEMBERS | PRIVATE_MEMBERS}
    try:
        match members.get("kty"):
            case "EC":
                material: object = ECKey.import_key(members).private_key
            case "RSA":
                material = RSAKey.import_key(members).private_key
            case "OKP":
                material = OKPKey.import_key(members).private_key
            case _:
                return material_from_secret(decode_base64url(members["k"].encode()))
    except ConfigurationError:
        raise
    except (*_LIBRARY_FAULTS, AttributeError):
        material = None
    match material:
        case EllipticCurvePrivateKey() | Ed25519PrivateKey() | RSAPrivateKey() if (
            jwk_of(material, private=False).items() <= members.items()
        ):
            return material
        case _:
            raise ConfigurationError(f"the private key {kid!r} is malformed")


def material_from_secret(secret: bytes) -> bytes:
    """Take a secret for HS256, unless it is a key of another kind: everybody may know a public key.

    Raises:
        ConfigurationError: It is too short, trivially weak, a public key, a certificate or a key file.
    """
    check_secret(secret)
    if not any(mark in secret for mark in _KEY_FILE_MARKS):
        try:
            return OctKey.import_key(secret).raw_value
        except _LIBRARY_FAULTS:
            pass
    raise ConfigurationError("a secret for HS256 must be random bytes, not a key file or a public key")


def jwk_of(material: Material, *, private: bool) -> dict[str, Any]:
    """Write a key as a JWK: everything, or the public part alone.

    Raises:
        ConfigurationError: The public part of a secret was asked for: it has none.
    """
    match material:
        case bytes():
            if not private:
                raise ConfigurationError("a secret has no public part")
            jwk = OctKey.import_key(material).as_dict(private=True)
        case EllipticCurvePrivateKey():
            jwk = ECKey.import_key(material).as_dict(private=private)
        case Ed25519PrivateKey():
            jwk = OKPKey.import_key(material).as_dict(private=private)
        case RSAPrivateKey():
            jwk = RSAKey.import_key(material).as_dict(private=private)
        case _:
            assert_never(material)
    return {name: value for name, value in jwk.items() if private or name not in PRIVATE_MEMBERS}


def _check_modulus(jwk: Mapping[str, Any]) -> None:
    """Refuse a short RSA key before the library warns about it."""
    modulus = jwk.get("n")
    if isinstance(modulus, str) and len(modulus) < _SHORTEST_MODULUS:
        raise ConfigurationError("an RSA key must have at least 2048 bits (RFC 7518, 3.3)")
