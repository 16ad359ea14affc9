"""Following a revocation log off the critical path, in a thread and in a task: rings, polls, ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import pytest

from keyturn import AccessTokenError, AsyncTokenManager, Policy, StoreUnavailable, TokenManager
from keyturn._core.commands import Follow
from keyturn._core.outcomes import Followed
from keyturn._core.revocations import LogEntry
from keyturn.events import StoreUnavailable as Outage
from keyturn.reading import Reading
from keyturn.revocation import SLACK, RevocationView
from keyturn.stores.memory import MemoryStore
from keyturn.testing.clock import ManualClock
from keyturn.testing.colours import LoopThread
from tests.support.followed import RING, AsyncFar, Far
from tests.support.processes import fork, wait_until

QUICK = Policy(max_staleness="200ms")  # polls every 50 ms


class Bell:
    """A bell that a test rings; `seconds` do not end a wait, so nothing but a ring does."""

    def __init__(self, failure: Exception | None) -> None:
        self.rung = threading.Event()
        self.closed = threading.Event()
        self.broken = False
        self.failure = failure

    def wait(self, _: object, __: float, /) -> None:
        """Wait for the ring."""
        if self.failure is not None:
            raise self.failure
        if not self.broken:
            self.rung.wait(30)
        if self.broken or self.closed.is_set():
            raise StoreUnavailable(detail="bell")
        self.rung.clear()

    def close(self) -> None:
        """End the wait."""
        self.closed.set()
        self.rung.set()


class AsyncBell:
    """The same for asyncio, rung from any thread."""

    def __init__(self, inner: Bell) -> None:
        self.inner = inner

    async def wait(self, cursor: object, seconds: float, /) -> None:
        """Wait for the ring without standing in the loop's way."""
        if self.inner.failure is None:
            await asyncio.to_thread(self.inner.rung.wait, 30)
        self.inner.wait(cursor, seconds)

    async def close(self) -> None:
        """End the wait."""
        self.inner.close()


class Following(Protocol):
    """One manager of either colour that follows a store."""

    line: Any
    bells: list[Bell]
    failure: Exception | None
    view: RevocationView
    manager: Any

    def begin(self) -> None:
        """Start to follow."""

    def end(self) -> None:
        """Close the manager."""


class Threads:
    """For threads."""

    def __init__(self, rows: MemoryStore, policy: Policy, *, rings: bool) -> None:
        self.bells: list[Bell] = []
        self.failure: Exception | None = None
        store: Any = type("Ringing", (Far,), {"bell": lambda _: self._bell() if rings else None})(rows)
        self.line = store.line
        self.manager = TokenManager(store=store, keys=RING, policy=policy, issuer="https://i", audience="a")
        assert self.manager.revocations is not None
        self.view = self.manager.revocations

    def _bell(self) -> Bell:
        self.bells.append(Bell(self.failure))
        return self.bells[-1]

    def begin(self) -> None:
        """Start to follow."""
        self.manager.start()

    def end(self) -> None:
        """Close the manager."""
        self.manager.close()


class Tasks:
    """For asyncio, in a loop of its own."""

    def __init__(self, rows: MemoryStore, policy: Policy, *, rings: bool) -> None:
        self.bells: list[Bell] = []
        self.failure: Exception | None = None
        self._ended = False
        self._loop = LoopThread().__enter__()
        store: Any = type("Ringing", (AsyncFar,), {"bell": lambda _: self._bell() if rings else None})(rows)
        self.line = store.line
        self.manager = AsyncTokenManager(
            store=store, keys=RING, policy=policy, issuer="https://i", audience="a"
        )
        assert self.manager.revocations is not None
        self.view = self.manager.revocations

    def _bell(self) -> AsyncBell:
        self.bells.append(Bell(self.failure))
        return AsyncBell(self.bells[-1])

    def begin(self) -> None:
        """Start to follow."""
        self._loop.run(self.manager.start())

    def end(self) -> None:
        """Close the manager and its loop."""
        if not self._ended:
            self._ended = True
            self._loop.run(self.manager.close())
            self._loop.__exit__(None, None, None)


