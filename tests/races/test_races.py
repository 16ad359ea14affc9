"""Races for real: fifty clients at one moment, in four processes of both colours, on every shared store.

An ordinary run has as many trials as take some seconds per store: of the refresh 200 in memory and on Redis
and 50 on the SQL databases, of the others 10. The long run (`slow`) has 200 of each on every store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from keyturn import Policy
from keyturn._core.commands import Lookup, Where
from keyturn._core.outcomes import Found
from keyturn._core.records import Session
from keyturn.durations import milliseconds
from keyturn.policy import OnSessionLimit
from keyturn.results import TokenPair
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.stores.protocol import Store
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from keyturn.testing.clock import START, ManualClock
from keyturn.testing.colours import BlockingStore, LoopThread
from tests.races.crowd import (
    CLIENTS,
    DEFAULTS,
    Act,
    Crowd,
    Deed,
    Job,
    Turn,
    manager_on,
    processes,
    tasks,
    threads,
)
from tests.support.stores import STORES, StoreKind, empty_place, opened

TRIALS = 200
FAST = {"Redis", "Redis Cluster"}
FEWER = 50
FEW = 10
REFRESHES = 1000
LIMIT = 5
SESSIONS = 10
RACE_WINDOW = milliseconds(DEFAULTS.race_window) / 1000


@dataclass(frozen=True, slots=True)
class Place:
    """A store that several processes share: a crowd on it, and a handle of our own to look at its rows."""

    name: str
    store: Store
    crowd: Crowd


@pytest.fixture(scope="module", params=STORES.values(), ids=lambda kind: kind.name)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A crowd on each store, which lives for all tests on it; each test has users of its own."""
    kind: StoreKind = request.param
    with (
        empty_place(kind, request, tmp_path_factory.mktemp("races")) as url,
        opened(kind, url) as store,
        processes(kind, url) as crowd,
    ):
        yield Place(kind.name, store, crowd)


def row_of(store: Store, session_id: str) -> Session:
    """Return a session's row."""
    found = store.lookup(Lookup(UUID(session_id)))
    assert isinstance(found, Found)
    return found.session


def live_of(store: Store, user_id: str) -> int:
    """Count a user's live sessions."""
    return store.count(Where(user_id=user_id, live_at=round(START * 1000)))


# --------------------------------------------------------------------------------- refreshes of one token


def race(store: Store, act: Act, user_id: str, trials: int) -> None:
    """Let fifty clients refresh the newest token again and again; each time one rotation must come of it."""
    pair = manager_on(store, ManualClock()).issue(user_id)
    for trial in range(1, trials + 1):
        story = act(Turn(START + trial * RACE_WINDOW, [Job("refresh", pair.refresh_token)] * CLIENTS))
        assert story.errors == []
        assert (len(story.pairs), story.rotations) == (CLIENTS, 1), f"trial {trial}"
        successors = {(each.refresh_token, each.session_id, each.rotated) for each in story.pairs}
        assert len(successors) == 1, f"trial {trial}: {len(successors)} different successors"
        assert len({each.access_token for each in story.pairs}) == CLIENTS, "access tokens are not shared"
        assert story.pairs[0].refresh_token != pair.refresh_token
        row = row_of(store, pair.session_id)
        assert (row.gen, row.revoked_at) == (trial, None), f"trial {trial}: not one rotation"
        pair = story.pairs[0]
    assert store.count(Where(user_id=user_id)) == 1


def test_fifty_threads_in_memory_rotate_once() -> None:
    """Of 50 simultaneous refreshes one rotates and all get its successor, 200 times."""
    store = MemoryStore()
    with threads(store) as act:
        race(store, act, "user-1", TRIALS)


def test_fifty_tasks_in_memory_rotate_once() -> None:
    """The same in one event loop."""
    store = AsyncMemoryStore()
    with LoopThread() as loop, tasks(store, loop) as act:
        race(BlockingStore(store, loop), act, "user-1", TRIALS)


