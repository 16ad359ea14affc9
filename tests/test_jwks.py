"""Public keys from a JWK Set: a dict, a file, a real HTTP server. It knows no claim."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from joserfc.jwk import ECKey, OKPKey

from keyturn._core.jwt import JwtReader, sign_jwt
from keyturn._core.keyset import Algorithm
from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.jwks import MAX_JWKS_BYTES, RemoteKeys, load_jwks
from keyturn.keys import KeyRing
from keyturn.testing.servers.programs import free_port
from tests.support.issuer import Issuer, issuer, self_signed
from tests.support.processes import fork
from tests.support.tokens import CLAIMS, NOW, ring, segment

EC: dict[str, Any] = {**ring("ES256").jwks()["keys"][0]}
OKP: dict[str, Any] = {**ring("EdDSA").jwks()["keys"][0], "kid": "okp"}
RSA: dict[str, Any] = {**ring("RS256").jwks()["keys"][0], "kid": "rsa"}


def number(value: int) -> str:
    """Encode a number as JWKs do."""
    return segment(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def without(jwk: dict[str, Any], *names: str) -> dict[str, Any]:
    """Take members away."""
    return {name: value for name, value in jwk.items() if name not in names}


@pytest.fixture
def endpoint() -> Iterator[Issuer]:
    """A real HTTP server that publishes one key named `first`."""
    with issuer() as running:
        running.publish(ring("ES256").jwks())
        yield running


def remote(endpoint: Issuer, **settings: Any) -> RemoteKeys:
    """The keys behind the server."""
    return RemoteKeys(endpoint.url, unsafe_allow_http_on_loopback=True, **settings)


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "Ed25519", "RS256"])
def test_what_a_ring_publishes_can_be_loaded(alg: Algorithm, tmp_path: Path) -> None:
    """From a dict and from a file, as text or path, come keys that verify and cannot sign."""
    own = ring(alg)
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(own.jwks()), encoding="utf-8")
    assert own.current.active
    token = sign_jwt(CLAIMS, own.current.active, "at+jwt")
    for source in (own.jwks(), path, str(path)):
        keys = load_jwks(source)
        assert JwtReader(keys, "at+jwt").read(token) == CLAIMS
        assert keys.active is None
        assert [(key.kid, key.alg, key.sign, key.refresh_secret) for key in keys.keys.values()] == [
            ("first", alg, None, None)
        ]


@pytest.mark.parametrize(("jwk", "alg"), [(EC, "ES256"), (OKP, "EdDSA"), (RSA, "RS256")])
def test_a_missing_alg_is_implied_by_the_type(jwk: dict[str, Any], alg: str) -> None:
    """`alg`, `use` and `key_ops` are optional (RFC 7517, section 4)."""
    (key,) = load_jwks({"keys": [without(jwk, "alg", "use")]}).keys.values()
    assert key.alg == alg


@pytest.mark.parametrize(
    "other",
    [
        {"kty": "PQ", "kid": "x", "alg": "ML-DSA-44", "pub": "AA"},
        {"kid": "x"},
        {"kty": None, "kid": "x"},
        {"kty": ["EC"], "kid": "x"},
        {**EC, "kid": "x", "use": "enc"},
        {**EC, "kid": "x", "use": 1},
        {**EC, "kid": "x", "key_ops": ["sign"]},
        {**EC, "kid": "x", "key_ops": []},
        {**EC, "kid": "x", "key_ops": "verify"},
        {**EC, "kid": "x", "alg": "ES384"},
        {**EC, "kid": "x", "alg": "RS256"},
        {**EC, "kid": "x", "alg": "none"},
        {**EC, "kid": "x", "alg": None},
        {**EC, "kid": "x", "alg": []},
        {**EC, "kid": "x", "crv": "P-384"},
        {**EC, "kid": "x", "crv": "secp256k1"},
        {**RSA, "kid": "x", "alg": "PS256"},
        {**RSA, "kid": "x", "alg": "RSA-OAEP"},
        {**OKPKey.generate_key("Ed448").as_dict(private=False), "kid": "x"},
        {**OKPKey.generate_key("X25519").as_dict(private=False), "kid": "x"},
        without(RSA, "kid"),
    ],
)
def test_keys_that_are_passed_over(other: dict[str, Any]) -> None:
    """Other types, curves, algorithms and uses do not hinder the keys beside them, and serve for nothing."""
    assert list(load_jwks({"keys": [other, EC]}).keys) == ["first"]
    with pytest.raises(ConfigurationError, match="no key that can be used"):
        load_jwks({"keys": [other]})


def roca_modulus() -> int:
    """Make a modulus with the mark of the broken generator: a power of 65537 modulo small primes."""
    primes = [p for p in range(3, 168) if all(p % d for d in range(2, p))]
    product = 1
    for prime in primes:
        product *= prime
    return pow(65537, 12345, product) + product * (1 << (2047 - product.bit_length() + 1))


@pytest.mark.parametrize(
    ("jwk", "message"),
    [
        pytest.param({**EC, "y": EC["x"]}, "malformed", id="a point off the curve"),
        pytest.param(
            {**EC, "x": segment(b"\0" * 32), "y": segment(b"\0" * 32)}, "malformed", id="the point 0, 0"
        ),
        pytest.param(without(EC, "y"), "malformed", id="no y"),
        pytest.param({**EC, "x": 5}, "malformed", id="x is a number"),
        pytest.param({**EC, "x": EC["x"] + "="}, "malformed", id="padding"),
        pytest.param({**OKP, "x": segment(b"\1" * 31)}, "malformed", id="a short x"),
        pytest.param({**OKP, "x": "é"}, "malformed", id="x is no base64"),
        pytest.param({**RSA, "n": number((1 << 1023) + 1)}, "2048", id="RSA of 1024 bits"),
        pytest.param({**RSA, "n": number((1 << 2046) + 1)}, "2048", id="RSA of 2047 bits"),
        pytest.param({**RSA, "n": number((1 << 8199) + 1)}, "8192", id="RSA of 8200 bits"),
        pytest.param({**RSA, "e": number(3)}, "exponent", id="e = 3"),
        pytest.param({**RSA, "e": number(1)}, "exponent|malformed", id="e = 1"),
        pytest.param({**RSA, "e": number(65538)}, "exponent|malformed", id="an even e"),
        pytest.param({**RSA, "n": number(roca_modulus())}, "CVE-2017-15361", id="a ROCA modulus"),
        pytest.param(without(RSA, "e"), "malformed", id="no e"),
        pytest.param({**EC, "kid": 5}, "kid", id="kid is a number"),
        pytest.param({**EC, "kid": "a" * 129}, "kid", id="a long kid"),
        pytest.param({**EC, "kid": ""}, "kid", id="an empty kid"),
        pytest.param({**EC, "d": "AA"}, "private", id="a private key"),
        pytest.param({**RSA, "p": "AA"}, "private", id="a prime"),
        pytest.param({"kty": "oct", "kid": "s"}, "symmetric", id="a symmetric key"),
        pytest.param({"kty": "PQ", "kid": "s", "k": "AA"}, "symmetric", id="k in an unknown type"),
    ],
)
@pytest.mark.filterwarnings("ignore:Key size should be:joserfc.errors.SecurityWarning")
def test_keys_that_are_refused(jwk: dict[str, Any], message: str) -> None:
    """A weak, malformed, private or symmetric key makes the whole set unacceptable (A15, A16)."""
    for keys in ([jwk], [jwk, {**OKP, "kid": "beside"}]):
        with pytest.raises(ConfigurationError, match=message):
            load_jwks({"keys": keys})


def test_two_keys_of_one_name_are_refused() -> None:
    """Which of two keys is meant must not depend on their order (RFC 7517, section 4.5)."""
    twin = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "first"}
    for keys in ([EC, twin], [twin, EC], [EC, EC]):
        with pytest.raises(ConfigurationError, match="same kid"):
            load_jwks({"keys": keys})


@pytest.mark.parametrize(
    "document", [{}, {"keys": None}, {"keys": {}}, {"keys": [1]}, {"keys": []}, {"keys": [EC] * 101}]
)
def test_what_is_no_jwk_set(document: dict[str, Any]) -> None:
    """A JWK Set is an object with a list of keys, of a reasonable length, of which some serve."""
    with pytest.raises(ConfigurationError):
        load_jwks(document)


def test_files_that_are_no_jwk_set(tmp_path: Path) -> None:
    """A missing, oversized or malformed file is a clear configuration error."""
    path = tmp_path / "jwks.json"
    with pytest.raises(ConfigurationError, match="cannot read"):
        load_jwks(path)
    for content, message in {
        b"": "not acceptable",
        b"[]": "not acceptable",
        b'{"keys":[],"keys":[]}': "twice",
        json.dumps({"keys": [OKP]}).encode() + b" " * MAX_JWKS_BYTES: "larger",
    }.items():
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=message):
            load_jwks(path)


def test_nothing_is_fetched_before_it_is_needed(endpoint: Issuer) -> None:
    """The set is fetched at the first question and kept until it is old."""
    keys = remote(endpoint, max_age="10m")
    assert endpoint.requests == 0
    first = keys.current(NOW)
    assert list(first.keys) == ["first"]
    assert keys.current(NOW + 599) is first
    assert endpoint.requests == 1
    assert list(keys.current(NOW + 600).keys) == ["first"]
    assert endpoint.requests == 2
    assert endpoint.url in repr(keys)


def test_an_unknown_kid_costs_one_fetch_per_cooldown(endpoint: Issuer) -> None:
    """However many unknown names come, the issuer is asked once per cool-down (A17, CVE-2026-48524)."""
    keys = remote(endpoint, cooldown="30s")
    keys.current(NOW)
    for _ in range(100):
        keys.refetch(NOW + 29)
    assert endpoint.requests == 1
    endpoint.publish({"keys": [OKP]})
    assert list(keys.refetch(NOW + 30).keys) == ["okp"]
    for _ in range(100):
        keys.refetch(NOW + 59)
    assert endpoint.requests == 2


def test_a_clock_that_was_set_back_does_not_block_fetching(endpoint: Issuer) -> None:
    """A moment long before the last fetch counts as long after it."""
    keys = remote(endpoint, max_age="10m")
    keys.current(NOW)
    keys.current(NOW - 3600)
    assert endpoint.requests == 2


def test_threads_whose_moments_cross_fetch_once(endpoint: Issuer) -> None:
    """A thread that read the clock a little before another's fetch does not fetch again."""
    keys = remote(endpoint, cooldown="30s")
    keys.current(NOW)
    for _ in range(10):
        keys.refetch(NOW - 0.1)
        keys.refetch(NOW + 0.1)
    assert endpoint.requests == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (404, b"{}"),
        (200, b""),
        (200, b"<html>"),
        (200, b'{"keys":[]}'),
        (200, json.dumps({"keys": [{**EC, "d": "AA"}]}).encode()),
        (200, json.dumps({"keys": [OKP]}).encode() + b" " * MAX_JWKS_BYTES),
        (200, b'{"keys":' + b"[" * 50_000),
        (200, None),
    ],
)
def test_the_last_good_set_survives_a_failure(endpoint: Issuer, status: int, body: bytes | None) -> None:
    """A failed fetch takes nothing away; without a good set it is an outage, not a judgement (A17)."""
    keys = remote(endpoint)
    good = keys.current(NOW)
    states = [keys.failing]
    endpoint.status, endpoint.body = status, body
    assert keys.current(NOW + 3600) is good
    states.append(keys.failing)
    fresh = remote(endpoint)
    with pytest.raises(StoreUnavailable, match="keys"):
        fresh.current(NOW)
    before = endpoint.requests
    with pytest.raises(StoreUnavailable):
        fresh.current(NOW + 29)
    assert endpoint.requests == before, "an outage is no reason to ask without pause"
    endpoint.publish(ring("ES256").jwks())
    assert list(fresh.current(NOW + 30).keys) == ["first"]
    assert keys.current(NOW + 3630) is not good
    states.append(keys.failing)
    assert states == [False, True, False]


