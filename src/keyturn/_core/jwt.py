"""The strict core for signed JWTs (RFC 7515 compact, RFC 7519). It knows no claim, clock or key format.

A token's header segment is looked up in a small table of segments that belonged to genuine tokens: the header
of an honest token is parsed once per key and not once per token. A header may hold exactly `alg`, `typ` and
`kid`: whatever could choose a key, fetch one or change the rules (`jwk`, `jku`, `x5u`, `x5c`, `crit`, `b64`,
`zip`) is refused for being there (RFC 8725, sections 3.1 and 3.10). Claims are parsed after the signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from keyturn._core.encoding import (
    MAX_MEMBERS,
    EncodingError,
    decode_base64url,
    dump_json,
    encode_base64url,
    parse_json_object,
)
from keyturn._core.keyset import Key, KeySet, key_set
from keyturn._core.signatures import hmac_key
from keyturn.errors import ConfigurationError

MAX_TOKEN_LENGTH: Final = 8192  # characters; checked before anything is decoded
_MAX_KNOWN_HEADERS: Final = 64  # a genuine issuer spells its header in one way per key
_HEADER_MEMBERS: Final = frozenset({"alg", "typ", "kid"})

JwtFault: TypeAlias = Literal[
    "malformed", "header", "unknown_key", "algorithm", "type", "signature", "claims"
]


class JwtError(ValueError):
    """A token is refused; `reason` says why, and nothing of the token is in it."""

    def __init__(self, reason: JwtFault) -> None:
        """Take the reason for the message too."""
        super().__init__(reason)
        self.reason: JwtFault = reason


def sign_jwt(claims: Mapping[str, Any], key: Key, typ: str) -> str:
    """Sign claims.

    Args:
        claims: What the token says; not checked here.
        key: A key that can sign.
        typ: The explicit type (RFC 8725, section 3.11), such as `at+jwt`.

    Raises:
        ConfigurationError: The key only verifies, the claims are no JSON, or they are too large for a token.
    """
    if key.sign is None:
        raise ConfigurationError(f"the key {key.kid!r} can only verify")
    if len(claims) > MAX_MEMBERS:
        raise ConfigurationError(f"claims: a token has at most {MAX_MEMBERS}")
    try:
        payload = encode_base64url(dump_json(claims))
    except EncodingError as error:
        raise ConfigurationError(f"claims: {error}") from None
    signing_input = b"%b.%b" % (_header_segment(key.alg, typ, key.kid), payload)
    token = b"%b.%b" % (signing_input, encode_base64url(key.sign(signing_input)))
    if len(token) > MAX_TOKEN_LENGTH:
        raise ConfigurationError(f"claims: the token would have more than {MAX_TOKEN_LENGTH} characters")
    return token.decode()


class JwtReader:
    """Reads tokens of one type that were signed with one of some keys. Safe to share between threads."""

    __slots__ = ("_keys", "_known", "_types")

    def __init__(self, keys: KeySet, typ: str) -> None:
        """Prepare for the keys.

        Args:
            keys: The accepted keys.
            typ: The one accepted type; also accepted with `application/` before it (RFC 7515, section 4.1.9).
                It is compared exactly: issuers write it as its RFC does, and nothing else is worth accepting.
        """
        self._keys = keys.keys
        self._types = frozenset({typ, f"application/{typ}"})
        self._known = {_header_segment(key.alg, typ, key.kid): key for key in keys.keys.values()}

    def read(self, token: object) -> dict[str, Any]:
        """Verify a token's form, header and signature, then parse its claims; the claims are not judged.

        Raises:
            JwtError: It is not a genuine token of this type.
        """
        return self.open(token)[0]

    def open(self, token: object) -> tuple[dict[str, Any], Key]:
        """Read as `read` does, and give the key that signed too.

        Raises:
            JwtError: It is not a genuine token of this type.
        """
        header, payload, signature, signing_input = _split(token)
        known = self._known.get(header)
        key = known or self._key_for(header)
        try:
            genuine = key.verify(signing_input, decode_base64url(signature))
        except EncodingError:
            raise JwtError("malformed") from None
        if not genuine:
            raise JwtError("signature")
        if known is None and len(self._known) < _MAX_KNOWN_HEADERS:
            self._known[header] = key  # only now: a forger must not be able to fill the table
        try:
            return parse_json_object(decode_base64url(payload)), key
        except EncodingError:
            raise JwtError("claims") from None

    def _key_for(self, segment: bytes) -> Key:
        header = _parse_header(segment)
        if header.keys() != _HEADER_MEMBERS:
            raise JwtError("header")
        kid = header["kid"]
        if not isinstance(kid, str) or (key := self._keys.get(kid)) is None:
            raise JwtError("unknown_key")
        if header["alg"] != key.alg:
            raise JwtError("algorithm")
        if not isinstance(header["typ"], str) or header["typ"] not in self._types:
            raise JwtError("type")
        return key


def peek_jwt(token: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse a token strictly and verify NOTHING: for showing it to a person, never for a decision.

    Returns:
        Its header and its claims, as anybody may have written them.

    Raises:
        JwtError: It has not the form of a signed JWT.
    """
    header, payload, signature, _ = _split(token)
    parsed = _parse_header(header)
    try:
        decode_base64url(signature)
        return parsed, parse_json_object(decode_base64url(payload))
    except EncodingError:
        raise JwtError("malformed") from None


def refresh_keys(keys: KeySet) -> KeySet:
    """Give the HS256 keys for refresh tokens that belong to some keys, with the same names."""
    prepared = {
        kid: hmac_key(kid, key.refresh_secret)
        for kid, key in keys.keys.items()
        if key.refresh_secret is not None
    }
    return key_set(prepared.values(), active=prepared.get(keys.active.kid) if keys.active else None)


def _split(token: object) -> tuple[bytes, bytes, bytes, bytes]:
    """Give header, payload, signature and signing input of a compact JWS, all still encoded."""
    if type(token) is not str or len(token) > MAX_TOKEN_LENGTH or not token.isascii():
        raise JwtError("malformed")
    data = token.encode()
    signing_input, _, signature = data.rpartition(b".")
    header, _, payload = signing_input.partition(b".")
    if not (header and payload and signature) or b"." in payload:
        raise JwtError("malformed")
    return header, payload, signature, signing_input


def _parse_header(segment: bytes) -> dict[str, Any]:
    try:
        return parse_json_object(decode_base64url(segment))
    except EncodingError:
        raise JwtError("header") from None


@lru_cache(maxsize=256)
def _header_segment(alg: str, typ: str, kid: str) -> bytes:
    return encode_base64url(dump_json({"alg": alg, "typ": typ, "kid": kid}))
