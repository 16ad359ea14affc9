"""Our tokens beside two independent libraries, PyJWT and joserfc: what we sign they read and the reverse.

The oddities at the end are genuinely signed tokens that one library or both have accepted; we refuse all.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jwt as pyjwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt as joserfc_jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from keyturn._core.access_claims import ACCESS_TYP, AccessClaims, read_access_token
from keyturn._core.jwt import MAX_TOKEN_LENGTH, JwtError, JwtReader, sign_jwt
from keyturn._core.keyset import Algorithm
from keyturn.errors import AccessTokenError
from tests.support.tokens import AUDIENCE, CLAIMS, ISSUER, NOW, forge, material_of, ring, segment

SHARED: list[Algorithm] = ["HS256", "ES256", "EdDSA", "RS256"]
HEADER = {"alg": "HS256", "typ": "at+jwt", "kid": "first"}


def read(token: str, alg: Algorithm = "HS256") -> AccessClaims:
    """Read with our core."""
    reader = JwtReader(ring(alg).current, ACCESS_TYP)
    return read_access_token(reader, token, issuer=ISSUER, audience=AUDIENCE, now=NOW, leeway=0)


def secrets_of(alg: Algorithm) -> tuple[Any, Any]:
    """Give the key to sign and the key to verify with, as PyJWT takes them."""
    material = material_of(alg)
    return (material, material) if isinstance(material, bytes) else (material, material.public_key())


def by_pyjwt(token: str, alg: Algorithm = "HS256") -> dict[str, Any]:
    """Read with PyJWT: signature, algorithm, audience, issuer; not the times, whose clock cannot be set."""
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    return pyjwt.decode(
        token, secrets_of(alg)[1], algorithms=[alg], audience=AUDIENCE, issuer=ISSUER, options=options
    )


def by_joserfc(token: str, alg: Algorithm = "HS256") -> dict[str, Any]:
    """Read with joserfc: signature and algorithm."""
    material = material_of(alg)
    imports: dict[str, Callable[[Any], Any]] = {
        "HS256": OctKey.import_key,
        "ES256": ECKey.import_key,
        "RS256": RSAKey.import_key,
    }
    key = imports.get(alg, OKPKey.import_key)(material)
    return joserfc_jwt.decode(token, key, algorithms=[alg]).claims


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("alg", SHARED)
def test_they_read_what_we_sign(alg: Algorithm) -> None:
    """Both libraries verify our tokens, and read the same claims and header."""
    claims = {**CLAIMS, "name": "Zoë 😀", "n": [1, -2.5, None, True, {"a": ""}]}
    key = ring(alg).current.active
    assert key
    token = sign_jwt(claims, key, ACCESS_TYP)
    assert by_pyjwt(token, alg) == by_joserfc(token, alg) == claims
    assert pyjwt.get_unverified_header(token) == {"alg": alg, "typ": "at+jwt", "kid": "first"}


def test_joserfc_knows_the_new_name_too() -> None:
    """A key named by RFC 9864 signs tokens that joserfc reads under that name."""
    key = ring("Ed25519").current.active
    assert key
    assert by_joserfc(sign_jwt(CLAIMS, key, ACCESS_TYP), "Ed25519") == CLAIMS


@pytest.mark.parametrize("alg", SHARED)
def test_we_read_what_they_sign(alg: Algorithm) -> None:
    """A token that is shaped as ours is accepted, whoever signed it, in whatever order its members are."""
    private, _ = secrets_of(alg)
    token = pyjwt.encode(CLAIMS, private, algorithm=alg, headers={"typ": "at+jwt", "kid": "first"})
    assert read(token, alg).subject == "user-1"
    with pytest.raises(AccessTokenError):
        read(pyjwt.encode(CLAIMS, private, algorithm=alg), alg)


_CHANGES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "b64", "cty", "x"]),
    st.sampled_from(["HS256", "none", "at+jwt", "first", "JWT", "", None, [], ["b64"], True, False, 0]),
    max_size=2,
)
_TEXT = st.sampled_from(
    ['{"sub":"x"', ',"aud":"my-api"', ',"exp":1', ',"exp":2', ",", '"', " ", "}", "NaN", "\\u00e9"]
)


@settings(max_examples=300)
@given(_CHANGES, st.lists(_TEXT, max_size=5), st.booleans())
def test_what_we_accept_they_accept(changes: dict[str, Any], pieces: list[str], honest: bool) -> None:  # noqa: FBT001 - Hypothesis gives it
    """Among genuinely signed tokens of any shape we are the strictest reader, and all read alike."""
    body = json.dumps(CLAIMS) if honest else "".join(pieces)
    token = forge(header={**HEADER, **changes}, payload=segment(body.encode()) if body else None)
    try:
        claims = JwtReader(ring("HS256").current, ACCESS_TYP).read(token)
    except JwtError:
        return
    assert by_joserfc(token) == claims
    if honest:
        assert by_pyjwt(token) == claims


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 400), st.characters(codec="ascii")), min_size=1, max_size=3))
def test_spliced_tokens_have_one_answer(edits: list[tuple[int, str]]) -> None:
    """Whatever is done to a genuine token, what we accept is the token that was signed."""
    token = genuine = forge()
    for at, character in edits:
        position = at % len(token)
        token = token[:position] + character + token[position + 1 :]
    try:
        claims = read(token)
    except AccessTokenError:
        assert token != genuine
        return
    assert (token, claims.subject) == (genuine, "user-1")


def _with(claims: bytes) -> str:
    """Sign an access token's claims with something more at their end."""
    return forge(payload=segment(json.dumps(CLAIMS).encode()[:-1] + b"," + claims + b"}"))


