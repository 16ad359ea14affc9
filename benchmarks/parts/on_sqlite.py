"""A refresh on SQLite beside bare `sqlite3` and SQLAlchemy Core, on files. It knows no other engine."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Final

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from _findings import Against, Finding, Missing, Plan, Versions, rates_table
from _managers import ROTATING, async_manager_on, async_refreshing, manager_on, refreshing
from _rounds import AsyncTurn, Line, Turn, beside, in_tasks, in_threads, in_turns, line
from _rows import Rows, async_rotating, rotating, stored
from _statement import by_core, text_of, values_of
from keyturn import KeyRing
from keyturn.stores._sql import statements
from keyturn.stores._sql.engines import Settings, open_engine
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore

AT_ONCE: Final = (1, 32)
BARE: Final = "bare sqlite3"
KEYTURN, ASYNC_KEYTURN = "Keyturn, threads", "Keyturn, asyncio"
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
    manager = manager_on(store, KeyRing.generate("HS256"), ROTATING)
    engine = open_engine(url, Settings(synchronous="NORMAL", pool_size=at_once))
    stack.callback(engine.dispose)
    stack.callback(manager.close)
    crews = [[Rows(100 * kind + worker) for worker in range(at_once)] for kind in range(3)]
    stored(store, crews)
    lock = Lock()
    turns: dict[str, list[Turn]] = {
        BARE: [_bare(stack, path, rows, lock) for rows in crews[0]],
        "bare SQLAlchemy Core": [_locked(by_core(engine, rows), lock) for rows in crews[1]],
        "SQLAlchemyStore.rotate, threads": [rotating(store, rows) for rows in crews[2]],
        KEYTURN: [refreshing(manager) for _ in range(at_once)],
    }
    return [line(name, in_threads(each), least=at_once) for name, each in turns.items()]


def _tasks(stack: ExitStack, runner: asyncio.Runner, path: Path, at_once: int) -> list[Line]:
    url = f"sqlite:///{path}"
    crew = [Rows(worker) for worker in range(at_once)]
    store = SQLAlchemyStore.from_url(url)
    store.create_schema()
    stored(store, [crew])
    store.close()

    async def begin() -> dict[str, list[AsyncTurn]]:
        own = AsyncSQLAlchemyStore.from_url(url, synchronous="NORMAL", pool_size=at_once)
        manager = async_manager_on(own, KeyRing.generate("HS256"), ROTATING)
        stack.callback(lambda: runner.run(manager.close()))
        return {
            "SQLAlchemyStore.rotate, asyncio": [async_rotating(own, rows) for rows in crew],
            ASYNC_KEYTURN: [await async_refreshing(manager) for _ in range(at_once)],
        }

    return [line(name, in_tasks(runner, each), least=at_once) for name, each in runner.run(begin()).items()]


def _bare(stack: ExitStack, path: Path, rows: Rows, lock: Lock) -> Turn:
    """One statement on a connection that is held, committed by itself."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    stack.callback(connection.close)
    connection.execute("PRAGMA synchronous = NORMAL")
    sql, own = text_of(statements.ROTATE_RETURNING, SQLiteDialect_pysqlite(paramstyle="named"))

    def turn() -> object:
        command = rows.next()
        values = {**own, **values_of(command, sid=command.sid.hex)}
        with lock:
            return connection.execute(sql, values).fetchall()[0]

    return turn


def _locked(turn: Turn, lock: Lock) -> Turn:
    def locked() -> object:
        with lock:
            return turn()

    return locked
