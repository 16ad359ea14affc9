"""Project Wycheproof's vectors for JSON Web Signatures and Keys (C2SP, Apache-2.0), read from a folder.

`KEYTURN_WYCHEPROOF` names the folder with `json_web_signature_test.json` and its siblings. What is compared:

* Keys go the way of every key: public ones through `load_jwks`, secrets through `KeyRing.load`.
* A token is accepted if the core splits it, its header is strict JSON without `crit` and `b64` whose `alg` is
  that of the key it names, and the key verifies the signature. The vectors' payloads are no claims and their
  headers lack `typ`, so `JwtReader` itself must refuse every one, and with its one error.
* Every "invalid" vector must be refused; every "valid" one whose key is of an algorithm of ours, accepted;
  `EXCEPTIONS` are the vectors where that cannot be, each with a reason that the test checks.
* One group's secret is 32 zero bytes, which `KeyRing` refuses as weak. There, and only there, the key is made
  beside the ring, so that the group's vectors are still tried.
"""

from __future__ import annotations

import hmac
import json
import os
from pathlib import Path
from typing import Any, Final

import pytest

from keyturn._core.encoding import EncodingError, decode_base64url
from keyturn._core.jwt import JwtError, JwtReader, _parse_header, _split
from keyturn._core.keyset import Key, KeySet, key_set
from keyturn.errors import ConfigurationError
from keyturn.jwks import load_jwks
from keyturn.keys import KeyRing

FOLDER: Final = os.environ.get("KEYTURN_WYCHEPROOF", "")
FILES: Final = {  # how many vectors there are at least, and of those how many are valid and for us
    "json_web_signature_test.json": (401, 17),
    "json_web_key_test.json": (26, 3),
    "json_web_crypto_test.json": (49, 3),
}
SIGNATURES: Final = "json_web_signature_test.json"
EXCEPTIONS: Final = {
    (SIGNATURES, 259): "an empty payload: allowed in a JWS (RFC 7515), never in a JWT",
    (SIGNATURES, 367): "called invalid, but its text is that of vector 357, which is called valid",
    (SIGNATURES, 370): "called invalid, but its text is that of vector 357, which is called valid",
    (SIGNATURES, 372): "called valid, but has a character that is not base64url (RFC 7515, section 2)",
    (SIGNATURES, 373): "called valid, but has a character that is not base64url (RFC 7515, section 2)",
}
ZEROS: Final = "A" * 43
OURS: Final = {"HS256", "ES256", "RS256", "EdDSA"}

pytestmark = pytest.mark.skipif(
    not FOLDER and "CI" not in os.environ,
    reason="no vectors: run `python3 dev.py test`, or tools/wycheproof.py and name its folder",
)


def groups_of(name: str) -> list[dict[str, Any]]:
    """Read the groups of a file that hold signatures."""
    document = json.loads((Path(FOLDER) / name).read_text(encoding="utf-8"))
    return [group for group in document["testGroups"] if "jws" in group["tests"][0]]


def jwks_of(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Give a group's keys, the public ones where there are some; a key without a name gets one."""
    keys = group.get("public") or group["private"]
    return [{"kid": "unnamed", **jwk} for jwk in keys.get("keys", [keys])]


def load(jwks: list[dict[str, Any]], path: Path) -> KeySet:
    """Load keys as users do; none of them where they are refused."""
    if [jwk.get("k") for jwk in jwks] == [ZEROS]:
        zeros = bytes(32)
        return key_set([Key(jwks[0]["kid"], "HS256", lambda m, s: hmac.digest(zeros, m, "sha256") == s)])
    try:
        if not any("k" in jwk for jwk in jwks):
            return load_jwks({"keys": jwks})
        verifying = {"keyturn_created_at": 0, "keyturn_active_at": 0, "keyturn_verifying_at": 1}
        entries = [jwks[0], *({**jwk, **verifying} for jwk in jwks[1:])]
        path.write_text(json.dumps({"keys": entries}), encoding="utf-8")
        path.chmod(0o600)
        return KeyRing.load(path).current
    except ConfigurationError:
        return key_set(())


def accepts(keys: KeySet, jws: str) -> bool:
    """Tell whether the core's parts accept a signature, as this file's docstring says."""
    try:
        header, payload, signature, signing_input = _split(jws)
        parsed = _parse_header(header)
        raw = decode_base64url(signature)
        decode_base64url(payload)
    except (JwtError, EncodingError):
        return False
    key: Key | None = keys.keys.get(parsed.get("kid", "unnamed"))
    plain = parsed.keys().isdisjoint({"crit", "b64"})
    return key is not None and plain and parsed.get("alg") == key.alg and key.verify(signing_input, raw)


@pytest.mark.parametrize("name", FILES)
def test_signatures(name: str, tmp_path: Path) -> None:
    """Every invalid vector is refused, every valid one for our algorithms is accepted."""
    wrong: list[str] = []
    seen = accepted = 0
    for group in groups_of(name):
        jwks = jwks_of(group)
        keys = load(jwks, tmp_path / "keys.json")
        ours = all(jwk.get("alg") in OURS for jwk in jwks)
        for test in group["tests"]:
            seen += 1
            got = accepts(keys, test["jws"])
            accepted += got
            if got != (test["result"] == "valid" and ours) and (name, test["tcId"]) not in EXCEPTIONS:
                wrong.append(f"{name} {test['tcId']} {group['comment']}: {test['comment']} {test['flags']}")
            with pytest.raises(JwtError):
                JwtReader(keys, "at+jwt").read(test["jws"])
    assert wrong == []
    least, least_accepted = FILES[name]
    assert seen >= least, "there are fewer vectors than were published"
    assert accepted >= least_accepted, "too few valid vectors were accepted: the check shows nothing"


def test_the_exceptions_are_true() -> None:
    """Each vector that is treated otherwise than its label says is what its reason says."""
    texts = {test["tcId"]: test for group in groups_of(SIGNATURES) for test in group["tests"]}
    assert texts[259]["jws"].split(".")[1] == ""
    assert texts[357]["result"] == "valid"
    assert {texts[case]["jws"] for case in (357, 367, 370)} == {texts[357]["jws"]}
    assert all("?" in texts[case]["jws"] for case in (372, 373))
