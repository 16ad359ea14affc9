"""Identifiers made from a moment and given randomness. It knows no clock and draws no randomness itself."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from keyturn._core.records import Millis

UUID7_BYTES: Final = 10  # 74 of these 80 bits are used
TOKEN_ID_BYTES: Final = 16


def uuid7(now: Millis, entropy: bytes) -> UUID:
    """Make a UUIDv7 (RFC 9562, section 5.7): ids made later sort later, to the millisecond.

    Args:
        now: The moment, in milliseconds since the epoch.
        entropy: `UUID7_BYTES` random bytes.

    Examples:
        >>> uuid7(0x017F22E279B0, bytes.fromhex("0cc318c4dc0c0c07398f"))
        UUID('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')
    """
    head = (now & (2**48 - 1)) << 80
    rand_a = (int.from_bytes(entropy[:2], "big") & 0x0FFF) << 64
    rand_b = int.from_bytes(entropy[2:UUID7_BYTES], "big") & (2**62 - 1)
    return UUID(int=head | (7 << 76) | rand_a | (2 << 62) | rand_b)


def token_id(entropy: bytes) -> str:
    """Make a `jti` (RFC 7519, section 4.1.7) from `TOKEN_ID_BYTES` random bytes."""
    return urlsafe_b64encode(entropy[:TOKEN_ID_BYTES]).rstrip(b"=").decode()


def parse_session_id(text: object) -> UUID | None:
    """Read a session id as the API writes it, or None for anything else: one spelling per id."""
    if not isinstance(text, str) or len(text) != 36:  # noqa: PLR2004  (RFC 9562, section 4)
        return None
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text else None
