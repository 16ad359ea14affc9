"""One regression per published advisory on JWT libraries and token services that touches us.

What is not here is held where its rule lives:

| advisory | what went wrong | held by |
| --- | --- | --- |
| CVE-2017-11424, CVE-2022-29217, CVE-2024-33663 | a public key taken for a secret | also `test_keys.py` |
| CVE-2026-48524 | unlimited fetches, good keys lost | `test_jwks.py`, `test_access_verifier.py` |
| CVE-2020-10594, CVE-2026-1035 | check and use of a token not atomic | `races/`, `conformance/` |
| CVE-2026-9802 | a restart resets the stale-token check | `server/test_kill.py` |
| keycloak#49213 | state changed outside the transaction | `stores/`, `faults/` |
| supabase 52614, seamless-auth-api 279 | a walk over tokens misses some | `conformance/` |
| Infisical 5947 | a converged answer without its cookie | `http/test_frameworks.py` |
| HQBase 41 | twins kill the family | `races/test_races.py` |
| CVE-2024-22513 | a disabled user goes on | `test_managers.py`, `server/test_users.py` |
| CVE-2023-6681, CVE-2026-39373 | bombs in encrypted tokens | here: five segments are refused unopened |
"""

from __future__ import annotations

import hmac
import inspect
import json
import zlib
from functools import partial
from hashlib import sha256
from timeit import repeat, timeit
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keyturn._core import encoding, jwt, keyset, signatures
from keyturn._core.access_claims import ACCESS_TYP, check_access_claims, read_access_token
from keyturn._core.encoding import decode_base64url
from keyturn._core.jwt import JwtReader, sign_jwt
from keyturn._core.keyset import Algorithm, Key
from keyturn._core.signatures import hmac_key
from keyturn.errors import AccessTokenError, ConfigurationError
from keyturn.keys import KeyRing
from tests.support.tokens import AUDIENCE, CLAIMS, ISSUER, NOW, VECTORS, forge, material_of, ring, segment


def refuse(token: object, alg: Algorithm = "ES256") -> str:
    """Say why a token is refused; that nothing else comes out is part of it."""
    reader = JwtReader(ring(alg).current, ACCESS_TYP)
    with pytest.raises(AccessTokenError) as caught:
        read_access_token(reader, token, issuer=ISSUER, audience=AUDIENCE, now=NOW, leeway=0)
    return caught.value.detail


def public_forms(alg: Algorithm) -> list[bytes]:
    """Give a public key in every form that somebody might have used as a secret."""
    material = material_of(alg)
    assert not isinstance(material, bytes)
    public = material.public_key()
    forms = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        json.dumps(ring(alg).jwks()["keys"][0]).encode(),
    ]
    if alg == "RS256":
        forms.append(public.public_bytes(Encoding.PEM, PublicFormat.PKCS1))
    return forms


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256"])
def test_algorithm_confusion(alg: Algorithm) -> None:
    """CVE-2015-9235, -2017-11424, -2022-29217, -2024-33663, -2024-37568: HS256 with a public key."""
    for form in public_forms(alg):
        key = Key("first", "HS256", lambda _m, _s: True, partial(hmac.digest, form, digest="sha256"))
        assert refuse(forge(key=key), alg) == "algorithm"
        relabelled = forge(header={"alg": alg, "typ": "at+jwt", "kid": "first"}, key=key)
        assert refuse(relabelled, alg) == "signature"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "HS256 ", "hs256", "XS256"])
def test_none_and_unknown_algorithms(alg: str) -> None:
    """CVE-2015-9235, CVE-2026-28498, CVE-2026-28802: no algorithm of ours, no token, signed or not."""
    header, payload = segment(json.dumps({"alg": alg, "typ": "at+jwt", "kid": "first"}).encode()), "e30"
    for signature in ("", "AA", "AAAA"):
        assert refuse(f"{header}.{payload}.{signature}") in {"malformed", "algorithm"}
    assert refuse(forge(header={"alg": alg, "typ": "at+jwt", "kid": "first"}), "HS256") == "algorithm"


