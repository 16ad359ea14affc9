"""The audit trail through the managers of both colours: what it tells, and what happens to its lines."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from threading import Event
from typing import Any

import pytest

from keyturn import (
    AccessTokenError,
    AsyncTokenManager,
    AuditLost,
    ConfigurationError,
    ExpiredToken,
    HistoryEntry,
    InvalidInput,
    InvalidToken,
    KeyRing,
    Policy,
    ReusedToken,
    RevokedToken,
    SessionLimitReached,
    StoreUnavailable,
    TokenManager,
    UserInactive,
)
from keyturn._core.trail import TrailEntry
from keyturn.audit import AsyncAudit, Audit
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.stores.protocol import PAGE
from keyturn.testing.clock import ManualClock
from keyturn.testing.colours import LoopThread, blocking, together
from keyturn.testing.faults import AFTER, BEFORE, AsyncFaultyStore, FaultPlan, FaultyStore
from keyturn.testing.samples import ROW, line_of
from keyturn.waiting import BATCH, Lines
from tests.support.processes import fork
from tests.support.sources import SRC

KEYS = KeyRing.from_secret("a long secret of more than 32 bytes, for tests only")
KEPT = Policy(audit_retention="30d")
HOUR, DAY = 3600.0, 86_400.0


class Site:
    """One manager of either colour over a store in memory that fails as planned."""

    def __init__(self, loop: LoopThread | None, **options: Any) -> None:
        self.clock, self.plan, self.lost = ManualClock(), FaultPlan(), list[AuditLost]()
        self._loop = loop
        given: dict[str, Any] = {"keys": KEYS, "issuer": "https://i", "audience": "a", "clock": self.clock}
        given = {**given, "policy": KEPT, **options}
        if loop is None:
            plain = MemoryStore()
            self.store: Any = plain  # of one colour, with its trail
            self.manager: Any = TokenManager(store=FaultyStore(plain, self.plan), **given)
        else:
            inner = AsyncMemoryStore()
            self.store = blocking(inner, loop)
            self.manager = AsyncTokenManager(store=AsyncFaultyStore(inner, self.plan), **given)
        self.manager.events.subscribe(AuditLost, self.lost.append)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.manager, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self._loop is None or not inspect.iscoroutinefunction(method):
                return method(*args, **kwargs)
            return self._loop.run(method(*args, **kwargs))

        return call

    def story(self, session_id: str) -> list[HistoryEntry]:
        """Read a session's trail when all of it is written."""
        assert self.flush()
        lines: list[HistoryEntry] = self.history(session_id)
        return lines

    def told(self, session_id: str) -> list[tuple[str, str, int]]:
        """Give what a session's trail says, in short."""
        return [(line.kind, line.reason, line.generation) for line in self.story(session_id)]


@pytest.fixture(params=["threads", "asyncio"])
def site(request: pytest.FixtureRequest) -> Iterator[Callable[..., Site]]:
    """Make managers of one colour."""
    made: list[Site] = []
    with LoopThread() as loop:

        def make(**options: Any) -> Site:
            made.append(Site(None if request.param == "threads" else loop, **options))
            return made[-1]

        yield make
        for one in made:
            one.close()


# --- What the trail tells ---------------------------------------------------------------------------


