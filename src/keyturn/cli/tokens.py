"""`keyturn token inspect`: what a token says, and how much of that is true. It prints no secret."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from keyturn._core.access_claims import ACCESS_TYP
from keyturn._core.commands import Check, Lookup
from keyturn._core.ids import parse_session_id
from keyturn._core.jwt import JwtError, JwtReader, peek_jwt
from keyturn._core.outcomes import Denied, Found
from keyturn._core.refresh_tokens import PREFIX, BadRefreshToken, peek_opaque
from keyturn.cli.input import read_stdin
from keyturn.cli.opening import opened_store
from keyturn.cli.options import with_settings
from keyturn.cli.output import print_facts, print_json
from keyturn.errors import AccessTokenError, InvalidInput, InvalidToken, KeyturnError
from keyturn.keys import KeyRing
from keyturn.manager import TokenManager
from keyturn.results import describe
from keyturn.server.keyring import kept_keys
from keyturn.server.settings import Settings
from keyturn.server.words import relative
from keyturn.stores.memory import MemoryStore

_TIMES = ("iat", "nbf", "exp", "auth_time")
_SECRETS = ("secret",)
_LONGEST = 16_384

Fact = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Judge:
    """What a token is held against.

    Attributes:
        settings: The settings.
        ring: The keys; None where they cannot be read.
        why_not: Why there is none.
        now: POSIX seconds.
    """

    settings: Settings
    ring: KeyRing | None
    why_not: str
    now: float

    def manager(self, ring: KeyRing) -> TokenManager:
        """Give a manager that verifies with the ring; it has an empty store, which is not asked."""
        return TokenManager(
            store=MemoryStore(),
            keys=ring,
            policy=self.settings,
            issuer=self.settings.issuer_url,
            audience=self.settings.audience,
            clock=lambda: self.now,
        )


@click.group()
def token() -> None:
    """Look into tokens."""


@token.command()
@click.argument("text", metavar="[TOKEN|-]", default="-")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one document.")
@with_settings(
    *("store", "keys", "keys_file", "keys_passphrase", "keys_key"),
    *("issuer", "audience", "host", "port", "leeway"),
)
def inspect(settings: Settings, *, text: str, as_json: bool) -> None:
    """Decode and explain a token; what was not verified is marked so.

    With `-`, or without a token, it is read from standard input: a token on the command line can be seen by
    others in the list of processes, and stays in the shell's history. Nothing is redeemed or changed.
    """
    given = read_stdin(_LONGEST) if text == "-" else text
    judge = _judge(settings)
    facts = list(_explain(given.strip().removeprefix("Bearer ").strip(), judge))
    if as_json:
        print_json(dict(facts))
    else:
        print_facts(facts)


def _judge(settings: Settings) -> _Judge:
    try:
        with kept_keys(settings) as keeper:
            ring, why_not = keeper.load(), ""
    except KeyturnError as error:
        ring, why_not = None, str(error)
    return _Judge(settings, ring, why_not, time.time())


def _explain(text: str, judge: _Judge) -> Iterator[Fact]:
    if text.startswith(PREFIX):
        yield from _opaque(text, judge)
        return
    try:
        header, claims = peek_jwt(text)
    except JwtError:
        raise InvalidInput("That is no token: neither a signed JWT nor a refresh token of Keyturn.") from None
    kinds = {ACCESS_TYP: "access token (JWT, RFC 9068)", "rt+jwt": "refresh token of Keyturn (JWT)"}
    typ = str(header.get("typ"))
    yield "kind", kinds.get(typ, f"JWT of another kind (typ {typ})")
    for name, value in header.items():
        yield f"header {name}", _known(str(value), judge) if name == "kid" else str(value)
    for name, value in claims.items():
        yield f"claim {name}", _claim(name, value, judge.now)
    match typ:
        case "at+jwt":
            yield from _access(text, claims, judge)
        case "rt+jwt":
            yield from _refresh(text, claims.get("sid"), judge)
        case _:
            yield "signature", "NOT VERIFIED: Keyturn makes no such tokens"


def _opaque(text: str, judge: _Judge) -> Iterator[Fact]:
    try:
        kid, sid, generation = peek_opaque(text)
    except BadRefreshToken:
        raise InvalidInput("That begins like a refresh token of Keyturn, but it is damaged.") from None
    yield "kind", "refresh token of Keyturn (opaque)"
    yield "key", _known(kid, judge)
    yield "session", str(sid)
    yield "generation", str(generation)
    yield "secret", "(not shown)"
    yield from _refresh(text, str(sid), judge)


def _access(text: str, claims: dict[str, Any], judge: _Judge) -> Iterator[Fact]:
    if judge.ring is None:
        yield "signature", f"NOT VERIFIED: {judge.why_not}"
    else:
        try:
            JwtReader(judge.ring.current, ACCESS_TYP).read(text)
            yield "signature", "verified"
        except JwtError as error:
            yield "signature", f"NOT VERIFIED: {_FAULTS.get(error.reason, error.reason)}"
        try:
            judge.manager(judge.ring).verify_access(text)
            yield "verdict", "acceptable by signature and claims"
        except AccessTokenError as error:
            yield "verdict", f"REFUSED ({error.detail})"
    yield "session", _session(claims.get("sid"), judge, token_id=claims.get("jti"))


_FAULTS = {
    "unknown_key": "none of our keys has this kid",
    "signature": "the signature is wrong",
    "algorithm": "the key is for another algorithm",
    "header": "the header is not one of ours",
}


def _refresh(text: str, sid: object, judge: _Judge) -> Iterator[Fact]:
    if judge.ring is None:
        yield "tag", f"NOT VERIFIED: {judge.why_not}"
    else:
        try:
            judge.manager(judge.ring).verify_refresh(text)
            yield "tag", "verified: one of our keys made this token"
        except InvalidToken:
            yield "tag", "NOT VERIFIED: none of our keys made this token, or it was changed"
    yield "state", _session(sid, judge)


def _session(sid: object, judge: _Judge, *, token_id: object = None) -> str:
    wanted = parse_session_id(sid)
    if wanted is None:
        return "none"
    try:
        with opened_store(judge.settings) as store:
            now = round(judge.now * 1000)
            if isinstance(token_id, str) and isinstance(store.check(Check(wanted, token_id, now)), Denied):
                return "this token was denied"
            found = store.lookup(Lookup(wanted))
    except KeyturnError as error:
        return f"not asked: {error}"
    if not isinstance(found, Found):
        return "unknown to the store"
    info = describe(found.session, now=now)
    if info.active:
        return f"active, generation {info.generation}, ends unused {relative(info.expires_at, judge.now)}"
    ended = "" if info.ended_at is None else f" {relative(info.ended_at, judge.now)}"
    return f"ENDED ({info.end_reason}){ended}"


def _known(kid: str, judge: _Judge) -> str:
    states = {info.kid: f"{info.alg}, {info.state}" for info in (judge.ring.infos() if judge.ring else ())}
    return f"{kid} (ours: {states[kid]})" if kid in states else f"{kid} (not one of our keys)"


def _claim(name: str, value: object, now: float) -> str:
    if name in _SECRETS:
        return "(not shown)"
    if name in _TIMES and isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value} = {relative(value, now)}"
    return str(value)
