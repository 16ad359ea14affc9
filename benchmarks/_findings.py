"""What the parts of the suite find: tables, figures beside targets, and what could not be measured.

It knows no part, and nothing of how findings are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from _environments import Peers
from _rounds import Effort, Rates, beside, quartiles


@dataclass(frozen=True, slots=True)
class Table:
    """What was measured side by side.

    Attributes:
        title: What it is.
        head: The names of the columns.
        rows: What stands in them.
        raw: Every figure of every round, by the names of lines.
        note: What a reader must know.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    raw: Mapping[str, Sequence[float]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Against:
    """Figures for one target, one of each round."""

    target: str
    figures: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Missing:
    """What could not be measured."""

    what: str
    why: str

    def __str__(self) -> str:
        """Say it."""
        return f"{self.what}: not measured: {self.why}"


@dataclass(frozen=True, slots=True)
class Versions:
    """Which versions of what took part."""

    of: Mapping[str, str]


Finding: TypeAlias = Table | Against | Missing | Versions


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure; the options of the command say more.

    Attributes:
        quick: Every part in small: whether it works, not how fast it is.
        effort: How often and how long each line has its turn.
        peers: Where the environments of peers are kept, and which are wanted.
        durable: Whether servers wait for their disks.
        sessions: How many sessions a grown store has, the smallest number first.
    """

    quick: bool
    effort: Effort
    peers: Peers
    durable: bool
    sessions: tuple[int, ...]


@dataclass(slots=True)
class Results:
    """All findings, in the order in which they came."""

    found: list[tuple[str, Finding]] = field(default_factory=list[tuple[str, Finding]])

    def tables(self, part: str) -> Iterator[Table]:
        """Give the tables of a part."""
        return (each for of, each in self.found if of == part and isinstance(each, Table))

    def missing(self) -> Iterator[Missing]:
        """Give what could not be measured."""
        return (each for _, each in self.found if isinstance(each, Missing))

    def against(self, target: str) -> tuple[float, ...]:
        """Give the figures for a target; none where it was not measured."""
        found = (each for _, each in self.found if isinstance(each, Against))
        return next((each.figures for each in found if each.target == target), ())

    def versions(self) -> dict[str, str]:
        """Give all versions by name."""
        return {
            name: version
            for _, each in self.found
            if isinstance(each, Versions)
            for name, version in each.of.items()
        }


def rates_table(title: str, rates: Rates, limit: str, note: str = "") -> Table:
    """Put rates side by side.

    Args:
        title: What they are rates of.
        rates: What was found.
        limit: The line that all are set beside.
        note: What a reader must know.
    """
    rows = [
        (
            name,
            in_words(found, "{:,.0f}"),
            f"{1e6 / quartiles(found)[1]:,.1f}",
            in_words(beside(rates, name, limit), "{:.2f}"),
        )
        for name, found in rates.items()
    ]
    return Table(title, ("", "per second", "µs each", f"× {limit}"), tuple(rows), rates, note)


def in_words(figures: Sequence[float], form: str) -> str:
    """Give the median and, in brackets, the quartiles."""
    low, middle, high = (form.format(each) for each in quartiles(figures))
    return middle if low == high else f"{middle} ({low}–{high})"
