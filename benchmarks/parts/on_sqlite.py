"""A refresh on SQLite beside bare `sqlite3` and SQLAlchemy Core, on files. It knows no other engine."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Final

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from _colours import KEYTURN, on_async_store, on_store, threads
from _findings import Against, Finding, Missing, Plan, Versions, rates_table
from _rounds import Line, Turn, beside, in_turns
from _rows import Prepared, Rows, stored
from _statement import by_core, text_of, values_of
from keyturn.stores._sql import statements
from keyturn.stores._sql.engines import Settings, open_engine
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore

AT_ONCE: Final = (1, 32)
BARE: Final = "bare sqlite3"
_NOTE: Final = (
    "WAL, synchronous=NORMAL, one process. Keyturn: tokens and all; the others: the store's part. Bare "
    "sqlite3 has a connection for each thread and a lock around its statement: SQLite has one writer only."
)


def measure(plan: Plan) -> Iterator[Finding]:
    """Measure refreshes on SQLite."""
    yield Versions({"SQLite": sqlite3.sqlite_version})
    yield Missing("SQLite's own load generator", "SQLite has none; bare sqlite3 stands for it")
    for at_once in AT_ONCE:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            runner = stack.enter_context(asyncio.Runner())
            lines = [
                *_threads(stack, folder / "threads.db", at_once),
                *_tasks(stack, runner, folder / "tasks.db", at_once),
            ]
            rates = in_turns(f"SQLite, {at_once} at once", lines, plan.effort)
        yield rates_table(f"A refresh on SQLite, {at_once} at once", rates, BARE, _NOTE)
        if at_once == 1:
            yield Against("sqlite", beside(rates, KEYTURN, BARE))


def _threads(stack: ExitStack, path: Path, at_once: int) -> list[Line]:
    url = f"sqlite:///{path}"
    store = SQLAlchemyStore.from_url(url, synchronous="NORMAL", pool_size=at_once)
    store.create_schema()
    engine = open_engine(url, Settings(synchronous="NORMAL", pool_size=at_once))
    stack.callback(engine.dispose)
    crews = [[Rows(100 * kind + worker) for worker in range(at_once)] for kind in range(3)]
    stored(store, crews)
    (bare, of_core, of_store), lock = crews, Lock()
    return [
        threads(BARE, [_bare(stack, path, rows, lock) for rows in bare]),
        threads("bare SQLAlchemy Core", [by_core(engine, rows, lock) for rows in of_core]),
        *on_store(stack, store, of_store, "SQLAlchemyStore"),
    ]


def _tasks(stack: ExitStack, runner: asyncio.Runner, path: Path, at_once: int) -> list[Line]:
    url = f"sqlite:///{path}"
    crew = [Rows(worker) for worker in range(at_once)]
    store = SQLAlchemyStore.from_url(url)
    store.create_schema()
    stored(store, [crew])
    store.close()
    own = AsyncSQLAlchemyStore.from_url(url, synchronous="NORMAL", pool_size=at_once)
    return on_async_store(stack, runner, own, crew, "SQLAlchemyStore")


def _bare(stack: ExitStack, path: Path, rows: Rows, lock: Lock) -> Turn:
    """One statement on a connection that is held, committed by itself."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    stack.callback(connection.close)
    connection.execute("PRAGMA synchronous = NORMAL")
    sql, own = text_of(statements.ROTATE_RETURNING, SQLiteDialect_pysqlite(paramstyle="named"))

    def do(values: dict[str, Any]) -> object:
        with lock:
            return connection.execute(sql, values).fetchall()[0]

    return Prepared(rows, lambda command: {**own, **values_of(command, sid=command.sid.hex)}, do)
