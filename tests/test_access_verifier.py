"""The stand-alone verifier: keys from anywhere, one answer per token, and outages that are no answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keyturn._core.jwt import sign_jwt
from keyturn._core.keyset import Algorithm
from keyturn.access import AccessVerifier
from keyturn.errors import AccessTokenError, ConfigurationError, StoreUnavailable
from keyturn.jwks import RemoteKeys
from keyturn.keys import KeyRing
from keyturn.results import Principal
from tests.support.issuer import Issuer, issuer
from tests.support.tokens import AUDIENCE, CLAIMS, ISSUER, NOW, ring


@pytest.fixture
def endpoint() -> Iterator[Issuer]:
    """A real HTTP server for keys."""
    with issuer() as running:
        yield running


def verifier(jwks: Any, *, now: list[float] | None = None, **settings: Any) -> AccessVerifier:
    """A verifier for our issuer and audience at a settable moment."""
    moment = now or [float(NOW)]
    return AccessVerifier(jwks=jwks, issuer=ISSUER, audience=AUDIENCE, clock=lambda: moment[0], **settings)


def token(own: KeyRing, **changes: object) -> str:
    """Sign our claims with some changes."""
    assert own.current.active
    return sign_jwt({**CLAIMS, **changes}, own.current.active, "at+jwt")


def reason(verifies: AccessVerifier, text: Any) -> str:
    """Say why a token is refused."""
    with pytest.raises(AccessTokenError) as caught:
        verifies.verify(text)
    assert str(caught.value) == "The access token is not acceptable."
    assert caught.value.http_status == 401
    return caught.value.detail


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "Ed25519", "RS256"])
def test_a_token_of_the_issuer_is_accepted(alg: Algorithm, tmp_path: Path) -> None:
    """From a dict and from a file, and the principal says what the token says."""
    own = ring(alg)
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(own.jwks()), encoding="utf-8")
    for jwks in (own.jwks(), path, str(path)):
        who = verifier(jwks).verify(token(own, roles=["member"], auth_time=NOW - 60, cnf={"jkt": "thumb"}))
        assert who == Principal(
            user_id="user-1",
            session_id="session-1",
            token_id="token-1",
            claims={"roles": ["member"]},
            issued_at=NOW,
            expires_at=NOW + 900,
            auth_time=NOW - 60,
            generation=3,
            jkt="thumb",
        )


def test_refusals_name_the_rule_and_nothing_else() -> None:
    """Each refusal is the one documented error; its detail is a code for logs (A14)."""
    own, other = ring("ES256"), KeyRing.generate("ES256", kid="first")
    verifies = verifier(own.jwks())
    assert own.current.active
    assert reason(verifies, token(other)) == "signature"
    assert reason(verifies, token(KeyRing.generate("ES256"))) == "unknown_key"
    assert reason(verifies, token(KeyRing.generate("EdDSA", kid="first"))) == "algorithm"
    assert reason(verifies, sign_jwt(CLAIMS, own.current.active, "rt+jwt")) == "type"
    assert reason(verifies, token(own, iss="https://evil.example")) == "issuer"
    assert reason(verifies, token(own, aud="other")) == "audience"
    assert reason(verifies, token(own, exp=NOW - 10)) == "expired"
    assert reason(verifies, token(own, nbf=NOW + 11)) == "not_yet_valid"
    assert reason(verifies, token(own, sub=None)) == "claims"
    for anything in ("", "a.b.c", None, 5, b"a.b.c", ["a"], "x" * 9000):
        assert reason(verifies, anything) == "malformed" if anything != "a.b.c" else "header"


def test_the_clock_and_leeway_are_the_callers() -> None:
    """Ten seconds of skew by default, in both directions."""
    own, now = ring("ES256"), [float(NOW)]
    verifies = verifier(own.jwks(), now=now)
    signed = token(own)
    for moment in (NOW - 10, NOW + 909.9):
        now[0] = moment
        assert verifies.verify(signed).user_id == "user-1"
    for moment, expected in ((NOW - 10.1, "not_yet_valid"), (NOW + 910, "expired")):
        now[0] = moment
        assert reason(verifies, signed) == expected


@pytest.mark.parametrize(
    "settings",
    [
        {"verified_tokens": -1},
        {"leeway": 61},
        {"leeway": "2m"},
        {"leeway": -1},
        {"issuer": ""},
        {"audience": ""},
        {"jwks": {}},
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any]) -> None:
    """A leeway over 60 seconds, an empty issuer or audience and unusable keys stop the start."""
    with pytest.raises(ConfigurationError):
        AccessVerifier(**{"jwks": ring("ES256").jwks(), "issuer": ISSUER, "audience": AUDIENCE, **settings})


@pytest.mark.parametrize("url", ["http://127.0.0.1/jwks", "http://auth.example.com/jwks"])
def test_plain_http_is_refused(url: str) -> None:
    """A URL must be https; `RemoteKeys` has the option for development."""
    with pytest.raises(ConfigurationError, match="https"):
        verifier(url)


def test_an_https_url_is_fetched_only_when_a_token_comes() -> None:
    """Making a verifier asks nobody, so an issuer that is down does not stop a service from starting."""
    verifies = verifier("https://127.0.0.1:9/jwks.json")
    with pytest.raises(StoreUnavailable):
        verifies.verify(token(ring("ES256")))


def test_a_new_key_of_the_issuer_is_found(endpoint: Issuer) -> None:
    """A token with an unknown kid makes the verifier look again, once per cool-down."""
    now = [float(NOW)]
    own = KeyRing.generate("EdDSA", clock=lambda: now[0])
    endpoint.publish(own.jwks())
    remote = RemoteKeys(endpoint.url, unsafe_allow_http_on_loopback=True, cooldown="30s", max_age="1h")
    verifies = verifier(remote, now=now)
    before = token(own)
    assert verifies.verify(before).user_id == "user-1"
    own.rotate()
    endpoint.publish(own.jwks())
    after = token(own)
    assert reason(verifies, after) == "unknown_key"
    now[0] += 30
    assert verifies.verify(after).user_id == "user-1"
    assert verifies.verify(before).user_id == "user-1"
    assert endpoint.requests == 2
    assert reason(verifies, token(own, exp=NOW - 20)) == "expired"
    stranger = token(KeyRing.generate("EdDSA"))
    for _ in range(50):
        assert reason(verifies, stranger) == "unknown_key"
    assert endpoint.requests == 2


def test_a_signature_is_checked_once() -> None:
    """A token that was verified is remembered until it expires; with 0 tokens to remember, none is."""
    now = [float(NOW)]
    sent = token(ring("EdDSA"), roles=["member"])
    for remembered in (2, 0):
        now[0] = float(NOW)
        verifies = verifier(ring("EdDSA").jwks(), now=now, verified_tokens=remembered)
        first, second = verifies.verify(sent), verifies.verify(sent)
        assert first == second
        assert (first is second) == bool(remembered)
        with pytest.raises(TypeError):
            first.claims["roles"].append("admin")
        now[0] += 900 + 10
        assert reason(verifies, sent) == "expired"


def test_a_removed_key_is_noticed(endpoint: Issuer) -> None:
    """When the set is old it is fetched again, and a key that is gone is refused from then on."""
    now = [float(NOW)]
    own = KeyRing.generate("EdDSA", kid="old", clock=lambda: now[0])
    endpoint.publish(own.jwks())
    remote = RemoteKeys(endpoint.url, unsafe_allow_http_on_loopback=True, max_age="10m")
    verifies = verifier(remote, now=now)
    signed = token(own)
    assert verifies.verify(signed).user_id == "user-1"
    own.rotate()
    own.remove("old")
    endpoint.publish(own.jwks())
    now[0] += 600
    assert reason(verifies, signed) == "unknown_key"


def test_an_outage_is_no_judgement(endpoint: Issuer) -> None:
    """While the issuer cannot be reached, known keys serve; about others nothing is said: 503, not 401."""
    now = [float(NOW)]
    own = KeyRing.generate("EdDSA", clock=lambda: now[0])
    endpoint.publish(own.jwks())
    verifies = verifier(RemoteKeys(endpoint.url, unsafe_allow_http_on_loopback=True), now=now)
    before = token(own)
    assert verifies.verify(before).user_id == "user-1"
    own.rotate()
    endpoint.status = 503
    now[0] += 60
    assert verifies.verify(before).user_id == "user-1"
    with pytest.raises(StoreUnavailable) as caught:
        verifies.verify(token(own))
    assert caught.value.http_status == 503
    endpoint.publish(own.jwks())
    now[0] += 30
    assert verifies.verify(token(own)).user_id == "user-1"
