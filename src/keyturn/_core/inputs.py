"""Checking what an application hands in: user ids, claims, devices, contexts.

It knows no token and no store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast, get_args

from keyturn._core.access_claims import RESERVED_CLAIMS
from keyturn._core.encoding import EncodingError, dump_json, parse_json_object
from keyturn._core.records import RevokeReason
from keyturn.errors import ConfigurationError, InvalidInput

MAX_USER_ID: Final = 255  # OpenID Connect Core, section 2: sub "MUST NOT exceed 255 ASCII characters"
MAX_CLAIMS_BYTES: Final = 4096  # with header and signature it stays below the 8 KiB that verifiers accept
MAX_CLAIMS: Final = 200  # verifiers accept 256 members, and some are Keyturn's own
MAX_DEVICE_BYTES: Final = 2048
MAX_CONTEXT: Final = 4096
MAX_REASON: Final = 255


def check_identifier(name: str, value: object) -> str:
    """Accept the name of an issuer or an audience: printable text.

    Raises:
        ConfigurationError: It is anything else.
    """
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ConfigurationError(f"{name} must be text, such as 'https://auth.example.com'")
    return value


def check_user_id(user_id: object) -> str:
    """Accept a user id: text of 1 to 255 characters without control characters.

    Raises:
        InvalidInput: It is anything else.
    """
    if not isinstance(user_id, str) or not 1 <= len(user_id) <= MAX_USER_ID:
        raise InvalidInput(f"user_id must be a str of 1 to {MAX_USER_ID} characters")
    if not user_id.isprintable():
        raise InvalidInput("user_id must not contain control characters or lone surrogates")
    return user_id


def check_claims(claims: object) -> dict[str, Any]:
    """Accept an application's claims: a JSON object of up to 4 KiB that names no registered claim.

    Raises:
        InvalidInput: They are anything else; the message names the claim at fault, never its value.
    """
    checked = _json_object(claims, "claims", MAX_CLAIMS_BYTES)
    if len(checked) > MAX_CLAIMS:
        raise InvalidInput(f"claims must not be more than {MAX_CLAIMS}", detail="claims")
    if taken := sorted(RESERVED_CLAIMS & checked.keys()):
        raise InvalidInput(f"claims must not contain {', '.join(taken)}: Keyturn sets them", detail="claims")
    return checked


def check_device(device: object) -> dict[str, Any]:
    """Accept a description of a device: a JSON object of up to 2 KiB.

    Raises:
        InvalidInput: It is anything else.
    """
    return _json_object(device, "device", MAX_DEVICE_BYTES)


def check_context(context: object) -> str:
    """Accept a client context: text, possibly empty.

    Raises:
        InvalidInput: It is anything else, or longer than 4096 characters.
    """
    if not isinstance(context, str) or len(context) > MAX_CONTEXT:
        raise InvalidInput(f"context must be a str of at most {MAX_CONTEXT} characters")
    return context


def check_reason(reason: object) -> str:
    """Accept a reason for people: text of up to 255 characters.

    Raises:
        InvalidInput: It is anything else.
    """
    if not isinstance(reason, str) or len(reason) > MAX_REASON:
        raise InvalidInput(f"reason must be a str of at most {MAX_REASON} characters")
    return reason


def check_end_reason(reason: RevokeReason) -> RevokeReason:
    """Accept a reason for ending a session; expiries are found, not given.

    Raises:
        InvalidInput: It is none.
    """
    if reason not in get_args(RevokeReason):
        raise InvalidInput(f"reason must be one of {', '.join(get_args(RevokeReason))}")
    return reason


def check_thumbprint(jkt: object) -> str:
    """Accept a JWK thumbprint: 43 characters of base64url (RFC 7638 with SHA-256; RFC 9449, section 6.1).

    Raises:
        InvalidInput: It is anything else.
    """
    if not isinstance(jkt, str) or len(jkt) != 43 or not jkt.isascii():  # noqa: PLR2004  (32 bytes)
        raise InvalidInput("jkt must be the SHA-256 thumbprint of a key: 43 characters of base64url")
    return jkt


def check_batch(size: object, *, name: str = "batch") -> int:
    """Accept the size of a batch or a page: a whole number from 1.

    Raises:
        InvalidInput: It is anything else.
    """
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise InvalidInput(f"{name} must be a whole number from 1")
    return size


def _json_object(value: object, name: str, limit: int) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{name} must be a mapping", detail=name)
    try:
        data = dump_json(dict(cast("Mapping[object, object]", value)))
        checked = parse_json_object(data)  # also a copy: what the caller changes later changes nothing here
    except (EncodingError, TypeError, ValueError, RecursionError):
        raise InvalidInput(f"{name} must be a JSON object with text keys", detail=name) from None
    if len(data) > limit:
        raise InvalidInput(f"{name} must not exceed {limit} bytes of JSON", detail=name)
    return checked
