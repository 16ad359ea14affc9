"""The claims of access tokens: which are accepted, by which rule others are not. It knows no manager."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn._core.access_claims import (
    ACCESS_TYP,
    RESERVED_CLAIMS,
    AccessClaims,
    check_access_claims,
    read_access_token,
)
from keyturn._core.jwt import JwtReader, sign_jwt
from keyturn.errors import AccessTokenError
from tests.support.tokens import AUDIENCE, CLAIMS, ISSUER, NOW, ring

ABSENT = object()


def check(claims: dict[str, Any], *, now: float = NOW, leeway: float = 0) -> AccessClaims:
    """Judge claims for our issuer and audience."""
    return check_access_claims(claims, issuer=ISSUER, audience=AUDIENCE, now=now, leeway=leeway)


def reason(changes: dict[str, Any], *, now: float = NOW, leeway: float = 0) -> str:
    """Say why claims with some changes are refused."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ABSENT}
    with pytest.raises(AccessTokenError) as caught:
        check(claims, now=now, leeway=leeway)
    assert str(caught.value) == "The access token is not acceptable."
    return caught.value.detail


def test_everything_is_handed_on_typed() -> None:
    """Registered claims become fields, all others stay in `claims`."""
    claims = {
        **CLAIMS,
        "auth_time": NOW - 5,
        "cnf": {"jkt": "thumb"},
        "nbf": NOW,
        "roles": ["a"],
        "client_id": "c",
    }
    assert check(claims) == AccessClaims(
        subject="user-1",
        session_id="session-1",
        token_id="token-1",
        gen=3,
        issued_at=NOW,
        expires_at=NOW + 900,
        auth_time=NOW - 5,
        jkt="thumb",
        claims={"roles": ["a"], "client_id": "c"},
    )


def test_what_may_be_absent() -> None:
    """A token of no session has neither `sid` nor `gen`."""
    claims = {name: value for name, value in CLAIMS.items() if name not in {"sid", "gen"}}
    accepted = check(claims)
    assert (accepted.session_id, accepted.gen, accepted.auth_time, accepted.jkt) == (None, None, None, None)


def test_reserved_claims_are_never_handed_on_as_the_applications() -> None:
    """What Keyturn sets itself does not turn up among the application's claims."""
    extras = {"nbf": NOW, "auth_time": NOW, "cnf": {"jkt": "t"}}
    assert set(CLAIMS) | set(extras) == RESERVED_CLAIMS
    assert check({**CLAIMS, **extras}).claims == {}


@pytest.mark.parametrize("aud", [AUDIENCE, [AUDIENCE], ["other", AUDIENCE]])
def test_audiences_that_are_accepted(aud: object) -> None:
    """`aud` is our identifier or a list with it (RFC 7519, section 4.1.3)."""
    assert check({**CLAIMS, "aud": aud})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"iss": ABSENT}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"iss": ISSUER + "/"}, "issuer"),
        ({"iss": ISSUER[:-1]}, "issuer"),
        ({"iss": "https://AUTH.example.com"}, "issuer"),
        ({"iss": ""}, "issuer"),
        ({"aud": ABSENT}, "claims"),
        ({"aud": None}, "claims"),
        ({"aud": []}, "claims"),
        ({"aud": [AUDIENCE, 1]}, "claims"),
        ({"aud": [[AUDIENCE]]}, "claims"),
        ({"aud": {AUDIENCE: 1}}, "claims"),
        ({"aud": 1}, "claims"),
        ({"aud": "my-api-2"}, "audience"),
        ({"aud": "my"}, "audience"),
        ({"aud": ["my-api-2", ""]}, "audience"),
        ({"sub": ABSENT}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": 1}, "claims"),
        ({"sub": None}, "claims"),
        ({"jti": ABSENT}, "claims"),
        ({"jti": ""}, "claims"),
        ({"jti": 1}, "claims"),
        ({"sid": None}, "claims"),
        ({"sid": ""}, "claims"),
        ({"sid": 5}, "claims"),
        ({"client_id": 5}, "claims"),
        ({"gen": -1}, "claims"),
        ({"gen": 1.0}, "claims"),
        ({"gen": True}, "claims"),
        ({"gen": "1"}, "claims"),
        ({"gen": None}, "claims"),
        ({"gen": 2**63}, "claims"),
        ({"cnf": None}, "claims"),
        ({"cnf": {}}, "claims"),
        ({"cnf": {"jkt": ""}}, "claims"),
        ({"cnf": {"jkt": 1}}, "claims"),
        ({"cnf": {"x5t#S256": "a"}}, "claims"),
        ({"cnf": {"jkt": "a", "x5t#S256": "a"}}, "claims"),
        ({"auth_time": "1"}, "claims"),
        ({"auth_time": None}, "claims"),
    ],
)
def test_claims_that_are_refused(changes: dict[str, Any], expected: str) -> None:
    """Every claim is there where it must be, has its type, and compares exactly (A11 to A13)."""
    assert reason(changes) == expected


