#!/usr/bin/env python3
"""Measures everything that Keyturn claims about speed, beside its limits and its peers: `suite.py --help`.

It knows the parts and what becomes of their findings; it measures nothing itself.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Final

import click

from _common import heading
from _environments import ALL, Peers, in_cache
from _findings import Finding, Missing, Plan, Results, Table, Versions
from _machine import machine, packages
from _markdown import document, printed
from _plot import plotted
from _rounds import Effort
from _targets import TARGETS
from keyturn.testing.servers import ServerMissing

# Each part, its modules in `parts`, and what it is.
PARTS: Final = {
    "verify": (("verify", "accept"), "access tokens: verified, accepted, among revocations"),
    "refresh": (("on_postgres", "on_redis", "on_sqlite", "on_mariadb"), "refreshes on each store"),
    "http": (("http",), "whole requests"),
    "growth": (("growth", "memory"), "many sessions, many revocations"),
    "propagation": (("propagation",), "a revocation's way into another process"),
}
FULL: Final = Effort(rounds=9, seconds=0.4)
QUICK: Final = Effort(rounds=1, seconds=0.02, warm_ups=0)
SESSIONS: Final = (1_000, 100_000, 1_000_000)
QUICK_SESSIONS: Final = (1_000, 4_000)


@click.command(
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.option(
    "--only", type=click.Choice(list(PARTS)), multiple=True, help="Only this part; may be repeated."
)
@click.option("--quick", is_flag=True, help="All of it in small: whether it works, not how fast it is.")
@click.option("--rounds", type=click.IntRange(1), show_default="9", help="How often each line has its turn.")
@click.option("--seconds", type=click.FloatRange(0.001), show_default="0.4", help="How long a turn takes.")
@click.option(
    "--sessions",
    type=click.IntRange(2_000),
    show_default="1000000",
    help="How many sessions the largest store has.",
)
@click.option(
    "--peers",
    type=click.Choice([*(each.name for each in ALL), "all", "none"]),
    multiple=True,
    default=("all",),
    help="Which other packages to install and measure; may be repeated.",
)
@click.option("--durable", is_flag=True, help="Let servers wait for their disks at each commit.")
@in_cache
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("benchmark-results"),
    help="The folder for results.md, results.json and results.png.",
)
def main(
    *,
    only: tuple[str, ...],
    quick: bool,
    rounds: int | None,
    seconds: float | None,
    sessions: int | None,
    peers: tuple[str, ...],
    durable: bool,
    cache: Path,
    output: Path,
) -> None:
    """Measure Keyturn beside its limits and its peers, all in one run, and write a table and a plot.

    Everything runs on this machine, on servers of its own. What is compared is measured in turns. What cannot
    be measured here, for want of a program or a package, is named in the results.
    """
    logging.getLogger("keyturn").setLevel(logging.ERROR)  # servers here need not be durable
    usual = QUICK if quick else FULL
    largest = sessions or (QUICK_SESSIONS if quick else SESSIONS)[-1]
    smaller = QUICK_SESSIONS if quick else SESSIONS
    plan = Plan(
        quick=quick,
        effort=Effort(rounds or usual.rounds, seconds or usual.seconds, usual.warm_ups),
        peers=Peers(cache, frozenset(each.name for each in ALL) if "all" in peers else frozenset(peers)),
        durable=durable,
        sessions=(*(each for each in smaller if each < largest), largest),
    )
    began, about = time.monotonic(), dict(machine())
    results = Results([("", Versions(packages()))])
    for part in [name for name in PARTS if not only or name in only]:
        modules, what = PARTS[part]
        heading(f"{part}: {what}")
        for module in modules:
            for finding in guarded(module, plan):
                results.found.append((part, finding))
                click.echo(printed(finding), nl=False)
    about["took"] = f"{(time.monotonic() - began) / 60:.1f} minutes"
    about["effort"] = f"{plan.effort.rounds} rounds of {plan.effort.seconds:g} s" + ", quick" * quick
    write(results, about, plan, output)


def guarded(module: str, plan: Plan) -> Iterator[Finding]:
    """Measure one module of a part; without its server, that is what is found."""
    measure: Callable[[Plan], Iterator[Finding]] = import_module(f"parts.{module}").measure
    try:
        yield from measure(plan)
    except ServerMissing as missing:
        yield Missing(module.replace("_", " "), str(missing))


def write(results: Results, about: dict[str, str], plan: Plan, output: Path) -> None:
    """Write the results into a folder."""
    output.mkdir(parents=True, exist_ok=True)
    drawn = plotted(results, plan, output / "results.png")
    if isinstance(drawn, Missing):
        results.found.append(("", drawn))
        click.echo(printed(drawn), nl=False)
    picture = None if isinstance(drawn, Missing) else drawn
    words = {name: what for name, (_, what) in PARTS.items()}
    (output / "results.md").write_text(document(results, about, words, picture), "utf-8")
    raw = {
        "machine": about,
        "versions": results.versions(),
        "targets": {each.key: results.against(each.key) for each in TARGETS if results.against(each.key)},
        "tables": [
            {"part": part, "title": each.title, "head": each.head, "rows": each.rows, "raw": each.raw}
            for part, each in results.found
            if isinstance(each, Table)
        ],
        "missing": [str(each) for each in results.missing()],
    }
    (output / "results.json").write_text(json.dumps(raw, indent=1, ensure_ascii=False) + "\n", "utf-8")
    reached = [each.reached(figures) for each in TARGETS if (figures := results.against(each.key))]
    click.echo(f"\n{sum(reached)} of {len(reached)} measured targets reached; written to {output}")


if __name__ == "__main__":
    sys.exit(main(prog_name="keyturn bench"))
