"""Duties 1, 3 and 6: every row of the table, final reuse, one row per session. They know no engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from keyturn._core.commands import Confirm
from keyturn._core.outcomes import Ended, Kept, Reused, Rotated
from keyturn.stores.protocol import Store
from keyturn.testing._duties.asking import by_id, empty, row_of, rows_of
from keyturn.testing.rotation_cases import CASES
from keyturn.testing.samples import (
    DAY,
    IDLE,
    RACE,
    RECOVERY,
    REDEEM,
    ROW,
    SECOND,
    T0,
    marked,
    numbered,
    refresh_of,
    sign_in,
)

REFRESHES: Final = 1000


class RotationDuties:
    """What `rotate` and `confirm` must do."""

    def test_every_row_of_the_table(self, subject: Store) -> None:
        """Answer and effect of every worked example are those of the table."""
        wrong: list[str] = []
        for example in CASES:
            if example.row is not None:
                subject.create(sign_in(example.row))
            outcome = subject.rotate(example.command)
            if outcome != example.outcome:
                wrong.append(f"{example}\n  answered {outcome}\n  expected {example.outcome}")
            if (after := row_of(subject, ROW.sid)) != example.after:
                wrong.append(f"{example}\n  stored   {after}\n  expected {example.after}")
            subject.delete([ROW.sid])
        assert not wrong, "\n".join(wrong)

    def test_no_case_touches_another_session(self, subject: Store) -> None:
        """Whatever happens to one session, its user's others stay as they are."""
        beside = numbered(1)
        subject.create(sign_in(beside))
        for example in CASES:
            if example.row is not None:
                subject.create(sign_in(example.row))
            subject.rotate(example.command)
            subject.delete([ROW.sid])
            assert row_of(subject, beside.sid) == beside, str(example)

    def test_reuse_ends_the_users_other_sessions(self, subject: Store) -> None:
        """With `whole_user`, reuse ends all sessions of the user, names them, and keeps earlier ends."""
        spent = replace(REDEEM, gen=ROW.gen - 2, whole_user=True)
        for command in (spent, replace(spent, gen=ROW.gen - 1, branch=b"a fork")):
            empty(subject)
            gone = marked(numbered(1), "logout", T0)
            live, resting = numbered(2), replace(numbered(3), idle_expires_at=T0 + 4)
            stranger = numbered(4, user_id="user-2")
            for session in (ROW, gone, live, resting, stranger):
                subject.create(sign_in(session))
            outcome = subject.rotate(command)
            assert isinstance(outcome, Reused)
            ended = [marked(session, "reuse", command.now) for session in (live, resting)]
            assert by_id(outcome.others) == ended
            assert rows_of(subject) == [marked(ROW, "reuse", command.now), gone, *ended, stranger]

    def test_reuse_without_whole_user_ends_one(self, subject: Store) -> None:
        """Reuse ends its own session alone where the policy says no more."""
        subject.create(sign_in(ROW))
        subject.create(sign_in(numbered(1)))
        outcome = subject.rotate(replace(REDEEM, gen=1))
        assert isinstance(outcome, Reused)
        assert outcome.others == ()
        assert row_of(subject, numbered(1).sid) == numbered(1)

    def test_reuse_is_final(self, subject: Store) -> None:
        """After reuse no token of the session works: current, spent or ahead, at any moment."""
        subject.create(sign_in(ROW))
        assert isinstance(subject.rotate(replace(REDEEM, gen=1)), Reused)
        ended = row_of(subject, ROW.sid)
        for gen in range(ROW.gen + 4):
            for now in (T0 - DAY, REDEEM.now, T0 + 100 * DAY):
                outcome = subject.rotate(replace(REDEEM, gen=gen, now=now))
                assert isinstance(outcome, Ended)
                assert not outcome.first
        assert row_of(subject, ROW.sid) == ended

    def test_windows_are_exact_to_the_millisecond(self, subject: Store) -> None:
        """A store keeps times to the millisecond: each window's last moment counts, the next does not."""
        for off in (0, 1, 499, 500, 501, 998, 999):
            row = replace(ROW, rotated_at=T0 + off, handed_at=T0 + off)
            for now, expected in ((T0 + off + RACE - 1, Kept), (T0 + off + RACE, Rotated)):
                subject.create(sign_in(row))
                assert isinstance(subject.rotate(replace(REDEEM, now=now)), expected)
                subject.delete([row.sid])
            subject.create(sign_in(row))
            late = replace(REDEEM, gen=row.gen - 1, now=T0 + off + RECOVERY)
            assert isinstance(subject.rotate(late), Reused)
            subject.delete([row.sid])

    def test_one_row_however_often_it_refreshes(self, subject: Store) -> None:
        """A thousand rotations leave one row, with a generation of a thousand."""
        first = numbered(1)
        subject.create(sign_in(first))
        row, now = first, first.created_at
        for _ in range(REFRESHES):
            now += RACE
            outcome = subject.rotate(refresh_of(row, now))
            assert isinstance(outcome, Rotated)
            row = outcome.session
        assert rows_of(subject) == [
            replace(
                first,
                gen=REFRESHES,
                parent_branch=REDEEM.branch,
                rotated_at=now,
                handed_at=now,
                last_seen_at=now,
                idle_expires_at=now + IDLE,
            )
        ]

    def test_a_confirmation_marks_the_current_generation_only(self, subject: Store) -> None:
        """`confirm` of the current generation marks it; of another it moves `last_seen_at` alone."""
        now = T0 + 2 * SECOND
        for gen in (ROW.gen - 1, ROW.gen, ROW.gen + 1):
            subject.create(sign_in(ROW))
            subject.confirm(Confirm(ROW.sid, gen, now))
            assert row_of(subject, ROW.sid) == replace(ROW, confirmed=gen == ROW.gen, last_seen_at=now)
            subject.delete([ROW.sid])

    def test_a_confirmation_takes_nothing_back(self, subject: Store) -> None:
        """`confirm` unmarks nothing and moves `last_seen_at` forward only."""
        seen = replace(ROW, confirmed=True)
        subject.create(sign_in(seen))
        subject.confirm(Confirm(ROW.sid, ROW.gen - 1, T0 - DAY))
        assert row_of(subject, ROW.sid) == seen

    def test_a_confirmation_leaves_the_ended_and_the_unknown_alone(self, subject: Store) -> None:
        """`confirm` of an ended session changes nothing; of one that is gone it does no harm."""
        ended = marked(ROW, "user", T0 + 1)
        subject.create(sign_in(ended))
        subject.confirm(Confirm(ROW.sid, ROW.gen, T0 + DAY))
        subject.confirm(Confirm(numbered(1).sid, 0, T0 + DAY))
        assert rows_of(subject) == [ended]
