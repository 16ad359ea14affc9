"""The strict JWT core: which tokens are read, why others are refused, and that only `JwtError` comes out."""

from __future__ import annotations

import hmac
import json
import string
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keyturn._core.encoding import decode_base64url, encode_base64url
from keyturn._core.jwk import algorithm_of, material_from_jwk, prepare, public_from_jwk
from keyturn._core.jwt import (
    MAX_TOKEN_LENGTH,
    JwtError,
    JwtReader,
    peek_jwt,
    refresh_keys,
    sign_jwt,
)
from keyturn._core.keyset import Algorithm, Key, KeySet, key_set
from keyturn._core.signatures import _der_of, hmac_key, mac, public_key
from keyturn.errors import ConfigurationError
from keyturn.keys import KeyRing
from tests.support.tokens import CLAIMS, VECTORS, forge, ring, segment

ALGORITHMS: list[Algorithm] = ["HS256", "ES256", "EdDSA", "Ed25519", "RS256"]
CURRENT = ring("HS256").current


def reader(keys: KeySet = CURRENT) -> JwtReader:
    """A reader of access tokens."""
    return JwtReader(keys, "at+jwt")


def reason(token: object, keys: KeySet = CURRENT) -> str:
    """Say why a token is refused."""
    with pytest.raises(JwtError) as caught:
        reader(keys).read(token)
    assert str(caught.value) == caught.value.reason, "the message is the code and nothing else"
    return caught.value.reason


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_signed_token_can_be_read(alg: Algorithm) -> None:
    """Each algorithm signs what it verifies, and the claims come back as they were."""
    keys = ring(alg).current
    assert keys.active
    token = sign_jwt(CLAIMS, keys.active, "at+jwt")
    assert reader(keys).read(token) == CLAIMS
    header, claims = peek_jwt(token)
    assert header == {"alg": alg, "typ": "at+jwt", "kid": keys.active.kid}
    assert claims == CLAIMS


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_changed_token_is_refused(alg: Algorithm) -> None:
    """One other bit anywhere in payload or signature, and the signature does not fit."""
    keys = ring(alg).current
    assert keys.active
    header, payload, signature = sign_jwt(CLAIMS, keys.active, "at+jwt").split(".")
    other = "B" if payload[5] != "B" else "C"
    assert reason(f"{header}.{payload[:5]}{other}{payload[6:]}.{signature}", keys) == "signature"
    raw = bytearray(decode_base64url(signature.encode()))
    for position in (0, len(raw) // 2, len(raw) - 1):
        flipped = bytearray(raw)
        flipped[position] ^= 1
        assert reason(f"{header}.{payload}.{encode_base64url(bytes(flipped)).decode()}", keys) == "signature"
    for wrong in (raw[:-1], raw + b"\0", raw[:1], b"\0" * len(raw), b"\0" * 64):
        assert reason(f"{header}.{payload}.{encode_base64url(bytes(wrong)).decode()}", keys) == "signature"


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "..",
        "{0}",
        "{0}.{1}",
        "{0}.{1}.",
        "{0}..{2}",
        ".{1}.{2}",
        "{0}.{1}.{2}.",
        ".{0}.{1}.{2}",
        "{0}.{1}.{1}.{1}.{2}",
        "{0}.{1}.{2}=",
        "{0}.{1}.{2}\n",
        "{0}.{1}.{2}\0",
        "{0}.{1}.{2}é",
        "{0}.{1}.{2}\ud800",
        "{0}.{1}.{2}" + "A" * MAX_TOKEN_LENGTH,
        "." * 1_000_000,
        '{{"protected":"{0}","payload":"{1}","signature":"{2}"}}',
    ],
)
def test_what_has_not_the_form_of_a_token(damaged: str) -> None:
    """Only three non-empty strict segments within the size limit are looked at (A07, A08)."""
    assert reason(damaged.format(*forge().split("."))) == "malformed"


def test_what_is_no_text() -> None:
    """Only a `str` is looked at: not bytes, not its parts, not a subclass that may lie."""

    class Text(str):
        __slots__ = ()

    for token in (forge().encode(), forge().split("."), Text(forge()), None, 7):
        assert reason(token) == "malformed"


