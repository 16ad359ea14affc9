"""Duties 5 and 6: rows come back as they were, keep their limit, leave in batches. They know no engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from keyturn._core.commands import Deny, Purge, Where
from keyturn._core.outcomes import Created, LimitReached
from keyturn._core.records import Json, Session
from keyturn.errors import StoreUnavailable
from keyturn.stores.protocol import Store
from keyturn.testing._duties.asking import END_OF_TIME, row_of, rows_of
from keyturn.testing.samples import DAY, IDLE, ROW, T0, marked, numbered, sign_in

# Ids that a careless store folds together, cuts off, or takes for a pattern. U+0000 is not among them:
# not every engine can hold it in text.
ODD_USER_IDS: Final = (
    *(
        "user",
        "User",
        "USER",
        "user ",
        " user",
        "use%",
        "us_r",
        "user'--",
        'user"',
        "user\\",
        "0",
        "00",
        "1e0",
    ),
    *(
        "\u00fcser",
        "u\u0308ser",
        "\U0001f511\U0001f511",
        "\u202euser",
        "a\nb",
        "a\tb",
        "null",
        "None",
        "\ufeff",
    ),
    *("x" * 254, "x" * 255, "\u00df", "ss", "\u0130", "i", "/", "{}", ";", "\u4e2d\u6587", "\u0627\u0644"),
)

# Claims that a careless JSON column or encoder changes.
ODD_JSON: Final[tuple[Json, ...]] = (
    {},
    {"": ""},
    {"a": None, "b": True, "c": False, "d": 0, "e": -1, "f": 2**53 + 1, "g": 0.1, "h": 1e300, "i": 1.0},
    {"nested": {"list": [1, [2, [3, {"deep": []}]]], "empty": {}}},
    {"\u00fc\U0001f511": "\u2028 \\ \" ' / \u007f \x01 \n"},
    {"big": ["0123456789abcdef" * 64] * 64},
    {"many": {str(number): number for number in range(2000)}},
)


class SessionDuties:
    """What `create`, `find`, `count`, `delete` and `purge` must do."""

    def test_a_row_comes_back_as_it_was(self, subject: Store) -> None:
        """Every field survives the round trip, each with a value of its own."""
        full = Session(
            sid=numbered(1).sid,
            user_id="user-1",
            secret_digest=bytes(range(32)),
            gen=2**32 - 1,
            parent_branch=b"\0\xff\x00\x80 '\\%",
            confirmed=True,
            created_at=T0 + 1,
            rotated_at=T0 + 2,
            handed_at=T0 + 3,
            last_seen_at=T0 + 4,
            idle_ttl=IDLE + 5,
            idle_expires_at=T0 + IDLE + 6,
            expires_at=END_OF_TIME + 7,
            access_ttl=8,
            revoked_at=T0 + 9,
            revoked_reason="admin",
            claims={"roles": ["a"]},
            device={"name": "b"},
            jkt="NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        )
        bare = replace(
            numbered(2), idle_ttl=None, idle_expires_at=None, access_ttl=None, claims={}, device={}
        )
        for session in (full, bare):
            assert subject.create(sign_in(session)) == Created(session)
            assert row_of(subject, session.sid) == session
        assert rows_of(subject) == [full, bare]

    def test_odd_claims_come_back_as_they_were(self, subject: Store) -> None:
        """JSON survives: nulls, big and small numbers, floats, any text, depth, size."""
        for number, value in enumerate(ODD_JSON):
            session = replace(numbered(number), claims=value, device=value)
            subject.create(sign_in(session))
            found = row_of(subject, session.sid)
            assert found is not None
            assert found == session
            assert repr(found.claims) == repr(dict(value)), "equal, but of another type or order"

    def test_user_ids_are_told_apart_exactly(self, subject: Store) -> None:
        """Ids are compared code point by code point: no folding of case, space or accents, no patterns."""
        for number, user_id in enumerate(ODD_USER_IDS):
            subject.create(sign_in(numbered(number, user_id=user_id), limit=1, evict=True))
        for number, user_id in enumerate(ODD_USER_IDS):
            expected = [numbered(number, user_id=user_id)]
            assert list(subject.find(Where(user_id=user_id))) == expected, repr(user_id)
            assert subject.count(Where(user_id=user_id)) == 1

    def test_at_the_limit_the_oldest_go(self, subject: Store) -> None:
        """With `evict`, the oldest live sessions end for the new one, by sign-in and then by id."""
        early, twin = replace(numbered(9), created_at=T0 - 1), replace(numbered(3), created_at=T0 + 2)
        for session in (numbered(2), early, twin):
            subject.create(sign_in(session))
        newest = numbered(20)
        at = newest.created_at
        assert subject.create(sign_in(newest, limit=2)) == Created(
            newest, (marked(early, "limit", at), marked(numbered(2), "limit", at))
        )
        assert rows_of(subject, Where(live_at=newest.created_at)) == [twin, newest]

    def test_at_the_limit_a_sign_in_is_refused(self, subject: Store) -> None:
        """Without `evict`, nothing is stored and nobody is ended."""
        rows = [numbered(1), numbered(2)]
        for session in rows:
            assert isinstance(subject.create(sign_in(session, limit=2, evict=False)), Created)
        assert subject.create(sign_in(numbered(3), limit=2, evict=False)) == LimitReached(2)
        assert rows_of(subject) == rows

    def test_only_the_living_of_one_user_count_for_the_limit(self, subject: Store) -> None:
        """The ended, the expired and other users' sessions neither count nor are they evicted."""
        others = [
            marked(numbered(1), "logout", T0 + 1),
            replace(numbered(2), idle_expires_at=T0 + 50),
            replace(numbered(3), expires_at=T0 + 50, idle_expires_at=None, idle_ttl=None),
            numbered(4, user_id="user-2"),
        ]
        for session in others:
            subject.create(sign_in(session))
        at_limit = numbered(50)
        assert subject.create(sign_in(at_limit, limit=1, evict=False)) == Created(at_limit)
        assert rows_of(subject) == [*others, at_limit]

    def test_pages_follow_each_other(self, subject: Store) -> None:
        """`find` goes by ascending id, whatever the order of sign-in; `after` excludes its own id."""
        rows = [numbered(number) for number in range(7)]
        for session in (rows[position] for position in (3, 0, 6, 2, 5, 1, 4)):
            subject.create(sign_in(session))
        assert list(subject.find()) == rows
        assert list(subject.find(limit=3)) == rows[:3]
        assert list(subject.find(Where(after=rows[2].sid), limit=3)) == rows[3:6]
        assert list(subject.find(Where(after=rows[5].sid), limit=3)) == rows[6:]
        assert list(subject.find(Where(after=rows[6].sid))) == []

    def test_pages_follow_each_other_backwards(self, subject: Store) -> None:
        """With `newest_first`, `find` goes by descending id, and `after` follows that order."""
        rows = [numbered(number) for number in range(5)]
        for session in rows:
            subject.create(sign_in(session))
        newest = Where(newest_first=True)
        assert list(subject.find(newest)) == rows[::-1]
        assert list(subject.find(newest, limit=2)) == [rows[4], rows[3]]
        assert list(subject.find(replace(newest, after=rows[3].sid), limit=2)) == [rows[2], rows[1]]
        assert list(subject.find(replace(newest, after=rows[0].sid))) == []
        assert subject.count(newest) == len(rows)

    def test_an_id_is_never_given_twice(self, subject: Store) -> None:
        """A session whose id is taken is not stored, and the one that is there stays as it is."""
        subject.create(sign_in(ROW))
        with pytest.raises(StoreUnavailable):
            subject.create(sign_in(replace(ROW, gen=0, claims={})))
        assert rows_of(subject) == [ROW]

    def test_conditions_hold_together(self, subject: Store) -> None:
        """`find` and `count` agree, for each condition alone and for all at once; expired is not live."""
        live, strange = numbered(1), numbered(5, user_id="user-2")
        ended = marked(numbered(2), "user", T0)
        idle = replace(numbered(3), idle_expires_at=T0 + 100)
        old = replace(numbered(4), idle_ttl=None, idle_expires_at=None, expires_at=T0 + 100)
        for session in (live, ended, idle, old, strange):
            subject.create(sign_in(session))
        now = T0 + 100
        for where, expected in (
            (Where(), [live, ended, idle, old, strange]),
            (Where(live_at=now), [live, strange]),
            (Where(live_at=now - 1), [live, idle, old, strange]),
            (Where(user_id="user-1"), [live, ended, idle, old]),
            (Where(user_id="user-1", live_at=now), [live]),
            (Where(user_id="user-1", live_at=now - 1, after=live.sid), [idle, old]),
            (Where(user_id="nobody"), []),
        ):
            assert list(subject.find(where)) == expected, where
            assert subject.count(where) == len(expected), where

    def test_deleted_rows_are_gone(self, subject: Store) -> None:
        """`delete` removes the living and the ended, counts what was there, and may be repeated."""
        ended = marked(numbered(1), "user", T0)
        for session in (ended, numbered(2), numbered(3)):
            subject.create(sign_in(session))
        doomed = [ended.sid, numbered(2).sid, ROW.sid]
        assert subject.delete(doomed) == 2  # noqa: PLR2004 - two of the three were there
        assert subject.delete(doomed) == 0
        assert subject.delete([]) == 0
        assert rows_of(subject) == [numbered(3)]

    def test_a_purge_keeps_what_a_late_replay_needs(self, subject: Store) -> None:
        """Rows go by their absolute end alone: ended ones stay as tombstones until then."""
        edge = replace(numbered(1), expires_at=T0 + DAY, idle_expires_at=T0 + 1)
        past = replace(numbered(2), expires_at=T0 + DAY - 1)
        tombstone = marked(numbered(3), "reuse", T0)
        for session in (edge, past, tombstone):
            subject.create(sign_in(session))
        assert subject.purge(Purge(before=T0 + DAY, now=T0 + DAY, limit=100)) == 1
        assert rows_of(subject) == [edge, tombstone]

    def test_a_purge_goes_in_batches(self, subject: Store) -> None:
        """At most `limit` rows of a kind go at once; the answers add up to all that was due."""
        limit, sessions, denials = 2, 5, 3
        for number in range(sessions):
            subject.create(sign_in(numbered(number)))
            if number < denials:
                subject.deny(Deny(f"token-{number}", expires_at=T0 + number, reason="test", now=T0))
        command = Purge(before=END_OF_TIME, now=T0 + denials, limit=limit)
        removed: list[int] = []
        while count := subject.purge(command):
            removed.append(count)
        assert sum(removed) == sessions + denials
        assert max(removed) <= 2 * limit
        assert rows_of(subject) == []