def test_issuer_is_compared_whole() -> None:
    """CVE-2024-53861: no prefix, part or list stands for the issuer."""
    for wrong in (ISSUER[:-1], ISSUER[8:], "", "h", [ISSUER], {ISSUER: 1}):
        with pytest.raises(AccessTokenError) as caught:
            check_access_claims({**CLAIMS, "iss": wrong}, issuer=ISSUER, audience=AUDIENCE, now=NOW, leeway=0)
        assert caught.value.detail == "issuer"


@pytest.mark.parametrize("crit", [[], None, "exp", ["b64"], ["x"], ["x", "x"], ["alg"], [1], {}])
def test_critical_headers(crit: object) -> None:
    """CVE-2026-32597, CVE-2025-59420, python-jose 413: any `crit` is refused, for we implement none."""
    header = {"alg": "HS256", "typ": "at+jwt", "kid": "first", "crit": crit, "x": 1, "b64": False}
    assert refuse(forge(header=header), "HS256") == "header"


def test_header_and_key_must_name_one_algorithm() -> None:
    """CVE-2026-48523: an allowed name in the header does not excuse another algorithm of the key."""
    ours = ring("RS256").current.active
    assert ours
    for alg in ("ES256", "PS256", "RS512", "HS256"):
        assert (
            refuse(forge(header={"alg": alg, "typ": "at+jwt", "kid": "first"}, key=ours), "RS256")
            == "algorithm"
        )


@pytest.mark.parametrize(
    "token",
    [
        "." * 50_000_000,
        "A" * 50_000_000,
        "A" * 20_000_000 + ".A.A",
        "A.A." + "A" * 20_000_000,
        f"{segment(b'{}')}.{'A' * 20_000_000}.AA",
    ],
    ids=["dots", "one segment", "header", "signature", "payload"],
)
def test_size_is_checked_first(token: str) -> None:
    """CVE-2026-48525, CVE-2025-61920, CVE-2025-30204: the time to refuse does not grow with the size."""
    assert refuse(token) == "malformed"
    hashed = timeit(lambda: sha256(token.encode()), number=1)
    assert min(repeat(lambda: refuse(token), number=1, repeat=5)) < hashed / 10


@pytest.mark.parametrize("secret", [b"", b"a", b"\0" * 31, b"\0" * 32])
def test_weak_secrets(secret: bytes) -> None:
    """PyJWT 2.13, joserfc 1.6.8: an empty or weak HMAC key is refused, wherever it comes from."""
    with pytest.raises(ConfigurationError):
        KeyRing.from_secret(secret)
    with pytest.raises(ConfigurationError):
        hmac_key("k", secret)


def test_macs_are_compared_in_constant_time() -> None:
    """CVE-2016-7036: the one place that compares MACs does so with `compare_digest`."""
    assert "compare_digest(sign(message), signature)" in inspect.getsource(hmac_key)
    sources = [inspect.getsource(module) for module in (encoding, jwt, keyset, signatures)]
    assert not [line for source in sources for line in source.splitlines() if "signature ==" in line]


def test_the_other_signature_of_ecdsa_is_the_same_token() -> None:
    """Python-jose 403: (r, n - s) also verifies, so a token is known by its claims, not by its text."""
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    keys = ring("ES256").current
    assert keys.active
    token = sign_jwt(CLAIMS, keys.active, ACCESS_TYP)
    signing_input, _, signature = token.rpartition(".")
    raw = decode_base64url(signature.encode())
    twin = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    other = f"{signing_input}.{segment(twin)}"
    reader = JwtReader(keys, ACCESS_TYP)
    read = [
        read_access_token(reader, one, issuer=ISSUER, audience=AUDIENCE, now=NOW, leeway=0)
        for one in (token, other)
    ]
    assert other != token
    assert read[0].token_id == read[1].token_id == "token-1"
    assert read[0] == read[1]


@pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"])
def test_keys_inside_a_token(name: str) -> None:
    """CVE-2026-27962, CVE-2018-0114: a key that a token brings along, or points to, is never used."""
    own = KeyRing.generate("ES256", kid="first")
    (jwk,) = own.jwks()["keys"]
    value = {"jwk": jwk, "jku": "https://evil.example/jwks.json"}.get(name, ["AA"])
    for kid in ({"kid": "first"}, {}):
        header: dict[str, Any] = {"alg": "ES256", "typ": "at+jwt", **kid, name: value}
        assert refuse(forge(header=header, key=own.current.active)) == "header"


@pytest.mark.parametrize("alg", ["PBES2-HS256+A128KW", "A256KW", "dir", "RSA-OAEP", "ECDH-ES"])
def test_encrypted_tokens(alg: str) -> None:
    """CVE-2024-33664, CVE-2024-28102, CVE-2026-27932, CVE-2023-51774: five segments are refused unopened."""
    header = {
        "alg": alg,
        "enc": "A256GCM",
        "zip": "DEF",
        "p2c": 2**31,
        "p2s": "AA",
        "typ": "at+jwt",
        "kid": "first",
    }
    bomb = segment(zlib.compress(b"\0" * 4_000_000)[:4000])
    assert refuse(f"{segment(json.dumps(header).encode())}.AA.AA.{bomb}.AA") == "malformed"
    assert refuse(f"{segment(json.dumps(header).encode())}.{bomb}.AA") == "header"


def test_compact_and_json_serializations_do_not_mix() -> None:
    """CVE-2022-39227: a JSON serialization, also one with a genuine compact token inside, is refused."""
    header, payload, signature = forge().split(".")
    mixed = {f"  {header}.": "x", "protected": header, "payload": payload, "signature": signature}
    for token in (
        json.dumps(mixed),
        f'{{"a":"{header}.{payload}.{signature}"}}',
        f'{header}.{payload}.{signature}"}}',
    ):
        assert refuse(token, "HS256") in {"malformed", "header"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x30",
        b"\x30\x06\x02\x01\x01\x02\x01\x01",
        b"\x30\x80" + b"\0" * 62,
        b"\0" * 64,
        b"\0" * 63 + b"\1",
        b"\1" + b"\0" * 63,
        b"\xff" * 64,
        b"\0" * 32 + b"\1" * 32,
        b"\1" * 32 + b"\0" * 32,
        b"\1" * 63,
        b"\1" * 65,
        b"\0" * 32,
        bytes.fromhex("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551") * 2,
    ],
)
@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "RS256", "HS256"])
def test_malformed_signatures(alg: Algorithm, raw: bytes) -> None:
    """CVE-2022-21449, CVE-2019-14853, CVE-2019-14859, CVE-2020-28042: zeros, DER, odd lengths."""
    key = Key("first", alg, lambda _m, _s: True, lambda _m: raw)
    assert refuse(forge(key=key), alg) in {"signature", "malformed"}


def test_errors_show_no_signature() -> None:
    """CVE-2019-7644: a refusal holds neither the token nor the signature that would have been right."""
    genuine = forge()
    signing_input, _, right = genuine.rpartition(".")
    reader = JwtReader(ring("HS256").current, ACCESS_TYP)
    with pytest.raises(AccessTokenError) as caught:
        read_access_token(
            reader,
            f"{signing_input}.{segment(b'x' * 32)}",
            issuer=ISSUER,
            audience=AUDIENCE,
            now=NOW,
            leeway=0,
        )
    shown = f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r} {vars(caught.value)}"
    for secret in (right, signing_input, decode_base64url(right.encode()).hex()):
        assert secret not in shown


def test_the_unsecured_example() -> None:
    """CVE-2026-28802: the RFC's own unsecured token, once accepted after a refactoring, stays refused."""
    assert refuse(VECTORS["unsecured"]["jws"]) == "malformed"
