"""Stores that keep the audit trail with one bug each. The conformance kit must catch every one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from keyturn._core.commands import Purge
from keyturn._core.records import Millis
from keyturn._core.trail import TrailEntry
from keyturn.stores.memory import MemoryStore
from keyturn.stores.protocol import PAGE


class ReadsInTheOrderWritten(MemoryStore):
    """Gives lines as they came, which is not as they happened: processes write in batches."""

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """Sort by nothing."""
        del after
        return list(self._trail.get(sid, {}).values())[:limit]


class PagesOfLinesOverlap(MemoryStore):
    """Starts a page with the last line of the one before."""

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """Take `after` for a beginning."""
        lines = super().history(sid, limit=10**6)
        return [line for line in lines if after is None or line.id >= after][:limit]


class IgnoresThePageOfLines(MemoryStore):
    """Answers with all lines of a session."""

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """Ask for no limit."""
        del limit
        return super().history(sid, after=after, limit=10**6)


class ShowsTheLinesOfOthers(MemoryStore):
    """Looks up lines by less than the whole id."""

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """Keep the lines of sessions of one moment together."""
        super().note([replace(entry, sid=UUID(int=entry.sid.int >> 96)) for entry in entries])

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """Give all of them."""
        found = super().history(UUID(int=sid.int >> 96), after=after, limit=limit)
        return [replace(entry, sid=sid) for entry in found]


class WritesLinesTwice(MemoryStore):
    """Adds every line anew, under an id of its own."""

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """Give a taken id's line the next one."""
        for entry in entries:
            taken = entry.id in self._trail.get(entry.sid, {})
            super().note([replace(entry, id=UUID(int=entry.id.int + 1)) if taken else entry])


class WritesLinesOver(MemoryStore):
    """Lets the last writing of a line win: what is in an audit trail can then be changed."""

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """Replace what is there."""
        for entry in entries:
            self._trail.get(entry.sid, {}).pop(entry.id, None)
        super().note(entries)


class DropsABatchWithAKnownLine(MemoryStore):
    """Takes a batch that holds a known line for one that was written."""

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """Give up at the first line that is there."""
        if not any(entry.id in self._trail.get(entry.sid, {}) for entry in entries):
            super().note(entries)


class CutsABatchOff(MemoryStore):
    """Writes no more lines at once than a statement of its engine takes."""

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """Stop at a hundred."""
        super().note(entries[:100])


class CutsReasonsOff(MemoryStore):
    """Has a column for reasons that is too short."""

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """Keep what fits."""
        super().note([replace(entry, reason=entry.reason[:64]) for entry in entries])


class SortsTheDevice(MemoryStore):
    """Keeps clients in an encoding that orders their members."""

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """Change the order."""
        super().note([replace(e, device=dict(sorted(e.device.items(), reverse=True))) for e in entries])


class ForgetsAllAtOnce(MemoryStore):
    """Ignores the size of a batch of old lines."""

    def forget(self, before: Millis, limit: int, /) -> int:
        """Remove everything that is due in one go."""
        del limit
        return super().forget(before, 10**6)


class ForgetsAMomentTooMuch(MemoryStore):
    """Takes the moment itself for what is before it."""

    def forget(self, before: Millis, limit: int, /) -> int:
        """Compare with `<=`."""
        return super().forget(before + 1, limit)


class KeepsLinesOfTheDeleted(MemoryStore):
    """Leaves personal data behind after an erasure."""

    def delete(self, sids: Sequence[UUID], /) -> int:
        """Remove the rows alone."""
        lines = {sid: self._trail[sid] for sid in sids if sid in self._trail}
        gone = super().delete(sids)
        self._trail.update(lines)
        return gone


class DeletesLinesOfTheLivingOnly(MemoryStore):
    """Finds the lines to delete through the session's row, which may have been purged."""

    def delete(self, sids: Sequence[UUID], /) -> int:
        """Skip what has no row."""
        return super().delete([sid for sid in sids if sid in self._sessions])


class PurgesLines(MemoryStore):
    """Lets the trail go with the session's row."""

    def purge(self, command: Purge, /) -> int:
        """Take the purge for a deletion."""
        rows = set(self._sessions)
        gone = super().purge(command)
        self.delete(list(rows - set(self._sessions)))
        return gone


# Each bug, and the duty that it breaks.
PLANTED_TRAILS: Final[dict[Callable[[], MemoryStore], str]] = {
    ReadsInTheOrderWritten: "test_lines_are_read_by_time",
    PagesOfLinesOverlap: "test_pages_of_lines_follow_each_other",
    IgnoresThePageOfLines: "test_pages_of_lines_follow_each_other",
    ShowsTheLinesOfOthers: "test_lines_are_read_by_time",
    WritesLinesTwice: "test_a_batch_of_lines_may_be_written_again",
    WritesLinesOver: "test_a_batch_of_lines_may_be_written_again",
    DropsABatchWithAKnownLine: "test_a_batch_of_lines_may_be_written_again",
    CutsABatchOff: "test_five_hundred_lines_are_one_batch",
    CutsReasonsOff: "test_a_line_comes_back_as_it_was",
    SortsTheDevice: "test_a_line_comes_back_as_it_was",
    ForgetsAllAtOnce: "test_lines_are_forgotten_by_age_in_batches",
    ForgetsAMomentTooMuch: "test_lines_are_forgotten_by_age_in_batches",
    KeepsLinesOfTheDeleted: "test_lines_outlive_their_session_until_it_is_deleted",
    DeletesLinesOfTheLivingOnly: "test_lines_outlive_their_session_until_it_is_deleted",
    PurgesLines: "test_lines_outlive_their_session_until_it_is_deleted",
}
