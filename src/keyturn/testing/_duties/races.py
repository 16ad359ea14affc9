"""Duties 1 and 2 under concurrency: threads, or tasks of one loop, at one moment. They know no engine."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from keyturn._core.commands import Confirm, Lookup, Revoke, RevokeUser, Where
from keyturn._core.outcomes import (
    Converged,
    Created,
    Ended,
    Kept,
    Revocation,
    Rotated,
    RotateOutcome,
    Unknown,
)
from keyturn.stores.protocol import Store
from keyturn.testing._duties.asking import empty, name_of, row_of, rows_of
from keyturn.testing.colours import PATIENCE_SECONDS, together
from keyturn.testing.samples import RACE, ROW, T0, numbered, refresh_of, sign_in

CLIENTS: Final = 50  # at one moment, on one token
TRIALS: Final = 5
CROWD: Final = 8
PAUSE_SECONDS: Final = 0.001  # between two refreshes of a client: a pool hands its connections out to all
LATE: Final = 5  # refreshes that each client still tries after it knows of the end


class RaceDuties:
    """What must hold whatever runs beside it."""

    def test_simultaneous_refreshes_rotate_once(self, subject: Store) -> None:
        """Of fifty refreshes of one token at one moment one rotates; all others get the same successor."""
        row = numbered(1)
        subject.create(sign_in(row))
        for trial in range(TRIALS):
            command = refresh_of(row, row.rotated_at + RACE)
            outcomes = together([partial(subject.rotate, command)] * CLIENTS)
            names = Counter(map(name_of, outcomes))
            assert names == {"Rotated": 1, "Converged": CLIENTS - 1}, f"trial {trial}"
            successors = [out.session for out in outcomes if isinstance(out, Rotated | Converged)]
            assert {(s.sid, s.gen, s.parent_branch) for s in successors} == {
                (row.sid, row.gen + 1, command.branch)
            }
            row = successors[0]
            assert rows_of(subject) == [row]

    def test_simultaneous_uses_of_a_one_time_token_succeed_once(self, subject: Store) -> None:
        """With no windows, one rotates, one is found to be reuse, and the rest find the session ended."""
        row = numbered(1)
        for trial in range(TRIALS):
            subject.create(sign_in(row))
            command = replace(refresh_of(row, T0 + 5), race_window=0, recovery_window=0)
            names = Counter(map(name_of, together([partial(subject.rotate, command)] * CLIENTS)))
            assert names == {"Rotated": 1, "Reused": 1, "Ended": CLIENTS - 2}, f"trial {trial}"
            ended = row_of(subject, row.sid)
            assert ended is not None
            assert (ended.gen, ended.revoked_reason) == (1, "reuse")
            subject.delete([row.sid])

    def test_forks_at_one_moment_have_one_winner(self, subject: Store) -> None:
        """Of refreshes with different branches of one generation, one branch wins; another one is reuse."""
        for trial in range(TRIALS):
            subject.create(sign_in(ROW))
            commands = [
                replace(refresh_of(ROW, T0 + RACE), branch=b"branch-%d" % (client % 2))
                for client in range(CROWD)
            ]
            names = Counter(
                map(name_of, together([partial(subject.rotate, command) for command in commands]))
            )
            assert (names["Rotated"], names["Reused"]) == (1, 1), f"trial {trial}: {names}"
            assert names.keys() <= {"Rotated", "Converged", "Reused", "Ended"}
            subject.delete([ROW.sid])

    def test_no_refresh_succeeds_after_a_revocation(self, subject: Store) -> None:
        """Once `revoke` has returned no refresh gives tokens, and none that ran beside it undoes the mark."""
        _end_beside_refreshes(
            subject, lambda now: subject.revoke(Revoke(ROW.sid, ROW.user_id, None, "logout", now))
        )

    def test_no_refresh_succeeds_after_a_revocation_of_all(self, subject: Store) -> None:
        """The same for `revoke_user`."""
        _end_beside_refreshes(
            subject, lambda now: subject.revoke_user(RevokeUser(ROW.user_id, None, "user", now))
        )

    def test_simultaneous_revocations_end_once(self, subject: Store) -> None:
        """Of revocations at one moment one names the session as ended by it; the others find it ended."""
        for trial in range(TRIALS):
            subject.create(sign_in(ROW))
            answers = together(
                [
                    partial(subject.revoke, Revoke(ROW.sid, None, None, "logout", T0 + number))
                    for number in range(CROWD)
                ]
            )
            ended = [session for answer in answers for session in answer.ended]
            assert [row_of(subject, ROW.sid)] == ended, f"trial {trial}"
            assert all(answer.found for answer in answers)
            subject.delete([ROW.sid])

    def test_a_confirmation_beside_a_rotation_is_not_taken_for_its_successors(self, subject: Store) -> None:
        """`confirm` of a generation beside its rotation neither confirms the next one nor undoes it."""
        now = T0 + RACE
        for trial in range(TRIALS * 4):
            subject.create(sign_in(ROW))
            rotated = _beside(
                trial,
                lambda: subject.rotate(refresh_of(ROW, now)),
                [lambda: subject.confirm(Confirm(ROW.sid, ROW.gen, now))] * 3,
            )
            assert isinstance(rotated, Rotated)
            row = row_of(subject, ROW.sid)
            assert row is not None
            assert row == rotated.session, f"trial {trial}"
            assert not row.confirmed
            subject.delete([ROW.sid])

    def test_a_confirmation_beside_a_revocation_is_harmless(self, subject: Store) -> None:
        """`confirm` never brings back a session that ends beside it."""
        for trial in range(TRIALS * 4):
            subject.create(sign_in(ROW))
            _beside(
                trial,
                lambda: subject.revoke(Revoke(ROW.sid, None, None, "admin", T0 + 1)),
                [lambda: subject.confirm(Confirm(ROW.sid, ROW.gen, T0 + 1))] * 3,
            )
            row = row_of(subject, ROW.sid)
            assert row is not None
            assert row.revoked_at == T0 + 1, f"trial {trial}"
            subject.delete([ROW.sid])

    def test_a_deleted_session_stays_deleted(self, subject: Store) -> None:
        """No refresh or confirmation that runs beside a deletion writes the row back."""
        for trial in range(TRIALS * 4):
            subject.create(sign_in(ROW))
            _beside(
                trial,
                lambda: subject.delete([ROW.sid]),
                [
                    *[lambda: subject.rotate(refresh_of(ROW, T0 + RACE))] * 2,
                    *[lambda: subject.confirm(Confirm(ROW.sid, ROW.gen, T0 + 1))] * 2,
                ],
            )
            assert subject.lookup(Lookup(ROW.sid)) == Unknown(), f"trial {trial}"

    def test_simultaneous_sign_ins_keep_the_limit(self, subject: Store) -> None:
        """Counting, evicting and adding are one operation: the limit is never exceeded."""
        limit = 3
        for evict in (True, False):
            for trial in range(TRIALS):
                empty(subject)
                commands = [
                    replace(sign_in(numbered(number), limit=limit, evict=evict), now=T0 + CLIENTS)
                    for number in range(CROWD * 2)
                ]
                outcomes = together([partial(subject.create, command) for command in commands])
                live = rows_of(subject, Where(user_id=ROW.user_id, live_at=T0 + CLIENTS))
                assert len(live) == limit, f"trial {trial}, evict={evict}"
                created = [outcome for outcome in outcomes if isinstance(outcome, Created)]
                assert len(created) == (len(commands) if evict else limit)
                evicted = [session for outcome in created for session in outcome.evicted]
                assert len({session.sid for session in evicted}) == len(evicted) == len(created) - limit
                expected = {outcome.session.sid for outcome in created} - {session.sid for session in evicted}
                assert {session.sid for session in live} == expected

    def test_sessions_do_not_disturb_each_other(self, subject: Store) -> None:
        """Refreshes of many sessions at one moment each rotate their own, and lose no update."""
        rows = [numbered(number) for number in range(CROWD)]
        for row in rows:
            subject.create(sign_in(row))
        rounds = 10

        def client(number: int) -> int:
            row = rows[number]
            for turn in range(rounds):
                outcome = subject.rotate(refresh_of(row, T0 + RACE * (turn + 1)))
                assert isinstance(outcome, Rotated), outcome
                row = outcome.session
                kept = subject.rotate(refresh_of(row, T0 + RACE * (turn + 1)))
                assert isinstance(kept, Kept), kept
                row = kept.session
            return row.gen

        assert together([partial(client, number) for number in range(CROWD)]) == [rounds] * CROWD
        assert [(row.gen, row.confirmed, row.revoked_at) for row in rows_of(subject)] == [
            (rounds, True, None)
        ] * CROWD


def _beside(trial: int, call: Callable[[], object], others: list[Callable[[], object]]) -> object:
    """Make a call among others at one moment, with each trial at another place, and give its result."""
    place = trial % (len(others) + 1)
    return together([*others[:place], call, *others[place:]])[place]


def _end_beside_refreshes(subject: Store, end: Callable[[int], Revocation]) -> None:
    for trial in range(TRIALS * 2):
        subject.create(sign_in(ROW))
        subject.rotate(refresh_of(ROW, T0 + RACE))
        storm = _Storm(subject)
        *lates, (ended,) = together(
            [*(partial(storm.client, number) for number in range(CROWD)), partial(storm.ender, trial, end)]
        )
        assert isinstance(ended, Ended)
        for late in lates:
            assert late == [ended] * LATE, f"trial {trial}: a refresh after the end"
        assert row_of(subject, ROW.sid) == ended.session, f"trial {trial}: the end was overwritten"
        subject.delete([ROW.sid])


class _Storm:
    """Clients that refresh again and again, and one that ends their session in the middle of it."""

    def __init__(self, subject: Store) -> None:
        self.subject = subject
        self.over = threading.Event()
        self.refreshed = threading.Semaphore(0)

    def client(self, number: int) -> list[RotateOutcome]:
        """Refresh until the end is known, and give the answers to what was asked after that."""
        late: list[RotateOutcome] = []
        moment = 0
        while len(late) < LATE:
            known = self.over.is_set()
            moment += 1
            command = refresh_of(ROW, T0 + RACE + moment)
            if number % 2:  # writes the idle limit; the others converge and write the hand-out
                command = replace(command, gen=ROW.gen + 1, rotation=False)
            outcome = self.subject.rotate(command)
            self.refreshed.release()
            if known:
                late.append(outcome)
            else:
                self.over.wait(PAUSE_SECONDS * (1 + number) / CROWD)  # out of step
        return late

    def ender(self, trial: int, end: Callable[[int], Revocation]) -> list[RotateOutcome]:
        """End the session when all clients are at it, and give what they must be answered from then on."""
        try:
            for _ in range(CROWD * LATE):
                assert self.refreshed.acquire(timeout=PATIENCE_SECONDS), "the clients do not get through"
            self.over.wait(
                PAUSE_SECONDS * trial / 2
            )  # so that each trial ends at another moment of a refresh
            (ended,) = end(T0 + RACE).ended
        finally:
            self.over.set()
        return [Ended(ended, first=False)]