def test_segments_have_one_spelling() -> None:
    """Non-canonical trailing bits are refused in each segment: one token has one spelling."""
    header, payload, signature = forge().split(".")
    last = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    twin = last[last.index(signature[-1]) | 1]
    assert twin != signature[-1]
    assert reason(f"{header}.{payload}.{signature[:-1]}{twin}") == "malformed"
    assert reason(f"{header}==.{payload}.{signature}") == "header"
    assert reason(forge(payload=payload + "=")) == "claims"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"alg": "none"}, "algorithm"),
        ({"alg": "hs256"}, "algorithm"),
        ({"alg": "HS512"}, "algorithm"),
        ({"alg": "RS256"}, "algorithm"),
        ({"alg": None}, "algorithm"),
        ({"alg": ["HS256"]}, "algorithm"),
        ({"typ": "JWT"}, "type"),
        ({"typ": "rt+jwt"}, "type"),
        ({"typ": "dpop+jwt"}, "type"),
        ({"typ": "AT+JWT"}, "type"),
        ({"typ": "application/rt+jwt"}, "type"),
        ({"typ": None}, "type"),
        ({"typ": ["at+jwt"]}, "type"),
        ({"kid": "unknown"}, "unknown_key"),
        ({"kid": "../../etc/passwd"}, "unknown_key"),
        ({"kid": "k" * 4000}, "unknown_key"),
        ({"kid": None}, "unknown_key"),
        ({"kid": ["first"]}, "unknown_key"),
        ({"kid": {"first": 1}}, "unknown_key"),
        ({"crit": []}, "header"),
        ({"crit": None}, "header"),
        ({"crit": ["exp"], "exp": 1}, "header"),
        ({"crit": ["b64"], "b64": False}, "header"),
        ({"b64": True}, "header"),
        ({"zip": "DEF"}, "header"),
        ({"cty": "JWT"}, "header"),
        ({"jku": "https://evil.example/jwks"}, "header"),
        ({"x5u": "https://evil.example/cert"}, "header"),
        ({"jwk": {"kty": "oct", "k": "AA"}}, "header"),
        ({"x5c": []}, "header"),
        ({"enc": "A256GCM"}, "header"),
        ({"any": 1}, "header"),
    ],
)
def test_headers_that_are_refused(changes: dict[str, Any], expected: str) -> None:
    """A header holds exactly alg, typ and kid of one of our keys, even if the token is genuinely signed."""
    assert reason(forge(header={"alg": "HS256", "typ": "at+jwt", "kid": "first", **changes})) == expected


@pytest.mark.parametrize("missing", ["alg", "typ", "kid"])
def test_header_members_that_are_missing(missing: str) -> None:
    """None of the three may be missing."""
    header = {"alg": "HS256", "typ": "at+jwt", "kid": "first"}
    del header[missing]
    assert reason(forge(header=header)) == "header"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"alg":"HS256","typ":"at+jwt","kid":"first","kid":"first"}',
        b'{"alg":"none","alg":"HS256","typ":"at+jwt","kid":"first"}',
        '{"alg":"HS256","typ":"at+jwt","kid":"first"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"alg":"HS256","typ":"at+jwt","kid":"first"}',
        b'{"alg":"HS256","typ":"at+jwt","kid":"first"}{}',
        b'["alg","typ","kid"]',
        b"null",
        b"\x00",
    ],
)
def test_header_json_is_strict(raw: bytes) -> None:
    """A header that is no strict JSON object is refused even if genuinely signed."""
    assert reason(forge(header=raw)) == "header"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"sub":"a","sub":"b"}',
        b'{"exp":NaN}',
        b'{"exp":1e999}',
        '{"sub":"a"}'.encode("utf-16-le"),
        '{"sub":"a"}'.encode("utf-32"),
        b'\xef\xbb\xbf{"sub":"a"}',
        b'{"sub":"\\ud800"}',
        b'{"a":' + b"[" * 1500 + b"]" * 1500 + b"}",
        b"[]",
        b'"text"',
        b"foo",
    ],
)
def test_claims_json_is_strict(raw: bytes) -> None:
    """Claims that are no strict JSON object are refused even if genuinely signed."""
    assert reason(forge(payload=segment(raw))) == "claims"


