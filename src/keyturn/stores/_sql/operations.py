"""The operations, each once, as a generator of statements. They know no engine, no driver and no colour.

`rotate` tries the common case as one statement. Wherever that does not match, the row is locked, read, and
decided by `decide`. Where a dialect has no `UPDATE … RETURNING`, the row is read, decided, and written only
if it is still as it was read: two round trips, whatever the case.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from itertools import count as count_from
from typing import TYPE_CHECKING, Any

from keyturn._core.decide import as_first_told, decide, end
from keyturn._core.endings import revoked_by
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
from keyturn._core.revocations import entry_of_denial
from keyturn.stores._sql import log, statements
from keyturn.stores._sql.ending import end_within, ended, lines_about, of_user, one
from keyturn.stores._sql.keeping import Tally, count, erase, find, forget, history, note, purge
from keyturn.stores._sql.log import follow
from keyturn.stores._sql.queries import Query, Reply, ask
from keyturn.stores._sql.quick import case_8
from keyturn.stores._sql.tables import changes, to_row, to_session, to_sessions
from keyturn.stores._sql.transactions import committing, opening, transaction, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keyturn._core.commands import (
        Check,
        Confirm,
        Create,
        Deny,
        Lookup,
        Revoke,
        RevokeUser,
        Rotate,
    )
    from keyturn._core.outcomes import CheckOutcome, CreateOutcome, LookupOutcome, RotateOutcome
    from keyturn._core.records import Millis, Session
    from keyturn.stores._sql.queries import Flavour, Operation

__all__ = [
    "Tally",
    "check",
    "confirm",
    "count",
    "create",
    "deny",
    "erase",
    "find",
    "follow",
    "forget",
    "history",
    "lookup",
    "note",
    "purge",
    "revoke",
    "revoke_user",
    "rotate",
    "rotating",
]


def create(flavour: Flavour, command: Create) -> Operation[CreateOutcome]:
    """See `Store.create`."""
    if command.limit is None:
        yield from ask(statements.INSERT, to_row(command.session))
        return Created(command.session)
    return (yield from transaction(_create_within(flavour, command, command.limit)))


def _create_within(flavour: Flavour, command: Create, limit: int) -> Operation[CreateOutcome]:
    owner = {"user": command.session.user_id, "now": command.now}
    if flavour.stripes:
        # Rows that are not there yet cannot be locked, so two sign-ins of a user meet at a row that is.
        stripe = {"stripe": statements.stripe_of(command.session.user_id)}
        locked = yield from opening(flavour, statements.LOCK_STRIPE, stripe)
        if not locked.rows:  # as where tables were made from `metadata`: without it, nobody would wait for us
            yield from ask(statements.add_stripe(flavour.name), stripe)
            yield from ask(statements.LOCK_STRIPE, stripe)
        reply = yield from ask(statements.LIVE_OF_USER, owner)
    else:
        reply = yield from opening(flavour, statements.LIVE_OF_USER, owner)
    live = to_sessions(reply.rows)
    surplus = max(0, len(live) - limit + 1)
    if surplus > 0 and not command.evict:
        yield from committing()
        return LimitReached(len(live))
    oldest, added = live[:surplus], Query(statements.INSERT, to_row(command.session))
    if flavour.along:
        ends = [one(session.sid, "limit", command.now) for session in oldest]
        *replies, _ = yield from committing(*(Query(statements.END_ONE.along, each) for each in ends), added)
        # As they are, also where one was refreshed or ended since it was read.
        return Created(command.session, tuple(to_session(row) for reply in replies for row in reply.rows))
    evicted = yield from _evicted(flavour, oldest, command.now)
    yield from committing(*lines_about(flavour, evicted, command.now), added)
    return Created(command.session, evicted)


def _evicted(flavour: Flavour, oldest: Sequence[Session], now: Millis) -> Operation[tuple[Session, ...]]:
    """End sessions one by one inside a transaction; who has ended since it was read is not ended again."""
    evicted: list[Session] = []
    for session in oldest:
        which = one(session.sid, "limit", now)
        if flavour.returning:
            reply = yield from ask(statements.END_ONE.returning, which)
            evicted += to_sessions(reply.rows)
        elif (yield from ask(statements.END_ONE.plain, which)).count > 0:
            evicted.append(end(session, "limit", now))
    return tuple(evicted)


def rotating(flavour: Flavour, command: Rotate) -> Callable[[], Operation[RotateOutcome]]:
    """Make `rotate` anew for each try; a later one gives the answer of the first, where that was lost."""
    tries = count_from(0)

    def begin() -> Operation[RotateOutcome]:
        is_first = next(tries) == 0
        outcome = yield from rotate(flavour, command)
        return outcome if is_first else as_first_told(command, outcome)

    return begin


def rotate(flavour: Flavour, command: Rotate) -> Operation[RotateOutcome]:
    """See `Store.rotate`."""
    if flavour.returning:
        quick = yield from _move(command)
    else:
        quick = yield from _swap_as_decided(command)
    if quick is not None:
        return quick
    return (yield from transaction(_decided(flavour, command)))


def _move(command: Rotate) -> Operation[RotateOutcome | None]:
    if not command.rotation:
        return None
    moved = yield from ask(statements.ROTATE_RETURNING, case_8(command))
    return Rotated(to_session(moved.rows[0])) if moved.rows else None


def _swap_as_decided(command: Rotate) -> Operation[RotateOutcome | None]:
    read = yield from ask(statements.LOAD, {"id": command.sid})
    row = _only(read.rows)
    decision = decide(row, command)
    if row is None or decision.write is None:
        return decision.outcome  # nothing to write: the one read was the whole operation
    if revoked_by(decision.outcome):  # with a line of the log, which takes a transaction
        return None
    swapped = yield from _swap(row, decision.write)
    return decision.outcome if swapped else None


def _swap(was: Session, new: Session) -> Operation[bool]:
    """Write a session in place of what was read, unless it has changed meanwhile."""
    reply = yield from ask(statements.SWAP, _swap_values(was, new))
    return reply.count > 0


def _swap_values(was: Session, new: Session) -> dict[str, Any]:
    values = {f"was_{name}": getattr(was, name) for name in statements.MOVING}
    values |= {f"new_{name}": getattr(new, name) for name in statements.MOVING}
    return {"id": was.sid, **values}


def _decided(flavour: Flavour, command: Rotate) -> Operation[RotateOutcome]:
    read = yield from opening(flavour, statements.LOAD_LOCKED, {"id": command.sid})
    row = _only(read.rows)
    decision = decide(row, command)
    changed = {} if row is None or decision.write is None else changes(row, decision.write)
    writes = [Query(statements.write(command.sid, changed))] if changed else []
    match decision.outcome:
        case Reused(session) as reused if decision.end_user:
            if writes:
                yield tuple(writes)
            everyone = of_user(session.user_id, None, "reuse", command.now)
            others, rest = yield from end_within(flavour, statements.END_USER, everyone)
            yield from committing(*rest, *lines_about(flavour, [session], command.now))
            return replace(reused, others=others)
        case Reused(session) as reused:
            yield from committing(*writes, *lines_about(flavour, [session], command.now))
            return reused
        case outcome:
            yield from committing(*writes)
            return outcome


def lookup(command: Lookup) -> Operation[LookupOutcome]:
    """See `Store.lookup`."""
    read = yield from ask(statements.LOAD, {"id": command.sid})
    session = _only(read.rows)
    if session is None:
        return Unknown()
    if command.digest is not None and not hmac.compare_digest(session.secret_digest, command.digest):
        return Forged(session)
    return Found(session)


def check(command: Check) -> Operation[CheckOutcome]:
    """See `Store.check`."""
    asked = {"token": command.token_id, "now": command.now}
    read = Reply() if command.sid is None else (yield from ask(statements.CHECK, asked | {"id": command.sid}))
    if not read.rows:
        read = yield from ask(statements.DENIED, asked)
        if read.rows:
            return Denied()
        return Live(None) if command.sid is None else Unknown()
    denied, *row = read.rows[0]
    if denied is not None:
        return Denied()
    session = to_session(row)
    return Live(session) if ending(session, command.now) is None else Ended(session, first=False)


def confirm(command: Confirm) -> Operation[None]:
    """See `Store.confirm`."""
    yield from ask(statements.CONFIRM, {"id": command.sid, "generation": command.gen, "now": command.now})


def revoke(flavour: Flavour, command: Revoke) -> Operation[Revocation]:
    """See `Store.revoke`."""
    if not flavour.returning:
        quick = yield from _swap_to_ended(flavour, command)
        if quick is not None:
            return quick
    which = one(command.sid, command.reason, command.now, owner=command.user_id, digest=command.digest)
    sessions = yield from ended(flavour, statements.END_ONE, which)
    if sessions:
        return Revocation(found=True, ended=sessions)
    # Nothing ended: there is none, or it has ended before. Either stays true, so this needs no lock.
    found = yield from ask(statements.EXISTS, which)
    return Revocation(found=bool(found.rows), ended=())


def _swap_to_ended(flavour: Flavour, command: Revoke) -> Operation[Revocation | None]:
    read = yield from ask(statements.LOAD, {"id": command.sid})
    row = _only(read.rows)
    if (
        row is None
        or command.user_id not in {None, row.user_id}
        or (command.digest is not None and not hmac.compare_digest(row.secret_digest, command.digest))
    ):
        return Revocation(found=False, ended=())
    if row.revoked_at is not None:
        return Revocation(found=True, ended=())
    after = end(row, command.reason, command.now)
    swapped = yield from transaction(_swapped_and_written(flavour, row, after))
    return Revocation(found=True, ended=(after,)) if swapped else None


def _swapped_and_written(flavour: Flavour, was: Session, new: Session) -> Operation[bool]:
    swapped = yield from opening(flavour, statements.SWAP, _swap_values(was, new))
    lines = lines_about(flavour, [new], new.revoked_at or 0) if swapped.count > 0 else ()
    yield from committing(*lines)
    return swapped.count > 0


def revoke_user(flavour: Flavour, command: RevokeUser) -> Operation[Revocation]:
    """See `Store.revoke_user`."""
    which = of_user(command.user_id, command.keep, command.reason, command.now)
    sessions = yield from ended(flavour, statements.END_USER, which)
    return Revocation(bool(sessions), sessions)


def deny(flavour: Flavour, command: Deny) -> Operation[None]:
    """See `Store.deny`."""
    row = {
        "token": command.token_id,
        "moment": command.expires_at,
        "reason": command.reason,
        "now": command.now,
    }
    denial = Query(statements.deny(flavour.name), row)
    if flavour.along:
        yield (denial,)
    else:
        line = log.written(flavour, [(entry_of_denial(command.token_id), command.now)])
        yield from transaction(whole(flavour, denial, *line))


def _only(rows: Sequence[Sequence[Any]]) -> Session | None:
    return to_session(rows[0]) if rows else None
