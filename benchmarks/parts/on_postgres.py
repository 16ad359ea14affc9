"""A refresh on PostgreSQL beside pgbench, the bare driver, SQLAlchemy Core and peers, on one server.

It knows no SQL: the statement is the store's.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg

from _colours import ASYNC_KEYTURN, KEYTURN, on_async_store, on_store, threads
from _environments import DJANGO
from _findings import Against, Finding, Missing, Plan, Versions, rates_table
from _machine import version_of
from _places import Site, site
from _programs import pgbench, with_pgbench
from _rounds import AsyncTurn, Line, Turn, beside, in_tasks, in_turns, line
from _rows import Prepared, Rows, stored
from _statement import ALWAYS, by_core, values_of
from _workers import Worker, hired
from keyturn.stores._postgres.texts import kept
from keyturn.stores._sql import statements
from keyturn.stores._sql.engines import Settings, open_engine
from keyturn.stores.postgres import AsyncPostgresStore, PostgresStore
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from keyturn.testing.samples import BRANCH, T0, numbered, sign_in
from keyturn.testing.servers import ServerMissing

AT_ONCE: Final = (1, 16, 32)
TOOL: Final = "pgbench, the same statement"
BARE, ASYNC_BARE = "bare psycopg, threads", "bare psycopg, asyncio"
CORE, THROUGH_CORE = "bare SQLAlchemy Core", "Keyturn through SQLAlchemy Core"
SIMPLEJWT, TOOLKIT = "simplejwt", "django-oauth-toolkit"
_JUDGED: Final = 16
_TOOLS_USER: Final = "pgbench"


def measure(plan: Plan) -> Iterator[Finding]:
    """Measure refreshes on PostgreSQL."""
    with ExitStack() as stack:
        server = stack.enter_context(site("postgres", durable=plan.durable))
        given = {"secret": secrets.token_hex(32), "database": for_django(server.place().url)}
        django = hired(stack, plan, DJANGO, "django_peers.py", given)
        yield Versions(django.versions) if isinstance(django, Worker) else django
        try:
            yield Versions({"PostgreSQL": version_of(pgbench())})
        except ServerMissing as missing:
            yield Missing(TOOL, str(missing))
        for at_once in AT_ONCE[:2] if plan.quick else AT_ONCE:
            yield from _measure(plan, server, django, at_once)


def _measure(plan: Plan, server: Site, django: Worker | Missing, at_once: int) -> Iterator[Finding]:
    with ExitStack() as stack:
        url, runner = server.place().url, stack.enter_context(asyncio.Runner())
        lines = [
            *_tool(stack, url, at_once),
            *_threads(stack, url, at_once),
            *_tasks(stack, runner, url, at_once),
        ]
        if isinstance(django, Worker):
            lines += [
                django.line(SIMPLEJWT, "simplejwt", at_once=at_once),
                django.line(TOOLKIT, "toolkit", at_once=at_once),
            ]
        rates = in_turns(f"PostgreSQL, {at_once} at once", lines, plan.effort)
    note = (
        f"{server.settings}. Keyturn, simplejwt and django-oauth-toolkit: tokens and all; "
        "the others: the store's part."
    )
    yield rates_table(f"A refresh on PostgreSQL, {at_once} at once", rates, lines[0].name, note)
    if at_once == 1:
        yield Against("sqlalchemy", beside(rates, THROUGH_CORE, CORE))
    if at_once == _JUDGED:
        yield Against("postgres threads", beside(rates, KEYTURN, BARE))
        yield Against("postgres asyncio", beside(rates, ASYNC_KEYTURN, ASYNC_BARE))
        best = max(KEYTURN, ASYNC_KEYTURN, key=lambda name: sum(rates[name]))
        if isinstance(django, Worker):
            yield Against("postgres simplejwt", beside(rates, best, SIMPLEJWT))
            yield Against("postgres toolkit", beside(rates, best, TOOLKIT))


def _threads(stack: ExitStack, url: str, at_once: int) -> list[Line]:
    own = PostgresStore.from_url(url, pool_size=at_once)
    through = SQLAlchemyStore.from_url(url, pool_size=at_once)
    engine = open_engine(url, Settings(pool_size=at_once))
    stack.callback(engine.dispose)
    crews = [[Rows(100 * kind + worker) for worker in range(at_once)] for kind in range(4)]
    stored(own, crews)
    bare, of_own, of_core, of_through = crews
    return [
        threads(BARE, [_bare(stack, url, rows) for rows in bare]),
        *on_store(stack, own, of_own, "PostgresStore"),
        threads(CORE, [by_core(engine, rows) for rows in of_core]),
        *on_store(stack, through, of_through, "SQLAlchemyStore", whole=THROUGH_CORE),
    ]


def _tasks(stack: ExitStack, runner: asyncio.Runner, url: str, at_once: int) -> list[Line]:
    store = PostgresStore.from_url(url)
    bare, of_own = crews = [[Rows(100 * kind + worker) for worker in range(at_once)] for kind in (5, 6)]
    stored(store, crews)
    store.close()
    turns = [runner.run(_async_bare(stack, runner, url, rows)) for rows in bare]
    own = AsyncPostgresStore.from_url(url, pool_size=at_once)
    return [
        line(ASYNC_BARE, in_tasks(runner, turns), least=at_once),
        *on_async_store(stack, runner, own, of_own, "PostgresStore"),
    ]


def _bare(stack: ExitStack, url: str, rows: Rows) -> Turn:
    """One statement on a connection that is held, with a cursor that is kept."""
    connection = stack.enter_context(psycopg.connect(url, autocommit=True, prepare_threshold=0))
    cursor, text = psycopg.RawCursor(connection), kept(statements.ROTATE_RETURNING)
    assert text is not None  # noqa: S101  (its text does not depend on values)

    def do(values: list[Any]) -> object:
        cursor.execute(text.sql, values, binary=True)
        return cursor.fetchall()[0]

    return Prepared(rows, lambda command: text.filled(values_of(command)), do)


async def _async_bare(stack: ExitStack, runner: asyncio.Runner, url: str, rows: Rows) -> AsyncTurn:
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=0)
    stack.callback(lambda: runner.run(connection.close()))
    cursor, text = psycopg.AsyncRawCursor(connection), kept(statements.ROTATE_RETURNING)
    assert text is not None  # noqa: S101  (its text does not depend on values)

    async def do(values: list[Any]) -> object:
        await cursor.execute(text.sql, values, binary=True)
        return (await cursor.fetchall())[0]

    return Prepared(rows, lambda command: text.filled(values_of(command)), do)


def _tool(stack: ExitStack, url: str, at_once: int) -> list[Line]:
    """Give pgbench's line; none where pgbench is not here."""
    try:
        pgbench()
    except ServerMissing:
        return []
    store = PostgresStore.from_url(url)
    for number in range(at_once):
        store.create(sign_in(numbered(60_000 + number, user_id=_TOOLS_USER)))
    store.close()
    script = Path(stack.enter_context(TemporaryDirectory())) / "refresh.sql"
    script.write_text(_script(), "utf-8")
    return [Line(TOOL, with_pgbench(url, script, at_once))]


