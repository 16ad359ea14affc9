"""The stores' own SQL for a refresh, as bare drivers take it. It knows no connection and no server."""

from __future__ import annotations

from contextlib import nullcontext
from threading import Lock
from typing import Any, Final

from sqlalchemy import ClauseElement, Dialect, Engine

from _rounds import Turn
from _rows import Prepared, Rows
from keyturn.stores._sql import statements
from keyturn.stores.protocol import Rotate

ALWAYS: Final = 2**63 - 1
"""Later than any hand-out: every refresh rotates."""


def values_of(command: Rotate, *, sid: object = None) -> dict[str, Any]:
    """Give the values of a refresh.

    Args:
        command: The refresh.
        sid: The session's id as the driver has it; None: as it is.
    """
    return {
        "id": command.sid if sid is None else sid,
        "generation": command.gen,
        "digest": command.digest,
        "branch": command.branch,
        "proven": "",
        "now": command.now,
        "handed_by": ALWAYS,
    }


def text_of(statement: ClauseElement, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    """Give a statement as text, and the values that it brings itself."""
    compiled: Any = statement.compile(dialect=dialect)
    return str(compiled), {name: value for name, value in compiled.params.items() if value is not None}


def by_core(engine: Engine, rows: Rows, lock: Lock | None = None) -> Turn:
    """Make the refresh by SQLAlchemy Core, on a connection of the pool, as any request takes one.

    Args:
        engine: The database.
        rows: What is refreshed.
        lock: Where only one may write at a time.
    """
    alone = lock or nullcontext()

    def do(values: dict[str, Any]) -> object:
        with alone, engine.connect() as connection:
            return connection.execute(statements.ROTATE_RETURNING, values).one()

    return Prepared(rows, values_of, do)
