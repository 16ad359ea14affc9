"""What a refresh token carries, and its two text formats behind one protocol.

It knows no session row and no clock.

Both formats are deterministic: the same session, generation, branch and key give the same bytes, so a retry
yields the same token. No expiry that matters is in a token; the row decides.

Opaque (the default): `ktr_` and the base64url of

    version 1 | length of kid 1 | kid | sid 16 | gen 4 | branch 8 | secret 16 | tag 16        (bytes,
    big-endian)

The tag is HMAC-SHA256 over all that stands before it, cut to 128 bits (RFC 2104, section 5). The prefix lets
secret scanners find leaked tokens. JWT: `typ: rt+jwt`, HS256 under the same per-key secret: only the issuer
ever reads a refresh token, so no public key is needed, and ECDSA would not be deterministic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Final, NamedTuple, Protocol
from uuid import UUID

from keyturn._core.encoding import EncodingError, decode_base64url, encode_base64url
from keyturn._core.jwt import JwtError, JwtReader, refresh_keys, sign_jwt
from keyturn._core.keyset import Key, KeySet
from keyturn._core.signatures import Sign, mac

PREFIX: Final = "ktr_"
SECRET_BYTES: Final = 16  # 128 random bits, drawn once per session
BRANCH_BYTES: Final = 8
MAX_GENERATION: Final = 2**32 - 1

_VERSION: Final = 1
_PURPOSE: Final = b"keyturn refresh v1\0"  # the tag's message begins with it
_TAG_BYTES: Final = 16
_FIXED_BYTES: Final = 1 + 1 + 16 + 4 + BRANCH_BYTES + SECRET_BYTES + _TAG_BYTES
_MAX_KID_BYTES: Final = 128
_MAX_TEXT: Final = len(PREFIX) + -(-(_FIXED_BYTES + _MAX_KID_BYTES) * 4 // 3)
_TYP: Final = "rt+jwt"
_HEX_SECRET: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_HEX_BRANCH: Final = re.compile(r"[0-9a-f]{16}", re.ASCII)
_MEMBERS: Final = frozenset({"sid", "gen", "branch", "secret"})


class BadRefreshToken(ValueError):
    """Not a refresh token that one of our keys has signed.

    `unknown_key`: well-formed, but its key is not ours.
    """

    def __init__(self, *, unknown_key: bool = False) -> None:
        """Say no more than that: the text of the token is nobody's business."""
        super().__init__("unknown_key" if unknown_key else "invalid")
        self.unknown_key = unknown_key


class RefreshToken(NamedTuple):
    """The content of a refresh token. A tuple for the reason that `AccessClaims` is one.

    Attributes:
        sid: Its session.
        gen: The generation that it redeems.
        branch: Which client's line it is on; see `branch_of`.
        secret: The session's secret; the store knows only its digest.
    """

    sid: UUID
    gen: int
    branch: bytes
    secret: bytes

    def __repr__(self) -> str:
        """Show session and generation alone."""
        return f"RefreshToken(sid={self.sid!r}, gen={self.gen})"

    @property
    def digest(self) -> bytes:
        """SHA-256 of the secret, as the store keeps it."""
        return sha256(self.secret).digest()


class RefreshFormat(Protocol):
    """One text format of refresh tokens."""

    def encode(self, token: RefreshToken, key: Key, /) -> str:
        """Write a token, authenticated under a key."""
        ...

    def decode(self, text: str, /) -> tuple[RefreshToken, Key]:
        """Read a token and verify its tag; raise `BadRefreshToken`."""
        ...


def branch_of(secret: bytes, sid: UUID, gen: int, context: str) -> bytes:
    """Give the branch of a generation for a client: 8 bytes that differ where the context differs.

    It is keyed with the session's secret and not with a key of the ring: a turn of keys between a rotation
    and
    its retry must not look like a fork. Nobody gains by computing one, because the tag vouches for it.

    Args:
        secret: The session's secret.
        sid: The session.
        gen: The generation.
        context: What is known of the client; may be empty.
    """
    message = sid.bytes + gen.to_bytes(4, "big") + context.encode("utf-8", "surrogatepass")
    return hmac_digest(secret, b"keyturn branch v1\0" + message, "sha256")[:BRANCH_BYTES]


@dataclass(frozen=True, slots=True)
class _Tagger:
    """A key, prepared for opaque tokens: how they begin under it, and how their tag is made."""

    key: Key
    head: bytes
    tag: Sign = field(repr=False)


