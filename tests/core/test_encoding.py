"""Strict base64url and strict JSON: what is refused, and that nothing else escapes. It knows no token."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn._core.encoding import (
    MAX_DEPTH,
    MAX_MEMBERS,
    EncodingError,
    decode_base64url,
    dump_json,
    encode_base64url,
    parse_json_object,
)


@given(st.binary(min_size=1, max_size=100))
def test_base64url_returns_what_was_encoded(data: bytes) -> None:
    """Encoding is RFC 4648's URL alphabet without padding, and decoding is its inverse."""
    encoded = encode_base64url(data)
    assert encoded == base64.urlsafe_b64encode(data).rstrip(b"=")
    assert decode_base64url(encoded) == data


@given(st.binary(max_size=12) | st.text("AQgw-_+/= \n", max_size=8).map(str.encode))
def test_base64url_has_one_spelling(data: bytes) -> None:
    """Whatever is accepted is exactly what the encoder would have written (RFC 4648, section 3.5)."""
    try:
        decoded = decode_base64url(data)
    except EncodingError:
        return
    assert encode_base64url(decoded) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"A",
        b"AAAAA",
        b"QQ==",
        b"QUI=",
        b"QR",
        b"QUJ",
        b"QQ\n",
        b" QQ",
        b"Q Q",
        b"+/+/",
        b"QQ.Q",
        b"QQ\x00Q",
        b"QQ\xff",
        b"=",
        b"====",
        b"QQ==QQ==",
    ],
)
def test_base64url_refuses_other_spellings(data: bytes) -> None:
    """Padding, foreign characters, unused bits that are not zero and impossible lengths are refused."""
    with pytest.raises(EncodingError):
        decode_base64url(data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"{}", {}),
        (b' \t\r\n{"a": 1}\n', {"a": 1}),
        (
            b'{"a":[1,-2.5e3,true,false,null,{"a":"\xc3\xa9"}]}',
            {"a": [1, -2500.0, True, False, None, {"a": "é"}]},
        ),
        (rb'{"a":"\ud83d\ude00\u0000"}', {"a": "😀\0"}),
    ],
)
def test_json_that_is_accepted(text: bytes, expected: dict[str, Any]) -> None:
    """Ordinary JSON objects are read as by any other parser, white space around them included."""
    assert parse_json_object(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"a"',
        b"1",
        b"{",
        b"{}{}",
        b"{}x",
        b"{} \x00",
        b'{"a":1,"a":1}',
        b'{"b":{"a":1,"a":2}}',
        b'{"b":[{"a":1,"\\u0061":2}]}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":-1e999}',
        b'{"a":' + b"1" * 33 + b"}",
        b'{"a":0.' + b"1" * 33 + b"}",
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":1,}',
        b"{'a':1}",
        b'{"a":"\n"}',
        b'{"a":"\x00"}',
        b'{"a":"\\x"}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xff"}',
        b'{"a":"\xc0\xaf"}',
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-16-le"),
        '{"a":1}'.encode("utf-32-be"),
        b"\xc2\xa0{}",
        b'{/**/"a":1}',
    ],
)
def test_json_that_is_refused(text: bytes) -> None:
    """What RFC 8259 forbids, warns of or leaves open is refused, with nothing of it in the error."""
    with pytest.raises(EncodingError) as caught:
        parse_json_object(text)
    error: BaseException | None = caught.value
    while error is not None:
        assert isinstance(error, EncodingError), "the library's error quotes the input"
        error = error.__cause__ or error.__context__


def test_json_depth_is_bounded() -> None:
    """Exactly `max_depth` levels are accepted, one more is not; many flat brackets are no depth."""

    def nested(depth: int) -> bytes:
        return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)

    assert parse_json_object(nested(MAX_DEPTH))
    with pytest.raises(EncodingError, match="deeply"):
        parse_json_object(nested(MAX_DEPTH + 1))
    with pytest.raises(EncodingError, match="deeply"):
        parse_json_object(b'{"a":[[]]}', max_depth=2)
    assert len(parse_json_object(b'{"a":[%b]}' % b",".join([b"{}"] * 100))["a"]) == 100


def test_json_depth_beyond_the_stack_is_refused() -> None:
    """Nesting that exhausts the interpreter's stack is an `EncodingError`, not a RecursionError."""
    depth = sys.getrecursionlimit() * 20
    with pytest.raises(EncodingError):
        parse_json_object(b'{"a":' + b"[" * depth + b"]" * depth + b"}")


def test_json_members_are_bounded() -> None:
    """An object has at most `MAX_MEMBERS` members."""
    assert (
        len(parse_json_object(json.dumps(dict.fromkeys(map(str, range(MAX_MEMBERS)))).encode()))
        == MAX_MEMBERS
    )
    with pytest.raises(EncodingError, match="many"):
        parse_json_object(json.dumps(dict.fromkeys(map(str, range(MAX_MEMBERS + 1)))).encode())


@given(st.binary(max_size=60) | st.text('{}[]",:0123456789.eE+-\\utrfalsn \x00', max_size=60).map(str.encode))
def test_json_gives_an_object_or_the_one_error(data: bytes) -> None:
    """No input makes the parser raise anything else, and what it accepts the standard parser reads alike."""
    try:
        value = parse_json_object(data)
    except EncodingError:
        return
    assert value == json.loads(data)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), _VALUES, max_size=4))
def test_what_is_written_can_be_read(value: dict[str, Any]) -> None:
    """`dump_json` writes compact UTF-8 that `parse_json_object` reads back."""
    assert parse_json_object(dump_json(value), max_depth=40) == value


def test_compact_json() -> None:
    """No white space, and no escapes where UTF-8 serves."""
    assert dump_json({"a": [1, "é"]}) == b'{"a":[1,"\xc3\xa9"]}'


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1, 2}, b"bytes", "\ud800", {"a": object()}, {(1,): 2}]
)
def test_what_json_cannot_hold(value: object) -> None:
    """NaN, foreign types and lone surrogates are refused before they are signed."""
    with pytest.raises(EncodingError):
        dump_json(value)


def test_a_cycle_is_refused() -> None:
    """A value that holds itself ends in the one error."""
    value: list[object] = []
    value.append(value)
    with pytest.raises(EncodingError):
        dump_json(value)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(EncodingError):
        dump_json(deep)
