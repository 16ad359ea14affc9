"""The audit trail: lines come back as they were, by time, once each, and go by age. They know no engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, get_args

import pytest

from keyturn._core.commands import Purge
from keyturn._core.inputs import MAX_REASON
from keyturn._core.trail import TrailEntry, TrailKind
from keyturn.errors import StoreUnavailable
from keyturn.stores.protocol import Store, Trail
from keyturn.testing._duties.asking import BATCH, END_OF_TIME
from keyturn.testing._duties.sessions import ODD_JSON
from keyturn.testing.samples import ROW, T0, line_of, numbered, sign_in

ODD_REASONS: Final = (
    "",
    " ",
    "logout",
    "%",
    "'; --",
    "\u00fc\U0001f511\u4e2d\n",
    "x" * MAX_REASON,
    "0",
    "null",
)


def trail_of(store: Store) -> Trail:
    """Give a store as the keeper of a trail."""
    assert isinstance(store, Trail), 'the store keeps no trail: name "trail" in `lacks`'
    return store


def lines_of(trail: Trail, *, page: int = BATCH) -> list[TrailEntry]:
    """Read all lines of the sample session, page by page."""
    lines: list[TrailEntry] = []
    while found := trail.history(ROW.sid, after=lines[-1].id if lines else None, limit=page):
        assert len(found) <= page
        assert {line.id for line in found}.isdisjoint(line.id for line in lines), "a line is on two pages"
        lines += found
    return lines


class TrailDuties:
    """What `note`, `history` and `forget` must do, where a store keeps the trail too."""

    def test_a_line_comes_back_as_it_was(self, subject: Store) -> None:
        """Every field keeps its value and its type, whatever the client is called."""
        trail = trail_of(subject)
        kinds: tuple[TrailKind, ...] = get_args(TrailKind)
        written = [
            *(replace(line_of(ROW, at), kind=kind, context=f"{at:016x}") for at, kind in enumerate(kinds)),
            *(replace(line_of(ROW, 100 + at), device=device) for at, device in enumerate(ODD_JSON)),
            *(replace(line_of(ROW, 200 + at), reason=reason) for at, reason in enumerate(ODD_REASONS)),
            replace(line_of(ROW, 300), gen=2**32 - 1),
        ]
        trail.note(written)
        found = lines_of(trail)
        assert found == written
        for line, expected in zip(found, written, strict=True):
            assert repr(line.device) == repr(dict(expected.device)), "equal, but of another type or order"

    def test_lines_are_read_by_time(self, subject: Store) -> None:
        """Whatever the order in which they were written, and of the one session only."""
        trail = trail_of(subject)
        lines = [line_of(ROW, number) for number in range(7)]
        stranger = numbered(1)
        for number in (3, 0, 6):
            trail.note([lines[number], line_of(stranger, number)])
        trail.note([lines[5], lines[1], line_of(stranger, 9), lines[4], lines[2]])
        assert lines_of(trail) == lines
        assert list(trail.history(stranger.sid)) == [line_of(stranger, number) for number in (0, 3, 6, 9)]
        assert list(trail.history(numbered(2).sid)) == []

    def test_pages_of_lines_follow_each_other(self, subject: Store) -> None:
        """A page holds at most `limit` lines, and the next one begins behind the line it names."""
        trail = trail_of(subject)
        lines = [line_of(ROW, number) for number in range(7)]
        trail.note(lines)
        assert list(trail.history(ROW.sid, limit=3)) == lines[:3]
        assert list(trail.history(ROW.sid, after=lines[2].id, limit=3)) == lines[3:6]
        assert list(trail.history(ROW.sid, after=lines[5].id, limit=3)) == lines[6:]
        assert list(trail.history(ROW.sid, after=lines[6].id)) == []

    def test_a_batch_of_lines_may_be_written_again(self, subject: Store) -> None:
        """A line whose id is there stays as it is; what is new beside it is added."""
        trail = trail_of(subject)
        lines = [line_of(ROW, number) for number in range(5)]
        trail.note(lines[:3])
        trail.note(lines[:3])
        trail.note([replace(lines[2], reason="another"), *lines[3:]])
        trail.note([])
        assert lines_of(trail, page=2) == lines

    def test_five_hundred_lines_are_one_batch(self, subject: Store) -> None:
        """So many are written at once, with clients described as long as may be."""
        trail = trail_of(subject)
        device = {"user_agent": "x" * 2000}
        lines = [replace(line_of(ROW, number), device=device) for number in range(BATCH)]
        trail.note(lines)
        assert lines_of(trail, page=BATCH // 2) == lines

    def test_lines_are_forgotten_by_age_in_batches(self, subject: Store) -> None:
        """Those from before the moment go, at most `limit` at once, whosever they are; the others stay."""
        trail = trail_of(subject)
        other = numbered(1)
        mine, others, limit = (
            [line_of(ROW, at) for at in range(6)],
            [line_of(other, at) for at in range(3)],
            4,
        )
        trail.note([*mine, *others])
        removed: list[int] = []
        while gone := trail.forget(T0 + 5, limit):
            removed.append(gone)
        assert sum(removed) == len(mine) + len(others) - 1
        assert max(removed) <= limit
        assert lines_of(trail) == mine[5:]
        assert list(trail.history(other.sid)) == []
        trail.note(mine[:1])
        assert lines_of(trail) == [mine[0], mine[5]]

    def test_lines_outlive_their_session_until_it_is_deleted(self, subject: Store) -> None:
        """A purge leaves them; `delete` takes them along, also where the session is gone already."""
        trail = trail_of(subject)
        purged, deleted, kept = numbered(1), numbered(2), numbered(3)
        for session in (purged, deleted, kept):
            subject.create(sign_in(session))
            trail.note([line_of(session, 0), line_of(session, 1)])
        subject.purge(Purge(before=purged.expires_at + 1, now=T0, limit=100))
        assert len(trail.history(purged.sid)) == 2  # noqa: PLR2004 - as written
        assert subject.delete([purged.sid, deleted.sid]) == 1
        assert [len(trail.history(session.sid)) for session in (purged, deleted, kept)] == [0, 0, 2]
        assert trail.forget(END_OF_TIME, 100) == 2  # noqa: PLR2004 - those of the one that is kept


class TrailOutageDuties:
    """What must happen to the trail where the engine is away."""

    def test_a_trail_that_is_away_is_said_to_be_unavailable(self, unreachable: Store) -> None:
        """Every method raises `StoreUnavailable`, so that lines are counted as lost and requests go on."""
        trail = trail_of(unreachable)
        for call in (
            lambda: trail.note([line_of(ROW, 0)]),
            lambda: trail.history(ROW.sid),
            lambda: trail.forget(END_OF_TIME, 1),
        ):
            with pytest.raises(StoreUnavailable) as caught:
                call()
            assert caught.value.__cause__ is not None
        unreachable.close()