class OpaqueFormat:
    """The compact format."""

    def __init__(self, keys: KeySet) -> None:
        """Read with these keys; a public key vouches for no refresh token."""
        self._taggers = {
            kid: _Tagger(key, bytes((_VERSION, len(kid))) + kid.encode(), mac(key.refresh_secret, _PURPOSE))
            for kid, key in keys.keys.items()
            if key.refresh_secret is not None
        }

    def encode(self, token: RefreshToken, key: Key, /) -> str:
        """See `RefreshFormat.encode`."""
        tagger = self._tagger(key.kid)
        body = b"%b%b%b%b%b" % (
            tagger.head,
            token.sid.bytes,
            token.gen.to_bytes(4, "big"),
            token.branch,
            token.secret,
        )
        return PREFIX + encode_base64url(body + tagger.tag(body)[:_TAG_BYTES]).decode()

    def decode(self, text: str, /) -> tuple[RefreshToken, Key]:
        """See `RefreshFormat.decode`."""
        body, tag = _split_opaque(text)
        kid, token = _read_opaque(body)
        tagger = self._tagger(kid)
        if not compare_digest(tag, tagger.tag(body)[:_TAG_BYTES]):
            raise BadRefreshToken
        return token, tagger.key

    def _tagger(self, kid: str) -> _Tagger:
        tagger = self._taggers.get(kid)
        if tagger is None:
            raise BadRefreshToken(unknown_key=True)
        return tagger


def peek_opaque(text: str) -> tuple[str, UUID, int]:
    """Read an opaque token and verify NOTHING: for showing it to a person, never for a decision.

    Returns:
        Its kid, its session and its generation, as anybody may have written them.

    Raises:
        BadRefreshToken: It has not the form of one.
    """
    kid, token = _read_opaque(_split_opaque(text)[0])
    return kid, token.sid, token.gen


def _split_opaque(text: str) -> tuple[bytes, bytes]:
    """Give body and tag of an opaque token."""
    if len(text) > _MAX_TEXT or not text.isascii():
        raise BadRefreshToken
    try:
        data = decode_base64url(text.removeprefix(PREFIX).encode())
    except EncodingError:
        raise BadRefreshToken from None
    if len(data) < _FIXED_BYTES or data[0] != _VERSION or len(data) != _FIXED_BYTES + data[1]:
        raise BadRefreshToken
    return data[:-_TAG_BYTES], data[-_TAG_BYTES:]


def _read_opaque(body: bytes) -> tuple[str, RefreshToken]:
    """Give the kid and the content of a body; nothing of it is vouched for."""
    rest = body[2 + body[1] :]
    token = RefreshToken(UUID(bytes=rest[:16]), int.from_bytes(rest[16:20], "big"), rest[20:28], rest[28:])
    return body[2 : 2 + body[1]].decode("ascii", "replace"), token


class JwtFormat:
    """The JWT format, for those whose infrastructure expects one."""

    def __init__(self, keys: KeySet) -> None:
        """Read with these keys."""
        self._keys = keys
        self._refresh_keys = refresh_keys(keys)
        self._reader = JwtReader(self._refresh_keys, _TYP)

    def encode(self, token: RefreshToken, key: Key, /) -> str:
        """See `RefreshFormat.encode`."""
        claims = {
            "sid": str(token.sid),
            "gen": token.gen,
            "branch": token.branch.hex(),
            "secret": token.secret.hex(),
        }
        return sign_jwt(claims, self._refresh_keys.keys[key.kid], _TYP)

    def decode(self, text: str, /) -> tuple[RefreshToken, Key]:
        """See `RefreshFormat.decode`."""
        try:
            claims, key = self._reader.open(text)
        except JwtError as error:
            raise BadRefreshToken(unknown_key=error.reason == "unknown_key") from None
        match claims:
            case {"sid": str(sid), "gen": int(gen), "branch": str(branch), "secret": str(secret)} if (
                claims.keys() == _MEMBERS
                and not isinstance(gen, bool)
                and 0 <= gen <= MAX_GENERATION
                and _HEX_BRANCH.fullmatch(branch)
                and _HEX_SECRET.fullmatch(secret)
            ):
                token = RefreshToken(_uuid(sid), gen, bytes.fromhex(branch), bytes.fromhex(secret))
            case _:
                raise BadRefreshToken
        return token, self._keys.keys[key.kid]


class AnyFormat:
    """Writes one format and reads both, so that a change of format logs nobody out."""

    def __init__(self, keys: KeySet, *, jwt: bool) -> None:
        """Read with these keys; write JWTs or opaque tokens."""
        self._opaque = OpaqueFormat(keys)
        self._jwt = JwtFormat(keys)
        self._preferred: RefreshFormat = self._jwt if jwt else self._opaque

    def encode(self, token: RefreshToken, key: Key, /) -> str:
        """See `RefreshFormat.encode`."""
        return self._preferred.encode(token, key)

    def decode(self, text: object, /) -> tuple[RefreshToken, Key]:
        """See `RefreshFormat.decode`; whatever a client sent is judged here."""
        if not isinstance(text, str):
            raise BadRefreshToken
        return self._opaque.decode(text) if text.startswith(PREFIX) else self._jwt.decode(text)


def _uuid(text: str) -> UUID:
    try:
        value = UUID(text)
    except ValueError:
        raise BadRefreshToken from None
    if str(value) != text:  # one spelling per token: no twins
        raise BadRefreshToken
    return value
