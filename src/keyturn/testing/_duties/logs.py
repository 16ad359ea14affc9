"""Duty 7: the revocation log holds each end that is acknowledged, and nothing else. They know no engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from keyturn._core.commands import Confirm, Deny, Follow, Purge, Revoke, RevokeUser
from keyturn._core.revocations import LONGEST_MEMORY, LogEntry, entries_of, entry_of_denial
from keyturn.errors import StoreUnavailable
from keyturn.stores.protocol import RevocationLog, Store
from keyturn.testing._duties.asking import END_OF_TIME
from keyturn.testing.colours import PATIENCE_SECONDS, together
from keyturn.testing.samples import DAY, RACE, REDEEM, ROW, T0, digest_of, numbered, refresh_of, sign_in

if TYPE_CHECKING:
    from keyturn._core.records import Session

PAGE_LINES: Final = 7  # odd, and less than most tests write, so that pages are turned
MOST_PAGES: Final = 10_000
WRITERS: Final = 8
EACH: Final = 20
LONG_SECONDS: Final = 60.0  # a bell that rings is heard long before


class Reader:
    """One process that follows a log."""

    def __init__(self, store: Store, *, now: int = T0 + DAY) -> None:
        """Begin before the first line."""
        assert isinstance(store, RevocationLog), 'the store keeps no revocation log: name "log" in `lacks`'
        self.log: RevocationLog = store
        self.cursor: object | None = None
        self._now = now

    def news(self, *, limit: int = PAGE_LINES) -> set[LogEntry]:
        """Read on to the end."""
        found: set[LogEntry] = set()
        for _ in range(MOST_PAGES):
            page = self.log.follow(Follow(self.cursor, self._now - LONGEST_MEMORY, self._now, limit))
            assert len(page.entries) <= limit
            found.update(page.entries)
            self.cursor = page.cursor
            if not page.more:
                return found
        raise AssertionError("the log has no end")


def of(*sessions: Session) -> set[LogEntry]:
    """Give the lines of sessions that ended."""
    return set(entries_of(session.sid for session in sessions))


def revoke(session: Session, now: int = T0 + DAY) -> Revoke:
    """End a session."""
    return Revoke(session.sid, None, None, "revoked", now)


class LogDuties:
    """What must be in the log, and when, where a store keeps one."""

    def test_every_end_is_logged(self, subject: Store) -> None:
        """Revocations of any kind, a limit, reuse, a removal and a denial: each is there when it is done."""
        reader = Reader(subject)
        one, two, three, four, five, six = map(numbered, range(1, 7))
        for session in (one, two, three):
            subject.create(sign_in(session))
        assert reader.news() == set()
        subject.revoke(revoke(one))
        assert reader.news() >= of(one)
        subject.create(sign_in(four, limit=2))  # of `two`, `three` and this one, the oldest must go
        assert reader.news() >= of(two)
        subject.rotate(replace(refresh_of(replace(three, gen=-2), T0 + RACE)))
        assert reader.news() >= of(three)
        subject.create(sign_in(five))
        subject.create(sign_in(six))
        subject.revoke_user(RevokeUser(ROW.user_id, six.sid, "user", T0 + DAY))
        assert reader.news() >= of(four, five)
        subject.delete([six.sid])
        assert reader.news() >= of(six)
        subject.deny(Deny("a token", T0 + 2 * DAY, "test", T0 + DAY))
        subject.deny(Deny("of a session", T0 + 2 * DAY, "test", T0 + DAY, one.sid))
        assert reader.news() >= {entry_of_denial("a token"), entry_of_denial("of a session")}
        everything = of(one, two, three, four, five, six)
        everything |= {entry_of_denial("a token"), entry_of_denial("of a session")}
        assert Reader(subject).news() == everything

    def test_reuse_that_ends_a_user_is_logged_whole(self, subject: Store) -> None:
        """Where reuse ends all of a user's sessions, each of them is in the log, and no other user's."""
        reader = Reader(subject)
        mine, others = [numbered(number) for number in range(1, 4)], numbered(9, user_id="user-2")
        for session in (*mine, others):
            subject.create(sign_in(session))
        subject.rotate(replace(refresh_of(replace(mine[0], gen=-2), T0 + RACE), whole_user=True))
        assert reader.news() == of(*mine)

    def test_nothing_else_is_logged(self, subject: Store) -> None:
        """No refresh, use, expiry, nor an end that did not happen: views would refuse honest tokens."""
        reader = Reader(subject)
        subject.create(sign_in(ROW))
        subject.create(sign_in(numbered(1), limit=1, evict=False))
        subject.rotate(REDEEM)
        subject.rotate(replace(REDEEM, now=REDEEM.now + 1))  # a race
        subject.rotate(replace(REDEEM, digest=digest_of(b"a guess")))
        subject.rotate(replace(REDEEM, gen=ROW.gen + 9))
        subject.confirm(Confirm(ROW.sid, ROW.gen + 1, REDEEM.now + 2))
        subject.revoke(replace(revoke(ROW), user_id="user-2"))
        subject.revoke(replace(revoke(ROW), digest=digest_of(b"a guess")))
        subject.revoke_user(RevokeUser("user-2", None, "user", T0))
        subject.revoke_user(RevokeUser(ROW.user_id, ROW.sid, "user", T0))
        subject.delete([numbered(1).sid])
        assert reader.news() == set()
        subject.rotate(replace(refresh_of(ROW, END_OF_TIME), gen=ROW.gen + 1))  # past its limits
        subject.purge(Purge(before=END_OF_TIME, now=END_OF_TIME, limit=10))
        assert reader.news() == set()

    def test_an_end_is_logged_once(self, subject: Store) -> None:
        """Ending again what has ended is no news; whoever has read on gets it no second time for ever."""
        reader = Reader(subject)
        subject.create(sign_in(ROW))
        subject.revoke(revoke(ROW))
        assert reader.news() == of(ROW)
        for _ in range(3):
            subject.revoke(revoke(ROW))
            subject.revoke_user(RevokeUser(ROW.user_id, None, "user", T0 + DAY))
        ended = [numbered(number) for number in range(1, 40)]
        for session in ended:
            subject.create(sign_in(session))
            subject.revoke(revoke(session))
        assert reader.news() >= of(*ended)
        assert of(ended[0]).isdisjoint(reader.news())

    def test_a_new_follower_finds_all_that_is_recent(self, subject: Store) -> None:
        """Who begins gets every line that is young enough, whatever the size of its pages."""
        ended = [numbered(number) for number in range(1, 24)]
        for session in ended:
            subject.create(sign_in(session))
            subject.revoke(revoke(session))
        for limit in (1, 2, PAGE_LINES, 23, 24, 1000):
            assert Reader(subject).news(limit=limit) == of(*ended)

    def test_a_cursor_of_another_log_begins_anew(self, subject: Store) -> None:
        """What the store has not given is no place to read on from: nothing is passed over."""
        subject.create(sign_in(ROW))
        subject.revoke(revoke(ROW))
        for strange in ("strange", object(), (-1,), b"\xff", 10**30, ()):
            reader = Reader(subject)
            reader.cursor = strange
            assert reader.news() == of(ROW)

    def test_a_purge_leaves_what_views_still_need(self, subject: Store) -> None:
        """Lines stay for their time, also where their sessions or denials are gone."""
        session = numbered(1)
        subject.create(sign_in(session))
        subject.revoke(revoke(session, T0))
        subject.deny(Deny("a token", T0 + 1, "test", T0))
        subject.purge(Purge(before=END_OF_TIME, now=T0 + LONGEST_MEMORY, limit=10))
        reader = Reader(subject, now=T0 + LONGEST_MEMORY)
        assert reader.news() == {*of(session), entry_of_denial("a token")}

    def test_no_line_is_passed_over_in_a_crowd(self, subject: Store) -> None:
        """While many write at once, two followers that poll all the time end up with every line."""
        ends = [numbered(number) for number in range(1, WRITERS * EACH + 1)]
        for session in ends:
            subject.create(sign_in(session))
        done = threading.Event()

        def write(writer: int) -> set[LogEntry]:
            for number in range(writer, len(ends), WRITERS):
                subject.revoke(revoke(ends[number], T0 + DAY + number % 5))
                subject.deny(Deny(f"token {number}", T0 + 2 * DAY, "test", T0 + DAY))
            return set()

        def read() -> set[LogEntry]:
            reader, found = Reader(subject), set[LogEntry]()
            while not done.is_set():
                found |= reader.news(limit=1000)
            return found | reader.news(limit=1000)

        def write_all() -> set[LogEntry]:
            try:
                together([partial(write, writer) for writer in range(WRITERS)])
            finally:
                done.set()
            return set()

        calls: list[Callable[[], set[LogEntry]]] = [write_all, read, read]
        _, *read_by = together(calls)
        expected = of(*ends) | {entry_of_denial(f"token {number}") for number in range(len(ends))}
        assert read_by == [expected, expected]

    def test_a_bell_rings_when_something_is_logged(self, subject: Store) -> None:
        """Whoever waits is woken up at an end, also at one that came before it waited."""
        reader = Reader(subject)
        subject.create(sign_in(ROW))
        reader.news()
        bell = reader.log.bell()
        if bell is None:  # the engine has none, and followers poll
            return
        bell.wait(reader.cursor, 0.01)  # connected from here on
        one, two = numbered(1), numbered(2)
        for session in (one, two):
            subject.create(sign_in(session))
        begun = time.monotonic()
        subject.revoke(revoke(one))
        bell.wait(reader.cursor, LONG_SECONDS)
        assert reader.news() == of(one)
        waiting = threading.Thread(target=bell.wait, args=(reader.cursor, LONG_SECONDS))
        waiting.start()
        subject.revoke(revoke(two))
        waiting.join(LONG_SECONDS)
        assert reader.news() == of(two)
        assert time.monotonic() - begun < LONG_SECONDS
        bell.close()
        bell.close()
        with pytest.raises(StoreUnavailable):
            bell.wait(reader.cursor, LONG_SECONDS)

    def test_closing_a_bell_ends_a_wait(self, subject: Store) -> None:
        """A process that shuts down need not wait for its follower."""
        reader = Reader(subject)
        reader.news()
        bell = reader.log.bell()
        if bell is None:
            return
        bell.wait(reader.cursor, 0.01)
        ended: list[type[Exception]] = []

        def wait() -> None:
            try:
                bell.wait(reader.cursor, PATIENCE_SECONDS)
            except StoreUnavailable as error:
                ended.append(type(error))

        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.05)  # on either side of the beginning of its wait, closing must do
        bell.close()
        waiting.join(LONG_SECONDS)
        assert (waiting.is_alive(), ended) == (False, [StoreUnavailable])


class LogOutageDuties:
    """What must happen to the log where the engine is away."""

    def test_a_log_that_is_away_is_said_to_be_unavailable(self, unreachable: Store) -> None:
        """Reading it raises `StoreUnavailable`, so that a view knows how old it is."""
        reader = Reader(unreachable)
        with pytest.raises(StoreUnavailable) as caught:
            reader.news()
        assert caught.value.__cause__ is not None
        bell = reader.log.bell()
        if bell is not None:
            with pytest.raises(StoreUnavailable):
                bell.wait(None, 0.01)
            bell.close()
        unreachable.close()
