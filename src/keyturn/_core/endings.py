"""Which sessions an outcome ended, as lines of the revocation log. It knows no store and no clock."""

from __future__ import annotations

from keyturn._core.commands import Deny, Revoke
from keyturn._core.outcomes import Created, Inactive, Reused, Revocation
from keyturn._core.revocations import LogEntry, entries_of, entry_of_denial


def revoked_by(outcome: object) -> tuple[LogEntry, ...]:
    """Give what an operation's outcome ended, as the log has it; nothing for an outcome that ends nothing.

    What merely expires is not logged: access tokens never outlive the limits of their session.

    Args:
        outcome: What a store answered, to any command.
    """
    match outcome:
        case Created(evicted=ended) | Inactive(ended=ended) | Revocation(ended=ended):
            return entries_of(session.sid for session in ended)
        case Reused(session, others=others):
            return entries_of(each.sid for each in (session, *others))
        case _:
            return ()


def learned_from(command: object, outcome: object) -> tuple[LogEntry, ...]:
    """Give what whoever asked knows to be over: what the outcome ended, and what it found ended.

    Args:
        command: What the store was asked.
        outcome: What it answered.
    """
    match command, outcome:
        case Revoke(sid=sid), Revocation(found=True):
            return entries_of([sid])
        case Deny(token_id=token_id), _:
            return (entry_of_denial(token_id),)
        case _:
            return revoked_by(outcome)