def test_fifty_threads_on_sqlite_rotate_once(tmp_path: Path) -> None:
    """The same on a file, through one connection pool, 50 times."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/keyturn.db", busy_timeout=60)
    store.create_schema()
    with threads(store) as act:
        race(store, act, "user-1", FEWER)
    store.close()


def test_fifty_clients_of_four_processes_rotate_once(place: Place) -> None:
    """The same from four processes on every shared store: one rotation, all converge, no error."""
    race(place.store, place.crowd, "racer", TRIALS if place.name in FAST else FEWER)


@pytest.mark.slow
def test_fifty_clients_of_four_processes_rotate_once_for_long(place: Place) -> None:
    """The same, 200 times on every store."""
    race(place.store, place.crowd, "long racer", TRIALS)


# --------------------------------------------------------------------------------- sign-ins under a limit


def crowd_in(place: Place, on_limit: OnSessionLimit, trials: int) -> None:
    """Let one user sign in fifty times at one moment, with five sessions allowed, and count all the time."""
    policy = Policy(max_sessions_per_user=LIMIT, on_session_limit=on_limit)
    for trial in range(trials):
        user_id = f"{on_limit} {trial} of {trials}"
        counts: list[int] = []

        def count(user_id: str = user_id, counts: list[int] = counts) -> None:
            counts.append(live_of(place.store, user_id))

        story = place.crowd(Turn(START, [Job("issue", user_id)] * CLIENTS, policy), meanwhile=count)
        count()
        assert max(counts) == counts[-1] == LIMIT, f"trial {trial}: {counts}"
        if on_limit == "refuse":
            assert (len(story.pairs), set(story.errors)) == (LIMIT, {"SessionLimitReached"}), f"trial {trial}"
        else:
            assert (len(story.pairs), story.errors) == (CLIENTS, []), f"trial {trial}"


@pytest.mark.parametrize("on_limit", ["refuse", "evict"])
def test_simultaneous_sign_ins_stay_within_the_limit(place: Place, on_limit: OnSessionLimit) -> None:
    """Whoever looks, at whatever moment, never finds more sessions than are allowed, and no sign-in errs."""
    crowd_in(place, on_limit, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("on_limit", ["refuse", "evict"])
def test_simultaneous_sign_ins_stay_within_the_limit_for_long(place: Place, on_limit: OnSessionLimit) -> None:
    """The same, 200 times."""
    crowd_in(place, on_limit, TRIALS)


# ------------------------------------------------------------- all sessions ended beside everything else


def sign_out_everywhere(place: Place, trials: int) -> None:
    """Revoke a user's sessions while the user signs in and refreshes, and judge what everybody was told."""
    for trial in range(trials):
        user_id = f"everywhere {trial} of {trials}"
        manager = manager_on(place.store, ManualClock())
        before = [manager.issue(user_id) for _ in range(SESSIONS)]
        jobs = [Job("refresh", pair.refresh_token, times=5) for pair in before] * 3
        jobs += [Job("issue", user_id, times=3)] * (CLIENTS - len(jobs) - 1)
        jobs.append(Job("revoke_user", user_id))
        Random(trial).shuffle(jobs)  # noqa: S311 - it chooses an order
        judge(place, user_id, before, place.crowd(Turn(START + RACE_WINDOW, jobs)).deeds)


def judge(place: Place, user_id: str, before: list[TokenPair], deeds: list[Deed]) -> None:
    """Hold what everybody was told, and the rows, to what must follow from the revocation."""
    (revocation,) = (deed for deed in deeds if deed.job.act == "revoke_user")
    later, earlier = set[str](), {pair.session_id for pair in before}
    for deed in deeds:
        match deed.result:
            case TokenPair(session_id=sid) if deed.job.act == "issue" and deed.ended < revocation.began:
                earlier.add(sid)
            case TokenPair(session_id=sid) if deed.job.act == "issue" and deed.began > revocation.ended:
                later.add(sid)
            case TokenPair() if deed.job.act == "refresh":
                assert deed.began < revocation.ended, "tokens were given after all sessions had been ended"
            case str() as error:
                assert (deed.job.act, error) == ("refresh", "RevokedToken")
                assert deed.ended > revocation.began, "a session was ended before anybody asked for it"
            case _:
                pass
    rows = place.store.find(Where(user_id=user_id))
    ended = {str(row.sid) for row in rows if row.revoked_at is not None}
    assert earlier <= ended, "a session that had begun before goes on"
    assert later.isdisjoint(ended), "a session that began afterwards was ended"
    assert revocation.result == len(ended), "the revocation did not tell what it did"
    refreshing = place.crowd(
        Turn(START + 2 * RACE_WINDOW, [Job("refresh", pair.refresh_token) for pair in before])
    )
    assert refreshing.errors == ["RevokedToken"] * len(before)


def test_no_session_survives_the_end_of_all(place: Place) -> None:
    """Once `revoke_user` has returned, no process gets tokens for a session that had begun before."""
    sign_out_everywhere(place, FEW)


@pytest.mark.slow
def test_no_session_survives_the_end_of_all_for_long(place: Place) -> None:
    """The same, 200 times."""
    sign_out_everywhere(place, TRIALS)


# ------------------------------------------------------------------------------------------ constant size


def test_a_thousand_refreshes_take_one_row(tmp_path: Path) -> None:
    """Storage per session is constant: after 1,000 refreshes there is one row, and the file has not grown."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/keyturn.db", busy_timeout=60)
    store.create_schema()
    clock = ManualClock()
    manager = manager_on(store, clock)
    token = manager.issue("user-1").refresh_token
    for _ in range(REFRESHES):
        clock.advance(RACE_WINDOW)
        token = manager.refresh(token).refresh_token
    (row,) = store.find()
    assert (store.count(), row.gen) == (1, REFRESHES)
    manager.close()
    assert (tmp_path / "keyturn.db").stat().st_size < 128 * 1024
