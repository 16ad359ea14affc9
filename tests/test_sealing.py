"""Encryption of a ring's document: what goes in comes out for who has the secret, and for nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey

from keyturn._core.encoding import encode_base64url
from keyturn.errors import ConfigurationError
from keyturn.keys import KeyRing
from keyturn.sealing import ITERATIONS, MOST_ITERATIONS, Seal, is_sealed, sealed, unsealed

PASSPHRASE = "correct horse battery staple"
KEY = "3q2-7wAAAAEAAAACAAAAAwAAAAQAAAAFAAAABgAAAAc"


def phrase(passphrase: str = PASSPHRASE) -> Seal:
    """Give what encrypts with a passphrase."""
    return Seal.from_passphrase(passphrase)


SEALS = [pytest.param(phrase(), id="passphrase"), pytest.param(Seal.from_key(KEY), id="key")]


@pytest.mark.parametrize("seal", SEALS)
def test_a_ring_is_saved_encrypted(seal: Seal, tmp_path: Path) -> None:
    """The file shows neither a key nor a name, and the ring that is read is the one that was saved."""
    path = tmp_path / "keys.json"
    ring = KeyRing.generate("EdDSA", kid="shown")
    ring.save(path, seal=seal)
    data = path.read_bytes()
    assert is_sealed(data)
    assert b"shown" not in data
    again = KeyRing.load(path, seal=seal)
    assert again.infos() == ring.infos()
    assert again.jwks() == ring.jwks()


@pytest.mark.parametrize("seal", SEALS)
def test_the_format_is_the_standards(seal: Seal) -> None:
    """Another reader of JWE decrypts it, and its header says what is inside (RFC 7517, section 7)."""
    data = seal.close(b'{"keys": []}').decode().strip()
    opened = jwe.decrypt_compact(data, OctKey.import_key(seal.secret), algorithms=[seal.alg, "A256GCM"])
    assert opened.plaintext == b'{"keys": []}'
    assert (opened.protected["enc"], opened.protected["cty"]) == ("A256GCM", "jwk-set+json")
    assert seal.close(b"{}") != seal.close(b"{}"), "nothing is encrypted twice in the same way"


def test_a_passphrase_is_stretched() -> None:
    """By as many rounds as are recommended, or more; and by no more than can be read again."""
    assert Seal.from_passphrase(PASSPHRASE).iterations == ITERATIONS >= 210_000
    most = Seal.from_passphrase(PASSPHRASE, iterations=MOST_ITERATIONS)
    assert most.open(most.close(b"{}")) == b"{}"


@pytest.mark.parametrize("iterations", [-5, 0, 1, 999, 209_999, 300_001, 2**40, 2.5e5, True])
def test_a_seal_that_would_lose_the_ring_is_refused(iterations: Any) -> None:
    """Too few rounds are weak, and too many are read by nobody; the bare constructor says so, too."""
    with pytest.raises(ConfigurationError, match="from 210,000 to 300,000"):
        Seal.from_passphrase(PASSPHRASE, iterations=iterations)
    with pytest.raises(ConfigurationError, match="from 210,000 to 300,000"):
        Seal("PBES2-HS512+A256KW", PASSPHRASE.encode(), iterations)


def test_the_bare_constructor_checks_its_secret() -> None:
    """A key of another length, a short passphrase, an unknown algorithm."""
    wrong: list[tuple[Any, bytes]] = [
        ("dir", b"x" * 31),
        ("PBES2-HS512+A256KW", b"hunter2"),
        ("RSA1_5", b"x" * 32),
    ]
    for alg, secret in wrong:
        with pytest.raises(ConfigurationError):
            Seal(alg, secret)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("passphrase", ["twelve chars", "-----BEGIN PUBLIC KEY-----"])
def test_a_passphrase_is_no_key(passphrase: str) -> None:
    """What is short for a key, or looks like one of another kind, is a passphrase as any other."""
    seal = Seal.from_passphrase(passphrase)
    assert seal.open(seal.close(b"{}")) == b"{}"


@pytest.mark.parametrize("seal", SEALS)
@pytest.mark.parametrize("place", [0, 1, 2, 3, 4])
def test_what_was_changed_is_refused(seal: Seal, place: int) -> None:
    """A change in any of the five parts is noticed, in one clear sentence."""
    parts = seal.close(b'{"keys": []}').decode().strip().split(".")
    part = parts[place] or "AAAA"
    parts[place] = ("B" if part[0] != "B" else "C") + part[1:]
    with pytest.raises(ConfigurationError, match="the keys"):
        seal.open(".".join(parts).encode())


def test_wrong_and_missing_secrets_are_told_apart() -> None:
    """Wrong, missing, and the other kind: three sentences, none of which shows a secret."""
    by_passphrase, by_key = phrase().close(b"{}"), Seal.from_key(KEY).close(b"{}")
    with pytest.raises(ConfigurationError, match="passphrase is wrong") as wrong:
        unsealed(by_passphrase, phrase("another horse battery staple"))
    assert "staple" not in f"{wrong.value!r} {wrong.value.__context__!r}"
    with pytest.raises(ConfigurationError, match="key is wrong"):
        unsealed(by_key, Seal.from_key(bytes(range(32))))
    with pytest.raises(ConfigurationError, match=r"KEYTURN_KEYS_PASSPHRASE\): it is missing"):
        unsealed(by_passphrase, None)
    with pytest.raises(ConfigurationError, match=r"KEYTURN_KEYS_KEY\): it is missing"):
        unsealed(by_key, None)
    with pytest.raises(ConfigurationError, match=r"KEYTURN_KEYS_KEY\): that is needed instead"):
        unsealed(by_key, phrase())


def test_what_is_not_encrypted_is_read_as_it_is() -> None:
    """So that encryption can be switched on: the next change encrypts."""
    assert unsealed(b'{"keys": []}', phrase()) == b'{"keys": []}'
    assert sealed(b"{}", None) == b"{}"
    assert is_sealed(sealed(b"{}", phrase()))


@pytest.mark.parametrize(
    "header",
    [
        {"p2c": MOST_ITERATIONS + 1},
        {"p2c": 1},
        {"p2c": "1000"},
        {"zip": "DEF"},
        {"enc": "A128CBC-HS256"},
        {"crit": ["b64"]},
        {"jku": "https://evil.example"},
        {"alg": None},
    ],
)
def test_a_document_cannot_choose_what_is_done_with_it(header: dict[str, Any]) -> None:
    """No hours of computing, no decompression, no weaker algorithm: only what we write is read."""
    parts = phrase().close(b"{}").split(b".")
    own = {
        "alg": phrase().alg,
        "enc": "A256GCM",
        "cty": "jwk-set+json",
        "p2c": ITERATIONS,
        "p2s": "AAAAAAAAAAA",
    }
    changed = {name: value for name, value in {**own, **header}.items() if value is not None}
    parts[0] = encode_base64url(json.dumps(changed).encode())
    with pytest.raises(ConfigurationError, match="not accepted"):
        phrase().open(b".".join(parts))


def test_another_algorithm_is_not_used() -> None:
    """A document that names one that Keyturn does not use is refused before anything is done."""
    header = encode_base64url(b'{"alg":"RSA1_5","enc":"A256GCM"}')
    with pytest.raises(ConfigurationError, match="does not use"):
        unsealed(header + b".a.b.c.d", phrase())


@pytest.mark.parametrize("key", ["", "c2hvcnQ", "not base64!", "A" * 43, b"x" * 31, KEY + "AAAA"])
def test_keys_that_are_none(key: str | bytes) -> None:
    """Too short, too long, no base64, or all of one byte; the error does not show it."""
    with pytest.raises(ConfigurationError, match="32 random bytes") as caught:
        Seal.from_key(key)
    assert not key or str(key) not in str(caught.value)


def test_keys_in_either_base64() -> None:
    """As `openssl rand -base64 32` prints it, and as it stands in a URL."""
    standard = KEY.replace("-", "+").replace("_", "/") + "="
    assert Seal.from_key(f" {standard}\n") == Seal.from_key(KEY)
    assert Seal.from_key(KEY).secret.startswith(b"\xde\xad\xbe\xef")


def test_no_secret_is_shown() -> None:
    """Neither by a repr nor by the error about a short passphrase."""
    assert repr(phrase()) == "Seal(alg='PBES2-HS512+A256KW')"
    with pytest.raises(ConfigurationError, match="at least 12") as caught:
        Seal.from_passphrase("hunter2")
    assert "hunter2" not in str(caught.value)
