"""Verifying an access token beside the signature check alone and beside JWT libraries; making one, too.

It knows no store but the one that is asked whether a session lives, no revocation and no HTTP.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, OKPKey

from _environments import JWT
from _findings import Against, Finding, Missing, Plan, Versions, rates_table
from _managers import AUDIENCE, CLAIMS, ISSUER, ROTATING, cold, manager_on, remembers
from _places import site
from _rounds import Line, Turn, beside, in_turns, line, one_by_one, slower, warmed
from _workers import Worker, hired
from keyturn import KeyRing
from keyturn._core.claims import codec_for
from keyturn._core.engine import TOKEN_ENTROPY, Engine
from keyturn._core.keyset import Algorithm
from keyturn._core.outcomes import Rotated
from keyturn._core.steps import Step
from keyturn.stores.memory import MemoryStore
from keyturn.stores.protocol import Rotate, RotateOutcome
from keyturn.stores.urls import store_from_url
from keyturn.testing.servers import ServerMissing
from keyturn.testing.wrappers import StoreWrapper

ALGORITHMS: Final[tuple[Algorithm, ...]] = ("HS256", "EdDSA", "ES256")
RAW: Final = "signature check alone"
COLD: Final = "Keyturn `authenticate`, cold"
CACHED: Final = "Keyturn `authenticate`, cached"
PYJWT: Final = "PyJWT `decode`"
ENCODE: Final = "PyJWT `encode`"
PURE: Final = "Keyturn, the pure part of a refresh"
_HALF: Final = 32  # bytes of each number of an ES256 signature


def measure(plan: Plan) -> Iterator[Finding]:
    """Measure everything about access tokens."""
    rings = {alg: KeyRing.generate(alg) for alg in ALGORITHMS}
    with ExitStack() as stack:
        tokens = {alg: _token(ring) for alg, ring in rings.items()}
        keys = {alg: _jwk(ring) for alg, ring in rings.items()}
        given = {"issuer": ISSUER, "audience": AUDIENCE, "tokens": tokens, "keys": keys}
        libraries = hired(stack, plan, JWT, "jwt_libraries.py", given)
        yield Versions(libraries.versions) if isinstance(libraries, Worker) else libraries
        if not remembers():
            yield Missing(CACHED, "this version of Keyturn does not remember what it has verified")
        with _store(plan) as url:
            for alg in ALGORITHMS:
                raw = _raw(alg, tokens[alg], keys[alg])
                lines = [line(RAW, one_by_one(warmed(raw))), *_of_libraries(libraries, alg)]
                yield from _algorithm(plan, alg, rings[alg], url, lines)
        yield from _pure(plan, rings["HS256"], libraries)


def _token(ring: KeyRing) -> str:
    manager = manager_on(MemoryStore(), ring)
    token = manager.issue("user", claims=CLAIMS).access_token
    manager.close()
    return token


def _of_libraries(libraries: Worker | Missing, alg: Algorithm) -> list[Line]:
    if isinstance(libraries, Missing):
        return []
    works = {PYJWT: "pyjwt", "joserfc `decode`": "joserfc", "authlib.jose": "authlib"}
    return [libraries.line(name, work, alg=alg) for name, work in works.items()]


def _algorithm(plan: Plan, alg: Algorithm, ring: KeyRing, url: str, others: list[Line]) -> Iterator[Finding]:
    with ExitStack() as stack:
        lines = others[:1]
        for name, policy in ((COLD, cold()), (CACHED, None))[: 2 if remembers() else 1]:
            manager = manager_on(store_from_url(url), ring, policy)
            stack.callback(manager.close)
            lines.append(line(name, one_by_one(_accepting(manager))))
        lines += others[1:]
        rates = in_turns(f"verifying {alg}", lines, plan.effort)
    yield rates_table(f"An access token, {alg}", rates, RAW, _NOTE)
    if alg != "HS256":
        yield Against(f"cold {alg}", slower(rates, COLD, RAW))
    elif PYJWT in rates:
        yield Against(f"cold {alg}", beside(rates, COLD, PYJWT))
    if {CACHED, PYJWT} <= set(rates) and alg != "ES256":
        yield Against(f"cached {alg}", beside(rates, CACHED, PYJWT))


_NOTE: Final = (
    "Each checks signature, expiry, issuer and audience; Keyturn also whether the session lives. The "
    "signature check alone: for HS256 the HMAC in C, base64 and JSON; else `verify` of cryptography with key "
    "and signature ready."
)


def _accepting(manager: Any) -> Turn:  # noqa: ANN401  (of whatever claims)
    token = manager.issue("user", claims=CLAIMS).access_token
    return warmed(partial(manager.authenticate, token))


def _raw(alg: Algorithm, token: str, jwk: Mapping[str, Any]) -> Turn:
    """Check a signature, with everything ready that can be."""
    signed, _, text = token.rpartition(".")
    data, signature = signed.encode(), _octets(text)
    if alg == "HS256":
        secret = _octets(jwk["k"])

        def check() -> None:
            head, _, sent = token.rpartition(".")
            made = hmac.digest(secret, head.encode(), "sha256")
            if not hmac.compare_digest(made, _octets(sent)):
                raise RuntimeError("a good signature was refused")
            json.loads(_octets(head.partition(".")[2]))

        return check
    if alg == "EdDSA":
        public: Any = OKPKey.import_key(dict(jwk)).public_key
        return lambda: public.verify(signature, data)
    der = encode_dss_signature(*(int.from_bytes(part) for part in (signature[:_HALF], signature[_HALF:])))
    check_ec, scheme = ECKey.import_key(dict(jwk)).public_key.verify, ECDSA(SHA256())
    return lambda: check_ec(der, data, scheme)


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _jwk(ring: KeyRing) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "keys.json"
        ring.save(path)
        found: dict[str, Any] = json.loads(path.read_bytes())["keys"][0]
    members = ("kty", "crv", "x", "y", "d", "k")
    return {name: found[name] for name in members if name in found}


class _Instant(StoreWrapper):
    """A store that keeps the outcome of its last rotation."""

    outcome: RotateOutcome | None = None

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        self.outcome = super().rotate(command)
        return self.outcome


def _pure(plan: Plan, ring: KeyRing, libraries: Worker | Missing) -> Iterator[Finding]:
    """Parse a refresh token, check its tag, derive its successor, sign an access token; no store."""
    watched = _Instant(MemoryStore())
    manager = manager_on(watched, ring, ROTATING)
    token = manager.issue("user", claims=CLAIMS).refresh_token
    manager.refresh(token)
    engine = Engine(keys=ring, policy=ROTATING, issuer=ISSUER, audience=AUDIENCE, codec=codec_for(None))
    outcome, now = watched.outcome, time.time_ns() // 1_000_000
    if not isinstance(outcome, Rotated):
        raise RuntimeError("that was no rotation")  # noqa: TRY004  (it is no mistake of a caller)

    def turn() -> None:
        step = engine.refresh(token, context="", jkt=None, now=now, entropy=os.urandom(TOKEN_ENTROPY))
        if not isinstance(step, Step):
            raise RuntimeError("a good refresh token was refused")  # noqa: TRY004  (as above)
        step.settle(outcome)

    lines = [line(PURE, one_by_one(warmed(turn)))]
    if isinstance(libraries, Worker):
        lines.append(libraries.line(ENCODE, "pyjwt encode", alg="HS256"))
    rates = in_turns("the pure part of a refresh", lines, plan.effort)
    note = "Parse, tag, successor, access token; PyJWT signs the same access token and does nothing else."
    yield rates_table("A refresh without its store, HS256", rates, lines[-1].name, note)
    if ENCODE in rates:
        yield Against("pure", slower(rates, PURE, ENCODE))


@contextmanager
def _store(plan: Plan) -> Generator[str]:
    """Give an empty store: on Redis, where asking it costs a round trip; without Redis in a file."""
    with ExitStack() as stack:
        try:
            url = stack.enter_context(site("redis", durable=plan.durable)).place().url
        except ServerMissing:
            url = f"sqlite:///{stack.enter_context(TemporaryDirectory())}/sessions.db"
            store = store_from_url(url)
            store.create_schema()
            store.close()
        yield url
