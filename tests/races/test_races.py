"""Races for real: fifty refreshes of one token at one moment, from threads and from processes on one file."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from keyturn._core.commands import Lookup
from keyturn._core.outcomes import Found
from keyturn.results import TokenPair
from keyturn.stores.memory import MemoryStore
from keyturn.stores.protocol import Store
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from keyturn.testing.clock import START, ManualClock
from tests.races.crowd import CLIENTS, Crowd, manager_on, processes, threads

TRIALS = 200
RACE_WINDOW = 10
REFRESHES = 1000


def sqlite(folder: Path) -> tuple[str, SQLAlchemyStore]:
    """Make a file, and open it."""
    url = f"sqlite:///{folder}/keyturn.db"
    store = SQLAlchemyStore.from_url(url, busy_timeout=60)
    store.create_schema()
    return url, store


def row_of(store: Store, session_id: str) -> tuple[int, int | None]:
    """Return a session's generation and its end."""
    found = store.lookup(Lookup(UUID(session_id)))
    assert isinstance(found, Found)
    return found.session.gen, found.session.revoked_at


def race(store: Store, crowd: Crowd, trials: int) -> None:
    """Let a crowd refresh the newest token again and again; each time one rotation must come of it."""
    pair = manager_on(store, ManualClock()).issue("user-1")
    for trial in range(1, trials + 1):
        replies = crowd(pair.refresh_token, START + trial * RACE_WINDOW)
        pairs = [reply for reply in replies if isinstance(reply, TokenPair)]
        assert len(pairs) == len(replies) == CLIENTS, [reply for reply in replies if isinstance(reply, str)]
        successors = {(each.refresh_token, each.session_id, each.rotated) for each in pairs}
        assert len(successors) == 1, f"trial {trial}: {len(successors)} different successors"
        assert len({each.access_token for each in pairs}) == CLIENTS, "access tokens are not shared"
        assert pairs[0].refresh_token != pair.refresh_token
        assert row_of(store, pair.session_id) == (trial, None), f"trial {trial}: not one rotation"
        pair = pairs[0]
    assert store.count() == 1


def test_fifty_threads_in_memory_rotate_once() -> None:
    """Of 50 simultaneous refreshes one rotates and all get its successor, 200 times."""
    store = MemoryStore()
    with threads(store) as crowd:
        race(store, crowd, TRIALS)


def test_fifty_threads_on_sqlite_rotate_once(tmp_path: Path) -> None:
    """The same on a file, through one connection pool."""
    _, store = sqlite(tmp_path)
    with threads(store) as crowd:
        race(store, crowd, TRIALS)
    store.close()


def test_processes_on_one_file_rotate_once(tmp_path: Path) -> None:
    """The same from five processes with ten threads each, on one SQLite file."""
    url, store = sqlite(tmp_path)
    with processes(url) as crowd:
        race(store, crowd, TRIALS)
    store.close()


@pytest.mark.slow
def test_processes_on_one_file_rotate_once_for_long(tmp_path: Path) -> None:
    """The same, ten times as often."""
    url, store = sqlite(tmp_path)
    with processes(url) as crowd:
        race(store, crowd, 10 * TRIALS)
    store.close()


def test_a_thousand_refreshes_take_one_row(tmp_path: Path) -> None:
    """Storage per session is constant: after 1,000 refreshes there is one row, and the file has not grown."""
    _, store = sqlite(tmp_path)
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
