"""Stores filled with sessions in the middle of their lives, and with live revocations. It knows no engine."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace

from _common import fact, progress, rate
from _places import Place
from _population import Population
from keyturn import KeyRing, TokenManager


@dataclass(frozen=True, slots=True)
class Filled:
    """A store with its sessions.

    Attributes:
        place: Where it is.
        population: Its sessions.
        empty: Bytes that it took before it was filled.
    """

    place: Place
    population: Population
    empty: int

    def octets(self) -> int:
        """Say how many bytes its sessions take."""
        return self.place.octets() - self.empty


def filled(place: Place, sessions: int) -> Filled:
    """Fill an empty store with so many sessions."""
    population = Population(sessions, time.time_ns() // 1_000_000, secrets.token_hex(32))
    empty, begun = place.octets(), time.monotonic()
    with progress(f"filling {sessions:,}", sessions) as advance:
        place.fill(population.all(), advance)
    place.settle()
    fact(f"filled with {sessions:,}", rate(sessions, time.monotonic() - begun, "sessions"))
    return Filled(place, population, empty)


def weigh(many: Filled) -> None:
    """Say how many bytes a session takes, and for what."""
    octets, parts = many.octets(), many.place.parts()
    rest = octets - sum(parts.values())
    fact("bytes per session", f"{octets / many.population.sessions:,.0f}")
    for name, part in [*parts.items(), ("the server's tables of keys", rest)]:
        if part > octets / 100:
            fact(f"  of it, {name}", f"{part / many.population.sessions:,.0f}")


def revoked(place: Place, count: int) -> None:
    """Let so many sessions live in an empty store, and revoke each as an application does."""
    if not count:
        return
    now = time.time_ns() // 1_000_000
    population = Population(2 * count, now, secrets.token_hex(32))
    # Refreshed just now: a revocation counts only as long as an access token of its session may live.
    living = [
        replace(population.session(number), rotated_at=now, handed_at=now)
        for number in range(population.old, population.sessions)
    ]
    place.fill(living, lambda _: None)
    manager: TokenManager = TokenManager(
        store=place.open(), keys=KeyRing.generate("HS256"), issuer="i", audience="a"
    )
    with progress(f"revoking {count:,}", count) as advance:
        for number, session in enumerate(living, 1):
            if not manager.revoke(str(session.sid)):
                raise RuntimeError(f"session {session.sid} was not there to be revoked")
            advance(number)
    manager.close()