def test_a_server_that_is_not_there() -> None:
    """A refused connection is an outage."""
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(StoreUnavailable):
        RemoteKeys(url, unsafe_allow_http_on_loopback=True).current(NOW)


def test_redirects_are_not_followed(endpoint: Issuer) -> None:
    """Keys come from the configured place only, also if that place points elsewhere."""
    with issuer() as elsewhere:
        elsewhere.publish(ring("ES256").jwks())
        for target in (elsewhere.url, "file:///etc/passwd", "ftp://127.0.0.1/"):
            endpoint.status, endpoint.headers = 302, {"Location": target}
            with pytest.raises(StoreUnavailable):
                remote(endpoint).current(NOW)
        assert elsewhere.requests == 0


def test_a_server_that_trickles_is_given_up(endpoint: Issuer) -> None:
    """The time limit holds for the whole answer, not for each byte of it."""
    endpoint.trickle = 0.02
    with pytest.raises(StoreUnavailable):
        remote(endpoint, timeout="200ms").current(NOW)


def test_one_thread_fetches_and_the_others_go_on(endpoint: Issuer) -> None:
    """While a slow fetch runs, threads that have a set use it: none waits."""
    keys = remote(endpoint, timeout="30s")
    good = keys.current(NOW)
    endpoint.trickle = 0.01
    slow = threading.Thread(target=keys.refetch, args=(NOW + 60,))
    slow.start()
    try:
        while endpoint.requests < 2:
            pass
        assert keys.refetch(NOW + 120) is good
        assert keys.current(NOW + 10_000) is good
        assert slow.is_alive(), "the fetch was over: nothing was shown"
        assert endpoint.requests == 2
    finally:
        endpoint.gone.set()
        slow.join()