@pytest.fixture
def rows() -> MemoryStore:
    """Give the store that is followed."""
    return MemoryStore()


@pytest.fixture(params=[Threads, Tasks])
def follow(request: pytest.FixtureRequest, rows: MemoryStore) -> Iterator[Callable[..., Following]]:
    """Give what follows the store, in each colour, and end it."""
    made: list[Following] = []

    def make(policy: Policy = QUICK, *, rings: bool = False) -> Following:
        made.append(request.param(rows, policy, rings=rings))
        return made[-1]

    yield make
    for each in made:
        each.end()


def revoke_one(rows: MemoryStore) -> str:
    """Let another process sign somebody in and end that session; give its id."""
    manager = TokenManager(store=rows, keys=RING, issuer="https://i", audience="a")
    pair = manager.issue("user-1")
    manager.revoke(pair.session_id)
    return pair.session_id


def knows(view: RevocationView, session_id: str) -> bool:
    """Tell whether a view knows that a session was revoked."""
    return view.standing(session_id, "token", 0, 0) == "revoked"


def test_without_a_bell_a_poll_brings_it(rows: MemoryStore, follow: Callable[..., Following]) -> None:
    """Where the engine has no push, revocations come by polling."""
    one = follow()
    one.begin()
    ended = revoke_one(rows)
    wait_until(lambda: knows(one.view, ended), what="the poll")


def test_a_ring_brings_it(rows: MemoryStore, follow: Callable[..., Following]) -> None:
    """Where it has one, the ring alone is enough: this bell waits for nothing else."""
    one = follow(rings=True)
    one.begin()
    wait_until(lambda: len(one.bells) == 1, what="the bell")
    for _ in range(3):
        ended = revoke_one(rows)
        one.bells[0].rung.set()
        wait_until(partial(knows, one.view, ended), what="what was rung for")
    assert len(one.bells) == 1


def test_a_bell_that_breaks_costs_no_revocation(rows: MemoryStore, follow: Callable[..., Following]) -> None:
    """It is made anew, after a rest, and polls go on meanwhile."""
    one = follow(rings=True)
    one.begin()
    wait_until(lambda: len(one.bells) == 1, what="the first bell")
    one.bells[0].broken = True
    one.bells[0].rung.set()
    ended = revoke_one(rows)
    wait_until(lambda: knows(one.view, ended), what="the poll after the break")
    wait_until(lambda: len(one.bells) == 2, what="the second bell")
    assert one.bells[0].closed.is_set()
    later = revoke_one(rows)
    one.bells[1].rung.set()
    wait_until(lambda: knows(one.view, later), what="the ring of the second")


def test_an_exchanged_clock_is_the_followers_too(rows: MemoryStore, follow: Callable[..., Following]) -> None:
    """A manager that is given another clock has its view read by that one, and then by the old one again."""
    one = follow()
    one.begin()
    turned = ManualClock()
    before = one.manager.use_clock(turned)
    assert one.manager.now() == turned()
    wait_until(lambda: one.view.staleness(turned()) == 0, what="the log to be read by the new clock")
    assert one.manager.use_clock(before) is turned
    ended = revoke_one(rows)
    wait_until(
        lambda: (one.view.staleness(one.manager.now()) or SLACK) < SLACK, what="a view by the old clock"
    )
    wait_until(lambda: knows(one.view, ended), what="the revocation")