def test_the_trail_tells_how_a_session_got_where_it_is(site: Callable[..., Site]) -> None:
    """Sign-in, rotations, a lost response that converges, a thief, the end: the story reads in this order."""
    s = site()
    start = s.clock()
    pair = s.issue("user-1", device={"name": "Phone"}, context="phone")
    s.clock.advance(HOUR)
    s.refresh(pair.refresh_token, context="phone")  # its response is lost
    s.clock.advance(HOUR)
    stolen = s.refresh(pair.refresh_token, context="phone")
    s.clock.advance(HOUR)
    victim = s.refresh(stolen.refresh_token, context="phone")
    s.clock.advance(1)
    thief = s.refresh(stolen.refresh_token, context="elsewhere")
    s.clock.advance(HOUR)
    s.refresh(thief.refresh_token, context="elsewhere")
    s.clock.advance(HOUR)
    with pytest.raises(ReusedToken):
        s.refresh(victim.refresh_token, context="phone")
    story = s.story(pair.session_id)
    assert [(line.kind, line.reason, line.generation) for line in story] == [
        ("sign_in", "", 0),
        ("rotation", "", 1),
        ("convergence", "recovered", 1),
        ("rotation", "", 2),
        ("convergence", "race", 2),
        ("rotation", "", 3),
        ("reuse", "fork", 3),
        ("revocation", "reuse", 3),
    ]
    hours = [round((line.at - start) / HOUR, 2) for line in story]
    assert hours == [0, 1, 2, 3, 3, 4, 5, 5]
    assert {line.device["name"] for line in story} == {"Phone"}
    phone, elsewhere = story[0].context, story[4].context
    assert [line.context for line in story] == [
        *(phone, phone, phone, phone, elsewhere, elsewhere, phone, ""),
    ]
    assert phone != elsewhere
    assert all(len(context) == 16 and int(context, 16) for context in (phone, elsewhere))


def test_every_end_has_its_line(site: Callable[..., Site]) -> None:
    """Whoever ends a session and why, it is told, also by those that ended beside the one asked for."""
    s = site(policy=Policy(audit_retention="1d", max_sessions_per_user=3, on_reuse="user", recovery_window=0))
    evicted = s.issue("u")
    s.clock.advance(1)
    one, two, three = (s.issue("u") for _ in range(3))
    assert s.told(evicted.session_id) == [("sign_in", "", 0), ("revocation", "limit", 0)]
    s.revoke_token(one.refresh_token)
    s.revoke(one.session_id, reason="admin")
    s.revoke(two.session_id, reason="admin")
    s.revoke_user("u")
    ends = {"logout": one, "admin": two, "user": three}
    for reason, pair in ends.items():
        assert s.told(pair.session_id) == [("sign_in", "", 0), ("revocation", reason, 0)]
    other, pair = s.issue("u"), s.issue("u")
    s.refresh(pair.refresh_token)
    s.clock.advance(HOUR)
    with pytest.raises(ReusedToken):
        s.refresh(pair.refresh_token)
    assert s.told(other.session_id)[1:] == [("revocation", "reuse", 0)]
    assert s.told(pair.session_id)[1:] == [
        ("rotation", "", 1),
        ("reuse", "previous", 1),
        ("revocation", "reuse", 1),
    ]


@pytest.mark.parametrize(("days", "limit"), [(8, "idle"), (91, "absolute")])
def test_an_expiry_is_told_once(site: Callable[..., Site], days: float, limit: str) -> None:
    """The refresh that finds the limit passed leaves a line, those after it none."""
    s = site(policy=Policy(audit_retention="1d", idle_ttl=None if limit == "absolute" else "7d"))
    pair = s.issue("u")
    s.clock.advance(days * DAY)
    for _ in range(3):
        with pytest.raises(ExpiredToken):
            s.refresh(pair.refresh_token)
    assert s.told(pair.session_id) == [("sign_in", "", 0), ("expiry", limit, 0)]


def test_a_user_who_may_not_go_on_has_lines_in_every_session(site: Callable[..., Site]) -> None:
    """The application's veto at a refresh ends all sessions, and all of them tell."""

    def refuse(user_id: str) -> dict[str, Any]:
        raise UserInactive

    s = site(load_claims=refuse)
    one, two = s.issue("u"), s.issue("u")
    with pytest.raises(RevokedToken):
        s.refresh(one.refresh_token)
    for pair in (one, two):
        assert s.told(pair.session_id) == [("sign_in", "", 0), ("revocation", "inactive", 0)]


def test_a_denial_is_told_by_its_session(site: Callable[..., Site]) -> None:
    """With its reason; a token without a session leaves no line anywhere."""
    s = site()
    pair = s.issue("u")
    s.deny(pair.access_token, reason="seen in a log")
    s.deny(s.sign_access("u"), reason="of no session")
    assert s.told(pair.session_id) == [("sign_in", "", 0), ("denial", "seen in a log", 0)]


