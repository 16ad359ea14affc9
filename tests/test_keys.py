"""The key ring: making, keeping, changing and publishing keys. It knows no token beyond what a key signs."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OKPKey

from keyturn._core.jwk import PRIVATE_MEMBERS, jwk_of
from keyturn._core.jwt import JwtReader
from keyturn._core.keyset import Algorithm
from keyturn.errors import ConfigurationError
from keyturn.jwks import load_jwks
from keyturn.keys import KeyRing
from tests.support.processes import fork
from tests.support.tokens import CLAIMS, NOW, accepts, segment, sign_with

ALGORITHMS: list[Algorithm] = ["HS256", "ES256", "EdDSA", "Ed25519", "RS256"]
SECRET = "correct horse battery staple, and more"


def key_file(path: Path, *keys: dict[str, Any]) -> Path:
    """Write a private JWK Set that only its owner may read."""
    path.write_text(json.dumps({"keys": keys}), encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_saved_ring_is_the_same_ring(alg: Algorithm, tmp_path: Path) -> None:
    """What was signed before is accepted after, names, states, times and refresh secrets included."""
    moments = iter([1000.0, 2000.5, 3000.0])
    ring = KeyRing.generate(alg, clock=lambda: next(moments))
    before = sign_with(ring)
    ring.rotate()
    ring.save(tmp_path / "keys.json")
    again = KeyRing.load(tmp_path / "keys.json")
    assert again.infos() == ring.infos()
    assert [info.state for info in again.infos()] == ["verifying", "active"]
    assert [info.created_at for info in again.infos()] == [1000.0, 2000.5]
    assert [info.changed_at for info in again.infos()] == [2000.5, 2000.5]
    assert accepts(again, before)
    assert accepts(again, sign_with(ring))
    for kid, key in ring.current.keys.items():
        assert again.current.keys[kid].refresh_secret == key.refresh_secret
        assert key.refresh_secret
        assert len(key.refresh_secret) == 32
    assert again.jwks() == ring.jwks()


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """A saved file has mode 0600 whatever the umask, replaces the old one, and leaves nothing beside it."""
    path = tmp_path / "keys.json"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        KeyRing.generate().save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_touch_is_refused(mode: int, tmp_path: Path) -> None:
    """The error says what to run; only an option with a loud name lets such a file pass."""
    path = tmp_path / "keys.json"
    ring = KeyRing.generate()
    ring.save(path)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        KeyRing.load(path)
    assert KeyRing.load(path, unsafe_allow_readable_by_others=True).infos() == ring.infos()


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    """What cannot be written changes nothing and leaves no temporary file."""
    folder = tmp_path / "keys.json"
    folder.mkdir()
    with pytest.raises(ConfigurationError, match="cannot write"):
        KeyRing.generate().save(folder)
    assert list(tmp_path.iterdir()) == [folder]
    with pytest.raises(ConfigurationError, match="cannot write"):
        KeyRing.generate().save(tmp_path / "missing" / "keys.json")


def test_files_that_are_no_key_files(tmp_path: Path) -> None:
    """A missing, oversized, malformed or empty file is a clear configuration error."""
    path = tmp_path / "keys.json"
    with pytest.raises(ConfigurationError, match="cannot read"):
        KeyRing.load(path)
    for content, message in {
        "": "no key file",
        "[]": "no key file",
        '{"keys": 1}': "list",
        '{"keys": []}': "one active key",
        '{"keys": [1]}': "no key",
        '{"keys": [{"kty": "oct"}]}': "without a kid",
        '{"keys": [{"kty": "dsa", "kid": "a"}]}': "unknown kind",
        " " * (1024 * 1024 + 1): "larger",
    }.items():
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600)
        with pytest.raises(ConfigurationError, match=message):
            KeyRing.load(path)


def test_any_private_jwk_set_can_be_loaded(tmp_path: Path) -> None:
    """A file that another program wrote needs no members of ours: its one key is active from now on."""
    jwk = OKPKey.generate_key("Ed25519").as_dict(private=True)
    ring = KeyRing.load(key_file(tmp_path / "keys.json", {**jwk, "kid": "theirs"}), clock=lambda: 5.0)
    (info,) = ring.infos()
    assert (info.kid, info.alg, info.state, info.created_at, info.changed_at) == (
        "theirs",
        "EdDSA",
        "active",
        5.0,
        5.0,
    )


def rsa_jwk(bits: int, exponent: int) -> dict[str, Any]:
    """Make a private RSA key, also of a kind that no library should."""
    numbers = generate_rsa(exponent, bits).private_numbers()
    public = numbers.public_numbers
    members = {
        "n": public.n,
        "e": public.e,
        "d": numbers.d,
        "p": numbers.p,
        "q": numbers.q,
        "dp": numbers.dmp1,
        "dq": numbers.dmq1,
        "qi": numbers.iqmp,
    }
    encoded = {
        name: segment(value.to_bytes((value.bit_length() + 7) // 8, "big")) for name, value in members.items()
    }
    return {"kty": "RSA", **encoded}


def malformed_keys() -> list[tuple[str, dict[str, Any], str]]:
    """Private keys that must not be loaded, and what the error says."""
    ec = ECKey.generate_key("P-256").as_dict(private=True)
    other = ECKey.generate_key("P-256").as_dict(private=True)
    okp = OKPKey.generate_key("Ed25519").as_dict(private=True)
    return [
        ("public only", {key: value for key, value in ec.items() if key != "d"}, "malformed"),
        ("x and y of another key", {**ec, "x": other["x"], "y": other["y"]}, "malformed"),
        ("off the curve", {**ec, "y": ec["x"]}, "malformed"),
        ("x of another key", {**okp, "x": OKPKey.generate_key("Ed25519").as_dict()["x"]}, "malformed"),
        ("no x", {"kty": "OKP", "crv": "Ed25519", "d": okp["d"]}, "malformed"),
        ("padding", {**okp, "d": f"{okp['d']}="}, "malformed"),
        ("d is a number", {**okp, "d": 5}, "malformed"),
        ("P-384", ECKey.generate_key("P-384").as_dict(private=True), "unknown kind"),
        ("Ed448", OKPKey.generate_key("Ed448").as_dict(private=True), "unknown kind"),
        ("X25519", OKPKey.generate_key("X25519").as_dict(private=True), "unknown kind"),
        ("alg of another kind", {**ec, "alg": "EdDSA"}, "unknown kind"),
        ("alg is a list", {**ec, "alg": ["ES256"]}, "unknown kind"),
        ("for encryption", {**ec, "use": "enc"}, "another use"),
        ("for deriving", {**ec, "key_ops": ["deriveKey"]}, "another use"),
        ("key_ops is text", {**ec, "key_ops": "sign"}, "another use"),
        ("RSA of 1024 bits", rsa_jwk(1024, 65537), "2048"),
        ("RSA with e = 3", rsa_jwk(2048, 3), "exponent"),
        ("short secret", {"kty": "oct", "k": "QUJDREVGR0hJSktMTU5P"}, "at least 32 bytes"),
        ("empty secret", {"kty": "oct", "k": ""}, "malformed"),
        ("no secret", {"kty": "oct"}, "malformed"),
        ("secret is a number", {"kty": "oct", "k": 5}, "malformed"),
        ("time is text", {**ec, "keyturn_created_at": "now"}, "time"),
        ("time is a boolean", {**ec, "keyturn_active_at": True}, "time"),
        ("verifies before it signs", {**ec, "keyturn_active_at": 5, "keyturn_verifying_at": 4}, "order"),
        ("retires while it signs", {**ec, "keyturn_active_at": 5, "keyturn_retired_at": 6}, "another signs"),
        ("only verifying", {**ec, "keyturn_created_at": 1, "keyturn_verifying_at": 2}, "one active key"),
        ("only pending", {**ec, "keyturn_created_at": 1}, "one active key"),
    ]


@pytest.mark.parametrize(
    ("jwk", "message"), [pytest.param(*rest, id=name) for name, *rest in malformed_keys()]
)
def test_keys_that_are_refused_at_load(jwk: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Weak, malformed and foreign keys are refused, not warned about (A15); the error shows none of them."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        KeyRing.load(key_file(tmp_path / "keys.json", {"kid": "k", **jwk}))
    said = f"{caught.value!r} {caught.value.__context__!r}".replace(str(tmp_path), "")
    for name in PRIVATE_MEMBERS & jwk.keys():
        assert not jwk[name] or str(jwk[name]) not in said


def test_two_keys_of_one_name_are_refused(tmp_path: Path) -> None:
    """Names are unique in a file, and one key is active."""
    first = {**ECKey.generate_key("P-256").as_dict(private=True), "kid": "k"}
    second = {**ECKey.generate_key("P-256").as_dict(private=True), "keyturn_retired_at": 5}
    with pytest.raises(ConfigurationError, match="one kid"):
        KeyRing.load(key_file(tmp_path / "keys.json", first, {**second, "kid": "k"}))
    with pytest.raises(ConfigurationError, match="not 2"):
        KeyRing.load(key_file(tmp_path / "keys.json", first, {**first, "kid": "l"}))


def test_a_secret_is_the_hmac_key_itself() -> None:
    """Text counts as UTF-8; the same secret gives the same name and refresh secret in any process."""
    ring, again = KeyRing.from_secret(SECRET), KeyRing.from_secret(SECRET.encode())
    assert accepts(again, sign_with(ring))
    assert ring.current.active
    assert again.current.active
    assert ring.current.active.kid == again.current.active.kid
    assert ring.current.active.refresh_secret == again.current.active.refresh_secret
    assert KeyRing.from_secret(SECRET, kid="mine").infos()[0].kid == "mine"
    assert ring.current.active.kid == "IFsaJSwIIezfgTlf"


def test_previous_secrets_are_accepted_and_sign_nothing() -> None:
    """Tokens of a former secret stay valid while it is listed, and only the first secret signs."""
    old, new = KeyRing.from_secret(SECRET), KeyRing.from_secret("another secret of sufficient length")
    both = KeyRing.from_secret("another secret of sufficient length", previous=[SECRET])
    assert accepts(both, sign_with(old))
    assert accepts(new, sign_with(both))
    assert not accepts(new, sign_with(old))
    assert [info.state for info in both.infos()] == ["active", "verifying"]


@pytest.mark.parametrize(
    ("secret", "message"),
    [
        ("", "32 bytes"),
        ("x" * 31, "32 bytes"),
        ("short", "32 bytes"),
        ("x" * 32, "random"),
        ("secret" * 8, "random"),
        (b"\0" * 64, "random"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ==\n-----END PRIVATE KEY-----", "key file"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ user@host", "key file"),
    ],
)
def test_secrets_that_are_refused(secret: str | bytes, message: str) -> None:
    """Short, trivial and key-like secrets are refused, and the error does not show them."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        KeyRing.from_secret(secret)
    text = secret if isinstance(secret, str) else secret.decode()
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_public_key_is_no_secret(encoding: Encoding) -> None:
    """Everybody knows a public key, so it must not become an HMAC secret (CVE-2017-11424, CVE-2022-29217)."""
    keys = (generate_private_key(SECP256R1()), Ed25519PrivateKey.generate(), generate_rsa(65537, 2048))
    for public_key in [key.public_key() for key in keys]:
        public = public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(ConfigurationError, match="public key"):
            KeyRing.from_secret(public)


