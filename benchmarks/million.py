#!/usr/bin/env python3
"""Measures stores with a million sessions and with a thousand: `million.py --help`. No store is here.

It starts servers of its own, set as in production, and fills them with sessions in the middle of their lives.
Every figure is of this run; where two are compared, they were taken in turns, so that noise meets both.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import click

from _common import fact, heading, judge, progress, rate, ratio, size, spread
from _filling import Filled, filled, weigh
from _latency import flat, in_turns
from _places import site
from _population import RETENTION
from _refreshing import Crew, Refresher
from keyturn.testing.servers import ServerMissing

KINDS: Final = ("postgres", "redis", "mariadb")
FEW: Final = 1000  # sessions of the small store
MOST_SLOWER: Final = 1.5  # times the latency of the small store
_TENTHS: Final = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure; the options of the command say more.

    Attributes:
        sessions: How many the large store has.
        rounds: How often each of the two stores gets its turn.
        each: Refreshes per turn.
        refreshes: How many to make as fast as possible, to see whether the store grows.
        rate: Refreshes per second beside the purge.
        calm: Seconds of the same before it.
        batch: Sessions that the purge removes at once.
        processes: How many refresh side by side.
        appendfsync: Redis' setting.
    """

    sessions: int
    rounds: int
    each: int
    refreshes: int
    rate: float
    calm: float
    batch: int
    processes: int
    appendfsync: str


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option("--store", type=click.Choice([*KINDS, "all"]), default="all", help="Which stores.")
@click.option(
    "--sessions",
    type=click.IntRange(FEW),
    default=1_000_000,
    help="How many sessions; half of them are over.",
)
@click.option("--rounds", type=click.IntRange(1), default=40, help="Turns of each store at the latency.")
@click.option("--each", type=click.IntRange(1), default=100, help="Refreshes per turn.")
@click.option(
    "--refreshes",
    type=click.IntRange(0),
    show_default="one for each session",
    help="Refreshes at full speed, to see whether the store grows.",
)
@click.option(
    "--rate", type=click.FloatRange(1), default=200.0, help="Refreshes per second beside the purge."
)
@click.option(
    "--calm", type=click.FloatRange(0.1), default=20.0, help="Seconds of the same before the purge."
)
@click.option("--batch", type=click.IntRange(1, 10_000), default=1000, help="Sessions per step of the purge.")
@click.option("--processes", type=click.IntRange(1), default=4, help="Processes that refresh side by side.")
@click.option(
    "--appendfsync",
    type=click.Choice(["always", "everysec"]),
    default="always",
    help="When Redis has its log on the disk.",
)
@click.option("--no-bounds", is_flag=True, help="Judge no figure: for tiny stores and noisy machines.")
def main(
    *,
    store: str,
    sessions: int,
    rounds: int,
    each: int,
    refreshes: int | None,
    rate: float,
    calm: float,
    batch: int,
    processes: int,
    appendfsync: str,
    no_bounds: bool,
) -> None:
    """Measure refreshes, memory and the purge of stores with a million sessions.

    For each store, on a server of its own: the latency of a refresh beside that among a thousand sessions, in
    turns; bytes per session; what many refreshes do to the size; and the purge of half of the sessions while
    refreshes go on. A million sessions take some 2 GB where temporary files are kept (TMPDIR).

    Exit status 1: a refresh takes more than 1.5 times as long as among a thousand sessions, or something went
    wrong.
    """
    logging.getLogger("keyturn").setLevel(logging.ERROR)  # how durable each server is, is printed
    wanted = sessions if refreshes is None else refreshes
    plan = Plan(sessions, rounds, each, wanted, rate, calm, batch, processes, appendfsync)
    chosen = KINDS if store == "all" else (store,)
    try:
        missed = [sentence for kind in chosen for sentence in measure(kind, plan)]
    except ServerMissing as missing:
        raise click.ClickException(str(missing)) from missing
    sys.exit(judge([] if no_bounds else missed))


