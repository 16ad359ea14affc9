"""Work off the critical path: bounded, logged where it fails, finished at the end, alive after a fork."""

from __future__ import annotations

import asyncio
import gc
import logging
import multiprocessing
import os
from contextvars import ContextVar
from functools import partial
from threading import Event, Thread
from uuid import UUID
from weakref import ref

import pytest

from keyturn import deferred
from keyturn._core.commands import Confirm
from keyturn.deferred import Tasks, Worker
from keyturn.seen import Seen


def test_work_that_is_done_keeps_no_event_loop() -> None:
    """A loop lives as long as whoever made it wants it; many have one for each piece of work."""
    tasks, done = Tasks(), list[int]()

    async def note() -> None:
        done.append(1)

    async def use() -> ref[asyncio.AbstractEventLoop]:
        tasks.submit(note)
        assert await tasks.flush() is True
        return ref(asyncio.get_running_loop())

    gone = [asyncio.run(use()) for _ in range(2)]
    gc.collect()
    assert (done, [each() for each in gone]) == ([1, 1], [None, None])


def test_work_is_done_in_order_and_flush_waits() -> None:
    """What was submitted before a flush is done after it, in order; closing finishes the rest."""
    worker = Worker()
    done: list[int] = []
    assert worker.flush() is True
    for number in range(100):
        worker.submit(partial(done.append, number))
    assert worker.flush() is True
    assert done == list(range(100))
    worker.submit(lambda: done.append(100))
    worker.close()
    worker.close()
    assert done[-1] == 100
    worker.submit(lambda: done.append(101))
    assert worker.flush() is True
    assert done[-1] == 101
    worker.close()


@pytest.mark.parametrize("failure", [ValueError, SystemExit, asyncio.CancelledError, KeyboardInterrupt])
def test_a_failure_is_logged_and_stops_nothing(
    failure: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """Work that raises, whatever it is, is logged; what comes after it is done."""
    worker = Worker()
    done = Event()

    def fail() -> None:
        raise failure

    worker.submit(fail)
    worker.submit(done.set)
    assert worker.flush() is True
    worker.close()
    assert done.is_set()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def submit_twenty(worker: Worker, done: list[int]) -> None:
    """Submit some work that notes that it was done."""
    for number in range(20):
        worker.submit(partial(done.append, number))


def test_closing_beside_submitting_ends() -> None:
    """What is submitted while the worker closes is done, by the old thread or by a new one."""
    for _ in range(50):
        worker = Worker()
        done: list[int] = []
        writers = [Thread(target=submit_twenty, args=(worker, done)) for _ in range(3)]
        for each in writers:
            each.start()
        worker.close(timeout=10)
        for each in writers:
            each.join(10)
        assert worker.flush(10) is True
        worker.close(timeout=10)
        assert len(done) == 60


def test_deferred_work_does_not_wait_for_itself() -> None:
    """A handler that flushes or closes from within deferred work is told at once that this cannot be."""
    worker = Worker()
    told: list[bool] = []
    worker.submit(lambda: told.append(worker.flush()))
    worker.submit(worker.close)
    worker.flush(1)
    assert told == [False]

    async def run() -> None:
        tasks = Tasks()

        async def flush() -> None:
            told.append(await tasks.flush())

        tasks.submit(flush)
        assert await tasks.flush() is True
        assert await tasks.flush() is True

    asyncio.run(run())
    assert told == [False, False]


def test_too_much_is_dropped_counted_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The queue is bounded: what does not fit is counted, logged, and its owner is told."""
    monkeypatch.setattr(deferred, "MOST_WAITING", 2)
    worker = Worker()
    gate, started = Event(), Event()

    def hold() -> None:
        started.set()
        gate.wait()

    worker.submit(hold)
    started.wait()
    told: list[int] = []
    for number in range(5):
        worker.submit(lambda: None, dropped=partial(told.append, number))
    assert worker.flush(timeout=0.01) is False
    gate.set()
    worker.close()
    assert (worker.dropped, told) == (3, [2, 3, 4])
    assert "3 pieces of deferred work dropped" in caplog.text


def test_a_forked_child_has_a_worker_of_its_own() -> None:
    """After a fork the child starts its own thread; the parent's queue and thread stay the parent's."""
    worker = Worker()
    worker.submit(lambda: None)
    worker.flush()

    def child(channel: int) -> None:
        assert worker.flush() is True
        worker.submit(lambda: os.write(channel, b"done"))
        worker.flush()
        worker.close()

    reading, writing = os.pipe()
    process = multiprocessing.get_context("fork").Process(target=child, args=(writing,))
    process.start()
    process.join(30)
    assert (process.exitcode, os.read(reading, 4)) == (0, b"done")
    worker.close()
    os.close(reading)
    os.close(writing)


def test_tasks_are_kept_bounded_logged_and_awaited(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The asyncio twin holds its tasks until they end, logs failures, and drops what is too much."""
    monkeypatch.setattr(deferred, "MOST_WAITING", 2)
    done: list[str] = []

    async def run() -> None:
        tasks = Tasks()

        async def later() -> None:
            await asyncio.sleep(0)
            done.append("later")

        async def fail() -> None:
            raise ValueError

        async def cancel() -> None:
            raise asyncio.CancelledError

        tasks.submit(fail)
        tasks.submit(cancel)
        tasks.submit(later, dropped=lambda: done.append("dropped"))
        assert await tasks.flush() is True
        tasks.submit(later)
        assert await tasks.flush() is True
        assert tasks.dropped == 1

        async def hang() -> None:
            await asyncio.sleep(60)

        tasks.submit(hang)
        assert await tasks.flush(timeout=0.01) is False

    asyncio.run(run())
    assert done == ["dropped", "later"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR", "WARNING"]


def test_a_generation_is_told_once() -> None:
    """A newest generation is due once, again where the row does not know it, never twice at a time."""
    seen = Seen(most=2)
    first, second, third = (Confirm(UUID(int=n), 1, 0) for n in range(3))
    assert seen.is_due(first, confirmed=False) is True
    assert seen.is_due(first, confirmed=False) is False  # it is on its way
    seen.arrived(first)
    assert seen.is_due(first, confirmed=True) is False
    assert seen.is_due(first, confirmed=False) is True  # it was in vain
    seen.arrived(first)
    assert seen.is_due(Confirm(first.sid, 0, 0), confirmed=True) is False
    assert seen.is_due(Confirm(first.sid, 2, 0), confirmed=True) is True
    seen.arrived(first)
    for other in (second, third):
        assert seen.is_due(other, confirmed=True) is True
        seen.arrived(other)
    assert seen.is_due(Confirm(first.sid, 2, 0), confirmed=True) is True  # forgotten: there was room for two


async def test_deferred_work_has_no_context_of_whoever_came_first() -> None:
    """What a request has made for itself, such as an executor, may be gone when the work is done."""
    request: ContextVar[str] = ContextVar("request", default="none")
    seen: list[str] = []

    async def work() -> None:
        seen.append(request.get())

    tasks = Tasks()
    request.set("the first")
    tasks.submit(work)
    assert await tasks.flush()
    assert seen == ["none"]
