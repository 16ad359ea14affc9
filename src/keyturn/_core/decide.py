"""The one transition table: what a refresh does, in every case.

It knows no clock, no store and no token format.

`RULES` is the table; the first rule that matches decides. The documentation's table and state diagram are
rendered from it. Cases 1, 2, 3 (a malformed proof) and 16 happen before or instead of the store's operation;
case 17 is whichever case applies, answered under the active key.

Rule 1: everything that changes a session because of a refresh is in this file.
Rule 2: elapsed time is clamped at zero, and no moment in a row ever moves backwards.
Rule 3: only a token that is authentic *and* spent ends a session; anything else leaves the row alone.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from keyturn._core.commands import Rotate
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
from keyturn._core.records import EndReason, Millis, Session, ending

MAX_LOST_WRITES: Final = 2  # a fail-over loses the last write or two; more is no accident of replication

Case: TypeAlias = Literal["3", "4", "5", "6", "7", "8", "8b", "9", "10", "11", "12", "13", "14", "15"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to answer and what to write.

    Attributes:
        case: The number of the rule, as in the documentation.
        outcome: What the store answers.
        write: The row as it must be stored now; None: leave it alone.
        end_user: All other live sessions of the user end too, and belong into the outcome's `others`.
    """

    case: Case
    outcome: RotateOutcome
    write: Session | None = None
    end_user: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at, worked out once.

    Attributes:
        row: The session.
        command: The refresh.
        ahead: How many generations the token is ahead of the row; negative: behind.
        since_handout: Milliseconds since the current generation was last handed out; never negative.
        since_rotation: Milliseconds since the last rotation; never negative.
    """

    row: Session
    command: Rotate
    ahead: int
    since_handout: Millis
    since_rotation: Millis


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    Attributes:
        case: Its number.
        when: The condition, in words, for the documentation.
        then: The effect and the answer, in words, for the documentation.
        goes_to: The state that the session is in afterwards, for the state diagram.
        matches: The condition.
        decision: The effect and the answer.
    """

    case: Case
    when: str
    then: str
    goes_to: Literal["same", "next generation", "ended", "stays ended"]
    matches: Callable[[Facts], bool]
    decision: Callable[[Facts], Decision]


def decide(row: Session | None, command: Rotate) -> Decision:
    """Say what a refresh does to a session.

    Args:
        row: The session as it is now, locked against other writers; None: there is none.
        command: The refresh, its tag already verified.

    Returns:
        The first matching rule's decision. The rules cover every input.
    """
    if row is None:
        return Decision("4", Unknown())
    facts = Facts(
        row=row,
        command=command,
        ahead=command.gen - row.gen,
        since_handout=max(0, command.now - row.handed_at),
        since_rotation=max(0, command.now - row.rotated_at),
    )
    return next(rule.decision(facts) for rule in RULES if rule.matches(facts))


def as_first_told(command: Rotate, outcome: RotateOutcome) -> RotateOutcome:
    """Give the answer that was lost, where a store had to ask its engine a second time.

    A store may repeat a refresh whose answer did not arrive. If the first try found reuse, the second finds
    the session ended: by this very command, and a theft that is noticed must be told. Only the store knows
    that it asked twice; of two requests at one moment, the later one finds the session ended, and no more.

    Args:
        command: The refresh.
        outcome: What a repetition of it was answered.

    Returns:
        The outcome, or the reuse that it repeats; then without the user's other sessions that ended with it.
    """
    match outcome:
        case Ended(Session(revoked_reason="reuse") as session, first=False) if (
            session.revoked_at == command.now
        ):
            decision = decide(replace(session, revoked_at=None, revoked_reason=None), command)
            return decision.outcome if decision.write == session else outcome
        case _:
            return outcome


def end(session: Session, reason: EndReason, now: Millis) -> Session:
    """Mark a session as ended. An ended session keeps its first end."""
    return (
        session if session.revoked_at is not None else replace(session, revoked_at=now, revoked_reason=reason)
    )


def is_recent(facts: Facts) -> bool:
    """Tell whether the current generation was handed out less than a race window ago.

    Sign-in is not a rotation: generation 0 counts as never handed out.
    """
    return facts.row.gen > 0 and facts.since_handout < facts.command.race_window


def is_recoverable(facts: Facts) -> bool:
    """Tell whether a lost response may still be made up for: the successor was never seen in use."""
    return not facts.row.confirmed and facts.since_rotation < facts.command.recovery_window


def converges(command: Rotate) -> bool:
    """Tell whether a refresh that is done twice ends as one that is done once.

    Without any window, the second would find the token spent, and end the session.
    """
    return command.race_window > 0 or command.recovery_window > 0


def _unproven(facts: Facts) -> bool:
    bound, proven = facts.row.jkt, facts.command.jkt
    return bound is not None and not hmac.compare_digest(bound.encode(), (proven or "").encode())


def _expire(facts: Facts) -> Decision:
    reason = ending(facts.row, facts.command.now)
    ended = end(facts.row, reason or "absolute", facts.command.now)
    return Decision("7", Ended(ended, first=True), ended)


