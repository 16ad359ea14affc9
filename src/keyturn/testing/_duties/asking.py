"""What every duty asks a store for: to be emptied, and how a row stands. It knows no duty."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from keyturn._core.commands import Lookup, Purge, Where
from keyturn._core.outcomes import Found

if TYPE_CHECKING:
    from uuid import UUID

    from keyturn._core.outcomes import RotateOutcome
    from keyturn._core.records import Session
    from keyturn.stores.protocol import Store

END_OF_TIME: Final = 4_102_444_800_000  # the year 2100: after every moment that the kit uses
BATCH: Final = 500


def row_of(store: Store, sid: UUID) -> Session | None:
    """Read one row, or None where there is none."""
    match store.lookup(Lookup(sid)):
        case Found(session):
            return session
        case _:
            return None


def rows_of(store: Store, where: Where | None = None) -> list[Session]:
    """Read all rows, page by page."""
    where = where or Where()
    rows: list[Session] = []
    while page := store.find(where, limit=BATCH):
        rows += page
        where = replace(where, after=page[-1].sid)
    return rows


def empty(store: Store) -> None:
    """Remove everything, so that what follows starts from nothing."""
    while page := store.find(limit=BATCH):
        store.delete([row.sid for row in page])
    while store.purge(Purge(before=END_OF_TIME, now=END_OF_TIME, limit=BATCH)):
        pass


def by_id(sessions: tuple[Session, ...]) -> list[Session]:
    """Put sessions that may come in any order into one."""
    return sorted(sessions, key=lambda session: session.sid)


def name_of(outcome: RotateOutcome) -> str:
    """Name an outcome, to count outcomes."""
    return type(outcome).__name__
