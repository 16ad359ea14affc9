"""The audit trail's writers where something around them ends or fails: loops, threads, handlers, one line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from threading import Semaphore, Thread
from typing import Any

import pytest

from keyturn import (
    AsyncTokenManager,
    AuditLost,
    InvalidInput,
    KeyRing,
    Policy,
    StoreUnavailable,
    TokenManager,
)
from keyturn._core.trail import TrailEntry
from keyturn.audit import AsyncAudit, Audit
from keyturn.deferred import Tasks
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.testing.samples import ROW, line_of
from keyturn.waiting import BATCH, Lines

GIVEN: dict[str, Any] = {
    "keys": KeyRing.from_secret("a long secret of more than 32 bytes, for tests only"),
    "issuer": "https://i",
    "audience": "a",
    "policy": Policy(audit_retention="30d"),
}


# --- Event loops that end ---------------------------------------------------------------------------


def leave_at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it, and cancel what it leaves behind."""
    return asyncio.run(coroutine)


def leave_late(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The same, where what it leaves behind has begun."""

    async def linger() -> Any:
        result = await coroutine
        for _ in range(3):
            await asyncio.sleep(0)
        return result

    return asyncio.run(linger())


def leave_open_ends(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it in a loop that is closed without cancelling anything."""
    loop = asyncio.new_event_loop()
    try:
        result = loop.run_until_complete(coroutine)
        loop.run_until_complete(asyncio.sleep(0))
        return result
    finally:
        loop.close()


@pytest.mark.parametrize("run", [leave_at_once, leave_late, leave_open_ends])
def test_the_trail_goes_on_in_the_next_event_loop(run: Callable[[Any], Any]) -> None:
    """A loop that ends takes at most what waited then, and that is counted; what comes later is written."""
    manager: AsyncTokenManager[dict[str, Any]] = AsyncTokenManager(store=AsyncMemoryStore(), **GIVEN)
    first = run(manager.issue("u"))
    second = run(manager.issue("u"))

    async def later() -> list[str]:
        third = await manager.issue("u")
        assert await manager.flush()
        told = [await manager.history(pair.session_id) for pair in (first, second, third)]
        await manager.close()
        return [line.kind for lines in told for line in lines]

    assert len(run(later())) + manager.audit_lost == 3
    assert manager.audit_lost <= 2


def test_a_flush_writes_what_an_event_loop_left_behind() -> None:
    """Lines whose loop was closed without a word wait for the next one."""
    manager: AsyncTokenManager[dict[str, Any]] = AsyncTokenManager(store=AsyncMemoryStore(), **GIVEN)
    pair = leave_open_ends(manager.issue("u"))
    assert asyncio.run(manager.flush())
    assert [line.kind for line in asyncio.run(manager.history(pair.session_id))] == ["sign_in"]
    assert manager.audit_lost == 0


def test_deferred_work_goes_on_in_the_next_event_loop() -> None:
    """Of every kind, confirmations too, where the loop before was closed in the middle of something."""
    tasks, done = Tasks(), list[int]()

    async def hang() -> None:
        await asyncio.Event().wait()

    async def work() -> None:
        done.append(1)

    async def submit(what: Callable[[], Coroutine[Any, Any, None]]) -> None:
        tasks.submit(what)

    leave_open_ends(submit(hang))
    leave_open_ends(submit(work))
    assert asyncio.run(tasks.flush())
    assert done == [1]


# --- Handlers ---------------------------------------------------------------------------------------


class Picky(MemoryStore):
    """A trail that cannot store one of the reasons."""

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        if any(entry.reason == "bad" for entry in entries):
            raise InvalidInput("A value cannot be stored.")
        super().note(entries)


class AsyncPicky(AsyncMemoryStore):
    """The same for asyncio."""

    def __init__(self) -> None:
        super().__init__()
        self._store = Picky()


@pytest.mark.parametrize("end", ["flush", "close"])
def test_a_handler_of_the_loss_is_waited_for(end: str) -> None:
    """`flush` and `close` return after the coroutine handlers of what they found lost."""
    heard = list[AuditLost]()
    manager: TokenManager[dict[str, Any]] = TokenManager(store=Picky(), **GIVEN)

    async def hear(event: AuditLost) -> None:
        await asyncio.sleep(0.01)
        heard.append(event)

    manager.events.subscribe(AuditLost, hear)
    manager.deny(manager.issue("u").access_token, reason="bad")
    getattr(manager, end)()
    assert [event.count for event in heard] == [1]
    manager.close()


@pytest.mark.parametrize("end", ["flush", "close"])
async def test_a_handler_of_the_loss_is_waited_for_by_tasks(end: str) -> None:
    """For asyncio as for threads."""
    heard = list[AuditLost]()
    manager: AsyncTokenManager[dict[str, Any]] = AsyncTokenManager(store=AsyncPicky(), **GIVEN)

    async def hear(event: AuditLost) -> None:
        await asyncio.sleep(0.01)
        heard.append(event)

    manager.events.subscribe(AuditLost, hear)
    await manager.deny((await manager.issue("u")).access_token, reason="bad")
    await getattr(manager, end)()
    assert [event.count for event in heard] == [1]
    await manager.close()


def test_a_writer_that_was_ended_is_replaced() -> None:
    """Whatever ends it, even `SystemExit` of a handler: the next line begins another."""
    told: list[int] = []

    def leave(count: int, total: int) -> None:
        told.append(total)
        raise SystemExit(count)

    audit = Audit(Picky(), leave)
    for _ in range(2):
        audit.add(with_a_bad_one()[2:3])
        assert audit.flush()
    assert told == [1, 2]
    audit.close()


# --- Threads, bounds, bad lines ---------------------------------------------------------------------


def test_a_flush_begins_the_writer_that_could_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that waited because no thread could be started are written by a flush or a close."""
    trail, told = MemoryStore(), list[int]()
    audit = Audit(trail, lambda count, _: told.append(count))

    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    for number, end in enumerate((audit.flush, audit.close)):
        audit.close()
        with monkeypatch.context() as patched:
            patched.setattr(Thread, "start", refuse)
            audit.add([line_of(ROW, number)])
        end()
        assert len(trail.history(ROW.sid)) == number + 1
    assert told == []


def test_a_full_queue_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """A trail that never answers keeps the loss from being summed up, so its beginning is logged, once."""
    lines = Lines(1)
    with caplog.at_level(logging.WARNING, "keyturn"):
        for number in range(3):
            lines.add([line_of(ROW, number)], lambda: None)
    assert [record.getMessage() for record in caplog.records] == [
        "keyturn: 1 lines of the audit trail wait already: more are lost"
    ]
    lines.give_up()


def with_a_bad_one() -> list[TrailEntry]:
    """Give four lines, the third of which cannot be stored."""
    good = [line_of(ROW, number) for number in range(4)]
    bad = TrailEntry(good[2].id, ROW.sid, good[2].at, "denial", "bad")
    return [*good[:2], bad, good[3]]


def test_a_line_that_cannot_be_stored_takes_no_other_with_it() -> None:
    """A trail of another make may refuse what the sessions' store took: the loss is that one line."""
    trail, told = Picky(), list[int]()
    audit = Audit(trail, lambda count, _: told.append(count))
    audit.add(with_a_bad_one())
    audit.close()
    assert (len(trail.history(ROW.sid)), told) == (3, [1])


async def test_a_line_that_cannot_be_stored_takes_no_other_with_it_in_tasks() -> None:
    """For asyncio as for threads."""
    trail, told = AsyncPicky(), list[int]()
    audit = AsyncAudit(trail, lambda count, _: told.append(count))
    audit.add(with_a_bad_one())
    await audit.close()
    assert (len(await trail.history(ROW.sid)), told) == (3, [1])


# --- Outages ----------------------------------------------------------------------------------------


def far_off(_: int) -> float:
    """Pause for longer than any test lasts."""
    return 3600.0


class Out(MemoryStore):
    """A trail that is out until it is back."""

    def __init__(self) -> None:
        super().__init__()
        self.back, self.tries, self.tried = False, 0, Semaphore(0)

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        self.tries += 1
        self.tried.release()
        if not self.back:
            raise StoreUnavailable
        super().note(entries)


class AsyncOut(AsyncMemoryStore):
    """The same for asyncio."""

    def __init__(self) -> None:
        super().__init__()
        self.out = Out()
        self._store = self.out


def lines_of(count: int) -> list[TrailEntry]:
    """Give so many lines."""
    return [line_of(ROW, number) for number in range(count)]


def test_the_pauses_of_an_outage_grow_and_begin_anew_with_the_next() -> None:
    """Neither a short outage costs much time nor a long one many tries."""
    failures = list[int]()

    def pause(count: int) -> float:
        failures.append(count)
        return 0.001

    lines = Lines(pause=pause)
    lines.add(lines_of(2), lambda: None)
    for error in (StoreUnavailable(), StoreUnavailable(), StoreUnavailable(), None):
        lines.settle(lines.turn, lines.take(lines.turn), error)
    lines.add(lines_of(1), lambda: None)
    lines.settle(lines.turn, lines.take(lines.turn), StoreUnavailable())
    assert failures == [1, 2, 3, 1]
    lines.give_up()


def test_a_flush_does_not_wait_for_the_pause_and_lines_do_not_shorten_it() -> None:
    """Whoever asks has the trail tried at once; many lines alone would have an outage tried all the time."""
    trail = Out()
    audit = Audit(trail, lambda count, _: pytest.fail(f"{count} lost"), pause=far_off)
    audit.add(lines_of(1))
    assert trail.tried.acquire(timeout=30)
    audit.add(lines_of(2 * BATCH))
    assert not audit.flush(timeout=0)
    assert trail.tried.acquire(timeout=30)
    assert trail.tries == 2
    trail.back = True
    assert audit.flush()
    assert len(trail.history(ROW.sid, limit=10_000)) == 2 * BATCH
    audit.close()


async def test_a_flush_does_not_wait_for_the_pause_in_tasks() -> None:
    """For asyncio as for threads."""
    trail = AsyncOut()
    audit = AsyncAudit(trail, lambda count, _: pytest.fail(f"{count} lost"), pause=far_off)
    audit.add(lines_of(2 * BATCH))
    assert not await audit.flush(timeout=0.001)
    trail.out.back = True
    assert await audit.flush()
    assert len(await trail.history(ROW.sid, limit=10_000)) == 2 * BATCH
    await audit.close()


def test_a_close_that_meets_an_outage_tells_what_it_loses() -> None:
    """When its time is over, what a writer holds is lost and told, too, once; what comes later is written."""
    trail, told = Out(), list[tuple[int, int]]()
    audit = Audit(trail, lambda count, total: told.append((count, total)), pause=far_off)
    audit.add(lines_of(BATCH + 3))
    assert trail.tried.acquire(timeout=30)
    audit.close(timeout=0)
    assert told == [(BATCH + 3, BATCH + 3)]
    trail.back = True
    audit.add([line_of(ROW, BATCH + 3)])
    audit.close()
    assert [entry.gen for entry in trail.history(ROW.sid)] == [BATCH + 3]
    assert told == [(BATCH + 3, BATCH + 3)]


async def test_a_close_that_meets_an_outage_tells_what_it_loses_in_tasks() -> None:
    """For asyncio as for threads."""
    trail, told = AsyncOut(), list[tuple[int, int]]()
    audit = AsyncAudit(trail, lambda count, total: told.append((count, total)), pause=far_off)
    audit.add(lines_of(BATCH + 3))
    await audit.close(timeout=0)
    assert told == [(BATCH + 3, BATCH + 3)]
    trail.out.back = True
    audit.add([line_of(ROW, BATCH + 3)])
    await audit.close()
    assert [entry.gen for entry in await trail.history(ROW.sid)] == [BATCH + 3]
    assert told == [(BATCH + 3, BATCH + 3)]


def test_a_writer_whose_turn_is_over_changes_nothing() -> None:
    """One that hung while the manager was closed neither counts nor removes what its successor has."""
    lines = Lines()
    lines.add(lines_of(3), lambda: None)
    hung, batch = lines.turn, lines.take(lines.turn)
    lines.give_up()
    assert lines.lost == 3
    lines.add(lines_of(2), lambda: None)
    assert len(lines.take(lines.turn)) == 2
    for error in (None, StoreUnavailable(), ValueError()):
        assert lines.settle(hung, batch, error) == 0
    lines.leave(hung)
    lines.give_up(hung)
    assert (lines.take(hung), len(lines.take(lines.turn)), lines.lost) == ([], 2, 3)
    lines.give_up()


@pytest.mark.parametrize("run", [leave_at_once, leave_late, leave_open_ends])
def test_what_an_outage_kept_goes_to_the_next_event_loop_or_is_counted(run: Callable[[Any], Any]) -> None:
    """Lines in the hands of a writer whose loop ended do not vanish."""
    trail, told = AsyncOut(), list[int]()
    audit = AsyncAudit(trail, lambda count, _: told.append(count), pause=far_off)

    async def meet_the_outage() -> None:
        audit.add(lines_of(3))
        await audit.flush(timeout=0.001)

    run(meet_the_outage())
    trail.out.back = True
    assert asyncio.run(audit.flush())
    assert len(asyncio.run(trail.history(ROW.sid))) + sum(told) == 3


def test_lines_that_wait_in_an_outage_are_named_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """A manager that nobody closed names all it leaves, those being written included."""
    lines = Lines()
    lines.add(lines_of(BATCH + 1), lambda: None)
    lines.settle(lines.turn, lines.take(lines.turn), StoreUnavailable())
    with caplog.at_level(logging.WARNING, "keyturn"):
        del lines
    assert f"lines of the audit trail were lost: {BATCH + 1}; close the manager" in caplog.text
