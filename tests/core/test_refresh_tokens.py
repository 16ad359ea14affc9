"""The two refresh-token formats: what they carry, what they refuse, and that they are deterministic."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn import KeyRing
from keyturn._core.encoding import decode_base64url, encode_base64url
from keyturn._core.jwt import refresh_keys, sign_jwt
from keyturn._core.keyset import Key, key_set
from keyturn._core.minting import Material, Mint
from keyturn._core.refresh_tokens import (
    PREFIX,
    AnyFormat,
    BadRefreshToken,
    JwtFormat,
    OpaqueFormat,
    RefreshFormat,
    RefreshToken,
    branch_of,
    peek_opaque,
)
from keyturn._core.refreshing import Refresh

KEYS = KeyRing.generate("ES256").current
FORMATS: dict[str, RefreshFormat] = {"opaque": OpaqueFormat(KEYS), "jwt": JwtFormat(KEYS)}
TOKEN = RefreshToken(UUID("018bcfe5-6800-7953-9f88-555e3ef71bc9"), 7, b"branch-8", b"secret-of-16-oct")
TOKENS = st.builds(
    RefreshToken,
    st.uuids(),
    st.integers(0, 2**32 - 1),
    st.binary(min_size=8, max_size=8),
    st.binary(min_size=16, max_size=16),
)


def active() -> Key:
    """Give the active key."""
    assert KEYS.active
    return KEYS.active


@given(token=TOKENS, name=st.sampled_from(sorted(FORMATS)))
def test_what_is_written_is_read(token: RefreshToken, name: str) -> None:
    """Reading gives what was written, and the same content gives the same bytes, with an ECDSA key too."""
    text = FORMATS[name].encode(token, active())
    assert FORMATS[name].decode(text) == (token, active())
    assert FORMATS[name].encode(token, active()) == text


def test_a_person_may_be_shown_what_a_token_says_of_itself() -> None:
    """Nothing is verified, so it also reads what no key of ours has signed; other shapes are refused."""
    text = FORMATS["opaque"].encode(TOKEN, active())
    for shown in (text, text[:-1] + ("A" if text[-1] != "A" else "B")):
        assert peek_opaque(shown) == (active().kid, TOKEN.sid, TOKEN.gen)
    with pytest.raises(BadRefreshToken):
        peek_opaque("ktr_short")


def test_scanners_can_find_an_opaque_token() -> None:
    """An opaque token matches one pattern: the prefix, then base64url, about 110 characters."""
    text = FORMATS["opaque"].encode(TOKEN, active())
    assert re.fullmatch(r"ktr_[A-Za-z0-9_-]{100,130}", text)


@given(token=TOKENS, name=st.sampled_from(sorted(FORMATS)), data=st.data())
def test_no_changed_token_is_read(token: RefreshToken, name: str, data: st.DataObject) -> None:
    """Every single changed, removed or added character makes a token invalid: there are no twins."""
    text = FORMATS[name].encode(token, active())
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from("Aa0_-.=+/ \x00é"))
    for changed in (text[:place] + other + text[place + 1 :], text[:place] + text[place + 1 :], text + other):
        if changed != text:
            with pytest.raises(BadRefreshToken):
                AnyFormat(KEYS, jwt=False).decode(changed)


def test_a_key_that_is_gone_is_told_from_nonsense() -> None:
    """A well-formed token under a key that is not in the ring is refused as such (case 2)."""
    stranger = KeyRing.generate("ES256").current.active
    assert stranger
    theirs = key_set([stranger], active=stranger)
    foreign: dict[str, RefreshFormat] = {"opaque": OpaqueFormat(theirs), "jwt": JwtFormat(theirs)}
    for name, form in foreign.items():
        text = form.encode(TOKEN, stranger)
        with pytest.raises(BadRefreshToken) as caught:
            AnyFormat(KEYS, jwt=name == "jwt").decode(text)
        assert caught.value.unknown_key is True


def test_a_public_key_vouches_for_no_refresh_token() -> None:
    """Without its secret part a key can neither write nor read refresh tokens."""
    public = Key(active().kid, active().alg, active().verify)
    keys = key_set([public])
    with pytest.raises(BadRefreshToken):
        OpaqueFormat(keys).encode(TOKEN, public)
    for name, form in FORMATS.items():
        with pytest.raises(BadRefreshToken) as caught:
            AnyFormat(keys, jwt=name == "jwt").decode(form.encode(TOKEN, active()))
        assert caught.value.unknown_key is True


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"\x02" + bytes(60),
        bytes(62),
        b"\x01\xff" + bytes(60),
        b"\x01\x00" + bytes(60),
        bytes(500),
    ],
)
def test_opaque_tokens_of_other_shapes(data: bytes) -> None:
    """Wrong version, wrong lengths and too much of everything are refused."""
    text = PREFIX + encode_base64url(data).decode()
    with pytest.raises(BadRefreshToken):
        OpaqueFormat(KEYS).decode(text)


@pytest.mark.parametrize(
    "change",
    [
        {"sid": "018BCFE5-6800-7953-9F88-555E3EF71BC9"},
        {"sid": "nonsense"},
        {"sid": 5},
        {"gen": -1},
        {"gen": True},
        {"gen": 1.0},
        {"gen": 2**32},
        {"branch": "zz"},
        {"branch": "6272616E63682D38"},
        {"secret": ""},
        {"secret": None},
        {"more": 1},
    ],
)
def test_signed_jwts_of_other_shapes(change: dict[str, object]) -> None:
    """Even under our own key a JWT counts only in the one shape that we write."""
    claims: dict[str, object] = {
        "sid": str(TOKEN.sid),
        "gen": 7,
        "branch": TOKEN.branch.hex(),
        "secret": TOKEN.secret.hex(),
    }
    key = refresh_keys(KEYS).keys[active().kid]
    assert JwtFormat(KEYS).decode(sign_jwt(claims, key, "rt+jwt")) == (TOKEN, active())
    with pytest.raises(BadRefreshToken):
        JwtFormat(KEYS).decode(sign_jwt({**claims, **change}, key, "rt+jwt"))
    with pytest.raises(BadRefreshToken):
        JwtFormat(KEYS).decode(sign_jwt(claims, key, "at+jwt"))


def test_a_branch_tells_clients_apart_and_retries_not() -> None:
    """The branch depends on session, generation and context, and on nothing else."""
    first = branch_of(TOKEN.secret, TOKEN.sid, 8, "one")
    assert first == branch_of(TOKEN.secret, TOKEN.sid, 8, "one")
    others = {
        branch_of(TOKEN.secret, TOKEN.sid, 8, "two"),
        branch_of(TOKEN.secret, TOKEN.sid, 9, "one"),
        branch_of(TOKEN.secret, UUID(int=5), 8, "one"),
        branch_of(bytes(16), TOKEN.sid, 8, "one"),
        branch_of(TOKEN.secret, TOKEN.sid, 8, "\ud800"),
    }
    assert len(others | {first}) == 6
    assert {len(one) for one in others} == {8}


def test_no_secret_is_in_a_repr_or_an_error() -> None:
    """A token's content shows neither its secret nor its branch, and an error nothing of the token."""
    assert "secret" not in repr(TOKEN)
    assert "branch" not in repr(TOKEN)
    text = FORMATS["opaque"].encode(TOKEN, active())
    with pytest.raises(BadRefreshToken) as caught:
        OpaqueFormat(KEYS).decode(text[:-1])
    assert str(caught.value) == "invalid"
    assert TOKEN.secret in decode_base64url(text.removeprefix(PREFIX).encode())


def test_a_refresh_shows_neither_token_nor_client() -> None:
    """What a plan holds of a refresh may turn up in a log of the application: nothing in it is secret."""
    text = FORMATS["opaque"].encode(TOKEN, active())
    mint, material = Mint("iss", "aud", 1000), Material.of(KEYS, jwt=False)
    refresh = Refresh(mint, material, TOKEN, text, active(), "the-client", True, 5, b"the-entropy")  # noqa: FBT003  (a tuple)
    shown = repr(refresh.settle)
    assert str(TOKEN.sid) in shown
    for hidden in (text, "secret", "branch", "the-client", "the-entropy"):
        assert hidden not in shown
