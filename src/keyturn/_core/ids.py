"""Identifiers made from a moment and given randomness. It knows no clock and draws no randomness itself."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import UUID

from keyturn._core.encoding import encode_base64url

if TYPE_CHECKING:
    from keyturn._core.records import Millis

UUID7_BYTES: Final = 10  # 74 of these 80 bits are used
TOKEN_ID_BYTES: Final = 16


def uuid7(now: Millis, entropy: bytes, *, bucket: int | None = None) -> UUID:
    """Make a UUIDv7 (RFC 9562, section 5.7): ids made later sort later, to the millisecond.

    Args:
        now: The moment, in milliseconds since the epoch.
        entropy: `UUID7_BYTES` random bytes.
        bucket: What to put in place of the first 12 random bits (`rand_a`), if anything.

    Examples:
        >>> uuid7(0x017F22E279B0, bytes.fromhex("0cc318c4dc0c0c07398f"))
        UUID('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')
    """
    head = (now & (2**48 - 1)) << 80
    rand_a = (int.from_bytes(entropy[:2], "big") & 0x0FFF if bucket is None else bucket) << 64
    rand_b = int.from_bytes(entropy[2:UUID7_BYTES], "big") & (2**62 - 1)
    return UUID(int=head | (7 << 76) | rand_a | (2 << 62) | rand_b)


def session_id(user_id: str, now: Millis, entropy: bytes) -> UUID:
    """Make the id of a session: a UUIDv7 that carries its user's bucket.

    So whoever has nothing but a session's id knows on which shard of a store all of its user's sessions are.
    62 random bits per user bucket and millisecond remain: enough to be unique, and nothing trusts an id to be
    hard to guess.

    Args:
        user_id: Whose session.
        now: When the user signed in.
        entropy: `UUID7_BYTES` random bytes.
    """
    return uuid7(now, entropy, bucket=bucket_of_user(user_id))


def bucket_of_user(user_id: str) -> int:
    """Give a user's bucket, from 0 to 4095: the first 12 bits of the SHA-256 of the id.

    Examples:
        >>> bucket_of_user("user-1") == bucket_of_session(session_id("user-1", 0, bytes(10)))
        True
    """
    return int.from_bytes(sha256(user_id.encode()).digest()[:2], "big") >> 4


def bucket_of_session(sid: UUID) -> int:
    """Give the bucket that a session's id carries, from 0 to 4095."""
    return (sid.int >> 64) & 0x0FFF


def token_id(entropy: bytes) -> str:
    """Make a `jti` (RFC 7519, section 4.1.7) from `TOKEN_ID_BYTES` random bytes."""
    return encode_base64url(entropy[:TOKEN_ID_BYTES]).decode()


def parse_session_id(text: object) -> UUID | None:
    """Read a session id as the API writes it, or None for anything else: one spelling per id."""
    if not isinstance(text, str) or len(text) != 36:  # noqa: PLR2004  (RFC 9562, section 4)
        return None
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None
