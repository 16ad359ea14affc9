"""Every row of the rotation table as worked examples: what a row and a refresh become. It knows no store.

The expectations are written out by hand, so that they hold `decide` and every store to the table and not to
each other. They have the order of the table in `docs`; cases 1, 2, 16 and 17 never reach a store.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from keyturn._core.commands import Rotate
from keyturn._core.decide import Case
from keyturn._core.outcomes import (
    Ahead,
    Conflicted,
    Converged,
    ConvergeKind,
    Ended,
    Forged,
    Kept,
    Reused,
    ReuseKind,
    Rotated,
    RotateOutcome,
    Unknown,
    Unproven,
)
from keyturn._core.records import EndReason, Session
from keyturn.testing.samples import (
    BRANCH,
    DAY,
    IDLE,
    OTHER_BRANCH,
    RACE,
    RECOVERY,
    REDEEM,
    ROW,
    SECOND,
    T0,
    digest_of,
    marked,
)


@dataclass(frozen=True, slots=True)
class RotationCase:
    """One worked example.

    Attributes:
        case: The number of the row of the table that applies.
        shows: What the example proves, in words.
        row: The session before; None: there is none.
        command: The refresh.
        outcome: What is answered.
        after: The session afterwards.
    """

    case: Case
    shows: str
    row: Session | None
    command: Rotate
    outcome: RotateOutcome
    after: Session | None

    def __str__(self) -> str:
        """Name the example, for a test's id."""
        return f"{self.case}: {self.shows}"


def _same(case: Case, shows: str, row: Session, command: Rotate, outcome: RotateOutcome) -> RotationCase:
    return RotationCase(case, shows, row, command, outcome, row)


def _unproven(shows: str, row: Session, command: Rotate) -> RotationCase:
    return _same("3", shows, row, command, Unproven(row))


def _forged(shows: str, row: Session, command: Rotate) -> RotationCase:
    return _same("5", shows, row, command, Forged(row))


def _ended(shows: str, row: Session, command: Rotate) -> RotationCase:
    return _same("6", shows, row, command, Ended(row, first=False))


def _expired(shows: str, row: Session, command: Rotate, reason: EndReason) -> RotationCase:
    after = marked(row, reason, command.now)
    return RotationCase("7", shows, row, command, Ended(after, first=True), after)


def _moved(case: Case, shows: str, row: Session, command: Rotate, after: Session) -> RotationCase:
    return RotationCase(case, shows, row, command, Rotated(after, lost=command.gen - row.gen), after)


def _kept(case: Case, shows: str, row: Session, command: Rotate, after: Session) -> RotationCase:
    return RotationCase(case, shows, row, command, Kept(after), after)


def _converged(shows: str, row: Session, command: Rotate, kind: ConvergeKind, handed_at: int) -> RotationCase:
    after = replace(row, handed_at=handed_at)
    case: Case = "10" if kind == "race" else "11"
    return RotationCase(case, shows, row, command, Converged(after, kind), after)


def _reused(case: Case, shows: str, row: Session, command: Rotate, kind: ReuseKind) -> RotationCase:
    after = marked(row, "reuse", command.now)
    return RotationCase(case, shows, row, command, Reused(after, kind), after)


