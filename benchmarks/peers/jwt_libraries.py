"""Verifies and signs access tokens with PyJWT, joserfc and authlib. It knows these alone.

Each checks what RFC 9068 asks of a resource server and the library can check: the signature by one allowed
algorithm, `exp`, `iss` and `aud`. Keys are prepared once, as far as the library lets them be.
"""

from __future__ import annotations

from typing import Any

import jwt
from _serve import Turn, given, serve, sure
from authlib.jose import JsonWebKey, JsonWebToken
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import ECKey, OctKey, OKPKey

GIVEN = given()
ISSUER, AUDIENCE = GIVEN["issuer"], GIVEN["audience"]


def _jwk(alg: str) -> dict[str, Any]:
    found: dict[str, Any] = GIVEN["keys"][alg]
    return found


def pyjwt(question: dict[str, Any]) -> Turn:
    """`jwt.decode`."""
    alg, token = question["alg"], GIVEN["tokens"][question["alg"]]
    key = jwt.PyJWK(_jwk(alg), algorithm=alg).key

    def turn() -> object:
        return jwt.decode(token, key, algorithms=[alg], audience=AUDIENCE, issuer=ISSUER)

    return turn


def pyjwt_encode(question: dict[str, Any]) -> Turn:
    """`jwt.encode` of the same claims under the same header."""
    alg, token = question["alg"], GIVEN["tokens"][question["alg"]]
    key = jwt.PyJWK(_jwk(alg), algorithm=alg).key
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, key, algorithms=[alg], audience=AUDIENCE, issuer=ISSUER)
    made = jwt.encode(claims, key, algorithm=alg, headers=header)
    sure(len(made) == len(token), "it does not make the same token")

    def turn() -> object:
        return jwt.encode(claims, key, algorithm=alg, headers=header)

    return turn


def joserfc(question: dict[str, Any]) -> Turn:
    """`joserfc.jwt.decode`, and its registry of claims."""
    alg, token = question["alg"], GIVEN["tokens"][question["alg"]]
    kinds: dict[str, Any] = {"HS256": OctKey, "EdDSA": OKPKey, "ES256": ECKey}
    key = kinds[alg].import_key(_jwk(alg))
    wanted: dict[str, Any] = {
        "exp": {"essential": True},
        "iss": {"essential": True, "value": ISSUER},
        "aud": {"essential": True, "value": AUDIENCE},
    }
    registry = joserfc_jwt.JWTClaimsRegistry(**wanted)

    def turn() -> None:
        registry.validate(joserfc_jwt.decode(token, key, algorithms=[alg]).claims)

    return turn


def authlib(question: dict[str, Any]) -> Turn:
    """`authlib.jose`, deprecated by its author in favour of joserfc, and what most users still have."""
    alg, token = question["alg"], GIVEN["tokens"][question["alg"]]
    reader = JsonWebToken([alg])
    key = JsonWebKey.import_key(_jwk(alg))
    wanted = {
        "exp": {"essential": True},
        "iss": {"essential": True, "value": ISSUER},
        "aud": {"essential": True, "value": AUDIENCE},
    }

    def turn() -> None:
        reader.decode(token, key, claims_options=wanted).validate()

    return turn


if __name__ == "__main__":
    makers = {"pyjwt": pyjwt, "pyjwt encode": pyjwt_encode, "joserfc": joserfc, "authlib": authlib}
    serve(makers, ("pyjwt", "joserfc", "authlib"))
