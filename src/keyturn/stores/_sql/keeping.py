"""The operations on many rows, in bounded steps, and the audit trail's. They know no rule and no driver.

No statement reads, locks or removes more than a number of rows that is known before: keys are read first,
and rows are removed by key, chunk by chunk, so that others get their turn between.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from keyturn._core.revocations import LogEntry
from keyturn.stores._sql import log, statements
from keyturn.stores._sql.queries import CHUNK, Query, ask, chunks
from keyturn.stores._sql.tables import from_entry, to_entries, to_sessions
from keyturn.stores._sql.transactions import committing, opening, transaction, whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Delete

    from keyturn._core.commands import Purge, Where
    from keyturn._core.records import Millis, Session
    from keyturn._core.trail import TrailEntry
    from keyturn.stores._sql.queries import Flavour, Operation

WINDOW: Final = 20_000  # rows that one statement looks at where none of its conditions bounds them


def find(where: Where, limit: int) -> Operation[Sequence[Session]]:
    """See `Store.find`."""
    if where.user_id is not None or where.live_at is None:  # bounded by the user, or by the limit
        read = yield from ask(statements.find(statements.shape(where)), _values(where) | {"most": limit})
        return to_sessions(read.rows)
    found: list[Session] = []
    last = where.after
    while len(found) < limit:
        window, until = yield from _window(where, last)
        asked = _values(window) | {"most": limit - len(found)} | _until(until)
        read = yield from ask(statements.find(statements.shape(window, until=until is not None)), asked)
        found += to_sessions(read.rows)
        if until is None:
            break
        last = until
    return tuple(found)


def count(where: Where) -> Operation[int]:
    """See `Store.count`. Of all users' sessions, it is no single moment's number."""
    total, last = 0, where.after
    while True:
        window, until = (where, None) if where.user_id is not None else (yield from _window(where, last))
        asked = _values(window) | _until(until)
        read = yield from ask(statements.count(statements.shape(window, until=until is not None)), asked)
        total += int(read.rows[0][0])
        if until is None:
            return total
        last = until


def _window(where: Where, last: UUID | None) -> Operation[tuple[Where, UUID | None]]:
    """Give what to read on, and up to which id; None: to the end."""
    window = replace(where, after=last)
    reading = replace(window, live_at=None)  # by id alone: the key's index answers it
    read = yield from ask(statements.edge(statements.shape(reading)), _values(reading) | {"skip": WINDOW - 1})
    return window, read.rows[0][0] if read.rows else None


class Tally:
    """Counts what is gone, also over the repetitions of an operation: a chunk that is gone stays gone."""

    def __init__(self) -> None:
        """Start with none."""
        self.gone = 0

    def remove(self, statement: Delete) -> Operation[None]:
        """Remove rows, and count them."""
        reply = yield from ask(statement)
        self.gone += reply.count


def erase(flavour: Flavour, tally: Tally, sids: Sequence[UUID]) -> Operation[int]:
    """See `Store.delete`: the lines of the trail first, which nobody could find afterwards."""
    for chunk in chunks(sids):
        while True:
            lines = yield from ask(statements.lines_of(chunk), {"most": CHUNK})
            if lines.rows:
                yield from ask(statements.delete_lines([row[0] for row in lines.rows]))
            if len(lines.rows) < CHUNK:
                break
    for chunk in chunks(sids):
        if flavour.along:
            reply = yield from ask(statements.erase_sessions(chunk))
            tally.gone += len(reply.rows)
        else:
            tally.gone += yield from transaction(_erase_sessions(flavour, chunk))
    return tally.gone


def _erase_sessions(flavour: Flavour, sids: Sequence[UUID]) -> Operation[int]:
    found = yield from opening(flavour, statements.ends_of(sids))
    # Nobody says when they go. As long as an access token of theirs may live, the line about it stays.
    lines = log.written(
        flavour, ((LogEntry("session", str(sid)), expires_at) for sid, expires_at in found.rows)
    )
    removing = [Query(statements.delete_sessions([sid for sid, _ in found.rows]))] if found.rows else []
    yield from committing(*removing, *lines)
    return len(found.rows)


def purge(tally: Tally, command: Purge) -> Operation[int]:
    """See `Store.purge`. Each kind is an operation of its own; repeating it after a failure is safe.

    What is old stays old, so the keys are read first and the rows removed by key, chunk by chunk: no engine
    then locks or reads more than those rows.
    """
    old = yield from ask(statements.OLD_SESSIONS, {"before": command.before, "most": command.limit})
    for chunk in chunks([row[0] for row in old.rows]):
        yield from tally.remove(statements.delete_sessions(chunk))
    stale = yield from ask(statements.OLD_DENIALS, {"now": command.now, "most": command.limit})
    for chunk in chunks([row[0] for row in stale.rows]):
        yield from tally.remove(statements.delete_denials(chunk, command.now))
    yield from log.thin_out(command.now, command.limit)
    return tally.gone


def note(flavour: Flavour, entries: Sequence[TrailEntry]) -> Operation[None]:
    """See `Trail.note`: one transaction for all lines, or each would wait for a commit of its own."""
    rows = [from_entry(entry) for entry in entries]
    if len(rows) > 1:
        yield from transaction(whole(flavour, Query(statements.note(flavour.name), rows)))
    elif rows:
        yield from ask(statements.note(flavour.name), rows)


def history(sid: UUID, after: UUID | None, limit: int) -> Operation[Sequence[TrailEntry]]:
    """See `Trail.history`."""
    values = {"id": sid, "most": limit} | ({} if after is None else {"after": after})
    read = yield from ask(statements.history(after=after is not None), values)
    return to_entries(read.rows)


def forget(tally: Tally, before: Millis, limit: int) -> Operation[int]:
    """See `Trail.forget`."""
    old = yield from ask(statements.OLD_LINES, {"before": before, "most": limit})
    for chunk in chunks([row[0] for row in old.rows]):
        yield from tally.remove(statements.delete_lines(chunk))
    return tally.gone


def _until(until: UUID | None) -> dict[str, Any]:
    return {} if until is None else {"until": until}


def _values(where: Where) -> dict[str, Any]:
    given = {"user": where.user_id, "now": where.live_at, "after": where.after}
    return {name: value for name, value in given.items() if value is not None}
