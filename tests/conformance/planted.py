"""Stores with one bug each, as real stores have had them. The conformance kit must catch every one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from keyturn._core.commands import (
    Check,
    Confirm,
    Create,
    Deny,
    Lookup,
    Purge,
    Revoke,
    RevokeUser,
    Rotate,
    Where,
)
from keyturn._core.decide import decide
from keyturn._core.outcomes import (
    CheckOutcome,
    Created,
    CreateOutcome,
    Denied,
    Ended,
    Found,
    Live,
    LookupOutcome,
    Reused,
    Revocation,
    RotateOutcome,
)
from keyturn._core.records import Millis, Session, ending
from keyturn.stores.memory import MemoryStore
from keyturn.stores.protocol import EVERY, PAGE


class Planted(MemoryStore):
    """A store in memory whose rows can be read and written past its lock, as through a careless statement."""

    def read(self, sid: UUID) -> Session | None:
        """Read a row, and let others run before anything is done with it."""
        row = self._sessions.get(sid)
        time.sleep(0.002)
        return row

    def write(self, row: Session | None) -> None:
        """Write a whole row back, whatever has happened to it meanwhile."""
        if row is not None:
            self._sessions[row.sid] = row


class CheckThenAct(Planted):
    """Reads, decides and writes in three steps."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Decide on a row that may have changed when it is written."""
        decision = decide(self.read(command.sid), command)
        self.write(decision.write)
        return decision.outcome


class CountThenCreate(Planted):
    """Counts the sessions before it locks."""

    def create(self, command: Create, /) -> CreateOutcome:
        """Judge the limit by a count of the past."""
        live = self.count(Where(user_id=command.session.user_id, live_at=command.now))
        time.sleep(0.002)
        limit = command.limit
        if limit is not None and live < limit:
            command = replace(command, limit=None)
        return super().create(command)


class ConfirmWritesTheWholeRowBack(Planted):
    """Confirms by reading a row, changing it and saving it, as an ORM does."""

    def confirm(self, command: Confirm, /) -> None:
        """Save what was read, with whatever was overwritten meanwhile."""
        row = self.read(command.sid)
        if row is not None and row.revoked_at is None:
            seen = max(row.last_seen_at, command.now)
            confirmed = row.confirmed or row.gen == command.gen
            self.write(replace(row, confirmed=confirmed, last_seen_at=seen))


class ConfirmIgnoresTheGeneration(Planted):
    """Confirms whatever generation is current."""

    def confirm(self, command: Confirm, /) -> None:
        """Take the row's generation for the token's."""
        row = self._sessions.get(command.sid)
        super().confirm(command if row is None else replace(command, gen=row.gen))


class ConfirmMovesLastSeenBack(Planted):
    """Writes the moment of a late confirmation over a later one."""

    def confirm(self, command: Confirm, /) -> None:
        """Let the last writer win."""
        super().confirm(command)
        row = self._sessions.get(command.sid)
        if row is not None and row.revoked_at is None:
            self.write(replace(row, last_seen_at=command.now))


class RevocationLostBesideARotation(Planted):
    """Writes a rotated row back without looking whether it was revoked meanwhile."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Rotate properly, but save the mark of revocation as it was before."""
        before = self.read(command.sid)
        outcome = super().rotate(command)
        row = self._sessions.get(command.sid)
        if (
            before is not None
            and before.revoked_at is None
            and row is not None
            and isinstance(outcome, Ended)
        ):
            self.write(replace(row, revoked_at=None, revoked_reason=None))
        return outcome


class RevokesTheLivingOnly(Planted):
    """Takes an expired session for one that has ended."""

    def revoke(self, command: Revoke, /) -> Revocation:
        """Leave the expired unmarked, so that a clock set back revives them."""
        row = self._sessions.get(command.sid)
        if row is not None and ending(row, command.now) is not None:
            return Revocation(found=True, ended=())
        return super().revoke(command)


class RevocationByAnyone(Planted):
    """Does not look whose session it ends."""

    def revoke(self, command: Revoke, /) -> Revocation:
        """End any session that is named."""
        return super().revoke(replace(command, user_id=None))


class RevocationMovesTheEnd(Planted):
    """Marks an ended session again."""

    def revoke(self, command: Revoke, /) -> Revocation:
        """Overwrite the first end."""
        row = self._sessions.get(command.sid)
        if row is not None:
            self.write(replace(row, revoked_at=None, revoked_reason=None))
        return super().revoke(command)