def test_claims_are_looked_at_after_the_signature() -> None:
    """A forged token with bad claims is refused for its signature: forged claims are never parsed."""
    header, _, signature = forge().split(".")
    assert reason(f"{header}.{segment(b'[[[[')}.{signature}") == "signature"


@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt"])
def test_the_type_may_be_written_in_two_ways(typ: str) -> None:
    """`application/` may stand before the type (RFC 9068, section 4)."""
    assert reader().read(forge(header={"alg": "HS256", "typ": typ, "kid": "first"})) == CLAIMS


def test_another_spelling_of_a_good_header_is_remembered_once_it_was_genuine() -> None:
    """Order and white space of the header are free; it is remembered only after a signature fitted."""
    header = b'{ "kid":"first", "typ":"at+jwt", "alg":"HS256" }'
    one = reader()
    size = len(one._known)
    with pytest.raises(JwtError):
        one.read(f"{segment(header)}.{segment(b'{}')}.{segment(b'x' * 32)}")
    assert len(one._known) == size, "a forger can fill the table"
    for _ in range(2):
        assert one.read(forge(header=header)) == CLAIMS
        assert len(one._known) == size + 1


def test_the_table_of_headers_is_bounded() -> None:
    """An issuer that spells every header differently is still read, and the table stops growing."""
    one = reader()
    for spaces in range(100):
        header = b'{"alg":"HS256","typ":"at+jwt","kid":"first"%b}' % (b" " * spaces)
        assert one.read(forge(header=header)) == CLAIMS
    assert len(one._known) == 64


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_a_keys_name_for_its_algorithm_is_the_only_one(alg: Algorithm) -> None:
    """`EdDSA` and `Ed25519` sign alike (RFC 9864), and still a key accepts only its own name."""
    keys = ring(alg).current
    assert keys.active
    other: Algorithm = "Ed25519" if alg == "EdDSA" else "EdDSA"
    assert keys.active.sign
    impostor = Key(keys.active.kid, other, keys.active.verify, keys.active.sign)
    assert reason(sign_jwt(CLAIMS, impostor, "at+jwt"), keys) == "algorithm"


