"""The operations, each once, as a function of a synchronous connection in autocommit. They know no engine.

`rotate` tries the common case as one statement. Wherever that does not match, and wherever a dialect has no
`UPDATE … RETURNING`, the row is locked, read, and decided by `decide`.
"""

from __future__ import annotations

import hmac
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete as delete_from
from sqlalchemy import select, update

from keyturn._core.decide import decide, end
from keyturn._core.outcomes import (
    Created,
    Denied,
    Ended,
    Forged,
    Found,
    LimitReached,
    Live,
    Reused,
    Revocation,
    Rotated,
    Unknown,
)
from keyturn._core.records import ending
from keyturn.stores._sql import statements
from keyturn.stores._sql.tables import changes, sessions, to_row, to_session, to_sessions
from keyturn.stores._sql.transactions import transaction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from uuid import UUID

    from sqlalchemy import ColumnElement, Connection, Executable

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
    from keyturn._core.outcomes import CheckOutcome, CreateOutcome, LookupOutcome, RotateOutcome
    from keyturn._core.records import EndReason, Millis, Session

CHUNK: Final = (
    500  # ids in one statement: SQLite takes 32,766 parameters, and a short statement blocks nobody long
)
NEVER_RECENT: Final = 2**63 - 1  # later than any hand-out


def create(connection: Connection, command: Create) -> CreateOutcome:
    """See `Store.create`."""
    if command.limit is None:
        connection.execute(statements.INSERT, to_row(command.session))
        return Created(command.session)
    with transaction(connection):
        owner = {"user": command.session.user_id, "now": command.now}
        live = _fetch(connection, statements.LIVE_OF_USER, owner)
        surplus = max(0, len(live) - command.limit + 1)
        if surplus > 0 and not command.evict:
            return LimitReached(len(live))
        evicted = live[:surplus]
        if evicted:
            _end(connection, sessions.c.sid.in_([s.sid for s in evicted]), "limit", command.now)
        connection.execute(statements.INSERT, to_row(command.session))
        return Created(command.session, tuple(end(s, "limit", command.now) for s in evicted))


def rotate(connection: Connection, command: Rotate) -> RotateOutcome:
    """See `Store.rotate`."""
    if command.rotation and connection.dialect.update_returning:
        moved = connection.execute(statements.ROTATE, _case_8(command)).one_or_none()
        if moved is not None:
            return Rotated(to_session(moved))
    with transaction(connection):
        row = _load(connection, command.sid, lock=True)
        decision = decide(row, command)
        if row is not None and decision.write is not None:
            _write(connection, row, decision.write)
        match decision.outcome:
            case Reused(session) as reused if decision.end_user:
                owned = sessions.c.user_id == session.user_id
                return replace(reused, others=_end(connection, owned, "reuse", command.now))
            case outcome:
                return outcome


def lookup(connection: Connection, command: Lookup) -> LookupOutcome:
    """See `Store.lookup`."""
    session = _load(connection, command.sid)
    if session is None:
        return Unknown()
    if command.digest is not None and not hmac.compare_digest(session.secret_digest, command.digest):
        return Forged(session)
    return Found(session)


def check(connection: Connection, command: Check) -> CheckOutcome:
    """See `Store.check`."""
    asked = {"token": command.token_id, "id": command.sid, "now": command.now}
    denied, *row = connection.execute(statements.CHECK, asked).one()
    if denied is not None:
        return Denied()
    if command.sid is None:
        return Live(None)
    if row[0] is None:
        return Unknown()
    session = to_session(row)
    return Live(session) if ending(session, command.now) is None else Ended(session, first=False)


def confirm(connection: Connection, command: Confirm) -> None:
    """See `Store.confirm`."""
    connection.execute(statements.CONFIRM, {"id": command.sid, "generation": command.gen, "now": command.now})