class RevokesOnePageOfAUser(Planted):
    """Ends the first thousand sessions only."""

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """Stop at the end of a page."""
        rest = {row.sid: row for row in self.find(Where(user_id=command.user_id), limit=10**6)[PAGE:]}
        outcome = super().revoke_user(command)
        self._sessions.update(rest)
        return replace(outcome, ended=tuple(row for row in outcome.ended if row.sid not in rest))


class RevokesTheKeptToo(Planted):
    """Forgets which session was to be kept."""

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """End all."""
        return super().revoke_user(replace(command, keep=None))


class ReuseIsRolledBack(Planted):
    """Detects reuse, and rolls its mark back with the request that failed."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Answer rightly, keep nothing."""
        before = self._sessions.get(command.sid)
        outcome = super().rotate(command)
        if isinstance(outcome, Reused):
            self.write(before)
        return outcome


class ForgetsTheOthers(Planted):
    """Ends one session where the policy wants all of the user's."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Ignore the choice."""
        return super().rotate(replace(command, whole_user=False))


class HidesTheOthers(Planted):
    """Ends all of the user's sessions and does not say which."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Answer without the others."""
        outcome = super().rotate(command)
        return replace(outcome, others=()) if isinstance(outcome, Reused) else outcome


class WholeSeconds(Planted):
    """Keeps times as a column of whole seconds does."""

    def create(self, command: Create, /) -> CreateOutcome:
        """Cut the milliseconds off."""
        row = command.session
        cut: dict[str, Millis] = {
            name: getattr(row, name) // 1000 * 1000 for name in ("rotated_at", "handed_at")
        }
        return super().create(
            replace(command, session=replace(row, rotated_at=cut["rotated_at"], handed_at=cut["handed_at"]))
        )


class LosesTheHandOut(Planted):
    """Has no column for `handed_at`, and takes the rotation for it."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Forget when the successor was handed out again."""
        outcome = super().rotate(command)
        row = self._sessions.get(command.sid)
        if row is not None:
            self.write(replace(row, handed_at=row.rotated_at))
        return outcome


class ARowPerRotation(Planted):
    """Keeps every generation as a row of its own."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Add a row for each rotation."""
        before = self._sessions.get(command.sid)
        outcome = super().rotate(command)
        if before is not None and self._sessions[command.sid].gen > before.gen:
            copy = UUID(int=command.sid.int ^ (before.gen + 1 << 64))
            self._sessions[copy] = replace(before, sid=copy, revoked_at=command.now, revoked_reason="revoked")
        return outcome


class CountsTheExpiredAsLive(Planted):
    """Takes every session that was not revoked for a living one."""

    def count(self, where: Where = EVERY, /) -> int:
        """Look at the mark of revocation alone."""
        rows = self.find(replace(where, live_at=None), limit=10**6)
        return sum(1 for row in rows if where.live_at is None or row.revoked_at is None)


class PagesOverlap(Planted):
    """Starts a page with the last row of the one before."""

    def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """Take `after` for a beginning."""
        rows = super().find(where, limit=limit)
        last = self._sessions.get(where.after) if where.after is not None and rows else None
        return [last, *rows][:limit] if last is not None else rows


class EvictsTheNewest(Planted):
    """Ends the latest sign-ins at the limit."""

    def create(self, command: Create, /) -> CreateOutcome:
        """Choose from the wrong end, by reversing time."""
        outcome = super().create(command)
        if isinstance(outcome, Created) and outcome.evicted:
            victims = outcome.evicted
            rows = list(self.find(Where(user_id=command.session.user_id, live_at=command.now)))
            newest = max(
                (row for row in rows if row != command.session), key=lambda row: row.sid, default=None
            )
            if newest is not None:
                self.write(replace(newest, revoked_at=command.now, revoked_reason="limit"))
                self.write(replace(victims[0], revoked_at=None, revoked_reason=None))
        return outcome


class FoldsUserIds(Planted):
    """Compares user ids as a case-insensitive collation does."""

    def create(self, command: Create, /) -> CreateOutcome:
        """Keep one spelling."""
        session = command.session
        return super().create(replace(command, session=replace(session, user_id=session.user_id.casefold())))


