"""Tokens for tests: genuine ones, and genuinely signed ones of any odd shape. It knows no store."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from keyturn._core.encoding import encode_base64url
from keyturn._core.jwk import Material
from keyturn._core.jwt import JwtError, JwtReader, sign_jwt
from keyturn._core.keyset import Algorithm, Key
from keyturn._core.minting import KeySource
from keyturn.keys import KeyRing

NOW: Final = 1_800_000_000
ISSUER: Final = "https://auth.example.com"
AUDIENCE: Final = "my-api"
CLAIMS: Final[dict[str, Any]] = {
    "iss": ISSUER,
    "sub": "user-1",
    "aud": AUDIENCE,
    "iat": NOW,
    "exp": NOW + 900,
    "jti": "token-1",
    "sid": "session-1",
    "gen": 3,
}
VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "vectors" / "rfc.json").read_text(encoding="utf-8")
)


@cache
def ring(alg: Algorithm) -> KeyRing:
    """One ring per algorithm for the whole run, with one key named `first`; not to be changed."""
    return KeyRing.generate(alg, kid="first", clock=lambda: float(NOW))


def material_of(alg: Algorithm) -> Material:
    """Give what the key of `ring(alg)` is made of."""
    material = ring(alg)._held[0].find("first").material
    assert material is not None
    return material


def sign_with(keys: KeySource) -> str:
    """Sign `CLAIMS` with the active key."""
    active = keys.current.active
    assert active is not None
    return sign_jwt(CLAIMS, active, "at+jwt")


def accepts(keys: KeySource, token: str) -> bool:
    """Tell whether keys accept an access token now."""
    try:
        JwtReader(keys.current, "at+jwt").read(token)
    except JwtError:
        return False
    return True


def segment(data: bytes) -> str:
    """Encode one segment."""
    return encode_base64url(data).decode()


def forge(
    *, header: dict[str, Any] | bytes | None = None, payload: str | None = None, key: Key | None = None
) -> str:
    """Sign anything as a token, genuinely: what an issuer that is careless or malicious could send.

    Args:
        header: The header, or its bytes; that of an access token by default.
        payload: The encoded payload; `CLAIMS` by default.
        key: The key; that of `ring("HS256")` by default.
    """
    signing = key or ring("HS256").current.active
    assert signing
    assert signing.sign
    if header is None:
        header = {"alg": signing.alg, "typ": "at+jwt", "kid": signing.kid}
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    body = segment(json.dumps(CLAIMS).encode()) if payload is None else payload
    signing_input = f"{segment(head)}.{body}"
    return f"{signing_input}.{segment(signing.sign(signing_input.encode()))}"