def test_a_step_up_leaves_a_line(site: Callable[..., Site]) -> None:
    """With the session's device; one that is refused leaves none."""
    s = site()
    pair = s.issue("u", device={"name": "Firefox"})
    s.step_up(pair.access_token)
    s.clock.advance(1)
    s.deny(pair.access_token)
    with pytest.raises(AccessTokenError):
        s.step_up(pair.access_token)
    assert s.told(pair.session_id) == [("sign_in", "", 0), ("step_up", "", 0), ("denial", "", 0)]
    assert s.history(pair.session_id)[1].device == {"name": "Firefox"}


def test_what_is_refused_leaves_no_line(site: Callable[..., Site]) -> None:
    """Nobody can fill the trail: neither with rubbish, nor with a token of a session that has ended."""
    s = site(policy=Policy(audit_retention="1d", max_sessions_per_user=1, on_session_limit="refuse"))
    pair = s.issue("u")
    with pytest.raises(SessionLimitReached):
        s.issue("u")
    s.revoke(pair.session_id)
    before = s.told(pair.session_id)
    for _ in range(3):
        with pytest.raises(RevokedToken):
            s.refresh(pair.refresh_token)
        with pytest.raises(AccessTokenError):
            s.authenticate(pair.access_token)
        with pytest.raises(InvalidToken):
            s.refresh("ktr_rubbish")
        s.revoke(pair.session_id)
    assert s.told(pair.session_id) == before
    assert s.store.forget(10**15, 100) == len(before)


def test_a_line_holds_no_token_and_no_context(site: Callable[..., Site]) -> None:
    """Whoever reads the trail can neither act as the client nor learn the context of it."""
    s = site()
    pair = s.issue("u", context="Firefox at 192.0.2.7")
    s.clock.advance(HOUR)
    later = s.refresh(pair.refresh_token, context="Firefox at 192.0.2.7")
    text = repr([asdict(line) for line in s.story(pair.session_id)])
    for secret in (pair.refresh_token, later.refresh_token, pair.access_token, later.access_token):
        assert secret[-40:] not in text
    assert "192.0.2.7" not in text


def test_a_context_links_no_two_sessions(site: Callable[..., Site]) -> None:
    """One client gives one digest within a session and another one in the next; none gives none."""
    s = site()
    one, two, bare = s.issue("u", context="c"), s.issue("u", context="c"), s.issue("u")
    digests = [s.story(pair.session_id)[0].context for pair in (one, two, bare)]
    assert len(set(digests)) == 3
    assert digests[2] == ""


def test_a_history_is_only_for_whom_it_concerns(site: Callable[..., Site]) -> None:
    """Another user's session, an unknown one and what is no id have no lines; a limit cuts the end off."""
    s = site()
    pair = s.issue("u")
    s.revoke(pair.session_id)
    assert len(s.story(pair.session_id)) == 2
    assert len(s.history(pair.session_id, user_id="u")) == 2
    assert s.history(pair.session_id, user_id="other") == []
    assert s.history("no id") == []
    assert s.history(str(ROW.sid), user_id="u") == []
    assert [line.kind for line in s.history(pair.session_id, limit=1)] == ["sign_in"]
    with pytest.raises(InvalidInput):
        s.history(pair.session_id, limit=0)


def test_a_long_history_is_read_in_pages(site: Callable[..., Site]) -> None:
    """However many lines there are, one answer of the store holds a page at most."""
    s = site()
    pair = s.issue("u")
    sid = s.store.find()[0].sid
    lines = [line_of(ROW, number) for number in range(PAGE + 5)]
    s.flush()
    s.store.note([TrailEntry(e.id, sid, e.at, e.kind) for e in lines])
    assert len(s.history(pair.session_id, limit=PAGE + 2)) == PAGE + 2
    assert len(s.history(pair.session_id)) == PAGE + 6