def _script() -> str:
    """Write the store's own statement for pgbench.

    A client refreshes a session of its own. `gset` fails unless exactly one row came back, and hands its new
    generation to the next transaction.
    """
    text = kept(statements.ROTATE_RETURNING)
    assert text is not None  # noqa: S101  (its text does not depend on values)
    sql = re.sub(r"\$(\d+)", lambda found: ":" + text.names[int(found.group(1)) - 1], text.sql.decode())
    own: Mapping[str, Any] = {name: value for name, value in text.values.items() if value is not None}
    fixed = {**own, "now": T0 + 100_000, "handed_by": ALWAYS}
    first = (
        "SELECT sid AS id, gen AS generation, secret_digest AS digest, "
        f"'{BRANCH.decode()}' AS branch, '' AS proven FROM keyturn_sessions "
        f"WHERE user_id = '{_TOOLS_USER}' ORDER BY sid OFFSET :client_id LIMIT 1 \\gset"
    )
    settings = "\n".join(f"\\set {name} {value}" for name, value in fixed.items())
    return f"\\if :first\n{first}\n{settings}\n\\set first 0\n\\endif\n{sql} \\gset\n\\set generation :gen\n"


def for_django(url: str) -> dict[str, Any]:
    """Give a database as Django's settings have it; its connections are kept."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": parts.username,
        "PASSWORD": parts.password,
        "HOST": parts.hostname,
        "PORT": parts.port,
        "CONN_MAX_AGE": None,
    }