def test_secrets_given_twice_or_in_the_wrong_shape() -> None:
    """One secret twice is a slip, and so is a string where a list of secrets belongs."""
    with pytest.raises(ConfigurationError, match="twice"):
        KeyRing.from_secret(SECRET, previous=[SECRET])
    with pytest.raises(ConfigurationError, match="list"):
        KeyRing.from_secret(SECRET, previous=SECRET)


def test_the_life_of_a_key() -> None:
    """A key is first published (pending), then signs, is then accepted (verifying), then refused."""
    now = [100.0]
    ring = KeyRing.generate("ES256", kid="a", clock=lambda: now[0])
    from_a = sign_with(ring)
    now[0] = 200.0
    pending = ring.add(kid="b")
    assert (pending.state, pending.alg, pending.created_at) == ("pending", "ES256", 200.0)
    assert [key["kid"] for key in ring.jwks()["keys"]] == ["a", "b"]
    assert accepts(ring, sign_with(ring))
    now[0] = 300.0
    ring.activate("b")
    ring.activate("b")
    from_b = sign_with(ring)
    assert [(one.state, one.changed_at) for one in ring.infos()] == [("verifying", 300.0), ("active", 300.0)]
    assert accepts(ring, from_a)
    assert accepts(ring, from_b)
    ring.retire("a")
    assert not accepts(ring, from_a)
    assert accepts(ring, from_b)
    assert [key["kid"] for key in ring.jwks()["keys"]] == ["b"]
    assert [one.state for one in ring.infos()] == ["retired", "active"]
    ring.remove("a")
    assert [one.kid for one in ring.infos()] == ["b"]