def test_a_purge_forgets_old_lines(site: Callable[..., Site]) -> None:
    """Lines go when they are older than the policy keeps them, and count in the result and the progress."""
    s = site(policy=Policy(audit_retention="30d"))
    pair = s.issue("u")
    s.clock.advance(20 * DAY)
    s.issue("u")
    s.clock.advance(15 * DAY)
    s.flush()
    seen: list[int] = []
    assert s.purge(progress=seen.append) == 1
    assert seen == [1]
    assert s.told(pair.session_id) == []
    assert s.purge() == 0


# --- Where lines go ---------------------------------------------------------------------------------


def test_without_a_retention_there_is_no_trail(site: Callable[..., Site]) -> None:
    """By default nothing is kept, and asking for a history is a mistake that is named."""
    s = site(policy=Policy())
    pair = s.issue("u")
    assert s.flush()
    assert s.store.forget(10**15, 100) == 0
    with pytest.raises(ConfigurationError, match="set audit_retention"):
        s.history(pair.session_id)


class Plain:
    """A store that keeps no trail."""


@pytest.mark.parametrize(
    ("manager", "other"), [(TokenManager, AsyncMemoryStore()), (AsyncTokenManager, MemoryStore())]
)
def test_a_store_without_a_trail_is_refused_at_once(manager: Any, other: object) -> None:
    """A policy that asks for a trail does not find out later that there is none."""
    given: dict[str, Any] = {"keys": KEYS, "issuer": "i", "audience": "a", "policy": KEPT}
    with pytest.raises(
        ConfigurationError, match=r"which Plain does not keep: give one as audit=…, or choose a store"
    ):
        manager(store=Plain(), **given)
    with pytest.raises(ConfigurationError, match="MemoryStore does not keep"):
        manager(store=Plain(), audit=other, **given)


def coloured(trail: MemoryStore, site: Callable[..., Site]) -> Any:
    """Give a trail the colour of a site's managers."""
    if isinstance(site().manager, TokenManager):
        return trail
    mine = AsyncMemoryStore()
    mine._store = trail
    return mine


def test_lines_may_be_kept_elsewhere_and_for_ever(site: Callable[..., Site]) -> None:
    """A trail of its own gets the lines; without a retention no purge removes them, and nothing closes it."""
    s = site(policy=Policy(), audit=coloured(MemoryStore(), site))
    pair = s.issue("u")
    s.clock.advance(10_000 * DAY)
    assert s.told(pair.session_id) == [("sign_in", "", 0)]
    assert s.purge() == 1
    assert [line.kind for line in s.story(pair.session_id)] == ["sign_in"]
    assert s.store.forget(10**15, 100) == 0


