"""Which lines of the audit trail an outcome leaves, per operation. They know no store, no clock, no entropy.

A refusal that changes nothing leaves no line, or anybody could fill the trail. The one exception is a
forgery, which only the owner of a signing key can commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn._core.outcomes import (
    CheckOutcome,
    Converged,
    Created,
    CreateOutcome,
    Ended,
    Forged,
    Inactive,
    Live,
    RefreshOutcome,
    Reused,
    Revocation,
    Rotated,
)
from keyturn._core.records import Session
from keyturn._core.trail import Line, TrailKind, context_digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from keyturn._core.records import Millis
    from keyturn._core.refresh_tokens import RefreshToken


def lines_of_issue(secret: bytes, context: str, outcome: CreateOutcome) -> tuple[Line, ...]:
    """Tell of a sign-in, and of the sessions that had to end for it.

    Args:
        secret: The new session's secret.
        context: What is known of the client.
        outcome: The store's answer.
    """
    match outcome:
        case Created(session, evicted):
            at = session.created_at
            signed_in = _line(session, at, "sign_in", context=context_digest(secret, context))
            return (signed_in, *_ends(evicted, at))
        case _:
            return ()


def lines_of_refresh(
    presented: RefreshToken, key_id: str, context: str, now: Millis, outcome: RefreshOutcome
) -> tuple[Line, ...]:
    """Tell of a refresh.

    Args:
        presented: The token presented.
        key_id: The key it was under.
        context: What is known of the client.
        now: The moment.
        outcome: What the refresh ended in.
    """

    def line(session: Session, kind: TrailKind, reason: str = "") -> Line:
        return _line(session, now, kind, reason, context=context_digest(presented.secret, context))

    match outcome:
        case Rotated(session, lost):
            return (line(session, "rotation", f"lost {lost}" if lost else ""),)
        case Converged(session, kind):
            return (line(session, "convergence", kind),)
        case Reused(session, kind, others):
            return (line(session, "reuse", kind), *_ends((session, *others), now))
        case Ended(session, first=True):
            return (line(session, "expiry", session.revoked_reason or ""),)
        case Inactive(_, ended):
            return _ends(ended, now)
        case Forged(session):
            return (_line(session, now, "forgery", key_id),)  # the secret was wrong, so nothing can be keyed
        case _:
            return ()


def lines_of_revocation(now: Millis, outcome: Revocation) -> tuple[Line, ...]:
    """Tell of every session that a revocation ended.

    Args:
        now: The moment.
        outcome: The store's answer.
    """
    return _ends(outcome.ended, now)


def lines_of_step_up(now: Millis, outcome: CheckOutcome) -> tuple[Line, ...]:
    """Tell that the user has signed in again within a session.

    Args:
        now: The moment.
        outcome: The store's answer.
    """
    match outcome:
        case Live(Session() as session):
            return (_line(session, now, "step_up"),)
        case _:
            return ()


def lines_of_denial(sid: UUID, gen: int, reason: str, now: Millis, _: None) -> tuple[Line, ...]:
    """Tell of an access token that was denied; its session is not read, so its device is not known.

    Args:
        sid: The token's session.
        gen: The token's generation.
        reason: Why.
        now: The moment.
    """
    return (Line(sid, now, "denial", reason, gen, {}),)


def _ends(sessions: Iterable[Session], now: Millis) -> tuple[Line, ...]:
    return tuple(_line(session, now, "revocation", session.revoked_reason or "") for session in sessions)


def _line(session: Session, at: Millis, kind: TrailKind, reason: str = "", *, context: str = "") -> Line:
    return Line(session.sid, at, kind, reason, session.gen, session.device, context)
