"""A revocation's way, from its call in one process to the refusal in another. It knows no engine."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator
from typing import Final

from _asking import Mode, Task, asking
from _common import progress, spread
from _findings import Against, Finding, Missing, Plan, Table
from _managers import CLAIMS, manager_on
from _places import site
from keyturn import KeyRing, TokenManager
from keyturn.stores.urls import store_from_url
from keyturn.testing.servers import ServerMissing

KINDS: Final = {"redis": "Redis", "postgres": "PostgreSQL", "sqlite": "SQLite", "mariadb": "MariaDB"}
MODES: Final[dict[Mode, str]] = {
    "half": "asyncio, half load",
    "full": "asyncio, saturated",
    "threads": "a thread in a tight loop",
}
_PUSHING: Final = ("redis", "postgres")
_QUICK_KINDS: Final = 3  # two that can push and one that cannot
_MOST, _QUICK_MOST = 200, 3
_SECONDS, _QUICK_SECONDS = 12.0, 2.0
_PAUSE: Final = 0.01  # seconds at most between two revocations, so that they meet the asker anywhere
_NOTE: Final = (
    "From the moment at which one process calls `revoke` to the moment at which another has refused the "
    "token; in brackets from the moment at which the call returned, 0 where the refusal was first. A request "
    "costs 0.1 ms of CPU beside its token; at half load it comes half as often as it could be answered."
)


def measure(plan: Plan) -> Iterator[Finding]:
    """Measure each kind of store in each mode."""
    rows: list[tuple[str, ...]] = []
    raw: dict[str, list[float]] = {}
    for kind, name in list(KINDS.items())[: _QUICK_KINDS if plan.quick else None]:
        try:
            with site(kind, durable=plan.durable) as server:
                url = server.place().url
                for mode, words in MODES.items():
                    if plan.quick and (mode == "threads") == (kind in _PUSHING):
                        continue  # a mode or two for each is enough to see whether it works
                    called, acknowledged = _ways(plan, url, mode, f"revoking, {name}, {words}")
                    after, later = spread(called), spread(acknowledged)
                    rows.append(
                        (
                            f"{name}, {words}",
                            f"{after.count}",
                            f"{after.median * 1e3:.2f} ({later.median * 1e3:.2f})",
                            f"{after.p99 * 1e3:.2f} ({later.p99 * 1e3:.2f})",
                        )
                    )
                    raw[f"{name}, {words}"] = called
                    if kind in _PUSHING and mode in ("half", "full"):
                        yield Against(f"push {kind} {mode} p99", (after.p99 * 1e3,))
                        yield Against(f"push {kind} {mode}", (after.median * 1e3,))
        except ServerMissing as missing:
            yield Missing(f"propagation on {name}", str(missing))
    head = ("", "revocations", "median, ms", "p99, ms")
    yield Table("A revocation's way into another process", head, tuple(rows), raw, _NOTE)


def _ways(plan: Plan, url: str, mode: Mode, title: str) -> tuple[list[float], list[float]]:
    """Revoke one session after the other, as many as time allows.

    Returns:
        Seconds from each call to its refusal elsewhere, and seconds from the call's return.
    """
    secret, chance = secrets.token_hex(32), random.Random(1)  # noqa: S311  (pauses are no secret)
    manager: TokenManager = manager_on(store_from_url(url), KeyRing.from_secret(secret))
    pairs = [manager.issue("user", claims=CLAIMS) for _ in range(_QUICK_MOST if plan.quick else _MOST)]
    called, acknowledged = list[float](), list[float]()
    tokens = tuple(pair.access_token for pair in pairs)
    with asking(Task(url, secret, tokens, mode)) as asker, progress(title, len(pairs)) as advance:
        deadline = time.monotonic() + (_QUICK_SECONDS if plan.quick else _SECONDS)
        for number, pair in enumerate(pairs, 1):
            asker.accepted()
            time.sleep(chance.random() * _PAUSE)
            begun = time.monotonic()
            if not manager.revoke(pair.session_id):
                raise RuntimeError("a living session could not be revoked")
            done, refused = time.monotonic(), asker.refused()
            if refused < begun:
                raise RuntimeError("a token was refused before it was revoked")
            called.append(refused - begun)
            acknowledged.append(max(0.0, refused - done))
            advance(number)
            if time.monotonic() > deadline:
                break
    manager.close()
    return called, acknowledged
