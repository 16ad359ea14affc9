"""What 100,000 live revocations take in the memory of a process that accepts requests. It knows no engine."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Final

from _filling import revoked
from _findings import Finding, Plan, Table, in_words
from _managers import CLAIMS, manager_on, wait_for_view
from _places import site
from keyturn import KeyRing, TokenManager
from keyturn.stores.urls import store_from_url

COUNT, QUICK_COUNT = 100_000, 2_000
_PROCESSES: Final = 3


def measure(plan: Plan) -> Iterator[Finding]:
    """Measure processes that began with no live revocation and with many."""
    count = QUICK_COUNT if plan.quick else COUNT
    with site("redis", durable=plan.durable) as server:
        places = {number: server.place() for number in (0, count)}
        for number, place in places.items():
            revoked(place, number)
        found = {
            number: [_resident(place.url, number) for _ in range(1 if plan.quick else _PROCESSES)]
            for number, place in places.items()
        }
    rows = [
        (f"{number:,}", in_words([each / 1e6 for each in taken], "{:.1f}"), _each(number, taken, found[0]))
        for number, taken in found.items()
    ]
    yield Table(
        "Memory of a process by live revocations",
        ("live revocations when it began", "resident, MB", "bytes for each"),
        tuple(rows),
        {f"{number:,}": taken for number, taken in found.items()},
        "Processes that have accepted one token; sessions on Redis.",
    )


def _each(count: int, taken: list[float], without: list[float]) -> str:
    return f"{(median(taken) - median(without)) / count:,.0f}" if count else ""


def _resident(url: str, count: int) -> float:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_accept, args=(url, count, theirs), daemon=True)
    process.start()
    theirs.close()
    taken: float = ours.recv()
    process.join()
    return taken


def _accept(url: str, count: int, pipe: Connection) -> None:
    """Be a process that accepts requests, and say how many bytes it takes."""
    manager: TokenManager = manager_on(store_from_url(url), KeyRing.generate("HS256"))
    manager.authenticate(manager.issue("user", claims=CLAIMS).access_token)
    wait_for_view(manager, count)
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    pipe.send(float(pages * os.sysconf("SC_PAGE_SIZE")))
    manager.close()