class PurgesTombstones(Planted):
    """Removes ended sessions before their absolute end."""

    def purge(self, command: Purge, /) -> int:
        """Take an ended session for one that nobody needs."""
        ended = [row.sid for row in self.find() if row.revoked_at is not None]
        return super().purge(command) + self.delete(ended)


class PurgesAllAtOnce(Planted):
    """Ignores the size of a batch."""

    def purge(self, command: Purge, /) -> int:
        """Remove everything in one go."""
        return super().purge(replace(command, limit=10**6))


class DenialsAreSessions(Planted):
    """Looks for denials only where the session is found."""

    def check(self, command: Check, /) -> CheckOutcome:
        """Let a denied token without a session pass."""
        outcome = super().check(command)
        return Live(None) if command.sid is None and isinstance(outcome, Denied) else outcome


class DenialMovesBack(Planted):
    """Lets the last denial of a token win."""

    def deny(self, command: Deny, /) -> None:
        """Overwrite a later expiry."""
        self._denied.pop(command.token_id, None)
        super().deny(command)


class LookupIgnoresTheSecret(Planted):
    """Finds a session for whoever knows its id."""

    def lookup(self, command: Lookup, /) -> LookupOutcome:
        """Ask for no secret."""
        return super().lookup(replace(command, digest=None))


class ReadsThroughACache(Planted):
    """Serves rows that it has read before."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        super().__init__()
        self._cache: dict[UUID, LookupOutcome] = {}

    def lookup(self, command: Lookup, /) -> LookupOutcome:
        """Trust the cache."""
        outcome = self._cache.get(command.sid) or super().lookup(command)
        if isinstance(outcome, Found):
            self._cache[command.sid] = outcome
        return outcome


class WritesBackTheDeleted(Planted):
    """Saves with an insert where the row is gone."""

    def confirm(self, command: Confirm, /) -> None:
        """Bring a deleted session back."""
        row = self.read(command.sid)
        super().confirm(command)
        if row is not None:
            self._sessions.setdefault(row.sid, row)


# Each bug, and the duty that it breaks.
PLANTED: Final[dict[Callable[[], MemoryStore], str]] = {
    CheckThenAct: "test_simultaneous_refreshes_rotate_once",
    CountThenCreate: "test_simultaneous_sign_ins_keep_the_limit",
    ConfirmWritesTheWholeRowBack: "test_a_confirmation_beside_a_rotation_is_not_taken_for_its_successors",
    ConfirmIgnoresTheGeneration: "test_a_confirmation_marks_the_current_generation_only",
    ConfirmMovesLastSeenBack: "test_a_confirmation_takes_nothing_back",
    RevocationLostBesideARotation: "test_no_refresh_succeeds_after_a_revocation",
    RevokesTheLivingOnly: "test_a_revocation_marks_what_has_expired",
    RevocationByAnyone: "test_a_revocation_by_a_stranger_finds_nothing",
    RevocationMovesTheEnd: "test_a_revocation_may_be_repeated",
    RevokesOnePageOfAUser: "test_many_sessions_of_a_user_end_at_once",
    RevokesTheKeptToo: "test_all_sessions_of_a_user_end_at_once",
    ReuseIsRolledBack: "test_reuse_is_final",
    ForgetsTheOthers: "test_reuse_ends_the_users_other_sessions",
    HidesTheOthers: "test_reuse_ends_the_users_other_sessions",
    WholeSeconds: "test_windows_are_exact_to_the_millisecond",
    LosesTheHandOut: "test_every_row_of_the_table",
    ARowPerRotation: "test_one_row_however_often_it_refreshes",
    CountsTheExpiredAsLive: "test_conditions_hold_together",
    PagesOverlap: "test_pages_follow_each_other",
    EvictsTheNewest: "test_at_the_limit_the_oldest_go",
    FoldsUserIds: "test_user_ids_are_told_apart_exactly",
    PurgesTombstones: "test_a_purge_keeps_what_a_late_replay_needs",
    PurgesAllAtOnce: "test_a_purge_goes_in_batches",
    DenialsAreSessions: "test_a_denied_token_does_not_count",
    DenialMovesBack: "test_a_denial_may_be_repeated",
    LookupIgnoresTheSecret: "test_a_lookup_judges_the_secret_where_asked",
    ReadsThroughACache: "test_every_row_of_the_table",
    WritesBackTheDeleted: "test_a_deleted_session_stays_deleted",
}
