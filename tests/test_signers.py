"""Keys that something else holds: they sign as keys of our own do, and their failures are outages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey

from keyturn._core.keyset import Algorithm
from keyturn.errors import ConfigurationError, InvalidToken, StoreUnavailable
from keyturn.http.replies import refusal_of
from keyturn.keys import KeyRing
from keyturn.manager import TokenManager
from keyturn.signers import raw_signature
from keyturn.stores.memory import MemoryStore
from tests.support.hsm import Hsm

SECRET = "a secret for refresh tokens, 32 bytes at least"


def manager_on(ring: KeyRing) -> TokenManager:
    """A manager whose tokens the ring signs."""
    return TokenManager(store=MemoryStore(), keys=ring, issuer="https://auth.example.com", audience="api")


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "Ed25519", "RS256"])
def test_a_session_lives_on_a_key_held_elsewhere(alg: Algorithm) -> None:
    """Issue, authenticate, refresh; another library verifies with the published key, which is public only."""
    hsm = Hsm(alg)
    ring = KeyRing.from_signer(hsm, refresh_secret=SECRET)
    manager = manager_on(ring)
    pair = manager.refresh(manager.issue("alice").refresh_token)
    assert manager.authenticate(pair.access_token).user_id == "alice"
    assert hsm.signed == 3, "once for the self-test, once for each access token; refresh tokens need none"
    (jwk,) = ring.jwks()["keys"]
    assert jwk.keys() <= {"kty", "crv", "x", "y", "n", "e", "use", "alg", "kid"}
    if alg != "Ed25519":  # a name that PyJWT does not know yet
        claims = pyjwt.decode(
            pair.access_token,
            pyjwt.PyJWK(jwk),
            algorithms=[alg],
            audience="api",
            options={"verify_iat": True},
        )
        assert claims["sub"] == "alice"
    manager.close()


def test_refresh_tokens_are_bound_to_the_secret_and_the_key() -> None:
    """Every process with the same two accepts them; with another secret, or for another key, nobody does."""
    hsm = Hsm()
    token = manager_on(KeyRing.from_signer(hsm, refresh_secret=SECRET)).issue("alice").refresh_token
    same = manager_on(KeyRing.from_signer(hsm, refresh_secret=SECRET.encode()))
    assert same.verify_refresh(token).generation == 0
    other_secret = KeyRing.from_signer(hsm, refresh_secret=SECRET + "!")
    other_key = KeyRing.from_signer(Hsm(kid="hsm-2"), refresh_secret=SECRET)
    for ring in (other_secret, other_key):
        with pytest.raises(InvalidToken):
            manager_on(ring).verify_refresh(token)
    secrets = {
        key.refresh_secret
        for signer in (hsm, Hsm(kid="hsm-2"))
        for key in KeyRing.from_signer(signer, refresh_secret=SECRET).current.keys.values()
    }
    assert len(secrets) == 2


def test_a_turn_from_one_key_to_the_next() -> None:
    """The next signer is published first; then the former's tokens are accepted, and it signs no more."""
    old, new = Hsm(kid="hsm-1"), Hsm("EdDSA", kid="hsm-2")
    published = KeyRing.from_signer(old, refresh_secret=SECRET, pending=[new])
    assert [(info.kid, info.state) for info in published.infos()] == [
        ("hsm-1", "active"),
        ("hsm-2", "pending"),
    ]
    assert [key["kid"] for key in published.jwks()["keys"]] == ["hsm-1", "hsm-2"]
    before = manager_on(published)
    pair = before.issue("alice")
    asked = old.signed
    ring = KeyRing.from_signer(new, refresh_secret=SECRET, previous=[old])
    assert [(info.kid, info.state) for info in ring.infos()] == [("hsm-2", "active"), ("hsm-1", "verifying")]
    early = manager_on(ring).issue("bob")  # by a process that was first: the others know the key already
    assert before.verify_access(early.access_token).user_id == "bob"
    assert before.verify_refresh(early.refresh_token).generation == 0
    assert manager_on(ring).verify_access(pair.access_token).user_id == "alice"
    assert manager_on(ring).verify_refresh(pair.refresh_token).generation == 0
    assert old.signed == asked


