"""Work off the critical path: bounded, logged where it fails, finished at the end, alive after a fork."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
from functools import partial
from threading import Event
from uuid import UUID

import pytest

from keyturn import deferred
from keyturn._core.commands import Confirm
from keyturn.deferred import Tasks, Worker
from keyturn.seen import Seen


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


def test_a_failure_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Work that raises is logged; what comes after it is done."""
    worker = Worker()
    done = Event()
    worker.submit(lambda: 1 / 0)
    worker.submit(done.set)
    worker.flush()
    worker.close()
    assert done.is_set()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


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

        tasks.submit(later)
        tasks.submit(fail)
        tasks.submit(later, dropped=lambda: done.append("dropped"))
        tasks.submit(later)
        await tasks.flush()
        assert tasks.dropped == 2

    asyncio.run(run())
    assert done == ["dropped", "later"]
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "ERROR"]


def test_a_generation_is_news_once() -> None:
    """Only a session's newest generation is news, once; the oldest sessions are forgotten."""
    seen = Seen(most=2)
    first, second, third = (Confirm(UUID(int=n), 1, 0) for n in range(3))
    assert [seen.is_first(one) for one in (first, first, second)] == [True, False, True]
    assert seen.is_first(Confirm(first.sid, 0, 0)) is False
    assert seen.is_first(Confirm(first.sid, 2, 0)) is True
    assert seen.is_first(third) is True  # the second is the oldest now, and makes room
    assert seen.is_first(second) is True
    seen.forget(second)
    assert seen.is_first(second) is True
