"""What Keyturn is to reach, a target each, and whether figures reach it. It knows no part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final


@dataclass(frozen=True, slots=True)
class Target:
    """One bound.

    Attributes:
        key: What figures name it by.
        what: What is measured, and beside what.
        bound: The bound.
        unit: Of the bound and the figures.
        most: Whether the figure may be at most the bound; otherwise it must be at least that.
    """

    key: str
    what: str
    bound: float
    unit: str = "×"
    most: bool = False

    @property
    def wanted(self) -> str:
        """The bound in words."""
        return f"at {'most' if self.most else 'least'} {self.bound:g} {self.unit}"

    def shown(self, figure: float) -> str:
        """Give a figure in its unit, with three digits that count."""
        digits = 3 - min(3, len(str(int(abs(figure)))))
        return f"{figure:,.{digits}f} {self.unit}"

    def margin(self, figures: Sequence[float]) -> float:
        """Say how many times better than the bound figures are, in the median; 1 is the bound itself."""
        figure = max(median(figures), 1e-9)
        return self.bound / figure if self.most else figure / self.bound

    def reached(self, figures: Sequence[float]) -> bool:
        """Tell whether the median reaches the bound."""
        return median(figures) <= self.bound if self.most else median(figures) >= self.bound


def _most(key: str, what: str, bound: float, unit: str = "×") -> Target:
    return Target(key, what, bound, unit, most=True)


TARGETS: Final = (
    Target("cold HS256", "`authenticate`, cold, HS256, beside PyJWT `decode`", 4),
    _most("cold EdDSA", "`authenticate`, cold, EdDSA: time beside the raw signature check", 1.15),
    _most("cold ES256", "`authenticate`, cold, ES256: time beside the raw signature check", 1.15),
    Target("cached HS256", "`authenticate`, cached, HS256, beside PyJWT `decode`", 20),
    Target("cached EdDSA", "`authenticate`, cached, EdDSA, beside PyJWT `decode`", 60),
    _most("pure", "the pure part of a refresh, HS256: time beside PyJWT `encode`", 1.5),
    Target("postgres threads", "refresh on PostgreSQL, 16 threads, beside bare psycopg", 0.7),
    Target("postgres asyncio", "refresh on PostgreSQL, 16 tasks, beside bare psycopg", 0.7),
    Target(
        "postgres simplejwt", "refresh on PostgreSQL, 16 at once, the faster colour, beside simplejwt", 20
    ),
    Target(
        "postgres toolkit", "refresh on PostgreSQL, 16 at once, the same, beside django-oauth-toolkit", 40
    ),
    Target("sqlalchemy", "refresh through SQLAlchemy Core, beside bare SQLAlchemy Core", 0.75),
    Target("redis threads", "refresh on Redis, sync, beside the bare driver's EVALSHA", 0.7),
    Target("redis asyncio", "refresh on Redis, async, beside the bare driver's EVALSHA", 0.7),
    Target("redis tutorial", "refresh on Redis, beside the token service of the tutorials", 2.5),
    Target("sqlite", "refresh on SQLite (WAL, NORMAL), beside bare `sqlite3`", 0.4),
    _most("guard", "the guard in a whole request: its part of the bare route", 10, "%"),
    _most("growth postgres", "latency at the most sessions beside 1,000, PostgreSQL", 1.5),
    _most("growth redis", "latency at the most sessions beside 1,000, Redis", 1.5),
    _most("growth sqlite", "latency at the most sessions beside 1,000, SQLite", 1.5),
    _most("push redis half", "a revocation's way, Redis, half load: median", 1, "ms"),
    _most("push redis half p99", "a revocation's way, Redis, half load: p99", 2, "ms"),
    _most("push redis full p99", "a revocation's way, Redis, saturated: p99", 5, "ms"),
    _most("push postgres half", "a revocation's way, PostgreSQL, half load: median", 1, "ms"),
    _most("push postgres half p99", "a revocation's way, PostgreSQL, half load: p99", 2, "ms"),
    _most("push postgres full p99", "a revocation's way, PostgreSQL, saturated: p99", 5, "ms"),
    _most("redis memory", "memory of Redis for a session, with its index", 450, "B"),
)
