"""Sessions that nobody signed in to, each made from its number. They know no store.

A number gives a session, its secret and its refresh token, the same in every process: nothing about them has
to be remembered or handed over, however many there are. The first half has been over for longer than a purge
spares; the second half lives, somewhere in the middle of its life. Refreshes are numbered, too: a number says
which session is refreshed, and for the how-maniest time, so that every refresh rotates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b, sha256
from itertools import count
from math import gcd
from typing import Final

from keyturn import KeyRing
from keyturn._core.ids import UUID7_BYTES, session_id
from keyturn._core.minting import Material
from keyturn._core.records import Json, Millis, Session
from keyturn._core.refresh_tokens import BRANCH_BYTES, SECRET_BYTES, RefreshToken

RETENTION: Final = "60d"
_MINUTE: Final = 60_000
_DAY: Final = 24 * 60 * _MINUTE
_ABSOLUTE: Final = 90 * _DAY
_IDLE: Final = 7 * _DAY
# How long ago the first and the last of each half signed in. The old half was over 80 days ago, at least.
_OLD: Final = (300 * _DAY, 170 * _DAY)
_YOUNG: Final = (60 * _DAY, _MINUTE)
_PER_USER: Final = 4  # two of them over, two alive
_GENERATIONS: Final = 200
_GOLDEN: Final = 0.6180339887  # steps of this share of a row fall far from each other, and reach everywhere

_SYSTEMS: Final = (
    ("Windows", "(Windows NT 10.0; Win64; x64)"),
    ("Mac OS X", "(Macintosh; Intel Mac OS X 10_15_7)"),
    ("Linux", "(X11; Linux x86_64)"),
    ("Android", "(Linux; Android 10; K)"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One refresh to be made.

    Attributes:
        token: The refresh token.
        at: When, in POSIX seconds.
    """

    token: str
    at: float


@dataclass(frozen=True)
class Population:
    """So many sessions.

    Attributes:
        sessions: How many; an even number.
        now: The moment at which refreshes begin.
        secret: The issuer's secret.
    """

    sessions: int
    now: Millis
    secret: str

    @property
    def old(self) -> int:
        """How many are over: those with the lowest numbers."""
        return self.sessions // 2

    @property
    def living(self) -> int:
        """How many live."""
        return self.sessions - self.old

    @cached_property
    def keys(self) -> KeyRing:
        """The issuer's keys."""
        return KeyRing.from_secret(self.secret)

    def session(self, number: int) -> Session:
        """Make one session."""
        chance = _chance(number)
        if number < self.old:
            created = self.now - _age(number, self.old, _OLD)
            last = created + _ABSOLUTE - _DAY
        else:
            created = self.now - _age(number - self.old, self.living, _YOUNG)
            last = self.now - _MINUTE
        used = max(created, last - (_IDLE - _DAY) * chance[0] // 256)
        gen = chance[1] % _GENERATIONS
        user = f"user-{number % max(1, self.sessions // _PER_USER)}"
        return Session(
            sid=session_id(user, created, chance[2 : 2 + UUID7_BYTES]),
            user_id=user,
            secret_digest=sha256(_secret(chance)).digest(),
            gen=gen,
            parent_branch=chance[12 : 12 + BRANCH_BYTES] if gen else b"",
            confirmed=gen > 0,
            created_at=created,
            rotated_at=used,
            handed_at=used,
            last_seen_at=used,
            idle_ttl=_IDLE,
            idle_expires_at=min(used + _IDLE, created + _ABSOLUTE),
            expires_at=created + _ABSOLUTE,
            claims={"roles": ["member"]},
            device=_device(chance[20]),
        )

    def all(self) -> Iterator[Session]:
        """Make all of them, one at a time, in the order of their sign-ins."""
        return map(self.session, range(self.sessions))

    def request(self, number: int) -> Request:
        """Make a numbered refresh. The living take turns, far from each other; a turn takes a minute."""
        turn, place = divmod(number, self.living)
        which = self.old + place * self._stride % self.living
        session = self.session(which)
        # On whatever branch: of the current generation, any is good.
        token = RefreshToken(session.sid, session.gen + turn, bytes(BRANCH_BYTES), _secret(_chance(which)))
        text = self._material.refresh.encode(token, self._material.active)
        return Request(text, (self.now + turn * _MINUTE) / 1000)

    @cached_property
    def _material(self) -> Material:
        return Material.of(self.keys.current, jwt=False)

    @cached_property
    def _stride(self) -> int:
        steps = count(max(1, int(self.living * _GOLDEN)))
        return next(step for step in steps if gcd(step, self.living) == 1)


def _chance(number: int) -> bytes:
    return blake2b(number.to_bytes(8, "big"), digest_size=40).digest()


def _secret(chance: bytes) -> bytes:
    return chance[-SECRET_BYTES:]


def _age(place: int, of: int, ages: tuple[Millis, Millis]) -> Millis:
    first, last = ages
    return first - (first - last) * place // of


def _device(chance: int) -> Json:
    system, comment = _SYSTEMS[chance % len(_SYSTEMS)]
    agent = f"Mozilla/5.0 {comment} AppleWebKit/537.36 (KHTML, like Gecko)"
    version = 120 + chance // len(_SYSTEMS) % 20
    return {"name": f"Chrome on {system}", "user_agent": f"{agent} Chrome/{version}.0.0.0 Safari/537.36"}
