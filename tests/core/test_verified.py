"""Holds what is remembered of verified tokens: bounded, without the tokens themselves, and unchangeable."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn._core.readonly import ReadOnlyDict, ReadOnlyList, plain, read_only
from keyturn._core.verified import Verified, VerifiedTokens, key_of
from keyturn.results import Principal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def verified(number: int) -> Verified[dict[str, Any]]:
    """Give a verified token."""
    return Verified(Principal("user", None, str(number), {}, 0, 10), None, 0)


def keys(count: int) -> list[bytes]:
    """Give the keys of so many tokens."""
    return [key_of(f"token {number}") for number in range(count)]


def test_no_more_than_so_many_are_kept() -> None:
    """However many tokens come, memory is bounded; those asked for last are there."""
    tokens: VerifiedTokens[dict[str, Any]] = VerifiedTokens(10)
    for number, key in enumerate(keys(1000)):
        tokens.put(key, verified(number))
        assert len(tokens) <= 10
        found = tokens.get(key, 5)
        assert found is not None
        assert found.principal.token_id == str(number)
    assert [tokens.get(key, 5) is not None for key in keys(1000)[-5:]] == [True] * 5


def test_what_is_used_stays() -> None:
    """A token that is asked for all the time is not pushed out by a crowd that comes once."""
    tokens: VerifiedTokens[dict[str, Any]] = VerifiedTokens(10)
    often, *crowd = keys(1000)
    tokens.put(often, verified(0))
    for number, key in enumerate(crowd):
        tokens.put(key, verified(number))
        assert tokens.get(often, 5) is not None


def test_none_are_kept_where_none_are_wanted() -> None:
    """With 0 there is no memory at all."""
    tokens: VerifiedTokens[dict[str, Any]] = VerifiedTokens(0)
    tokens.put(keys(1)[0], verified(0))
    assert (len(tokens), tokens.get(keys(1)[0], 5)) == (0, None)


def test_no_token_is_kept_in_clear() -> None:
    """A key is a digest of the whole token: it cannot be sent to a server, and no two tokens share one."""
    token = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"
    key = key_of(token)
    assert len(key) == 32
    assert token.encode() not in key
    others = {key_of(token[:cut] + "~" + token[cut + 1 :]) for cut in range(len(token))}
    assert len(others - {key}) == len(token)


@pytest.mark.parametrize("strange", [None, b"bytes", 1, "\u00fc", "\ud800", ["token"], "x" * 8193])
def test_what_cannot_be_a_token_has_no_key(strange: object) -> None:
    """Such things are left to those who refuse them; they raise nothing here, and match no token."""
    assert key_of(strange) == b""
    assert VerifiedTokens(10).get(key_of(strange), 5) is None


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_read_only_claims_are_what_they_were(claims: dict[str, Any]) -> None:
    """They compare, print and serialise as the plain values, and copies of them are plain again."""
    frozen = read_only(claims)
    assert frozen == claims
    assert repr(frozen) == repr(claims)
    assert json.dumps(frozen) == json.dumps(claims)
    for copied in (
        copy.deepcopy(frozen),
        pickle.loads(pickle.dumps(frozen)),  # noqa: S301  (our own)
        copy.copy(frozen),
        dict(frozen),
    ):
        assert copied == claims
        assert type(copied) is dict
        copied["longer than those"] = 1
    assert "longer than those" not in frozen


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_plain_claims_are_a_copy_of_their_own(claims: dict[str, Any]) -> None:
    """All the way down: what a claims model does with them reaches no other request."""
    copied = plain(read_only(claims))
    assert copied == claims
    assert all(type(value) not in {ReadOnlyDict, ReadOnlyList} for value in everything(copied))
    assert plain(read_only({"a": [{"b": 1}]}))["a"][0].pop("b") == 1


def everything(value: Any) -> list[Any]:
    """Give a JSON value and all that is in it."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(part for each in inner for part in everything(each))]


def changing(kind: type, usual: type) -> list[str]:
    """Give the methods by which a value of a kind could be changed: those that need no hash of it."""
    return [name for name in dir(usual) if getattr(kind, name) is not getattr(usual, name)]


def test_nothing_can_change_read_only_claims() -> None:
    """Every method that changes a dict or a list in place is refused, in words."""
    frozen = read_only({"a": [1, {"b": []}]})
    inner = frozen["a"]
    attempts: list[Any] = [
        lambda: frozen.update(a=1),
        lambda: frozen.setdefault("c", 1),
        lambda: frozen.pop("a"),
        frozen.popitem,
        frozen.clear,
        lambda: frozen.__setitem__("a", 1),
        lambda: frozen.__delitem__("a"),
        lambda: frozen.__ior__({"c": 1}),
        lambda: inner.append(1),
        lambda: inner.extend([1]),
        lambda: inner.insert(0, 1),
        inner.pop,
        lambda: inner.remove(1),
        inner.clear,
        inner.reverse,
        inner.sort,
        lambda: inner.__setitem__(0, 2),
        lambda: inner.__delitem__(0),
        lambda: inner.__iadd__([1]),
        lambda: inner.__imul__(2),
        lambda: inner[1]["b"].append(1),
    ]
    for attempt in attempts:
        with pytest.raises(TypeError, match="read-only"):
            attempt()
    assert frozen == {"a": [1, {"b": []}]}
    # A later Python may bring another such method: these are all that dict and list have here.
    known = {*changing(ReadOnlyDict, dict), *changing(ReadOnlyList, list)}
    assert {"__setitem__", "update", "append", "sort"} <= known
    assert sys.getsizeof(frozen) < 1000