# --- What happens to lines --------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [BEFORE, AFTER])
def test_an_outage_loses_no_line(
    site: Callable[..., Site], fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it fails, whether writes or only their answers are lost: each line is there, once."""
    s = site()
    s.plan.next(*[fault] * 3, method="note")
    with caplog.at_level(logging.WARNING, "keyturn"):
        pair = s.issue("u")
        s.refresh(pair.refresh_token)
        assert s.told(pair.session_id) == [("sign_in", "", 0), ("rotation", "", 1)]
    assert (s.manager.audit_lost, s.lost) == (0, [])
    assert s.plan.due("note") is None
    (record,) = caplog.records
    assert "the audit trail cannot be written now, so its lines wait" in record.getMessage()


class Choosy(MemoryStore):
    """A trail that stores neither sign-ins nor rotations."""

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        if any(entry.kind in {"sign_in", "rotation"} for entry in entries):
            raise InvalidInput("A value cannot be stored.")
        super().note(entries)


def test_lines_that_cannot_be_written_are_counted_and_told(
    site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    """What a trail cannot store is lost, never silently; requests go on, and so does the trail afterwards."""
    s = site(audit=coloured(Choosy(), site))
    with caplog.at_level(logging.WARNING, "keyturn"):
        pair = s.issue("u")
        s.refresh(pair.refresh_token)
        assert s.flush()
    assert s.lost == [AuditLost(s.clock(), 1, 1), AuditLost(s.clock(), 1, 2)]
    assert s.manager.audit_lost == 2
    assert "lines of the audit trail were lost: 1 now, 2 so far" in caplog.text
    s.revoke(pair.session_id)
    assert s.told(pair.session_id) == [("revocation", "revoked", 1)]
    assert s.manager.audit_lost == 2


def test_a_handler_that_fails_stops_no_line(site: Callable[..., Site]) -> None:
    """Whatever a handler of the loss does, the next batch is written."""
    s = site(audit=coloured(Choosy(), site))

    def fail(event: AuditLost) -> None:
        raise ValueError(event)

    s.manager.events.subscribe(AuditLost, fail)
    pair = s.issue("u")
    s.flush()
    s.revoke(pair.session_id)
    assert s.told(pair.session_id) == [("revocation", "revoked", 0)]


def test_what_is_left_is_written_at_the_end(site: Callable[..., Site]) -> None:
    """`close` loses nothing, without a flush before it."""
    s = site()
    s.issue("u")
    s.close()
    assert s.store.forget(10**15, 100) == 1
    assert s.manager.audit_lost == 0


class Deaf(MemoryStore):
    """A trail that answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answer = Event(), Event()
        self.batches: list[int] = []

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        self.asked.set()
        self.answer.wait(30)
        self.batches.append(len(entries))
        super().note(entries)


def test_a_trail_that_hangs_delays_nothing() -> None:
    """Neither a request nor a confirmation, which theft detection needs, waits for it."""
    trail, store = Deaf(), MemoryStore()
    manager = TokenManager(store=store, keys=KEYS, issuer="i", audience="a", audit=trail)
    pair = manager.issue("u")
    assert trail.asked.wait(30)
    manager.authenticate(manager.refresh(pair.refresh_token).access_token)
    assert manager._confirming.flush()
    assert store.find()[0].confirmed
    trail.answer.set()
    assert manager.flush()
    assert len(manager.history(pair.session_id)) == 2
    manager.close()


class AsyncDeaf(AsyncMemoryStore):
    """The same for asyncio."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def note(self, entries: Sequence[TrailEntry], /) -> None:
        self.asked.set()
        await self.answer.wait()
        await super().note(entries)


async def test_a_trail_that_hangs_delays_no_task() -> None:
    """For asyncio as for threads: the trail has a task of its own."""
    trail, store = AsyncDeaf(), AsyncMemoryStore()
    manager = AsyncTokenManager(store=store, keys=KEYS, issuer="i", audience="a", audit=trail)
    pair = await manager.issue("u")
    await trail.asked.wait()
    await manager.authenticate((await manager.refresh(pair.refresh_token)).access_token)
    assert await manager._confirming.flush()
    assert (await store.find())[0].confirmed
    trail.answer.set()
    assert await manager.flush()
    assert len(await manager.history(pair.session_id)) == 2
    await manager.close()


def test_lines_of_many_threads_are_all_there_after_a_flush() -> None:
    """Whoever flushes sees its own lines written, whichever thread's line began the writer."""
    trail = MemoryStore()
    audit = Audit(trail, lambda count, total: pytest.fail(f"{count} of {total} lost"))

    def work(first: int) -> bool:
        numbers = range(first, first + 50)
        for number in numbers:
            audit.add([line_of(ROW, number)])
        audit.flush()
        return {line_of(ROW, n).id for n in numbers} <= {e.id for e in trail.history(ROW.sid)}

    assert all(together([partial(work, 50 * number) for number in range(8)]))
    audit.close()
    assert len(trail.history(ROW.sid)) == 400


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_child_writes_its_own_lines_and_not_its_parents() -> None:
    """What waits at a fork is the parent's to write, and the child's writer starts anew."""
    trail = MemoryStore()
    audit = Audit(trail, lambda *_: None)
    audit.add([line_of(ROW, 0)])

    def writes() -> bool:
        audit.add([line_of(ROW, 1)])
        return audit.flush() and [entry.gen for entry in trail.history(ROW.sid)] == [1]

    assert fork(writes)() == 0
    audit.close()
    assert [entry.gen for entry in trail.history(ROW.sid)] == [0]


def test_what_exceeds_the_bound_is_lost_and_told() -> None:
    """While the trail hangs, memory stays bounded; afterwards batches are whole, and the loss is known."""
    trail, told = Deaf(), list[tuple[int, int]]()
    audit = Audit(trail, lambda count, total: told.append((count, total)), most=2 * BATCH)
    audit.add([line_of(ROW, 0)])
    audit.lines.tell(audit._told)
    assert trail.asked.wait(30)
    for number in range(1, 2 * BATCH + 11):
        audit.add([line_of(ROW, number)])
    assert audit.lines.lost == 10
    trail.answer.set()
    assert audit.flush()
    assert told == [(10, 10)]
    assert trail.batches == [1, BATCH, BATCH]
    audit.close()


class Bad(MemoryStore):
    """A trail of somebody's own that raises what it should not."""

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        raise ZeroDivisionError(len(entries))


def test_a_trail_that_breaks_its_promise_loses_lines_only() -> None:
    """An error that no store may raise is logged and counted like any other."""
    told: list[tuple[int, int]] = []
    audit = Audit(Bad(), lambda count, total: told.append((count, total)))
    audit.add([line_of(ROW, 0)])
    assert audit.flush()
    audit.add([line_of(ROW, 1), line_of(ROW, 2)])
    audit.close()
    assert told == [(1, 1), (2, 3)]


class Endless(AsyncMemoryStore):
    """A trail for asyncio that never answers."""

    async def note(self, entries: Sequence[TrailEntry], /) -> None:
        assert entries
        await asyncio.Event().wait()


@pytest.mark.parametrize("trail", [AsyncMemoryStore(), Endless()])
def test_a_loop_that_ends_without_a_close_loses_nothing_silently(trail: AsyncMemoryStore) -> None:
    """Lines that wait or are on their way then are counted and told."""
    told: list[tuple[int, int]] = []

    async def leave() -> None:
        audit = AsyncAudit(trail, lambda count, total: told.append((count, total)))
        audit.add([line_of(ROW, number) for number in range(BATCH + 3)])
        for _ in range(3):
            await asyncio.sleep(0)
        if isinstance(trail, Endless):
            audit.add([line_of(ROW, 1000)])

    asyncio.run(leave())
    lost = sum(count for count, _ in told)
    kept = len(asyncio.run(trail.history(ROW.sid, limit=1000)))
    assert lost + kept == BATCH + 3 + isinstance(trail, Endless)


def test_a_writer_that_cannot_begin_breaks_no_request() -> None:
    """Where no thread can be started, the lines wait, and the next one tries again."""
    lines, started = Lines(), list[int]()

    def refuse() -> None:
        raise RuntimeError("can't start new thread")

    lines.add([line_of(ROW, 0)], refuse)
    lines.add([line_of(ROW, 1)], lambda: started.append(1))
    lines.add([line_of(ROW, 2)], lambda: started.append(2))
    assert started == [1]
    batch = lines.take(lines.turn)
    assert len(batch) == 3
    lines.settle(lines.turn, batch, None)
    assert lines.take(lines.turn) == []
    lines.add([line_of(ROW, 3)], lambda: started.append(3))
    assert started == [1, 3]
    lines.give_up()


def test_a_manager_that_nobody_closed_says_what_it_loses(caplog: pytest.LogCaptureFixture) -> None:
    """Lines that wait when it goes are named in the log."""
    lines = Lines()
    lines.add([line_of(ROW, 0)], lambda: None)
    with caplog.at_level(logging.WARNING, "keyturn"):
        del lines
    assert "lines of the audit trail were lost: 1; close the manager" in caplog.text


def test_an_outage_of_the_trail_is_told_to_who_reads_it(site: Callable[..., Site]) -> None:
    """A history that cannot be read is an outage, not an empty answer."""
    s = site()
    pair = s.issue("u")
    s.flush()
    s.plan.next(BEFORE, method="history")
    with pytest.raises(StoreUnavailable):
        s.history(pair.session_id)


def test_nothing_of_the_trail_is_imported_by_the_core() -> None:
    """What a line says is decided in the core; who writes it, and when, is no affair of the core's."""
    assert not any("keyturn.audit" in path.read_text() for path in (SRC / "keyturn" / "_core").glob("*.py"))
