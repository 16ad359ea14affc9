"""`AsyncSQLAlchemyStore` in more than one event loop, and in a forked process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from keyturn._core.commands import Deny
from keyturn.errors import ConfigurationError
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore
from keyturn.testing.colours import LoopThread
from keyturn.testing.samples import T0
from tests.support.processes import fork, wait_until
from tests.support.sql import EVERY_SQL, opened, prepared

DENY: Final = Deny("token", T0 + 1, "test", T0)


@pytest.fixture(params=EVERY_SQL)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with the tables, on each engine."""
    with prepared(request, request.param, tmp_path) as url:
        yield url


async def used(store: AsyncSQLAlchemyStore, *, to_its_end: bool) -> Sequence[int]:
    """Let more tasks read and write than there are connections."""
    await asyncio.gather(*(store.deny(DENY) for _ in range(8)))
    counts = await asyncio.gather(*(store.count() for _ in range(8)))
    if to_its_end:
        await store.close()
    return counts


def test_each_event_loop_has_its_turn_when_the_one_before_has_closed_the_store(url: str) -> None:
    """One store serves one loop after the other."""
    store = AsyncSQLAlchemyStore.from_url(url, pool_size=2)
    for _ in range(3):
        assert asyncio.run(used(store, to_its_end=True)) == [0] * 8


def test_another_event_loop_is_told_so(url: str) -> None:
    """Connections cannot change their loop; the store says that, and what to do, at once."""
    store = AsyncSQLAlchemyStore.from_url(url, pool_size=2)
    with LoopThread() as loop:
        loop.run(used(store, to_its_end=False))
        with pytest.raises(ConfigurationError, match="event loop"):
            asyncio.run(used(store, to_its_end=False))
        assert loop.run(used(store, to_its_end=True)) == [0] * 8


def test_a_forked_process_does_not_wait_for_its_parents_tasks(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """They never end there: the child begins with none, in an event loop of its own."""
    with (
        prepared(request, "sqlite", tmp_path) as url,
        opened(url) as engine,
        LoopThread() as loop,
        ThreadPoolExecutor(1) as threads,
    ):
        store = AsyncSQLAlchemyStore.from_url(url)
        with engine.connect() as other:
            other.exec_driver_sql("BEGIN IMMEDIATE")
            denying = threads.submit(loop.run, store.deny(DENY))
            turns = store._turns
            assert turns is not None
            wait_until(lambda: bool(turns._lock.locked()), what="the operation to begin")
            assert fork(lambda: asyncio.run(ended(store)) is None)() == 0
            other.exec_driver_sql("ROLLBACK")
        denying.result(timeout=30)
        loop.run(store.close())


async def ended(store: AsyncSQLAlchemyStore) -> None:
    """Use a store, and close it."""
    assert await store.count() == 0
    await store.close()
