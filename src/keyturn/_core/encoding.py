"""Strict base64url and strict JSON, as JOSE and the HTTP layer need them. It knows no token and no key.

What is refused here is what general decoders let pass: padding, foreign characters and non-canonical trailing
bits (RFC 4648, section 3.5), duplicate members, NaN and infinities, byte order marks, other encodings than
UTF-8, lone surrogates and trailing data (RFC 8259, sections 4, 6 and 8).
"""

from __future__ import annotations

import json
import math
import string
from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from typing import Any, Final, NoReturn, TypeGuard

MAX_DEPTH: Final = 16
MAX_MEMBERS: Final = 256
MAX_NUMBER_LENGTH: Final = 32  # the longest finite double that Python writes has 24 characters

_URL: Final = (string.ascii_letters + string.digits + "-_").encode()
_STANDARD: Final = (string.ascii_letters + string.digits + "+/").encode()
_TO_URL: Final = bytes.maketrans(_STANDARD, _URL)
# Everything outside the URL alphabet becomes NUL, which the decoder then refuses: one pass in C checks all.
_FROM_URL: Final = bytes(_STANDARD[_URL.index(byte)] if byte in _URL else 0 for byte in range(256))
# By length modulo 4: the padding to add, and the last characters whose unused bits are zero.
_TAILS: Final = ((b"", _URL), (b"", b""), (b"==", b"AQgw"), (b"=", b"AEIMQUYcgkosw048"))


class EncodingError(ValueError):
    """Input is not strict base64url or strict JSON; says what is wrong and quotes nothing of it."""


def encode_base64url(data: bytes) -> bytes:
    """Encode without padding (RFC 7515, section 2)."""
    return b2a_base64(data, newline=False).translate(_TO_URL, b"=")


def decode_base64url(data: bytes) -> bytes:
    """Decode the one spelling that `encode_base64url` would have given; never empty.

    Raises:
        EncodingError: It is empty, or any other spelling.
    """
    padding, finals = _TAILS[len(data) & 3]
    if data and data[-1] in finals:
        try:
            return a2b_base64(data.translate(_FROM_URL) + padding, strict_mode=True)
        except BinasciiError:
            pass
    raise EncodingError("not canonical base64url")


def parse_json_object(data: bytes, *, max_depth: int = MAX_DEPTH) -> dict[str, Any]:
    """Parse a JSON object strictly, in bounded time and depth; bound the size of `data` before the call.

    Args:
        data: UTF-8 text.
        max_depth: How many objects and arrays may be inside each other; the outermost counts.

    Raises:
        EncodingError: It is anything else than one strict JSON object.
    """
    try:
        text = data.decode().strip(" \t\r\n")
        value, end = _read_value(text)
    except EncodingError:
        raise
    except (ValueError, RecursionError):
        text, value, end = "", None, -1  # refused below, where the error that quotes the input is gone
    if end != len(text):
        raise EncodingError("not one JSON value in UTF-8")
    if not is_object(value):
        raise EncodingError("not a JSON object")
    # Fewer brackets than the limit cannot exceed it; else the depth is measured.
    if text.count("{") + text.count("[") > max_depth and _is_deeper(value, max_depth):
        raise EncodingError("JSON is nested too deeply")
    if "\\" in text and not _is_unicode(value):
        raise EncodingError("JSON text holds a lone surrogate")
    return value


def dump_json(value: object) -> bytes:
    """Write compact JSON in UTF-8.

    Raises:
        EncodingError: The value cannot be written as JSON (a foreign type, NaN, a cycle, a lone surrogate).
    """
    try:
        return _ENCODER.encode(value).encode()
    except (TypeError, ValueError, RecursionError):
        pass
    raise EncodingError("not a value that JSON can hold")


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Tell whether a parsed value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Tell whether a parsed value is a JSON array."""
    return isinstance(value, list)


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise EncodingError("JSON object has a member twice")
    if len(pairs) > MAX_MEMBERS:
        raise EncodingError("JSON object has too many members")
    return members


def _bounded_int(text: str) -> int:
    if len(text) > MAX_NUMBER_LENGTH:
        raise EncodingError("JSON number is too long")
    return int(text)


def _bounded_float(text: str) -> float:
    if len(text) > MAX_NUMBER_LENGTH:
        raise EncodingError("JSON number is too long")
    value = float(text)
    if not math.isfinite(value):
        raise EncodingError("JSON number is too large")
    return value


def _refuse_constant(_: str) -> NoReturn:
    raise EncodingError("JSON has no NaN and no infinity")


def _is_deeper(value: object, limit: int) -> bool:
    children = value.values() if is_object(value) else value if is_array(value) else None
    return children is not None and (limit == 0 or any(_is_deeper(child, limit - 1) for child in children))


def _is_unicode(value: object) -> bool:
    try:
        _ENCODER.encode(value).encode()
    except UnicodeEncodeError:
        return False
    return True


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_int=_bounded_int,
    parse_float=_bounded_float,
    parse_constant=_refuse_constant,
)
_read_value: Final = _DECODER.raw_decode
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    check_circular=False,  # a cycle ends in a RecursionError all the same, and nobody pays for looking
    separators=(",", ":"),
)
