"""The five signature algorithms, prepared once per key and then called. It knows no token and no key format.

Signatures and MACs are pyca/cryptography's. Weak keys are refused here, whatever they were read from
(RFC 7518, sections 3.2 to 3.4; RFC 8725, section 3.5).
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import Final, TypeAlias, assert_never

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keyturn._core.keyset import Algorithm, Key
from keyturn.errors import ConfigurationError

PrivateKey: TypeAlias = EllipticCurvePrivateKey | Ed25519PrivateKey | RSAPrivateKey
Verify: TypeAlias = Callable[[bytes, bytes], bool]
Sign: TypeAlias = Callable[[bytes], bytes]

MIN_SECRET_BYTES: Final = 32  # RFC 7518, section 3.2: at least as long as the hash
_MIN_DIFFERENT_BYTES: Final = 8  # 32 random digits have fewer about once in a thousand times, hex never
_MIN_RSA_BITS: Final = 2048  # RFC 7518, section 3.3
_MAX_RSA_BITS: Final = 8192  # a larger one only buys a slow verification
_MIN_RSA_EXPONENT: Final = 65537
_P256_BYTES: Final = 32
# Moduli made by a broken chip are powers of 65537 modulo all of these (ROCA, CVE-2017-15361).
_ROCA_PRIMES: Final = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)


def derive(secret: bytes, purpose: str, *, length: int = 32) -> bytes:
    """Derive bytes for one purpose from a secret (HKDF-SHA256, RFC 5869): they tell nothing about it.

    Args:
        secret: A uniformly random or long secret.
        purpose: What the result is for; other purposes give unrelated results.
        length: How many bytes.
    """
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose.encode()).derive(secret)


def hmac_key(kid: str, secret: bytes, *, refresh_secret: bytes | None = None) -> Key:
    """Prepare an HS256 key (RFC 7518, section 3.2).

    Raises:
        ConfigurationError: The secret is too short or trivially weak.
    """
    check_secret(secret)
    prepared = HMAC(secret, SHA256())  # a copy of it costs half of what `hmac.new` does

    def sign(message: bytes) -> bytes:
        mac = prepared.copy()
        mac.update(message)
        return mac.finalize()

    def verify(message: bytes, signature: bytes) -> bool:
        return compare_digest(sign(message), signature)

    return Key(kid, "HS256", verify, sign, refresh_secret)


def check_secret(secret: bytes) -> None:
    """Refuse a secret for HS256 that is too short or trivially weak.

    Raises:
        ConfigurationError: It is.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigurationError(
            f"a secret for HS256 must have at least {MIN_SECRET_BYTES} bytes (RFC 7518, 3.2)"
        )
    if len(set(secret)) < _MIN_DIFFERENT_BYTES:
        raise ConfigurationError("a secret for HS256 must be random; this one repeats a few bytes")


def private_key(kid: str, alg: Algorithm, private: PrivateKey) -> Key:
    """Prepare a key that signs and verifies, with its refresh secret.

    Raises:
        ConfigurationError: The key does not fit the algorithm, or is weak.
    """
    verify = _verifier(alg, private.public_key())
    return Key(kid, alg, verify, _signer(private), derive(_private_bytes(private), "keyturn refresh v1"))


def public_key(kid: str, alg: Algorithm, public: object) -> Key:
    """Prepare a key that only verifies.

    Args:
        kid: Its name.
        alg: Its algorithm.
        public: A key of pyca/cryptography; what is not of the kind that the algorithm needs is refused.

    Raises:
        ConfigurationError: The key does not fit the algorithm, or is weak.
    """
    return Key(kid, alg, _verifier(alg, public))


def secret_key(kid: str, secret: bytes) -> Key:
    """Prepare an HS256 key with its refresh secret.

    Raises:
        ConfigurationError: The secret is too short or trivially weak.
    """
    return hmac_key(kid, secret, refresh_secret=derive(secret, "keyturn refresh v1"))


def _verifier(alg: Algorithm, public: object) -> Verify:
    """Choose by the key's algorithm, and refuse a key of another kind or a weak one."""
    match alg, public:
        case "ES256", EllipticCurvePublicKey(curve=SECP256R1()):
            return _es256_verifier(public)
        case (("EdDSA" | "Ed25519"), Ed25519PublicKey()):
            return _raises_to_bool(public.verify)
        case "RS256", RSAPublicKey():
            _check_rsa(public)
            padding, digest = PKCS1v15(), SHA256()
            return _raises_to_bool(
                lambda signature, message: public.verify(signature, message, padding, digest)
            )
        case _:
            raise ConfigurationError(f"this key is not of the kind that {alg} needs")


def _es256_verifier(public: EllipticCurvePublicKey) -> Verify:
    """Verify the raw r || s of RFC 7518, section 3.4."""
    algorithm = ECDSA(SHA256())

    def verify(message: bytes, signature: bytes) -> bool:
        if len(signature) != 2 * _P256_BYTES:
            return False
        r, s = int.from_bytes(signature[:_P256_BYTES]), int.from_bytes(signature[_P256_BYTES:])
        if not (r and s):
            return False
        try:
            public.verify(encode_dss_signature(r, s), message, algorithm)
        except InvalidSignature:
            return False
        return True

    return verify


def _raises_to_bool(check: Callable[[bytes, bytes], None]) -> Verify:
    def verify(message: bytes, signature: bytes) -> bool:
        try:
            check(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify


def _signer(private: PrivateKey) -> Sign:
    match private:
        case EllipticCurvePrivateKey():
            algorithm = ECDSA(SHA256())

            def sign_es256(message: bytes) -> bytes:
                r, s = decode_dss_signature(private.sign(message, algorithm))
                return r.to_bytes(_P256_BYTES) + s.to_bytes(_P256_BYTES)

            return sign_es256
        case Ed25519PrivateKey():
            return private.sign
        case RSAPrivateKey():
            padding, digest = PKCS1v15(), SHA256()
            return lambda message: private.sign(message, padding, digest)
        case _:
            assert_never(private)


def _check_rsa(public: RSAPublicKey) -> None:
    if not _MIN_RSA_BITS <= public.key_size <= _MAX_RSA_BITS:
        raise ConfigurationError(
            f"an RSA key must have {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits (RFC 7518, 3.3)"
        )
    numbers = public.public_numbers()
    if numbers.e < _MIN_RSA_EXPONENT or numbers.e % 2 == 0:
        raise ConfigurationError(f"an RSA key's public exponent must be odd and at least {_MIN_RSA_EXPONENT}")
    if all(numbers.n % prime in {pow(65537, k, prime) for k in range(prime)} for prime in _ROCA_PRIMES):
        raise ConfigurationError(
            "an RSA key comes from a generator whose keys can be factored (CVE-2017-15361)"
        )


def _private_bytes(private: PrivateKey) -> bytes:
    """Give the secret number itself: unlike a file format's bytes, it never changes for one key."""
    match private:
        case EllipticCurvePrivateKey():
            return private.private_numbers().private_value.to_bytes(_P256_BYTES)
        case Ed25519PrivateKey():
            return private.private_bytes_raw()
        case RSAPrivateKey():
            number = private.private_numbers().d
            return number.to_bytes((number.bit_length() + 7) // 8)
        case _:
            assert_never(private)