def test_changes_that_make_no_sense() -> None:
    """The active key cannot be taken away, a retired one cannot come back, names exist and are unique."""
    ring = KeyRing.generate(kid="a")
    before = ring.current
    changes: tuple[Callable[[], object], ...] = (
        lambda: ring.retire("a"),
        lambda: ring.remove("a"),
        lambda: ring.remove("x"),
        lambda: ring.activate("x"),
        lambda: ring.add(kid="a"),
        lambda: ring.add(kid="not valid"),
        lambda: ring.rotate(cast("Any", "none")),
    )
    for change in changes:
        with pytest.raises(ConfigurationError):
            change()
        assert ring.current is before, "a refused change changed something"
    ring.rotate(kid="b")
    ring.retire("a")
    with pytest.raises(ConfigurationError, match="retired"):
        ring.activate("a")


def test_rotation_may_change_the_algorithm() -> None:
    """A ring may hold keys of several algorithms; each accepts only its own."""
    ring = KeyRing.from_secret(SECRET)
    before = sign_with(ring)
    assert ring.rotate("EdDSA").alg == "EdDSA"
    assert accepts(ring, before)
    assert accepts(ring, sign_with(ring))
    assert [key["alg"] for key in ring.jwks()["keys"]] == ["EdDSA"]


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "Ed25519", "RS256"])
def test_published_keys_are_public(alg: Algorithm) -> None:
    """The JWK Set names use, alg and kid, holds no private member, and verifies what the ring signs (A16)."""
    ring = KeyRing.generate(alg)
    (jwk,) = ring.jwks()["keys"]
    assert PRIVATE_MEMBERS.isdisjoint(jwk)
    assert (jwk["use"], jwk["alg"], jwk["kid"]) == ("sig", alg, ring.infos()[0].kid)
    assert JwtReader(load_jwks(ring.jwks()), "at+jwt").read(sign_with(ring)) == CLAIMS


