"""Ending sessions together with the lines of the revocation log about it. They know no driver and no outcome.

With a data-modifying WITH, one statement is all of it. Elsewhere it takes a transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keyturn._core.decide import end
from keyturn._core.revocations import entries_of
from keyturn.stores._sql import log, statements
from keyturn.stores._sql.queries import Query, ask, chunks
from keyturn.stores._sql.tables import to_sessions
from keyturn.stores._sql.transactions import committing, opening, transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from uuid import UUID

    from sqlalchemy import Executable

    from keyturn._core.records import EndReason, Millis, Session
    from keyturn.stores._sql.queries import Flavour, Operation, Reply
    from keyturn.stores._sql.statements import Ending


def one(
    sid: UUID, reason: EndReason, now: Millis, *, owner: str | None = None, digest: bytes | None = None
) -> dict[str, Any]:
    """Give the parameters of `END_ONE`."""
    return {"id": sid, "owner": owner, "digest": digest, "reason": reason, "now": now}


def of_user(user_id: str, keep: UUID | None, reason: EndReason, now: Millis) -> dict[str, Any]:
    """Give the parameters of `END_USER`."""
    return {"user": user_id, "keep": keep, "reason": reason, "now": now}


def ended(flavour: Flavour, which: Ending, values: dict[str, Any]) -> Operation[tuple[Session, ...]]:
    """End sessions, durably."""
    if flavour.along:
        reply = yield from ask(which.along, values)
        return _sorted(to_sessions(reply.rows))
    return (yield from transaction(_ended(flavour, which, values)))


def _ended(flavour: Flavour, which: Ending, values: dict[str, Any]) -> Operation[tuple[Session, ...]]:
    reply = yield from opening(flavour, _first(flavour, which), values)
    sessions = _after(flavour, reply, values)
    yield from committing(*_rest(flavour, sessions, values))
    return sessions


def end_within(
    flavour: Flavour, which: Ending, values: dict[str, Any]
) -> Operation[tuple[tuple[Session, ...], tuple[Query, ...]]]:
    """End sessions inside a transaction.

    Returns:
        The sessions, and what must still be sent before the commit.
    """
    reply = yield from ask(_first(flavour, which), values)
    sessions = _after(flavour, reply, values)
    return sessions, tuple(_rest(flavour, sessions, values))


def lines_about(flavour: Flavour, sessions: Iterable[Session], now: Millis) -> Iterator[Query]:
    """Give what writes the lines about sessions that ended."""
    return log.written(flavour, ((entry, now) for entry in entries_of(each.sid for each in sessions)))


def _first(flavour: Flavour, which: Ending) -> Executable:
    if flavour.along:
        return which.along
    return which.returning if flavour.returning else which.locked


def _after(flavour: Flavour, reply: Reply, values: dict[str, Any]) -> tuple[Session, ...]:
    sessions = to_sessions(reply.rows)
    if not flavour.returning:
        sessions = tuple(end(session, values["reason"], values["now"]) for session in sessions)
    return _sorted(sessions)


def _rest(flavour: Flavour, sessions: Sequence[Session], values: dict[str, Any]) -> Iterator[Query]:
    if flavour.along:
        return
    if not flavour.returning:
        # By key: whoever signs in between the two statements comes after the revocation, and is not ended
        # unsaid.
        given = {"reason": values["reason"], "now": values["now"]}
        for chunk in chunks([session.sid for session in sessions]):
            yield Query(statements.end_these(chunk), given)
    yield from lines_about(flavour, sessions, values["now"])


def _sorted(sessions: tuple[Session, ...]) -> tuple[Session, ...]:
    return tuple(sorted(sessions, key=lambda session: session.sid))
