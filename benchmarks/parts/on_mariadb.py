"""A refresh on MariaDB beside bare PyMySQL, on one server. It knows no other engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Final, cast

import pymysql
from sqlalchemy import make_url
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

from _colours import on_async_store, on_store, threads
from _findings import Finding, Missing, Plan, Versions, rates_table
from _machine import version_of
from _places import Site, site
from _rounds import Line, Turn, in_turns
from _rows import Prepared, Rows, stored
from _statement import text_of, values_of
from keyturn.stores._sql import statements
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.testing.servers.programs import find

AT_ONCE: Final = (1, 32)
BARE: Final = "bare PyMySQL, SELECT and UPDATE"


def measure(plan: Plan) -> Iterator[Finding]:
    """Measure refreshes on MariaDB."""
    with site("mariadb", durable=plan.durable) as server:
        yield Versions({"MariaDB": version_of(find(["mariadbd"], what="MariaDB", package="mariadb-server"))})
        yield Missing(
            "mariadb-slap, the same statements",
            "it cannot hand a generation on to the next refresh, so that nothing would rotate",
        )
        for at_once in AT_ONCE:
            yield from _measure(plan, server, at_once)


def _measure(plan: Plan, server: Site, at_once: int) -> Iterator[Finding]:
    with ExitStack() as stack:
        url, runner = server.place().url, stack.enter_context(asyncio.Runner())
        lines = [*_threads(stack, url, at_once), *_tasks(stack, runner, url, at_once)]
        rates = in_turns(f"MariaDB, {at_once} at once", lines, plan.effort)
    note = (
        f"{server.settings}. Keyturn: tokens and all; the others: the store's part. "
        "MariaDB has no UPDATE … RETURNING."
    )
    yield rates_table(f"A refresh on MariaDB, {at_once} at once", rates, BARE, note)


def _threads(stack: ExitStack, url: str, at_once: int) -> list[Line]:
    store = SQLAlchemyStore.from_url(url, pool_size=at_once)
    bare, of_store = crews = [[Rows(100 * kind + worker) for worker in range(at_once)] for kind in range(2)]
    stored(store, crews)
    return [
        threads(BARE, [_bare(stack, url, rows) for rows in bare]),
        *on_store(stack, store, of_store, "SQLAlchemyStore"),
    ]


def _tasks(stack: ExitStack, runner: asyncio.Runner, url: str, at_once: int) -> list[Line]:
    crew = [Rows(200 + worker) for worker in range(at_once)]
    store = SQLAlchemyStore.from_url(url)
    stored(store, [crew])
    store.close()
    own = AsyncSQLAlchemyStore.from_url(url, pool_size=at_once)
    return on_async_store(stack, runner, own, crew, "SQLAlchemyStore")


def _bare(stack: ExitStack, url: str, rows: Rows) -> Turn:
    """Read the row and move it on, on a connection that is held; each commits by itself."""
    parsed = make_url(url)
    connection: Any = cast("Any", pymysql).connect(
        host=parsed.host,
        port=parsed.port,
        user=parsed.username,
        password=parsed.password,
        database=parsed.database,
        autocommit=True,
    )
    stack.callback(connection.close)
    cursor, dialect = connection.cursor(), MySQLDialect_pymysql(paramstyle="pyformat")
    (load, _), (move, own) = (text_of(each, dialect) for each in (statements.LOAD, statements.ROTATE))

    def do(values: dict[str, Any]) -> None:
        cursor.execute(load, values)
        cursor.fetchall()
        if cursor.execute(move, values) != 1:
            raise RuntimeError("that was no rotation")

    return Prepared(rows, lambda command: {**own, **values_of(command, sid=command.sid.bytes)}, do)
