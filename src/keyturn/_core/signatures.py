"""The five signature algorithms, prepared once per key and then called. It knows no token and no key format.

Signatures and MACs are pyca/cryptography's. Weak keys are refused here, whatever they were read from
(RFC 7518, sections 3.2 to 3.4; RFC 8725, section 3.5).
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
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
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
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
    sign = mac(secret)

    def verify(message: bytes, signature: bytes) -> bool:
        return compare_digest(sign(message), signature)

    return Key(kid, "HS256", verify, sign, refresh_secret)


def mac(secret: bytes, beginning: bytes = b"") -> Sign:
    """Prepare HMAC-SHA256 under a secret (RFC 2104), of messages that all begin alike.

    Args:
        secret: The key.
        beginning: What stands before each message.
    """
    prepared = HMAC(secret, SHA256())  # a copy of it costs a third of what `hmac.digest` does
    prepared.update(beginning)

    def sign(message: bytes) -> bytes:
        one = prepared.copy()
        one.update(message)
        return one.finalize()

    return sign


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
    check, prehashed = public.verify, ECDSA(Prehashed(SHA256()))  # the library's own hashing takes longer

    def verify(message: bytes, signature: bytes) -> bool:
        der = _der_of(signature)
        if der is None:
            return False
        try:
            check(der, sha256(message).digest(), prehashed)
        except InvalidSignature:
            return False
        return True

    return verify


def _der_of(signature: bytes) -> bytes | None:
    """Write r || s as the DER that the library reads (RFC 3279, section 2.2.3); None where r or s is 0.

    Put together by hand: two numbers of one size are a matter of a dozen bytes, and the library's way leads
    through integers of Python's, which costs four times as much. A test compares the two.
    """
    r, s = signature[:_P256_BYTES].lstrip(b"\0"), signature[_P256_BYTES:].lstrip(b"\0")
    if len(signature) != 2 * _P256_BYTES or not (r and s):
        return None
    if r[0] & 0x80:  # else it would read as a negative number
        r = b"\0" + r
    if s[0] & 0x80:
        s = b"\0" + s
    return b"\x30%c\x02%c%b\x02%c%b" % (4 + len(r) + len(s), len(r), r, len(s), s)


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