def revoke(connection: Connection, command: Revoke) -> Revocation:
    """See `Store.revoke`."""
    named = sessions.c.sid == command.sid
    if command.user_id is not None:
        named &= sessions.c.user_id == command.user_id
    if command.digest is not None:
        named &= sessions.c.secret_digest == command.digest
    with _atomic(connection):
        ended = _end(connection, named, command.reason, command.now)
        # Nothing ended: there is none, or it has ended before. Either stays true, so this needs no lock.
        found = bool(ended) or connection.execute(select(sessions.c.sid).where(named)).first() is not None
        return Revocation(found, ended)


def revoke_user(connection: Connection, command: RevokeUser) -> Revocation:
    """See `Store.revoke_user`."""
    owned = sessions.c.user_id == command.user_id
    if command.keep is not None:
        owned &= sessions.c.sid != command.keep
    with _atomic(connection):
        ended = _end(connection, owned, command.reason, command.now)
        return Revocation(bool(ended), ended)


def deny(connection: Connection, command: Deny) -> None:
    """See `Store.deny`."""
    row = {
        "token_id": command.token_id,
        "expires_at": command.expires_at,
        "reason": command.reason,
        "denied_at": command.now,
    }
    connection.execute(statements.deny(connection.dialect.name), row)


def find(connection: Connection, where: Where, limit: int) -> Sequence[Session]:
    """See `Store.find`."""
    return _fetch(connection, statements.find(where, limit))


def count(connection: Connection, where: Where) -> int:
    """See `Store.count`."""
    return connection.execute(statements.count(where)).scalar_one()


def delete(connection: Connection, sids: Sequence[UUID]) -> int:
    """See `Store.delete`. Chunk by chunk, for others to get a turn; it may be repeated after a failure."""
    chunks = (sids[start : start + CHUNK] for start in range(0, len(sids), CHUNK))
    removals = (delete_from(sessions).where(sessions.c.sid.in_(chunk)) for chunk in chunks)
    return sum(connection.execute(removal).rowcount for removal in removals)


def purge(connection: Connection, command: Purge) -> int:
    """See `Store.purge`. Each kind is a statement of its own; repeating it after a failure is safe."""
    gone = connection.execute(statements.purge_sessions(command.before, command.limit)).rowcount
    return gone + connection.execute(statements.purge_denials(command.now, command.limit)).rowcount


def _case_8(command: Rotate) -> dict[str, object]:
    never_recent = command.gen <= 0 or command.race_window <= 0
    return {
        "id": command.sid,
        "generation": command.gen,
        "digest": command.digest,
        "branch": command.branch,
        "proven": command.jkt or "",
        "now": command.now,
        "handed_by": NEVER_RECENT if never_recent else command.now - command.race_window,
    }


def _fetch(
    connection: Connection, statement: Executable, parameters: dict[str, Any] | None = None
) -> tuple[Session, ...]:
    return to_sessions(connection.execute(statement, parameters))


def _load(connection: Connection, sid: UUID, *, lock: bool = False) -> Session | None:
    statement = statements.LOAD.with_for_update() if lock else statements.LOAD
    found = _fetch(connection, statement, {"id": sid})
    return found[0] if found else None


def _write(connection: Connection, before: Session, after: Session) -> None:
    changed = changes(before, after)
    if changed:
        connection.execute(update(sessions).where(sessions.c.sid == after.sid).values(changed))


def _atomic(connection: Connection) -> AbstractContextManager[None]:
    # With RETURNING, ending is one statement, which is a transaction by itself.
    return nullcontext() if connection.dialect.update_returning else transaction(connection)


def _end(
    connection: Connection, which: ColumnElement[bool], reason: EndReason, now: Millis
) -> tuple[Session, ...]:
    going = which & sessions.c.revoked_at.is_(None)
    ending_them = update(sessions).where(going).values(revoked_at=now, revoked_reason=reason)
    if connection.dialect.update_returning:
        ended = _fetch(connection, ending_them.returning(*sessions.c))
    else:
        locked = _fetch(connection, select(sessions).where(going).with_for_update())
        connection.execute(ending_them)
        ended = tuple(end(session, reason, now) for session in locked)
    return tuple(sorted(ended, key=lambda session: session.sid))