@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
@pytest.mark.parametrize("value", [None, True, False, "1800000900", [], {}, -1, -0.5, 10**15, 1e300, 10**30])
def test_times_that_are_none(name: str, value: object) -> None:
    """A time is a bounded JSON number, not text and not a boolean (A10)."""
    assert reason({name: value}) == "claims"


@pytest.mark.parametrize("name", ["exp", "iat"])
def test_times_that_must_be_there(name: str) -> None:
    """Without `exp` or `iat` there is no access token (RFC 9068, section 2.2)."""
    assert reason({name: ABSENT}) == "claims"


def test_times_at_their_limits() -> None:
    """`exp` is the first moment too late; `iat` and `nbf` are the first that are not too early."""
    assert check(CLAIMS, now=NOW + 899.999)
    assert reason({}, now=NOW + 900) == "expired"
    assert check(CLAIMS, now=NOW + 904.999, leeway=5)
    assert reason({}, now=NOW + 905, leeway=5) == "expired"
    assert reason({}, now=NOW - 0.001) == "not_yet_valid"
    assert check(CLAIMS, now=NOW - 5, leeway=5)
    assert reason({}, now=NOW - 5.001, leeway=5) == "not_yet_valid"
    assert check({**CLAIMS, "nbf": NOW + 10}, now=NOW + 10)
    assert reason({"nbf": NOW + 10}, now=NOW + 9) == "not_yet_valid"
    assert reason({"nbf": NOW + 10.5}, now=NOW + 10.4) == "not_yet_valid"


def test_fractions_of_a_second_are_times() -> None:
    """A NumericDate may have a fraction (RFC 7519, section 2); it counts, and reads back as whole seconds."""
    accepted = check({**CLAIMS, "exp": NOW + 1.5, "iat": NOW - 0.5}, now=NOW + 1.4)
    assert (accepted.issued_at, accepted.expires_at) == (NOW - 1, NOW + 1)
    assert reason({"exp": NOW + 1.5}, now=NOW + 1.5) == "expired"


def test_reading_a_token_is_one_path() -> None:
    """`read_access_token` names the token's fault or the claims' fault, and never quotes either."""
    keys = ring("HS256").current
    assert keys.active
    reader = JwtReader(keys, ACCESS_TYP)

    def read(token: object) -> AccessClaims:
        return read_access_token(reader, token, issuer=ISSUER, audience=AUDIENCE, now=NOW, leeway=0)

    assert read(sign_jwt(CLAIMS, keys.active, ACCESS_TYP)).subject == "user-1"
    for token, expected in {
        "secret-looking-text": "malformed",
        sign_jwt(CLAIMS, keys.active, "rt+jwt"): "type",
        sign_jwt({**CLAIMS, "iss": "secret-looking-text"}, keys.active, ACCESS_TYP): "issuer",
    }.items():
        with pytest.raises(AccessTokenError) as caught:
            read(token)
        assert caught.value.detail == expected
        assert (
            "secret-looking-text"
            not in f"{caught.value!r}{caught.value.__cause__!r}{caught.value.__context__!r}"
        )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(
    st.dictionaries(st.sampled_from(sorted(RESERVED_CLAIMS | {"client_id", "roles"})), _JSON), st.booleans()
)
def test_any_claims_give_an_answer_or_the_one_error(changes: dict[str, Any], whole: bool) -> None:  # noqa: FBT001 - Hypothesis gives it
    """Whatever JSON the claims hold, they are accepted with the right types or refused with the one error."""
    try:
        accepted = check({**CLAIMS, **changes} if whole else changes)
    except AccessTokenError:
        return
    assert isinstance(accepted.subject, str)
    assert type(accepted.expires_at) is type(accepted.issued_at) is int
    assert accepted.expires_at >= NOW