def measure(kind: str, plan: Plan) -> list[str]:
    """Measure one kind of store.

    Returns:
        A sentence for each bound that it missed.
    """
    with site(kind, appendfsync=plan.appendfsync) as server:
        heading(f"{kind}: {server.settings}")
        few, many = filled(server.place(), FEW), filled(server.place(), plan.sessions)
        weigh(many)
        missed = compare(kind, few, many, plan)
        grow(many, plan)
        purge(many, plan)
        return missed


def compare(kind: str, few: Filled, many: Filled, plan: Plan) -> list[str]:
    """Take turns at refreshing among a few sessions and among many, one refresh at a time."""
    took = in_turns([few, many], rounds=plan.rounds, each=plan.each)
    whole = [[each.whole for each in flat(side)] for side in took]
    within = [[each.store for each in flat(side)] for side in took]
    missed: list[str] = []
    for what, times in (("a refresh", whole), ("the store's part", within)):
        first, second = map(spread, times)
        fact(f"{what}, among {FEW:,}", first)
        fact(f"{what}, among {plan.sessions:,}", second)
        fact("  ratio", f"median {ratio(second.median, first.median)} · p99 {ratio(second.p99, first.p99)}")
        if second.median > MOST_SLOWER * first.median:
            missed.append(
                f"{kind}: {what} among {plan.sessions:,} sessions takes {ratio(second.median, first.median)} "
                f"the time among {FEW:,}; at most {MOST_SLOWER} × is allowed"
            )
    return missed


def grow(many: Filled, plan: Plan) -> None:
    """Refresh as fast as possible, and see what became of the size."""
    if not plan.refreshes:
        return
    before = many.octets()
    with Crew(many.place, many.population, plan.processes) as crew:
        begun = time.monotonic()
        crew.begin(plan.rounds * plan.each, most=plan.refreshes)
        took = spread(crew.end())
        elapsed = time.monotonic() - begun
    fact(
        f"{plan.refreshes:,} refreshes", f"{rate(took.count, elapsed, 'refreshes')}, {plan.processes} at once"
    )
    fact("  each", took)
    fact("  size, to that before", ratio(many.octets(), before))
    share = many.place.hot_share(plan.rounds * plan.each + plan.refreshes)
    if share is not None:
        fact("  updated in place (HOT)", f"{share:.1%}")


def purge(many: Filled, plan: Plan) -> None:
    """Remove the old half while refreshes go on."""
    first = plan.rounds * plan.each + plan.refreshes
    before = round(plan.rate * plan.calm)
    population, marks = many.population, [(0, time.monotonic())]
    cleaner = Refresher(many.place, population)
    with Crew(many.place, population, plan.processes) as crew:
        crew.begin(first, most=before, rate=plan.rate)
        calm = spread(crew.end())
        crew.begin(first + before, rate=plan.rate)
        marks = [(0, time.monotonic())]
        with progress("purging", population.old) as advance:

            def note(done: int) -> None:
                marks.append((done, time.monotonic()))
                advance(done)

            removed = cleaner.manager.purge(retention=RETENTION, batch=plan.batch, progress=note)
        elapsed = time.monotonic() - marks[0][1]
        busy = spread(crew.end(now=True))
    left = cleaner.store.count()
    cleaner.close()
    if (removed, left) != (population.old, population.living):
        right = f"{population.old:,} and {population.living:,}"
        raise click.ClickException(f"the purge removed {removed:,} and left {left:,}, not {right}")
    fact(f"purge of {removed:,}", f"{rate(removed, elapsed, 'sessions')}, {size(many.octets())} then")
    fact("  speed at the end, to the start", ratio(_speed(marks, last=True), _speed(marks, last=False)))
    fact(f"refreshes before, {plan.rate:.0f} a second", calm)
    fact("refreshes during the purge", busy)
    fact("  ratio", f"median {ratio(busy.median, calm.median)} · p99 {ratio(busy.p99, calm.p99)}")


def _speed(marks: Sequence[tuple[int, float]], *, last: bool) -> float:
    """Give the sessions per second of the first or the last tenth of a purge."""
    width = max(1, (len(marks) - 1) // _TENTHS)
    (some, then), (more, later) = (marks[-1 - width], marks[-1]) if last else (marks[0], marks[width])
    return (more - some) / (later - then)


if __name__ == "__main__":
    main()
