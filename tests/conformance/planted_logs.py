"""Stores that keep the revocation log with one bug each. The conformance kit must catch every one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from keyturn._core.commands import Create, Deny, Follow, Purge, Revoke, RevokeUser, Rotate
from keyturn._core.outcomes import (
    CreateOutcome,
    Ended,
    Followed,
    Reused,
    Revocation,
    Rotated,
    RotateOutcome,
)
from keyturn._core.records import Millis
from keyturn._core.revocations import LogEntry, entries_of
from keyturn.stores.memory import MemoryStore


class _Silent(MemoryStore):
    """Logs nothing while `silent` is set."""

    silent = False

    def _write_down(self, entries: Iterable[LogEntry], now: Millis) -> None:
        if not self.silent:
            super()._write_down(entries, now)


class ForgetsRevocations(_Silent):
    """Logs no revocation of one session."""

    def revoke(self, command: Revoke, /) -> Revocation:
        """Say nothing."""
        self.silent = True
        try:
            return super().revoke(command)
        finally:
            self.silent = False


class ForgetsTheEvicted(_Silent):
    """Logs nobody who had to go for another."""

    def create(self, command: Create, /) -> CreateOutcome:
        """Say nothing."""
        self.silent = True
        try:
            return super().create(command)
        finally:
            self.silent = False


class ForgetsReuse(_Silent):
    """Logs no session that ended for reuse."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Say nothing."""
        self.silent = True
        try:
            return super().rotate(command)
        finally:
            self.silent = False


class ForgetsTheOthersOfReuse(MemoryStore):
    """Logs only the session whose token was reused."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Take all lines but the first back."""
        lines = len(self._log)
        outcome = super().rotate(command)
        if isinstance(outcome, Reused):
            del self._log[lines + 1 :]
        return outcome


class ForgetsTheDeleted(MemoryStore):
    """Logs no session that was removed."""

    def delete(self, sids: Sequence[UUID], /) -> int:
        """Take the lines back."""
        lines = len(self._log)
        gone = super().delete(sids)
        del self._log[lines:]
        return gone


class ForgetsDenials(_Silent):
    """Logs no denial."""

    def deny(self, command: Deny, /) -> None:
        """Say nothing."""
        self.silent = True
        super().deny(command)
        self.silent = False


class LogsOneOfAUser(MemoryStore):
    """Logs one session of all that ended."""

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """Take the others back."""
        lines = len(self._log)
        outcome = super().revoke_user(command)
        del self._log[lines + 1 :]
        return outcome


class LogsWhatWasAskedFor(MemoryStore):
    """Logs a session before it knows whose it is."""

    def revoke(self, command: Revoke, /) -> Revocation:
        """Write first."""
        with self._lock:
            self._write_down(entries_of([command.sid]), command.now)
        return super().revoke(command)


class LogsRefreshes(MemoryStore):
    """Logs a rotation, as if the session of the spent token were over."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Write too much."""
        outcome = super().rotate(command)
        if isinstance(outcome, Rotated):
            with self._lock:
                self._write_down(entries_of([command.sid]), command.now)
        return outcome


class LogsExpiry(MemoryStore):
    """Logs a session that has merely expired."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Write too much."""
        outcome = super().rotate(command)
        if isinstance(outcome, Ended):
            with self._lock:
                self._write_down(entries_of([command.sid]), command.now)
        return outcome


class LogsPurges(MemoryStore):
    """Logs sessions that nobody needs any more."""

    def purge(self, command: Purge, /) -> int:
        """Write too much."""
        before = set(self._sessions)
        gone = super().purge(command)
        with self._lock:
            self._write_down(entries_of(before - set(self._sessions)), command.now)
        return gone


class ReadsAllEachTime(MemoryStore):
    """Gives the whole log whenever somebody reads on."""

    def follow(self, command: Follow, /) -> Followed:
        """Begin anew at the end."""
        page = super().follow(command)
        return page if page.more else replace(page, cursor=None)


class StartsAtTheEnd(MemoryStore):
    """Lets a new follower begin with what comes next."""

    def follow(self, command: Follow, /) -> Followed:
        """Pass over what is there."""
        if command.cursor is None:
            return Followed((), len(self._log), more=False)
        return super().follow(command)


class EndsAfterAPage(MemoryStore):
    """Says that a full page was the last one."""

    def follow(self, command: Follow, /) -> Followed:
        """Never have more."""
        return replace(super().follow(command), more=False)


class SkipsALineBetweenPages(MemoryStore):
    """Takes the first line that was not read for one that was."""

    def follow(self, command: Follow, /) -> Followed:
        """Go on one line too far."""
        page = super().follow(command)
        return replace(
            page, cursor=page.cursor + 1 if isinstance(page.cursor, int) and page.more else page.cursor
        )


class TrustsAnyCursor(MemoryStore):
    """Takes what it has not given for the end of the log."""

    def follow(self, command: Follow, /) -> Followed:
        """Begin only where there is no cursor."""
        known = command.cursor is None or isinstance(command.cursor, int)
        return super().follow(command) if known else Followed((), len(self._log), more=False)


class PurgesTheLog(MemoryStore):
    """Lets lines go with what they are about."""

    def purge(self, command: Purge, /) -> int:
        """Remove too much."""
        self._log.clear()
        return super().purge(command)


class NumbersLinesBeforeTheyAreThere(MemoryStore):
    """Gives a line its place when its writer begins, and shows it when that one is done: as sequences do."""

    def __init__(self) -> None:
        """Have one slow writer at a time."""
        super().__init__()
        self._slow = threading.Semaphore(1)

    def deny(self, command: Deny, /) -> None:
        """Let others pass between the place and the line."""
        if not self._slow.acquire(blocking=False):
            super().deny(command)
            return
        with self._lock:
            place = len(self._log)
        threading.Event().wait(0.005)
        super().deny(command)
        with self._lock:
            self._log.insert(place, self._log.pop())
        self._slow.release()


# Each bug, and the duty that it breaks.
PLANTED_LOGS: Final[dict[Callable[[], MemoryStore], str]] = {
    ForgetsRevocations: "test_every_end_is_logged",
    ForgetsTheEvicted: "test_every_end_is_logged",
    ForgetsReuse: "test_every_end_is_logged",
    ForgetsTheOthersOfReuse: "test_reuse_that_ends_a_user_is_logged_whole",
    ForgetsTheDeleted: "test_every_end_is_logged",
    ForgetsDenials: "test_every_end_is_logged",
    LogsOneOfAUser: "test_every_end_is_logged",
    LogsWhatWasAskedFor: "test_nothing_else_is_logged",
    LogsRefreshes: "test_nothing_else_is_logged",
    LogsExpiry: "test_nothing_else_is_logged",
    LogsPurges: "test_nothing_else_is_logged",
    ReadsAllEachTime: "test_an_end_is_logged_once",
    StartsAtTheEnd: "test_a_new_follower_finds_all_that_is_recent",
    EndsAfterAPage: "test_a_new_follower_finds_all_that_is_recent",
    SkipsALineBetweenPages: "test_a_new_follower_finds_all_that_is_recent",
    TrustsAnyCursor: "test_a_cursor_of_another_log_begins_anew",
    PurgesTheLog: "test_a_purge_leaves_what_views_still_need",
    NumbersLinesBeforeTheyAreThere: "test_no_line_is_passed_over_in_a_crowd",
}
