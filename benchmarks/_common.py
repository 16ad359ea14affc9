"""What benchmarks share: quantiles, progress, and how figures are printed. It knows no store."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keyturn.cli.output import console

Advance = Callable[[int], None]
"""Tells how much is done so far."""

_TENTHS: Final = 10
_QUIET: Final = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Spread:
    """How long each of many calls took.

    Attributes:
        count: How many there were.
        median: In seconds.
        p99: In seconds: 99 of 100 took no longer.
        longest: In seconds.
    """

    count: int
    median: float
    p99: float
    longest: float

    def __str__(self) -> str:
        """Give it in words, in milliseconds."""
        times = f"median {_ms(self.median)} · p99 {_ms(self.p99)} · longest {_ms(self.longest)} ms"
        return f"{times} ({self.count:,} refreshes)"


def spread(seconds: Iterable[float]) -> Spread:
    """Sum durations up; there must be some."""
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return Spread(
        count=len(ordered), median=ordered[last // 2], p99=ordered[round(last * 0.99)], longest=ordered[-1]
    )


def ratio(one: float, other: float) -> str:
    """Say how many times the other the one is."""
    return f"{one / other:.2f} ×"


def rate(count: int, seconds: float, what: str) -> str:
    """Say how many a second."""
    return f"{count / max(seconds, 1e-9):,.0f} {what} per second"


def size(octets: float) -> str:
    """Give a size as people read it."""
    return f"{octets / 1e6:,.1f} MB" if octets >= 1e6 else f"{octets:,.0f} B"  # noqa: PLR2004


def heading(text: str) -> None:
    """Begin a part of the output."""
    click.echo(f"\n{text}")


def fact(name: str, value: object) -> None:
    """Print one figure, under its heading."""
    click.echo(f"  {name:<36} {value}")


@contextmanager
def progress(title: str, total: int) -> Generator[Advance]:
    """Show how far something is: a bar on a terminal, elsewhere a line with the time so far.

    There is a line at each tenth, but none within seconds of the one before, and always the last.
    """
    screen = console()
    if not screen.is_terminal:
        yield _in_lines(title, total)
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)


def _in_lines(title: str, total: int) -> Advance:
    begun = last = time.monotonic()
    told = 0

    def advance(done: int) -> None:
        nonlocal told, last
        tenth, now = done * _TENTHS // max(total, 1), time.monotonic()
        if tenth > told and (now > last + _QUIET or done >= total):
            told, last = tenth, now
            click.echo(f"  {title}: {done:,} of {total:,} after {now - begun:.1f} s")

    return advance


def judge(missed: Sequence[str]) -> int:
    """Say which bounds were missed.

    Returns:
        The exit status of the program.
    """
    for sentence in missed:
        click.echo(f"\nMISSED: {sentence}.", err=True)
    return 1 if missed else 0


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"