def test_threads_that_start_together_fetch_once(endpoint: Issuer) -> None:
    """Without a set all wait for one fetch, and all get its result."""
    keys = remote(endpoint)
    barrier = threading.Barrier(8)
    results: list[int] = []

    def work() -> None:
        barrier.wait()
        results.append(len(keys.current(NOW).keys))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1] * 8
    assert endpoint.requests == 1


def test_a_fork_while_another_thread_fetches(endpoint: Issuer) -> None:
    """The child waits for no lock of a thread that it does not have, and fetches by itself."""
    keys = remote(endpoint)
    with keys._lock:
        wait = fork(lambda: bool(keys.current(1000.0).keys))
    assert wait() == 0


def test_https_with_a_private_authority(tmp_path: Path) -> None:
    """Over TLS the certificate is checked: only a trusted server's keys are taken."""
    trusting = self_signed(tmp_path / "server.pem")
    with issuer(tmp_path / "server.pem") as endpoint:
        endpoint.publish(ring("ES256").jwks())
        assert list(RemoteKeys(endpoint.url, ssl_context=trusting).current(NOW).keys) == ["first"]
        with pytest.raises(StoreUnavailable):
            RemoteKeys(endpoint.url).current(NOW)


@pytest.mark.parametrize(
    "url",
    [
        "http://auth.example.com/jwks",
        "http://10.0.0.1/jwks",
        "http://localhost.example.com/jwks",
        "http:///jwks",
        "https:///jwks",
        "https://user:password@auth.example.com/jwks",
        "file:///etc/jwks.json",
        "ftp://auth.example.com/jwks",
        "auth.example.com",
        "https://[",
        "https://auth.example.com:port/jwks",
        "https://auth.example.com:99999/jwks",
        "https://auth.example.com:0/jwks",
        "https://auth.example.com/jwks/é",
        "",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    """Keys come over https, or over http from this machine if that was asked for (A17, F02)."""
    with pytest.raises(ConfigurationError, match="https"):
        RemoteKeys(url, unsafe_allow_http_on_loopback=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.9.10"])
def test_plain_http_needs_a_loud_name(host: str) -> None:
    """Even for this machine, http must be asked for."""
    RemoteKeys(f"http://{host}:1/jwks", unsafe_allow_http_on_loopback=True)
    with pytest.raises(ConfigurationError, match="https"):
        RemoteKeys(f"http://{host}:1/jwks")


def test_the_marks_of_roca_are_rare() -> None:
    """The check for the broken generator does not hit honest keys."""
    for _ in range(3):
        (jwk,) = KeyRing.generate("RS256").jwks()["keys"]
        assert load_jwks({"keys": [jwk]}).keys
    assert RSAPublicNumbers(65537, roca_modulus()).n.bit_length() >= 2048