def _rotate(facts: Facts, case: Case) -> Decision:
    row, command = facts.row, facts.command
    seen = _extend_idle(replace(row, last_seen_at=max(row.last_seen_at, command.now)), command.now)
    if (
        not command.rotation and facts.ahead == 0
    ):  # else the row does not know the presented generation's parent
        kept = replace(seen, confirmed=True)
        return Decision(case, Kept(kept), kept)
    rotated_at = max(row.rotated_at, command.now)
    rotated = replace(
        seen,
        gen=command.gen + 1,
        parent_branch=command.branch,
        confirmed=False,
        rotated_at=rotated_at,
        handed_at=max(row.handed_at, rotated_at),
    )
    return Decision(case, Rotated(rotated, lost=facts.ahead), rotated)


def _extend_idle(session: Session, now: Millis) -> Session:
    if session.idle_ttl is None or session.idle_expires_at is None:
        return session
    until = min(now + session.idle_ttl, session.expires_at)
    return replace(session, idle_expires_at=max(session.idle_expires_at, until))


def _keep(facts: Facts) -> Decision:
    if facts.row.confirmed:
        return Decision("8b", Kept(facts.row))
    confirmed = replace(facts.row, confirmed=True)
    return Decision("8b", Kept(confirmed), confirmed)


def _converge(facts: Facts, case: Case, kind: ConvergeKind) -> Decision:
    if not facts.command.converge:
        return Decision(case, Conflicted(facts.row, kind))
    if not is_recoverable(facts):
        return Decision(case, Converged(facts.row, kind))
    handed = replace(facts.row, handed_at=max(facts.row.handed_at, facts.command.now))
    return Decision(case, Converged(handed, kind), handed)


def _reuse(facts: Facts, case: Case, kind: ReuseKind) -> Decision:
    ended = end(facts.row, "reuse", facts.command.now)
    return Decision(case, Reused(ended, kind), ended, end_user=facts.command.whole_user)


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "3",
        "the session is bound to a key whose possession was not proven",
        "nothing changes; invalid_proof",
        "same",
        _unproven,
        lambda f: Decision("3", Unproven(f.row)),
    ),
    Rule(
        "5",
        "the digest of the secret differs",
        "nothing changes; invalid; critical, because a signing key has leaked",
        "same",
        lambda f: not hmac.compare_digest(f.row.secret_digest, f.command.digest),
        lambda f: Decision("5", Forged(f.row)),
    ),
    Rule(
        "6",
        "the session has ended",
        "nothing changes; revoked (or expired, where that was how it ended)",
        "stays ended",
        lambda f: f.row.revoked_at is not None,
        lambda f: Decision("6", Ended(f.row, first=False)),
    ),
    Rule(
        "7",
        "past the absolute or the idle limit",
        "marked as ended; expired",
        "ended",
        lambda f: ending(f.row, f.command.now) is not None,
        _expire,
    ),
    Rule(
        "8b",
        "the current generation, handed out less than a race window ago",
        "confirmed, once; a fresh access token, and the refresh token stays",
        "same",
        lambda f: f.ahead == 0 and f.command.rotation and is_recent(f),
        _keep,
    ),
    Rule(
        "8",
        "the current generation, whatever its branch",
        "rotated: next generation, idle limit extended; tokens",
        "next generation",
        lambda f: f.ahead == 0,
        lambda f: _rotate(f, "8"),
    ),
    Rule(
        "9",
        "the previous generation on another branch than the one that was redeemed",
        "ended for reuse (fork); reused",
        "ended",
        lambda f: f.ahead == -1 and not hmac.compare_digest(f.row.parent_branch, f.command.branch),
        lambda f: _reuse(f, "9", "fork"),
    ),
    Rule(
        "10",
        "the previous generation, its successor handed out less than a race window ago",
        "while unconfirmed, the hand-out counts from now; the same successor again",
        "same",
        lambda f: f.ahead == -1 and is_recent(f),
        lambda f: _converge(f, "10", "race"),
    ),
    Rule(
        "11",
        "the previous generation, its successor unconfirmed and younger than the recovery window",
        "the hand-out counts from now; the same successor again",
        "same",
        lambda f: f.ahead == -1 and is_recoverable(f),
        lambda f: _converge(f, "11", "recovered"),
    ),
    Rule(
        "12",
        "the previous generation otherwise",
        "ended for reuse (previous); reused",
        "ended",
        lambda f: f.ahead == -1,
        lambda f: _reuse(f, "12", "previous"),
    ),
    Rule(
        "13",
        "an older generation",
        "ended for reuse (stale); reused",
        "ended",
        lambda f: f.ahead < -1,
        lambda f: _reuse(f, "13", "stale"),
    ),
    Rule(
        "14",
        "one or two generations ahead: the store has lost its last writes",
        "rotated from the presented generation; tokens",
        "next generation",
        lambda f: f.ahead <= MAX_LOST_WRITES,
        lambda f: _rotate(f, "14"),
    ),
    Rule(
        "15",
        "further ahead",
        "nothing changes; invalid; critical",
        "same",
        lambda _: True,
        lambda f: Decision("15", Ahead(f.row, f.ahead)),
    ),
)