def test_a_signer_that_fails_is_an_outage() -> None:
    """No answer about a token: 503, nothing of its error is told, and the session lives on."""
    hsm = Hsm()
    ring = KeyRing.from_signer(hsm, refresh_secret=SECRET)
    manager = manager_on(ring)
    pair = manager.issue("alice")
    hsm.failure = TimeoutError("kms.internal.example: token hunter2 rejected")
    calls: list[Callable[[], object]] = [
        lambda: manager.issue("bob"),
        lambda: manager.refresh(pair.refresh_token),
        lambda: manager.sign_access("alice"),
    ]
    for call in calls:
        with pytest.raises(StoreUnavailable) as caught:
            call()
        assert (refusal_of(caught.value).status, caught.value.detail) == (503, "signer")
        assert "hunter2" not in str(caught.value)
    assert manager.verify_access(pair.access_token).user_id == "alice", "verifying asks nobody"
    hsm.failure = None
    again = manager.refresh(pair.refresh_token)
    assert manager.authenticate(again.access_token).user_id == "alice"
    assert [session.user_id for session in manager.sessions("bob")] == [], "no session without its tokens"
    manager.close()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda hsm, message: hsm.private.sign(message, ECDSA(SHA256())),
        lambda hsm, message: raw_signature(hsm.private.sign(b"!" + message, ECDSA(SHA256()))),
        lambda _, message: raw_signature(generate_private_key(SECP256R1()).sign(message, ECDSA(SHA256()))),
        lambda *_: b"",
    ],
    ids=["DER", "another message", "another key", "nothing"],
)
def test_a_wrong_signature_is_noticed_at_the_start(wrong: Callable[[Hsm, bytes], bytes]) -> None:
    """Before any token: the self-test says what may be wrong with it."""

    class Wrong(Hsm):
        def sign(self, message: bytes, /) -> bytes:
            return wrong(self, message)

    with pytest.raises(ConfigurationError, match="does not verify: is it another key's"):
        KeyRing.from_signer(Wrong(), refresh_secret=SECRET)


def test_a_key_that_changes_behind_its_name_is_noticed() -> None:
    """A service may begin to sign with a new version of a key: no token goes out that nobody accepts."""
    hsm = Hsm()
    manager = manager_on(KeyRing.from_signer(hsm, refresh_secret=SECRET))
    hsm.private = generate_private_key(SECP256R1())
    with pytest.raises(StoreUnavailable) as caught:
        manager.issue("alice")
    assert caught.value.detail == "signer_wrong"
    manager.close()


def test_a_signer_that_is_out_at_the_start_is_an_outage() -> None:
    """Not a mistake in the configuration: a supervisor starts the process again."""
    hsm = Hsm()
    hsm.failure = ConnectionError()
    with pytest.raises(StoreUnavailable):
        KeyRing.from_signer(hsm, refresh_secret=SECRET)


def test_a_public_key_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is away is an outage, and what is no JWK is a mistake; nothing escapes as it was."""

    def away(_: Hsm) -> Mapping[str, Any]:
        raise OSError("10.0.0.1 does not answer")

    monkeypatch.setattr(Hsm, "public_jwk", away)
    with pytest.raises(StoreUnavailable, match="cannot be read right now: OSError") as caught:
        KeyRing.from_signer(Hsm(), refresh_secret=SECRET)
    assert caught.value.detail == "signer"
    for wrong in (None, 7, {"kty": b"EC"}):
        monkeypatch.setattr(Hsm, "public_jwk", lambda _, wrong=wrong: wrong)
        with pytest.raises(ConfigurationError, match="is no JWK"):
            KeyRing.from_signer(Hsm(), refresh_secret=SECRET)


def test_what_a_signer_must_not_be() -> None:
    """A private key in its public part, another kind of key, a bad name, a weak secret, a key given twice."""

    class Given(Hsm):
        def __init__(self, alg: Algorithm, kid: str, jwk: Mapping[str, Any]) -> None:
            super().__init__(alg, kid)
            self._jwk = jwk

        def public_jwk(self) -> Mapping[str, Any]:
            return self._jwk

    ec, p384 = ECKey.generate_key("P-256"), ECKey.generate_key("P-384")
    public = ec.as_dict(private=False)
    for signer, secret, message in (
        (Given("ES256", "a", ec.as_dict(private=True)), SECRET, "gives its private key away"),
        (Given("EdDSA", "a", public), SECRET, "not of the kind"),
        (Given("ES256", "a", p384.as_dict(private=False)), SECRET, "not of the kind"),
        (Given("HS256", "a", {"kty": "oct"}), SECRET, "kind|malformed"),
        (Given("ES256", "a b", public), SECRET, "printable"),
        (Hsm(), "short", "at least 32 bytes"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            KeyRing.from_signer(signer, refresh_secret=secret)
    coroutine: Any = Hsm()
    coroutine.sign = asyncio.sleep
    with pytest.raises(ConfigurationError, match="not a coroutine"):
        KeyRing.from_signer(coroutine, refresh_secret=SECRET)
    hsm = Hsm()
    with pytest.raises(ConfigurationError, match="one kid"):
        KeyRing.from_signer(hsm, refresh_secret=SECRET, previous=[hsm])


def test_a_ring_with_a_key_held_elsewhere_is_not_saved(tmp_path: Path) -> None:
    """There is nothing to save; nothing is written."""
    ring = KeyRing.from_signer(Hsm(), refresh_secret=SECRET)
    with pytest.raises(ConfigurationError, match="held elsewhere"):
        ring.save(tmp_path / "keys.json")
    assert list(tmp_path.iterdir()) == []
    assert SECRET not in repr(ring) + repr(ring.current) + repr(ring._held)


@pytest.mark.parametrize("der", [b"", b"\x30\x00", b"0", bytes.fromhex("3006020100020101")])
def test_what_is_no_signature_in_der(der: bytes) -> None:
    """A ValueError, which counts as the signer's failure."""
    with pytest.raises(ValueError, match=r"signature|DER|ASN|parsing"):
        raw_signature(der)