def test_an_outage_is_told_once_and_outlived(
    rows: MemoryStore, follow: Callable[..., Following], caplog: pytest.LogCaptureFixture
) -> None:
    """However often the log cannot be read, one event and one line say so; then all is made up for."""
    one = follow()
    told: list[str] = []
    one.manager.events.subscribe(Outage, lambda event: told.append(event.operation))
    one.begin()
    for outage in (1, 2):
        with caplog.at_level(logging.WARNING, logger="keyturn"):
            caplog.clear()
            one.line.cut = {"follow"}
            one.line.asked.clear()
            wait_until(lambda: one.line.asked["follow"] > 4, what="several tries")
        ended = revoke_one(rows)
        one.line.cut = set()
        wait_until(partial(knows, one.view, ended), what="the end of the outage")
        assert told == ["follow"] * outage
        assert len([r for r in caplog.records if "revocation log" in r.message]) == 1


def test_whatever_a_store_raises_following_goes_on(
    rows: MemoryStore, follow: Callable[..., Following], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of somebody's own may raise anything; one bad answer must not stop revocations for good."""
    one = follow()
    one.begin()
    real, left = rows.follow, [ZeroDivisionError("a bug"), KeyError("another")]

    def broken(command: Follow) -> Followed:
        if left:
            raise left.pop()
        return real(command)

    monkeypatch.setattr(rows, "follow", broken)
    ended = revoke_one(rows)
    wait_until(lambda: knows(one.view, ended), what="the poll after two failures")


@pytest.mark.parametrize("rings", [False, True])
def test_closing_ends_the_rest(follow: Callable[..., Following], *, rings: bool) -> None:
    """A long rest, with a bell or without, does not hold a shutdown up; nothing is followed afterwards."""
    one = follow(Policy(max_staleness="1h"), rings=rings)
    before = followers()
    one.begin()
    wait_until(lambda: bool(one.bells) == rings, what="the rest")
    one.end()
    assert followers() == before
    asked = one.line.asked["follow"]
    if isinstance(one, Threads):
        following = one.manager._following
        assert following is not None
        following.ensure()
        assert followers() == before
        one.end()  # twice does no harm
    assert one.line.asked["follow"] == asked


def test_an_end_is_no_outage(rows: MemoryStore) -> None:
    """What fails because the manager is being closed is neither told nor logged."""
    one = Threads(rows, QUICK, rings=False)
    told: list[Outage] = []
    one.manager.events.subscribe(Outage, told.append)
    one.begin()
    real = rows.follow

    def slow(command: Follow) -> Followed:
        following = one.manager._following
        assert following is not None
        following._ended.wait(20)
        if following._ended.is_set():
            raise StoreUnavailable(detail="closed")
        return real(command)

    rows.follow = slow  # type: ignore[method-assign]  # this store alone
    asked = one.line.asked["follow"]
    wait_until(lambda: one.line.asked["follow"] > asked, what="a reading on its way")
    one.end()
    assert told == []


def test_a_bell_of_any_kind_may_fail(
    rows: MemoryStore, follow: Callable[..., Following], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises, polls go on, another one is made, the broken one closed, and one line says so."""
    one = follow(rings=True)
    one.failure = ZeroDivisionError("a bug in a bell")
    with caplog.at_level(logging.WARNING, logger="keyturn"):
        one.begin()
        wait_until(lambda: len(one.bells) >= 3, what="several bells")
    assert all(bell.closed.is_set() for bell in one.bells[:-1])
    ended = revoke_one(rows)
    wait_until(partial(knows, one.view, ended), what="the poll")
    assert len([r for r in caplog.records if "push failed" in r.message]) == 1


def test_a_system_without_threads_asks_the_store(rows: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none can be started, tokens are checked in the store, and the manager can be closed."""
    one = Threads(rows, QUICK, rings=False)
    token = one.manager.issue("user-1").access_token

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for _ in range(2):
        assert one.manager.authenticate(token).user_id == "user-1"
    one.end()
    monkeypatch.undo()


def followers() -> list[threading.Thread]:
    """Give the threads that follow something."""
    return [thread for thread in threading.enumerate() if thread.name == "keyturn-follower"]


def test_a_manager_that_nobody_uses_is_not_followed_for(rows: MemoryStore) -> None:
    """A manager that was never closed takes its thread along when it goes."""
    before = followers()
    one = Threads(rows, QUICK, rings=False)
    one.begin()
    assert len(followers()) == len(before) + 1
    del one

    def nobody_follows() -> bool:
        gc.collect()  # the manager is in use while its thread has its turn
        return len(followers()) <= len(before)

    wait_until(nobody_follows, what="the end of the thread")


def test_a_forked_child_reads_the_log_itself(rows: MemoryStore) -> None:
    """After a fork, the child trusts nothing until it has read the log; then it follows on its own."""
    one = Threads(rows, QUICK, rings=True)
    one.begin()
    token = one.manager.issue("user-1").access_token
    one.manager.authenticate(token)
    one.manager.flush()

    def child() -> bool:
        assert one.view.staleness(one.manager.now()) is None
        one.line.asked.clear()
        one.manager.authenticate(token)
        assert one.line.asked["check"] == 1
        wait_until(lambda: one.view.staleness(one.manager.now()) is not None, what="the child's own reading")
        wait_until(lambda: one.manager.flush() and len(one.bells) == 2, what="a bell of its own")
        one.line.asked.clear()
        one.manager.authenticate(token)
        return not one.line.asked["check"]

    assert fork(child)() == 0
    assert one.view.staleness(one.manager.now()) is not None
    assert not one.bells[0].closed.is_set()
    one.end()


def test_a_task_follows_in_the_loop_that_is_running(rows: MemoryStore) -> None:
    """A manager that outlives its event loop is followed in the next one, and leaves nothing behind."""
    store = AsyncFar(rows)
    manager = AsyncTokenManager(store=store, keys=RING, policy=QUICK, issuer="https://i", audience="a")
    assert manager.revocations is not None
    view = manager.revocations

    async def follow_one() -> None:
        ended = revoke_one(rows)
        with pytest.raises(AccessTokenError):
            await manager.authenticate("no token")
        token = (await manager.issue("user-2")).access_token
        await manager.authenticate(token)  # begins to follow, where nobody does
        for _ in range(1000):
            if knows(view, ended):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody follows")

    for _ in range(2):
        asyncio.run(follow_one())
        view.start_afresh()  # as old as it gets
    asyncio.run(manager.close())


def test_a_clock_that_was_set_back_reads_all_again() -> None:
    """What was let go of by the wrong clock may count by the right one."""
    clock = ManualClock(10_000)
    view = RevocationView(looks_back=900, max_staleness=5)
    reading = Reading(view, clock, lambda _: None)
    reading.take(reading.ask(), Followed((LogEntry("session", "a"),), "cursor", more=False))
    clock.jump(-SLACK + 1)
    assert reading.ask().command.cursor == "cursor", "clocks are corrected by seconds all the time"
    late = reading.ask()
    clock.jump(-2)  # corrections add up
    assert reading.ask().command.cursor is None
    assert reading.take(late, Followed((), "its end", more=False)), "a late answer of the time before"
    assert reading.ask().command.cursor is None
    assert view.staleness(clock()) is None
    assert knows(view, "a")


def test_a_log_of_many_pages_is_fresh_at_its_end() -> None:
    """Half a log is no view: it is as of the moment at which its last page was asked for."""
    clock = ManualClock(10_000)
    view = RevocationView(looks_back=900, max_staleness=5)
    reading = Reading(view, clock, lambda _: None)
    assert reading.take(reading.ask(), Followed((LogEntry("session", "a"),), 1, more=True))
    assert view.staleness(clock()) is None
    asked = reading.ask()
    assert asked.command.since == round((10_000 - 900 - SLACK) * 1000)
    clock.advance(2)  # while the answer was on its way
    assert not reading.take(asked, Followed((), 2, more=False))
    assert view.staleness(clock()) == 2
