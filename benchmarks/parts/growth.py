"""A refresh and its first request among 1,000 sessions and among many more, and what a session takes.

It knows no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from typing import Final

from _common import spread
from _filling import Filled, filled
from _findings import Against, Finding, Missing, Plan, Table, in_words
from _latency import flat, in_turns
from _places import site
from _refreshing import Took
from keyturn.testing.servers import ServerMissing

KINDS: Final = {"postgres": "PostgreSQL", "redis": "Redis", "sqlite": "SQLite", "mariadb": "MariaDB"}
_SLOW_TO_FILL: Final = {"mariadb": 100_000}
_QUICK_KINDS: Final = 3  # million.py has the fourth in small
_ROUNDS, _EACH = 30, 50
_QUICK_ROUNDS, _QUICK_EACH = 2, 20
_WHAT: Final[dict[str, Callable[[Took], float]]] = {
    "refresh": lambda took: took.whole,
    "first request": lambda took: took.accept,
}


def measure(plan: Plan) -> Iterator[Finding]:
    """Measure growth on each kind of store."""
    for kind, name in list(KINDS.items())[: _QUICK_KINDS if plan.quick else None]:
        sizes = [each for each in plan.sessions if each <= _SLOW_TO_FILL.get(kind, each)]
        try:
            with site(kind, durable=plan.durable) as server:
                stores: list[Filled] = []
                weights: list[float] = []
                for sessions in sizes:
                    stores.append(filled(server.place(), sessions))
                    # Now: in a server's memory, what comes later would count, too.
                    weights.append(stores[-1].octets() / sessions)
                yield from _compared(plan, kind, f"{name}: {server.settings}", stores, weights)
        except ServerMissing as missing:
            yield Missing(f"growth on {name}", str(missing))


def _compared(
    plan: Plan, kind: str, title: str, stores: list[Filled], weights: list[float]
) -> Iterator[Finding]:
    rounds, each = (_QUICK_ROUNDS, _QUICK_EACH) if plan.quick else (_ROUNDS, _EACH)
    took = in_turns(stores, rounds=rounds, each=each)
    rows: list[tuple[str, ...]] = []
    raw: dict[str, list[float]] = {}
    for store, sides, weight in zip(stores, took, weights, strict=True):
        size = f"{store.population.sessions:,}"
        cells = [f"{weight:,.0f} B"]
        for what, part in _WHAT.items():
            medians = [median(map(part, side)) for side in sides]
            ratios = _ratios(medians, [median(map(part, side)) for side in took[0]])
            whole = spread(map(part, flat(sides)))
            cells += [f"{whole.median * 1e3:.3f} · {whole.p99 * 1e3:.2f}", in_words(ratios, "{:.2f}")]
            raw[f"{what}, among {size}"] = medians
        rows.append((size, *cells))
    head = [part for what in _WHAT for part in (f"{what}, ms: median · p99", "× 1,000")]
    yield Table(title, ("sessions", "each takes", *head), tuple(rows), raw, _NOTE)
    first, *_, last = ([median(map(_WHAT["refresh"], side)) for side in sides] for sides in took)
    yield Against(f"growth {kind}", _ratios(last, first))
    if kind == "redis":
        yield Against("redis memory", (weights[-1],))


def _ratios(ones: list[float], others: list[float]) -> tuple[float, ...]:
    return tuple(one / other for one, other in zip(ones, others, strict=True))


_NOTE: Final = (
    "The first request is the first acceptance of an access token: it also marks its generation as used."
)