def test_size_limit_is_exact() -> None:
    """A token of exactly the limit is read, and none longer is signed."""
    assert CURRENT.active
    room = MAX_TOKEN_LENGTH - len(sign_jwt({"a": ""}, CURRENT.active, "at+jwt"))
    text = "a" * (room * 3 // 4)
    token = sign_jwt({"a": text}, CURRENT.active, "at+jwt")
    assert MAX_TOKEN_LENGTH - 2 <= len(token) <= MAX_TOKEN_LENGTH
    assert reader().read(token) == {"a": text}
    with pytest.raises(ConfigurationError, match="8192"):
        sign_jwt({"a": text + "aaa"}, CURRENT.active, "at+jwt")


def test_what_cannot_be_signed() -> None:
    """A key that only verifies and claims that could not be read back are errors of the caller."""
    assert CURRENT.active
    with pytest.raises(ConfigurationError, match="at most 256"):
        sign_jwt({str(number): None for number in range(257)}, CURRENT.active, "at+jwt")
    most = {str(number): None for number in range(256)}
    assert reader().read(sign_jwt(most, CURRENT.active, "at+jwt")) == most
    with pytest.raises(ConfigurationError, match="claims"):
        sign_jwt({"a": object()}, CURRENT.active, "at+jwt")
    with pytest.raises(ConfigurationError, match="only verify"):
        sign_jwt({}, Key("k", "ES256", lambda _message, _signature: False), "at+jwt")


@pytest.mark.parametrize("token", ["", "a.b.c", f"{segment(b'{}')}.{segment(b'[]')}.AA", "..", None])
def test_peeking_is_as_strict_about_form(token: object) -> None:
    """`peek_jwt` shows only what has the form of a token, and raises nothing but `JwtError`."""
    with pytest.raises(JwtError):
        peek_jwt(token)


def test_refresh_keys_are_derived_and_apart() -> None:
    """Refresh tokens have HS256 keys of the same names, and no key fits the other kind of token."""
    for alg in ALGORITHMS:
        keys = ring(alg).current
        derived = refresh_keys(keys)
        assert derived.active
        assert keys.active
        assert (derived.active.kid, derived.active.alg) == (keys.active.kid, "HS256")
        token = sign_jwt(CLAIMS, derived.active, "rt+jwt")
        assert JwtReader(derived, "rt+jwt").read(token) == CLAIMS
        assert derived.active.refresh_secret is None
        as_access = sign_jwt(CLAIMS, derived.active, "at+jwt")
        assert reason(as_access, keys) in {"signature", "algorithm"}


def test_refresh_keys_of_public_keys_are_none() -> None:
    """A set that only verifies has no refresh keys."""
    public = Key("k", "ES256", lambda _message, _signature: False)
    assert refresh_keys(key_set([public])).keys == {}
    assert refresh_keys(key_set([public])).active is None


@pytest.mark.parametrize("kid", ["", "a" * 129, "a b", "a\n", "é", "a\0"])
def test_kids_are_short_and_printable(kid: str) -> None:
    """A key's name is 1 to 128 printable ASCII characters (A04)."""
    with pytest.raises(ConfigurationError, match="kid"):
        hmac_key(kid, bytes(range(32)))


def test_key_sets_are_consistent() -> None:
    """Names are unique, and the active key is one of the set that can sign."""
    one, twin = hmac_key("a", bytes(range(32))), hmac_key("a", bytes(range(1, 33)))
    with pytest.raises(ConfigurationError, match="same kid"):
        key_set([one, twin])
    with pytest.raises(ConfigurationError, match="active"):
        key_set([one], active=twin)
    verifies = Key("b", "ES256", lambda _message, _signature: False)
    with pytest.raises(ConfigurationError, match="active"):
        key_set([verifies], active=verifies)
    assert not hasattr(key_set([one]).keys, "__setitem__")


def test_nothing_secret_in_reprs() -> None:
    """A key shows its name and algorithm, nothing else."""
    assert repr(hmac_key("a", bytes(range(32)), refresh_secret=b"s" * 32)) == "Key(kid='a', alg='HS256')"


def test_a_key_of_another_kind_is_refused() -> None:
    """The key fixes the algorithm: a curve's key cannot become an RSA key or the reverse (A01)."""
    material = ring("EdDSA")._entries[0].material
    assert not isinstance(material, bytes)
    with pytest.raises(ConfigurationError, match="ES256"):
        public_key("k", "ES256", material.public_key())
    on_other_curves = [generate_private_key(curve).public_key() for curve in (SECP256K1(), SECP384R1())]
    for other in (*on_other_curves, None, b"secret"):
        with pytest.raises(ConfigurationError, match="ES256"):
            public_key("k", "ES256", other)


def test_a_signature_has_one_length() -> None:
    """Zeros before r or s change no number; still only 64 bytes are a signature (RFC 7518, 3.4)."""
    keys = ring("ES256").current
    assert keys.active
    signing_input, _, signature = sign_jwt(CLAIMS, keys.active, "at+jwt").rpartition(".")
    raw = decode_base64url(signature.encode())
    for padded in (raw[:32] + b"\0" + raw[32:], b"\0" + raw, b"\0" + raw[:32] + b"\0" + raw[32:]):
        assert reason(f"{signing_input}.{segment(padded)}", keys) == "signature"


_NUMBERS = st.binary(min_size=32, max_size=32) | st.integers(0, 2**256 - 1).map(lambda one: one.to_bytes(32))
_SMALL = st.integers(0, 300).map(lambda one: one.to_bytes(32))


@given(_NUMBERS | _SMALL, _NUMBERS | _SMALL)
@example(b"\x7f" + b"\xff" * 31, b"\x80" + bytes(31))
@example(bytes(31) + b"\x80", bytes(31) + b"\x7f")
@example(bytes(32), b"\x01" * 32)
@example(b"\x01" * 32, bytes(32))
def test_der_is_that_of_the_library(r: bytes, s: bytes) -> None:
    """The DER of r || s is what the library would write; 0 is no number of a signature."""
    numbers = int.from_bytes(r), int.from_bytes(s)
    assert _der_of(r + s) == (encode_dss_signature(*numbers) if all(numbers) else None)


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 96])
def test_der_of_other_lengths(length: int) -> None:
    """Only 64 bytes are r || s."""
    assert _der_of(b"\x01" * length) is None