def _twin() -> str:
    """Write the same signature with other unused bits."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    token = forge()
    return token[:-1] + alphabet[alphabet.index(token[-1]) | 1]


ODDITIES: dict[str, Callable[[], str]] = {
    "duplicate claim": lambda: _with(b'"sub":"admin"'),
    "duplicate claim inside": lambda: _with(b'"act":{"sub":"a","sub":"b"}'),
    "duplicate header": lambda: forge(header=b'{"alg":"HS256","alg":"HS256","typ":"at+jwt","kid":"first"}'),
    "UTF-16 claims": lambda: forge(payload=segment(json.dumps(CLAIMS).encode("utf-16"))),
    "UTF-32 claims": lambda: forge(payload=segment(json.dumps(CLAIMS).encode("utf-32-le"))),
    "UTF-16 header": lambda: forge(header=json.dumps(HEADER).encode("utf-16")),
    "byte order mark": lambda: forge(payload=segment(b"\xef\xbb\xbf" + json.dumps(CLAIMS).encode())),
    "NaN": lambda: _with(b'"x":NaN'),
    "Infinity": lambda: _with(b'"x":-Infinity'),
    "infinite by exponent": lambda: _with(b'"x":1e999'),
    "lone surrogate": lambda: _with(b'"x":"\\ud800"'),
    "huge number": lambda: _with(b'"x":' + b"9" * 1000),
    "deep nesting": lambda: _with(b'"x":' + b"[" * 200 + b"]" * 200),
    "nesting beyond the stack": lambda: _with(b'"x":' + b"[" * 2500 + b"]" * 2500),
    "exp is text": lambda: forge(payload=segment(json.dumps({**CLAIMS, "exp": str(NOW + 900)}).encode())),
    "exp is true": lambda: forge(payload=segment(json.dumps({**CLAIMS, "exp": True}).encode())),
    "exp is null": lambda: forge(payload=segment(json.dumps({**CLAIMS, "exp": None}).encode())),
    "no exp": lambda: forge(
        payload=segment(json.dumps({k: CLAIMS[k] for k in CLAIMS if k != "exp"}).encode())
    ),
    "exp beyond all clocks": lambda: forge(payload=segment(json.dumps({**CLAIMS, "exp": 10**20}).encode())),
    "nbf is false": lambda: forge(payload=segment(json.dumps({**CLAIMS, "nbf": False}).encode())),
    "iat is text": lambda: forge(payload=segment(json.dumps({**CLAIMS, "iat": "0"}).encode())),
    "sub is a number": lambda: forge(payload=segment(json.dumps({**CLAIMS, "sub": 1}).encode())),
    "jti is a list": lambda: forge(payload=segment(json.dumps({**CLAIMS, "jti": ["a"]}).encode())),
    "aud holds a number": lambda: forge(
        payload=segment(json.dumps({**CLAIMS, "aud": [AUDIENCE, 1]}).encode())
    ),
    "crit is empty": lambda: forge(header={**HEADER, "crit": []}),
    "crit is null": lambda: forge(header={**HEADER, "crit": None}),
    "crit names exp": lambda: forge(header={**HEADER, "crit": ["exp"], "exp": 1}),
    "crit names b64": lambda: forge(header={**HEADER, "crit": ["b64"], "b64": True}),
    "b64 is true": lambda: forge(header={**HEADER, "b64": True}),
    "no typ": lambda: forge(header={"alg": "HS256", "kid": "first"}),
    "typ is JWT": lambda: forge(header={**HEADER, "typ": "JWT"}),
    "no kid": lambda: forge(header={"alg": "HS256", "typ": "at+jwt"}),
    "jwk in the header": lambda: forge(header={**HEADER, "jwk": {"kty": "oct", "k": "AA"}}),
    "padding": lambda: forge() + "=",
    "unused bits": _twin,
    "white space at the end": lambda: forge() + "\n",
    "a byte that is no base64": lambda: forge()[:-4] + "!" + forge()[-4:],
    "oversized": lambda: _with(b'"x":"' + b"x" * MAX_TOKEN_LENGTH + b'"'),
}


@pytest.mark.parametrize("name", ODDITIES)
def test_oddities_are_refused(name: str) -> None:
    """However genuine its signature, an odd token is refused with the one error that shows none of it."""
    token = ODDITIES[name]()
    with pytest.raises(AccessTokenError) as caught:
        read(token)
    assert token[:20] not in f"{caught.value!r}{caught.value.__context__!r}"


def test_the_oddities_are_real() -> None:
    """At least one library accepts many of them: the list is no straw man."""

    def accepts(reads: Callable[[str], object], token: str) -> bool:
        try:
            reads(token)
        except (pyjwt.PyJWTError, JoseError, ValueError, TypeError, RecursionError):
            return False
        return True

    accepted = {
        name for name, make in ODDITIES.items() if accepts(by_pyjwt, make()) or accepts(by_joserfc, make())
    }
    assert {"duplicate claim", "NaN", "no exp", "typ is JWT"} <= accepted
    assert len(accepted) >= 15