def test_secrets_are_not_published() -> None:
    """The JWK Set of a ring of secrets is empty."""
    assert KeyRing.from_secret(SECRET).jwks() == {"keys": []}
    with pytest.raises(ConfigurationError, match="no public part"):
        jwk_of(SECRET.encode(), private=False)


def test_keys_of_a_curve_that_has_no_algorithm_cannot_be_generated() -> None:
    """Only the five algorithms make keys."""
    assert generate_private_key(SECP384R1()).curve.name == "secp384r1"
    with pytest.raises(ConfigurationError, match="ES256"):
        KeyRing.generate(cast("Any", "ES384"))


def test_reprs_and_infos_show_no_secret(tmp_path: Path) -> None:
    """Neither a ring nor its snapshot, keys, entries or infos show key material."""
    for alg in ALGORITHMS:
        ring = KeyRing.generate(alg, kid="shown")
        ring.save(tmp_path / "keys.json")
        (saved,) = json.loads((tmp_path / "keys.json").read_text(encoding="utf-8"))["keys"]
        shown = f"{ring!r} {ring.current!r} {ring.infos()!r} {ring._held!r}"
        assert "shown" in shown
        for name in PRIVATE_MEMBERS & saved.keys():
            assert saved[name] not in shown
        assert "0x" not in shown, "a function or key object is shown"
        assert "b'" not in shown, "bytes are shown"


