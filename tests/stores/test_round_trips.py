"""Counts what each operation of a manager costs on each store; docs/explanation/round-trips.toml says it."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from keyturn import AsyncTokenManager, KeyRing, Policy, TokenManager
from keyturn.errors import ReusedToken
from keyturn.testing.clock import ManualClock
from keyturn.testing.colours import LoopThread
from tests.support.stores import STORES, StoreKind, async_opened, opened
from tests.support.wire import Wire, wire_of

DATA: Final = Path(__file__).parents[2] / "docs" / "explanation" / "round-trips.toml"
COUNTS: Final[dict[str, dict[str, str]]] = tomllib.loads(DATA.read_text("utf-8"))
KEYS: Final = KeyRing.generate("HS256")
RACE_WINDOW: Final = 10.0
SESSIONS: Final = 10
LIMIT: Final = 5
# So often is everything done before it is measured: connections are open then, and statements prepared.
REHEARSALS: Final = 8


@dataclass(frozen=True, slots=True)
class Caller:
    """A manager of either colour, for one user."""

    run: Callable[[Any], Any]
    manager: Any
    clock: ManualClock
    user_id: str

    def __call__(self, method: str, *arguments: object) -> Any:
        """Call a method of the manager and wait for it."""
        return self.run(getattr(self.manager, method)(*arguments))

    def issue(self, count: int = 1) -> Any:
        """Sign in, so many times; give the last tokens, when their race windows have passed."""
        pairs = [self("issue", self.user_id) for _ in range(count)]
        self.clock.advance(RACE_WINDOW)
        return pairs[-1]


Act: TypeAlias = Callable[[], object]


def refresh(caller: Caller) -> Act:
    """The common case: the newest token, and nobody else has it."""
    pair = caller.issue()
    return lambda: caller("refresh", pair.refresh_token)


def refresh_again(caller: Caller) -> Act:
    """A token that was handed out just now, by a client that hammers: the session does not rotate again."""
    newer = caller("refresh", caller.issue().refresh_token)
    caller("refresh", newer.refresh_token)  # confirms it, once
    return lambda: caller("refresh", newer.refresh_token)


def converge(caller: Caller) -> Act:
    """A token that a sibling has redeemed just now."""
    pair = caller.issue()
    caller("refresh", pair.refresh_token)
    caller.clock.advance(0.1)
    return lambda: caller("refresh", pair.refresh_token)


def reuse(caller: Caller) -> Act:
    """A token that was redeemed two generations ago."""
    oldest = caller.issue()
    newer = caller("refresh", oldest.refresh_token)
    caller.clock.advance(RACE_WINDOW)
    caller("refresh", newer.refresh_token)

    def act() -> None:
        with pytest.raises(ReusedToken):
            caller("refresh", oldest.refresh_token)

    return act


def first_use(caller: Caller) -> Act:
    """The first access token of a generation that a process accepts, with what is told to the store later."""
    pair = caller("refresh", caller.issue().refresh_token)

    def act() -> None:
        caller("authenticate", pair.access_token)
        caller("flush")

    return act


def authenticate(caller: Caller) -> Act:
    """Any other access token."""
    pair = caller("refresh", caller.issue().refresh_token)
    caller("authenticate", pair.access_token)
    caller("flush")
    return lambda: caller("authenticate", pair.access_token)


def revoke(caller: Caller) -> Act:
    """A session that lives."""
    pair = caller.issue()
    return lambda: caller("revoke", pair.session_id)


def deny(caller: Caller) -> Act:
    """An access token of a session that lives."""
    pair = caller.issue()
    return lambda: caller("deny", pair.access_token)


def on_sessions(method: str) -> Callable[[Caller], Act]:
    """Give an operation on all sessions of a user who has ten."""

    def prepare(caller: Caller) -> Act:
        caller.issue(SESSIONS)
        return lambda: caller(method, caller.user_id)

    return prepare


# How each operation of the data file is prepared, and then done.
OPERATIONS: Final[dict[str, Callable[[Caller], Act]]] = {
    "issue": lambda caller: caller.issue,
    "issue, within a session limit": lambda caller: caller.issue,
    "refresh": refresh,
    "refresh again within the race window": refresh_again,
    "converged refresh": converge,
    "reuse": reuse,
    "authenticate": authenticate,
    "authenticate, first of a generation": first_use,
    "revoke": revoke,
    "revoke_user, 10 sessions": on_sessions("revoke_user"),
    "deny an access token": deny,
    "list, 10 sessions": on_sessions("sessions"),
}


@dataclass(frozen=True, slots=True)
class Bench:
    """A store of one colour on a server that is watched.

    Attributes:
        name: The store's.
        wire: What it sends.
        run: Waits for what a manager's method returns.
        manager: Makes a manager of the store's colour.
    """

    name: str
    wire: Wire
    run: Callable[[Any], Any]
    manager: Callable[..., Any]

    def caller(self, operation: str, user_id: str) -> Caller:
        """Give a user a manager, on a clock of its own."""
        limit = LIMIT if "limit" in operation else None
        clock = ManualClock()
        policy = Policy(max_sessions_per_user=limit)
        return Caller(self.run, self.manager(policy=policy, clock=clock), clock, user_id)


@pytest.fixture(scope="module", params=STORES.values(), ids=lambda kind: kind.name)
def watched(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[StoreKind, Wire]]:
    """Each kind of store, with an empty place whose server is watched."""
    kind: StoreKind = request.param
    with wire_of(kind, request, tmp_path_factory.mktemp("wire")) as wire:
        yield kind, wire


@pytest.fixture(scope="module", params=["sync", "async"])
def bench(request: pytest.FixtureRequest, watched: tuple[StoreKind, Wire]) -> Iterator[Bench]:
    """Each of them in each colour."""
    kind, wire = watched
    shared: dict[str, Any] = {"keys": KEYS, "issuer": "https://issuer.example", "audience": "api"}
    if request.param == "sync":
        with opened(kind, wire.url) as store:
            yield Bench(kind.name, wire, lambda done: done, partial(TokenManager, store=store, **shared))
    else:
        with LoopThread() as loop, async_opened(kind, wire.url, loop) as awaited:

            def run(result: Any) -> Any:
                return loop.run(result)

            yield Bench(kind.name, wire, run, partial(AsyncTokenManager, store=awaited, **shared))


def measured(bench: Bench, operation: str) -> tuple[list[str], int | None]:
    """Do an operation when everything is warm, and count."""
    for rehearsal in range(REHEARSALS):
        OPERATIONS[operation](bench.caller(operation, f"{operation} {rehearsal}"))()
    act = OPERATIONS[operation](bench.caller(operation, operation))
    bench.wire.statements()
    before = bench.wire.round_trips() if bench.wire.round_trips else 0
    act()
    after = bench.wire.round_trips() - before if bench.wire.round_trips else None
    return bench.wire.statements(), after


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_costs_what_the_documentation_says(bench: Bench, operation: str) -> None:
    """These statements, by the server's own account, in so many round trips, counted on the wire."""
    turns = [turn.split() for turn in COUNTS[operation][bench.name].split("|")]
    statements, round_trips = measured(bench, operation)
    assert statements == [statement for turn in turns for statement in turn]
    assert round_trips in {None, len(turns)}


def test_the_documentation_has_all_operations_and_all_stores() -> None:
    """Nothing is measured that is not told, and nothing is told that is not measured."""
    assert list(COUNTS) == list(OPERATIONS)
    assert all(list(counts) == list(STORES) for counts in COUNTS.values())
