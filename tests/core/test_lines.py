"""The lines that outcomes leave in the audit trail, and how they sort: values in, values out."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from keyturn._core.ids import UUID7_BYTES
from keyturn._core.lines import lines_of_issue, lines_of_refresh, lines_of_revocation
from keyturn._core.outcomes import (
    Ahead,
    Conflicted,
    Ended,
    Forged,
    Kept,
    LimitReached,
    Reused,
    Revocation,
    Rotated,
    Unknown,
    Unproven,
)
from keyturn._core.refresh_tokens import RefreshToken
from keyturn._core.trail import Line, TrailKind, context_digest, entry_of
from keyturn.testing.samples import BRANCH, ROW, T0, marked, numbered

TOKEN = RefreshToken(ROW.sid, ROW.gen, BRANCH, b"the secret of a session")


def lines(outcome: Any) -> list[tuple[str, str]]:
    """Give the lines of a refresh, in short."""
    return [(e.kind, e.reason) for e in lines_of_refresh(TOKEN, "key-1", "phone", T0, outcome)]


@pytest.mark.parametrize(
    "outcome",
    [
        Unknown(),
        Unproven(ROW),
        Kept(ROW),
        Conflicted(ROW, "race"),
        Ahead(ROW, 5),
        Ended(marked(ROW, "logout", T0), first=False),
        Ended(marked(ROW, "idle", T0), first=False),
    ],
)
def test_what_changes_nothing_leaves_no_line(outcome: Any) -> None:
    """Otherwise anybody could fill the trail by asking again and again."""
    assert lines(outcome) == []


def test_a_refused_sign_in_leaves_no_line() -> None:
    """There is no session that it could belong to."""
    assert lines_of_issue(TOKEN.secret, "phone", LimitReached(3)) == ()


def test_a_rotation_tells_of_writes_that_were_lost() -> None:
    """A store that went back in time is part of the story."""
    assert lines(Rotated(ROW)) == [("rotation", "")]
    assert lines(Rotated(ROW, lost=2)) == [("rotation", "lost 2")]


def test_a_forgery_names_the_key_that_has_leaked() -> None:
    """Its context cannot be keyed: whoever forged the token did not know the session's secret."""
    (line,) = lines_of_refresh(TOKEN, "key-1", "phone", T0, Forged(ROW))
    assert (line.kind, line.reason, line.context) == ("forgery", "key-1", "")


def test_every_line_has_the_session_as_it_is_afterwards() -> None:
    """Generation and device are the row's; the moment is the command's."""
    other = marked(numbered(1), "reuse", T0)
    found = lines_of_refresh(TOKEN, "key-1", "", T0, Reused(marked(ROW, "reuse", T0), "stale", (other,)))
    assert [(e.sid, e.at, e.gen, e.device, e.context) for e in found] == [
        (ROW.sid, T0, ROW.gen, ROW.device, ""),
        (ROW.sid, T0, ROW.gen, ROW.device, ""),
        (other.sid, T0, 0, other.device, ""),
    ]
    assert lines_of_revocation(T0, Revocation(found=True, ended=())) == ()


def line(kind: TrailKind, gen: int, at: int = T0) -> Line:
    """Give a line to sort."""
    return Line(ROW.sid, at, kind, "", gen, {})


def test_lines_of_one_moment_sort_as_one_led_to_the_other() -> None:
    """Whatever chance gives: by generation, then the cause before its effect."""
    story = [
        *(line("sign_in", 0), line("rotation", 1), line("convergence", 1)),
        *(line("rotation", 2), line("reuse", 2), line("revocation", 2)),
    ]
    for random in permutations(range(6)):
        written = [entry_of(e, bytes([n]) * UUID7_BYTES) for e, n in zip(story, random, strict=True)]
        assert sorted(written, key=lambda entry: entry.id) == written


def test_lines_sort_by_their_moment_first() -> None:
    """An id is a UUIDv7 of its moment, whatever the generation; the same line twice has two ids."""
    late, early = (
        entry_of(line("rotation", 1, T0 + 1), bytes(10)),
        entry_of(line("revocation", 9), b"\xff" * 10),
    )
    assert early.id < late.id
    assert early.id.version == 7
    assert entry_of(line("rotation", 1), bytes(10)).id != entry_of(line("rotation", 1), b"\xff" * 10).id


def test_a_context_digest_is_keyed_and_short() -> None:
    """One session's secret and one context give one digest of 64 bits; odd text is no error."""
    assert context_digest(b"s", "c") == context_digest(b"s", "c")
    assert len({context_digest(b"s", "c"), context_digest(b"t", "c"), context_digest(b"s", "d")}) == 3
    assert len(context_digest(b"s", "\ud800\U0001f511")) == 16
    assert context_digest(b"s", "") == ""