@pytest.mark.parametrize("beginning", [b"", b"purpose\0"])
def test_a_prepared_mac_is_hmac(beginning: bytes) -> None:
    """What is prepared once gives what the standard library's HMAC gives, each time."""
    tag = mac(b"secret", beginning)
    for message in (b"", b"one", b"two" * 100):
        assert tag(message) == hmac.digest(b"secret", beginning + message, "sha256")


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_rfc_examples(vector: dict[str, Any]) -> None:
    """The RFCs' own signatures verify, twins with one bit changed do not; our profile refuses both."""
    alg = algorithm_of(vector["jwk"])
    assert alg
    if alg == "HS256":
        key = prepare("k", alg, material_from_jwk("k", vector["jwk"]))
    else:
        key = public_from_jwk("k", alg, vector["jwk"])
    signing_input, _, signature = vector["jws"].encode().rpartition(b".")
    raw = decode_base64url(signature)
    assert json.loads(decode_base64url(signing_input.partition(b".")[0]))["alg"] == alg
    assert key.verify(signing_input, raw)
    for position in range(len(raw)):
        twin = bytearray(raw)
        twin[position] ^= 0x40
        assert not key.verify(signing_input, bytes(twin))
    assert not key.verify(signing_input + b"A", raw)
    assert reason(vector["jws"], key_set([key])) == "header"


def test_rfc_unsecured_example() -> None:
    """An unsecured JWS (RFC 7515, A.5) has an empty signature: it has not the form of a token."""
    assert reason(VECTORS["unsecured"]["jws"]) == "malformed"
    assert reason(VECTORS["unsecured"]["jws"] + "AA") == "header"


def _signed(keys: KeySet) -> tuple[KeySet, str]:
    assert keys.active
    return keys, sign_jwt(CLAIMS, keys.active, "at+jwt")


_GOOD = {alg: _signed(ring(alg).current) for alg in ALGORITHMS}
_EDITS = st.lists(
    st.tuples(
        st.integers(0, 900),
        st.integers(0, 3),
        st.text(max_size=3) | st.sampled_from([".", "=", "-", "_", "A"]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300)
@given(st.sampled_from(ALGORITHMS), _EDITS)
def test_mutations_give_the_claims_or_the_one_error(
    alg: Algorithm, edits: list[tuple[int, int, str]]
) -> None:
    """However a token is cut and spliced, it is read only if it is the same, else `JwtError` comes."""
    keys, token = _GOOD[alg]
    changed = token
    for at, cut, insert in edits:
        position = at % (len(changed) + 1)
        changed = changed[:position] + insert + changed[position + cut :]
    if changed == token:
        return
    with pytest.raises(JwtError):
        reader(keys).read(changed)


@given(st.text(max_size=50) | st.binary(max_size=20) | st.integers() | st.none())
def test_anything_at_all_gives_the_one_error(token: object) -> None:
    """Any object may be given for a token; only `JwtError` comes out."""
    reason(token)


def test_ring_keys_differ_between_rings() -> None:
    """Two rings that were generated alike have nothing in common: the tests above do not pass by chance."""
    first, second = KeyRing.generate("HS256").current, KeyRing.generate("HS256").current
    assert first.active
    assert second.active
    assert first.active.kid != second.active.kid
    assert first.active.refresh_secret != second.active.refresh_secret