# Sessions. `_SEEN`: its successor was seen in use. `_MOVED`: its successor was handed out again, 4 s later.
_BOUND: Final = replace(ROW, jkt="NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
_REVOKED: Final = marked(ROW, "logout", T0 + 5)
_SEEN: Final = replace(ROW, confirmed=True)
_MOVED: Final = replace(ROW, handed_at=T0 + 4 * SECOND)
_NEW: Final = replace(
    ROW, gen=0, parent_branch=b"", created_at=T0, idle_expires_at=T0 + IDLE, expires_at=T0 + 90 * DAY
)
_ENDLESS: Final = replace(ROW, idle_ttl=None, idle_expires_at=None)

# Refreshes. `_SPENT`: the previous generation. `_RETRY`: the same, when the race window is over.
_FORGERY: Final = replace(REDEEM, digest=digest_of(b"a guess"))
_SPENT: Final = replace(REDEEM, gen=ROW.gen - 1, now=T0 + 1)
_RETRY: Final = replace(_SPENT, now=T0 + RACE)
_STRICT: Final = replace(REDEEM, race_window=0, recovery_window=0)
_STILL: Final = replace(REDEEM, rotation=False)


def _next(row: Session, command: Rotate) -> Session:
    """Give the row after an ordinary rotation, in words of the table, for a clock that goes forward."""
    return replace(
        row,
        gen=command.gen + 1,
        parent_branch=command.branch,
        confirmed=False,
        rotated_at=command.now,
        handed_at=command.now,
        last_seen_at=command.now,
        idle_expires_at=command.now + IDLE,
    )


def _at(command: Rotate, now: int) -> Rotate:
    return replace(command, now=now)


_REFUSED: Final = (
    _unproven("no proof for a bound session", _BOUND, REDEEM),
    _unproven("a proof of another key", _BOUND, replace(REDEEM, jkt="another")),
    _unproven("without proof not even the secret is judged", _BOUND, _FORGERY),
    _unproven("a spent token without proof never revokes", _BOUND, replace(REDEEM, gen=1)),
    _unproven("an ended session is not told of without proof", replace(_REVOKED, jkt="k"), REDEEM),
    RotationCase("4", "no such session", None, REDEEM, Unknown(), None),
    _forged("the secret is not the session's", ROW, _FORGERY),
    _forged("a spent generation with a wrong secret never revokes", ROW, replace(_FORGERY, gen=1)),
    _forged("nor does it mark an expired session", ROW, _at(_FORGERY, ROW.expires_at)),
    _forged("nor is an ended session told of", _REVOKED, _FORGERY),
    _ended("the session was revoked", _REVOKED, REDEEM),
    _ended("a spent token of an ended session changes nothing", _REVOKED, replace(REDEEM, gen=2)),
    _ended("a token far ahead neither", _REVOKED, replace(REDEEM, gen=99)),
    _ended("an end stays, also where the clock went back before it", _REVOKED, _at(REDEEM, T0)),
    _ended(
        "an expiry once marked stays, also where the clock went back before it",
        marked(ROW, "idle", T0 + IDLE),
        REDEEM,
    ),
    _expired("the absolute limit's first moment", _ENDLESS, _at(REDEEM, ROW.expires_at), "absolute"),
    _expired("the idle limit's first moment", ROW, _at(REDEEM, T0 + IDLE), "idle"),
    _expired("past both, absolute is named", ROW, _at(REDEEM, ROW.expires_at + DAY), "absolute"),
    _expired("a spent token past a limit is expired, not reuse", ROW, _at(_SPENT, T0 + IDLE), "idle"),
)

_CURRENT: Final = (
    _moved(
        "8", "the current generation rotates when the race window is over", ROW, REDEEM, _next(ROW, REDEEM)
    ),
    _moved(
        "8",
        "whatever its branch, which becomes the parent",
        ROW,
        replace(REDEEM, branch=OTHER_BRANCH),
        replace(_next(ROW, REDEEM), parent_branch=OTHER_BRANCH),
    ),
    _moved("8", "the successor's confirmation starts anew", _SEEN, REDEEM, _next(ROW, REDEEM)),
    _moved(
        "8",
        "the last moment before the idle limit",
        ROW,
        _at(REDEEM, T0 + IDLE - 1),
        _next(ROW, _at(REDEEM, T0 + IDLE - 1)),
    ),
    _moved(
        "8",
        "the idle limit is capped by the absolute end",
        replace(ROW, idle_expires_at=ROW.expires_at - 1),
        _at(REDEEM, ROW.expires_at - DAY),
        replace(_next(ROW, _at(REDEEM, ROW.expires_at - DAY)), idle_expires_at=ROW.expires_at),
    ),
    _moved(
        "8",
        "without an idle limit there is none afterwards",
        _ENDLESS,
        _at(REDEEM, ROW.expires_at - 1),
        replace(_next(_ENDLESS, _at(REDEEM, ROW.expires_at - 1)), idle_expires_at=None),
    ),
    _moved(
        "8",
        "sign-in is no rotation: the first refresh rotates at once",
        _NEW,
        replace(REDEEM, gen=0, now=T0),
        _next(_NEW, replace(REDEEM, gen=0, now=T0)),
    ),
    _moved("8", "a race window of 0 rotates at once", ROW, _at(_STRICT, T0), _next(ROW, _at(_STRICT, T0))),
    _moved(
        "8",
        "a clock that went back moves no moment back",
        ROW,
        _at(_STRICT, T0 - DAY),
        replace(ROW, gen=6, parent_branch=BRANCH),
    ),
    _moved(
        "8",
        "nor the last hand-out, which was later than the rotation",
        _MOVED,
        _at(_STRICT, T0 + 1),
        replace(_next(ROW, _at(_STRICT, T0 + 1)), handed_at=_MOVED.handed_at),
    ),
    _moved(
        "8", "a bound session with its proof", _BOUND, replace(REDEEM, jkt=_BOUND.jkt), _next(_BOUND, REDEEM)
    ),
    _moved("8", "a proof that nobody asked for", ROW, replace(REDEEM, jkt="k"), _next(ROW, REDEEM)),
    _kept(
        "8",
        "rotation=False keeps the token and extends the idle limit",
        ROW,
        _STILL,
        replace(_SEEN, last_seen_at=_STILL.now, idle_expires_at=_STILL.now + IDLE),
    ),
    _kept(
        "8",
        "also inside a race window",
        ROW,
        _at(_STILL, T0 + 1),
        replace(_SEEN, last_seen_at=T0 + 1, idle_expires_at=T0 + 1 + IDLE),
    ),
    _kept("8", "also where the clock went back, moving nothing back", ROW, _at(_STILL, T0 - 1), _SEEN),
    _kept("8b", "the race window's last moment", ROW, _at(REDEEM, T0 + RACE - 1), _SEEN),
    _kept("8b", "confirmed once, then nothing is written", _SEEN, _at(REDEEM, T0 + 1), _SEEN),
    _kept("8b", "whatever its branch", ROW, replace(REDEEM, branch=OTHER_BRANCH, now=T0 + 1), _SEEN),
    _kept("8b", "elapsed time is clamped where the clock went back", ROW, _at(REDEEM, T0 - DAY), _SEEN),
    _kept(
        "8b",
        "the window runs from the hand-out, not from the rotation",
        _MOVED,
        _at(REDEEM, T0 + RACE),
        replace(_MOVED, confirmed=True),
    ),
)

_PREVIOUS: Final = (
    _reused("9", "another branch, within the race window", ROW, replace(_SPENT, branch=OTHER_BRANCH), "fork"),
    _reused("9", "another branch, within recovery", ROW, replace(_RETRY, branch=OTHER_BRANCH), "fork"),
    _reused(
        "9", "another branch, where races conflict", ROW, replace(_SPENT, branch=b"", converge=False), "fork"
    ),
    _converged("a race, at the rotation's own moment", ROW, _at(_SPENT, T0), "race", T0),
    _converged("the race window's last moment", ROW, _at(_SPENT, T0 + RACE - 1), "race", T0 + RACE - 1),
    _converged("a confirmed successor's window does not move", _SEEN, _SPENT, "race", T0),
    _converged("nor one past recovery", ROW, replace(_SPENT, recovery_window=0), "race", T0),
    _converged("the window runs from the hand-out", _MOVED, _RETRY, "race", T0 + RACE),
    _converged("a clock that went back moves no hand-out back", _MOVED, _SPENT, "race", _MOVED.handed_at),
    _converged("rotation=False still converges", ROW, replace(_SPENT, rotation=False), "race", _SPENT.now),
    _same("10", "conflict instead", ROW, replace(_SPENT, converge=False), Conflicted(ROW, "race")),
    _converged("the response was lost", ROW, _RETRY, "recovered", _RETRY.now),
    _converged(
        "the recovery window's last moment",
        ROW,
        _at(_SPENT, T0 + RECOVERY - 1),
        "recovered",
        T0 + RECOVERY - 1,
    ),
    _same("11", "conflict instead", ROW, replace(_RETRY, converge=False), Conflicted(ROW, "recovered")),
    _reused("12", "the successor was seen in use", _SEEN, _RETRY, "previous"),
    _reused("12", "the recovery window is over", ROW, _at(_SPENT, T0 + RECOVERY), "previous"),
    _reused("12", "no recovery window", ROW, replace(_RETRY, recovery_window=0), "previous"),
    _reused("12", "strict one-time use, at once", ROW, replace(_STRICT, gen=4, now=T0), "previous"),
    _reused("12", "where races conflict, too", _SEEN, replace(_RETRY, converge=False), "previous"),
)

_DISTANT: Final = (
    _reused("13", "two behind, at once", ROW, replace(_SPENT, gen=3), "stale"),
    _reused("13", "the first token of all", ROW, replace(_SPENT, gen=0), "stale"),
    _moved(
        "14",
        "one ahead: the store has lost a write",
        ROW,
        replace(REDEEM, gen=6),
        replace(_next(ROW, REDEEM), gen=7),
    ),
    _moved(
        "14",
        "two ahead, inside the race window, of another branch",
        _SEEN,
        replace(REDEEM, gen=7, branch=OTHER_BRANCH, now=T0 + 1),
        replace(_next(ROW, _at(REDEEM, T0 + 1)), gen=8, parent_branch=OTHER_BRANCH),
    ),
    _moved(
        "14",
        "also with rotation=False, because the row does not know the presented token's parent",
        ROW,
        replace(_STILL, gen=7),
        replace(_next(ROW, _STILL), gen=8),
    ),
    _same("15", "three ahead", ROW, replace(REDEEM, gen=8), Ahead(ROW, 3)),
    _same("15", "as far ahead as a token can be", ROW, replace(REDEEM, gen=2**32 - 1), Ahead(ROW, 2**32 - 6)),
)

CASES: Final = _REFUSED + _CURRENT + _PREVIOUS + _DISTANT
"""All examples, in the order of the table."""
