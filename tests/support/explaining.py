"""What a database says about the statements that it runs: how many there were, and by which index.

It knows no store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine, event


@dataclass(frozen=True)
class Sent:
    """A statement as the driver was given it."""

    statement: str
    parameters: Any

    @property
    def kind(self) -> str:
        """Its first word."""
        return self.statement.split()[0]

    @property
    def rows(self) -> int:
        """For how many rows of parameters it was given."""
        return len(self.parameters) if isinstance(self.parameters, list) else 1


@contextmanager
def listening(engine: Engine) -> Iterator[list[Sent]]:
    """Collect what an engine sends."""
    seen: list[Sent] = []

    def hear(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        seen.append(Sent(statement, parameters))

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", hear)


Heard: TypeAlias = Callable[[], int]


@contextmanager
def heard(engine: Engine) -> Iterator[Heard]:
    """Count what the database itself hears, on an engine with one connection.

    SQLAlchemy's own view would not show what a driver sends besides, for example to begin a transaction.
    """
    with {"sqlite": _by_sqlite, "postgresql": _by_libpq}.get(engine.dialect.name, _by_mariadb)(
        engine
    ) as count:
        yield count


@contextmanager
def _by_sqlite(engine: Engine) -> Iterator[Heard]:
    seen: list[str] = []
    with engine.connect() as connection:
        _driver(connection).set_trace_callback(seen.append)
    try:
        yield lambda: len(seen)
    finally:
        with engine.connect() as connection:
            _driver(connection).set_trace_callback(None)


@contextmanager
def _by_libpq(engine: Engine) -> Iterator[Heard]:
    with TemporaryFile() as trace, engine.connect() as connection:
        protocol = _driver(connection).pgconn
        protocol.trace(os.dup(trace.fileno()))

        def count() -> int:
            protocol.untrace()  # which writes what is still to be written
            trace.seek(0)
            # A statement that is used often is prepared, once per connection; that is not counted.
            ends = (line.split(b"\t")[1:4:2] for line in trace.read().splitlines())
            return sum(end in ([b"F", b"Execute"], [b"F", b"Query"]) for end in ends)

        connection.close()  # back into the pool, for the one who is counted
        yield count


@contextmanager
def _by_mariadb(engine: Engine) -> Iterator[Heard]:
    def questions() -> int:
        with engine.connect() as connection:
            row = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Questions'").one()
        return int(row[1])

    before = questions()
    yield lambda: questions() - before - 1


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def tables_read_whole(connection: Connection, sent: Sent) -> set[str]:
    """Explain a statement, and give the tables of Keyturn's that it would read from end to end."""
    match connection.dialect.name:
        case "sqlite":
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sent.statement}", sent.parameters)
            lines = [str(row[3]).split() for row in rows]
            return {words[1] for words in lines if words[0] == "SCAN" and words[1].startswith("keyturn_")}
        case "postgresql":
            plan = connection.exec_driver_sql(
                f"EXPLAIN (FORMAT JSON) {sent.statement}", sent.parameters
            ).scalar_one()
            return set(_whole(plan[0]["Plan"]))
        case _:
            rows = connection.exec_driver_sql(f"EXPLAIN {sent.statement}", sent.parameters)
            return {str(row.table) for row in rows if row.type in {"ALL", "index"}}


def _whole(node: dict[str, Any]) -> Iterator[str]:
    # With the key's condition an index is searched; without one it would be read from end to end.
    if node["Node Type"] == "Seq Scan" or ("Index" in node["Node Type"] and "Index Cond" not in node):
        yield node["Relation Name"]
    for child in node.get("Plans", ()):
        yield from _whole(child)