def test_changes_from_many_threads_all_count() -> None:
    """Additions from several threads at once are all there, and readers only ever see whole snapshots."""
    ring = KeyRing.generate("EdDSA")
    barrier = threading.Barrier(8)
    failures: list[str] = []

    def work(worker: int) -> None:
        barrier.wait()
        for turn in range(20):
            ring.rotate(kid=f"{worker}-{turn}")
            keys = ring.current
            if keys.active is None or keys.keys.get(keys.active.kid) is not keys.active:
                failures.append(f"{worker}-{turn}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(ring.infos()) == 161
    assert [info.state for info in ring.infos()].count("active") == 1


def test_the_clock_is_the_callers() -> None:
    """Times come from the clock that was given."""
    assert KeyRing.from_secret(SECRET, clock=lambda: float(NOW)).infos()[0].created_at == NOW


@pytest.mark.parametrize(
    "member", [{"keyturn_format": 2}, {"keyturn_more": 1}, {"keyturn_serial": "1"}, {"keyturn_serial": -1}]
)
def test_a_document_of_a_later_version_is_refused(member: dict[str, Any], tmp_path: Path) -> None:
    """What this version does not understand could say that a key must not sign; nothing of it is dropped."""
    path = tmp_path / "keys.json"
    KeyRing.generate("EdDSA").save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["keyturn_format"] == 1
    path.write_text(json.dumps({**document, **member}), encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match=r"keys\.json: (it was written by a newer|keyturn_serial must)"
    ):
        KeyRing.load(path)
    document["keys"][0]["keyturn_paused_at"] = 1.0
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"keys\.json: it was written by a newer version of Keyturn"):
        KeyRing.load(path)


def test_pem_is_named(tmp_path: Path) -> None:
    """A private key in PEM is a likely slip: the error says what is needed instead."""
    path = tmp_path / "key.pem"
    path.write_text("-----BEGIN PRIVATE KEY-----\n", encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match="it is PEM; a JWK Set is needed"):
        KeyRing.load(path)


def test_a_fork_while_another_thread_changes_the_keys() -> None:
    """The child waits for no lock of a thread that it does not have."""
    ring = KeyRing.generate("EdDSA")
    with ring._lock, ring._swapping:
        wait = fork(lambda: ring.rotate().state == "active")
    assert wait() == 0


def test_no_random_name_is_an_option_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that begins with a dash is drawn again."""
    drawn = iter([bytes([0xF8]) + bytes(11), bytes([0xFB]) + bytes(11), bytes(12)])
    monkeypatch.setattr("keyturn.keys.secrets.token_bytes", lambda _: next(drawn))
    assert KeyRing.generate("EdDSA").infos()[0].kid == "A" * 16


def test_members_of_others_are_kept_and_not_published(tmp_path: Path) -> None:
    """Who adds a note to a key finds it again after a change; it is nobody else's business."""
    path = tmp_path / "keys.json"
    KeyRing.generate("EdDSA", kid="a").save(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["keys"][0]["note"] = "made in the vault"
    path.write_text(json.dumps(document), encoding="utf-8")
    ring = KeyRing.load(path)
    ring.rotate()
    ring.save(path)
    first, second = json.loads(path.read_text(encoding="utf-8"))["keys"]
    assert (first["note"], "note" in second) == ("made in the vault", False)
    assert all("note" not in key for key in ring.jwks()["keys"])
    assert "vault" not in repr(ring)
