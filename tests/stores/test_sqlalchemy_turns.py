"""Holds the queue of writers to its order, alone and in front of a store."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from keyturn._core.commands import Lookup
from keyturn._core.outcomes import Found
from keyturn.errors import StoreUnavailable
from keyturn.stores._sql.turns import AsyncTurns, Turns
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from keyturn.testing.samples import numbered, sign_in
from tests.support.processes import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLAlchemyStore]:
    """A store whose writers do not wait for each other."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/keyturn.db", busy_timeout=0)
    store.create_schema()
    yield store
    store.close()


def test_threads_have_their_turns_in_the_order_they_came() -> None:
    """Whoever came first is next, also before the one who has just been and comes again."""
    turns = Turns(patience=60)
    order: list[int] = []

    def write(number: int) -> None:
        with turns.turn():
            order.append(number)

    def waiting(places: int) -> bool:
        return len(turns._waiting) == places

    with ThreadPoolExecutor(5) as pool:
        with turns.turn():
            for number in range(5):
                pool.submit(write, number)
                wait_until(partial(waiting, number + 1), what="a place in the queue")
        write(5)
    assert order == [0, 1, 2, 3, 4, 5]


def test_a_thread_that_waits_too_long_is_told_so() -> None:
    """It leaves the queue, and the turns go on without it."""
    turns = Turns(patience=0.001)
    with ThreadPoolExecutor(1) as pool, turns.turn():
        failure = pool.submit(turns.turn().__enter__).exception()
    assert isinstance(failure, StoreUnavailable)
    assert failure.detail == "queue_timeout"
    with turns.turn():
        assert not turns._waiting


def test_a_wait_that_is_interrupted_blocks_nobody() -> None:
    """An exception in the middle of a wait, such as Ctrl-C, leaves no turn that nobody takes."""

    def interrupt(number: int, frame: object) -> None:
        raise InterruptedError

    turns = Turns(patience=10)
    previous = signal.signal(signal.SIGALRM, interrupt)
    entered, leave = Event(), Event()

    def hold() -> None:
        with turns.turn():
            entered.set()
            leave.wait(10)

    holder = Thread(target=hold)
    holder.start()
    try:
        assert entered.wait(10)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(InterruptedError), turns.turn():
            pass
    finally:
        signal.signal(signal.SIGALRM, previous)
        leave.set()
        holder.join(10)
    with turns.turn():
        pass


def test_a_turn_is_passed_on_after_an_error() -> None:
    """An error in the block ends the turn like anything else."""
    turns = Turns(patience=0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), turns.turn():
            _ = 1 / 0


async def test_tasks_have_their_turns_in_the_order_they_came() -> None:
    """The same for the tasks of one event loop."""
    turns = AsyncTurns(patience=60)
    order: list[int] = []

    async def write(number: int) -> None:
        async with turns.turn():
            await asyncio.sleep(0)
            order.append(number)

    await asyncio.gather(*(write(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_a_task_that_waits_too_long_is_told_so() -> None:
    """It leaves the queue, and the turns go on without it."""
    turns = AsyncTurns(patience=0.001)
    async with turns.turn():
        with pytest.raises(StoreUnavailable, match="Too many writers"):
            await turns.turn().__aenter__()
    async with turns.turn():
        pass


def test_writers_queue_and_readers_do_not(store: SQLAlchemyStore) -> None:
    """While one writes, another writer waits its time; who only reads is served at once."""
    first = numbered(1)
    store.create(sign_in(first))
    assert store._turns is not None
    with ExitStack() as writing:
        writing.enter_context(store._turns.turn())
        for write in (partial(store.create, sign_in(numbered(2))), partial(store.delete, [first.sid])):
            with pytest.raises(StoreUnavailable, match="Too many writers"):
                write()
        assert store.lookup(Lookup(first.sid)) == Found(first)
        assert store.count() == 1
    store.create(sign_in(numbered(2)))
