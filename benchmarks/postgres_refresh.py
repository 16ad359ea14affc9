"""Measures one refresh on PostgreSQL beside the bare driver's single statement, in one run. It knows no SQL.

```
python benchmarks/postgres_refresh.py             # the server does not wait for the disk: what the CPU costs
python benchmarks/postgres_refresh.py --durable   # it does
```

Each line is the same statement in the same server, with more around it: bare psycopg with a connection and a
cursor for each worker; the store; the manager, tokens and all; SQLAlchemy's store. The rounds of all lines
take turns, so that whatever else the machine does hits all of them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any, Final

import click
import psycopg
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from _managers import AsyncTurn, Turn, with_async_manager, with_manager
from keyturn._core.outcomes import Rotated
from keyturn.stores._sql import statements
from keyturn.stores.postgres import AsyncPostgresStore, PostgresStore
from keyturn.stores.protocol import AsyncStore, Create, Rotate, Store
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.testing.samples import T0, numbered, refresh_of
from keyturn.testing.servers import PostgresServer

AT_ONCE: Final = (1, 16)


class Rows:
    """The commands of one worker, who refreshes sessions of its own."""

    def __init__(self, worker: int, each: int = 20) -> None:
        """Take some sessions."""
        self.sessions = [numbered(worker * each + number + 1) for number in range(each)]
        self._commands = [refresh_of(session, T0 + 1000) for session in self.sessions]
        self._count = 0

    def next(self) -> Rotate:
        """Give the next refresh."""
        round_, place = divmod(self._count, len(self._commands))
        self._count += 1
        first = self._commands[place]
        return replace(first, gen=round_, now=first.now + round_, race_window=0)


def statement() -> tuple[bytes, dict[str, Any]]:
    """Give the refresh as psycopg takes it, and what it brings itself."""
    compiled = statements.ROTATE_RETURNING.compile(dialect=PGDialect_psycopg())  # type: ignore[no-untyped-call]
    return str(compiled).encode(), {
        name: value for name, value in compiled.params.items() if value is not None
    }


def values(command: Rotate) -> dict[str, Any]:
    """Give the values of a refresh."""
    return {
        "id": command.sid,
        "generation": command.gen,
        "digest": command.digest,
        "branch": command.branch,
        "proven": "",
        "now": command.now,
        "handed_by": 2**63 - 1,
    }


def bare(url: str, rows: Rows) -> Turn:
    """One statement on a connection that is held, with a cursor that is kept."""
    cursor = psycopg.connect(url, autocommit=True, prepare_threshold=0).cursor(binary=True)
    sql, own = statement()

    def turn() -> object:
        return cursor.execute(sql, {**own, **values(rows.next())}).fetchall()[0]

    return turn


async def async_bare(url: str, rows: Rows) -> AsyncTurn:
    """`bare` for asyncio."""
    connection = await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=0)
    cursor = connection.cursor(binary=True)
    sql, own = statement()

    async def turn() -> object:
        await cursor.execute(sql, {**own, **values(rows.next())})
        return (await cursor.fetchall())[0]

    return turn


def on_store(store: Store, rows: Rows) -> Turn:
    """The store alone."""

    def turn() -> object:
        outcome = store.rotate(rows.next())
        assert isinstance(outcome, Rotated)  # noqa: S101
        return outcome

    return turn


def on_async_store(store: AsyncStore, rows: Rows) -> AsyncTurn:
    """`on_store` for asyncio."""

    async def turn() -> object:
        outcome = await store.rotate(rows.next())
        assert isinstance(outcome, Rotated)  # noqa: S101
        return outcome

    return turn


def threads(turns: list[Turn], seconds: float) -> float:
    """Let each worker take turns in a thread of its own; return how many a second."""
    done = [0] * len(turns)
    start = threading.Barrier(len(turns) + 1)
    stop = threading.Event()

    def work(worker: int, turn: Turn) -> None:
        start.wait()
        while not stop.is_set():
            turn()
            done[worker] += 1

    workers = [threading.Thread(target=work, args=each) for each in enumerate(turns)]
    for each in workers:
        each.start()
    start.wait()
    began = time.perf_counter()
    stop.wait(seconds)
    stop.set()
    for each in workers:
        each.join()
    return sum(done) / (time.perf_counter() - began)


async def tasks(turns: list[AsyncTurn], seconds: float) -> float:
    """Let each worker take turns in a task of its own; return how many a second."""
    done = 0
    began = time.perf_counter()

    async def work(turn: AsyncTurn) -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await turn()
            done += 1

    await asyncio.gather(*map(work, turns))
    return done / (time.perf_counter() - began)


def report(colour: str, at_once: int, rates: dict[str, list[float]]) -> None:
    """Print a table: the median rate of each line, and the median of its ratio to the bare driver's."""
    click.echo(f"\n{colour}, {at_once} at once")
    for name, found in rates.items():
        beside = median(rate / limit for rate, limit in zip(found, rates["bare psycopg"], strict=True))
        click.echo(f"  {name:<40}{median(found):>10,.0f} per second{beside:>8.2f} ×")


def for_threads(url: str, at_once: int, rounds: int, seconds: float) -> None:
    """Measure what threads get."""
    own = PostgresStore.from_url(url, pool_size=at_once)
    through = SQLAlchemyStore.from_url(url, pool_size=at_once)
    lines: dict[str, list[Turn]] = {
        "bare psycopg": [bare(url, Rows(worker)) for worker in range(at_once)],
        "PostgresStore.rotate": [on_store(own, Rows(100 + worker)) for worker in range(at_once)],
        "TokenManager.refresh on PostgresStore": [with_manager(own) for _ in range(at_once)],
        "SQLAlchemyStore.rotate": [on_store(through, Rows(200 + worker)) for worker in range(at_once)],
    }
    rates: dict[str, list[float]] = {name: [] for name in lines}
    for number in range(rounds + 1):  # the first round warms up
        for name, turns in lines.items():
            rate = threads(turns, seconds)
            rates[name] += [rate] if number else []
    report("threads", at_once, rates)
    own.close()
    through.close()


async def for_asyncio(url: str, at_once: int, rounds: int, seconds: float) -> None:
    """Measure what tasks of one event loop get."""
    own = AsyncPostgresStore.from_url(url, pool_size=at_once)
    through = AsyncSQLAlchemyStore.from_url(url, pool_size=at_once)
    lines: dict[str, list[AsyncTurn]] = {
        "bare psycopg": [await async_bare(url, Rows(300 + worker)) for worker in range(at_once)],
        "AsyncPostgresStore.rotate": [on_async_store(own, Rows(400 + worker)) for worker in range(at_once)],
        "AsyncTokenManager.refresh on it": [await with_async_manager(own) for _ in range(at_once)],
        "AsyncSQLAlchemyStore.rotate": [
            on_async_store(through, Rows(500 + worker)) for worker in range(at_once)
        ],
    }
    rates: dict[str, list[float]] = {name: [] for name in lines}
    for number in range(rounds + 1):
        for name, turns in lines.items():
            rate = await tasks(turns, seconds)
            rates[name] += [rate] if number else []
    report("asyncio", at_once, rates)
    await own.close()
    await through.close()


def fill(url: str) -> None:
    """Add everybody's sessions."""
    store = PostgresStore.from_url(url)
    store.create_schema()
    for worker in (base + number for base in range(0, 600, 100) for number in range(max(AT_ONCE))):
        for session in Rows(worker).sessions:
            store.create(Create(session, None, evict=False, now=session.created_at))
    store.close()


@click.command()
@click.option("--durable", is_flag=True, help="Let the server wait for its disk at each commit.")
@click.option("--rounds", default=7, show_default=True)
@click.option("--seconds", default=0.6, show_default=True, help="How long each line works in a round.")
def main(*, durable: bool, rounds: int, seconds: float) -> None:
    """Measure one refresh on PostgreSQL, in both colours."""
    options = {"fsync": "on", "synchronous_commit": "on"} if durable else {}
    with PostgresServer(options=options) as server:
        for at_once in AT_ONCE:
            for measure in (for_threads, for_asyncio):
                url = server.new_database()  # the same fresh rows for each table of figures
                fill(url)
                finished = partial(measure, url, at_once, rounds, seconds)()
                if finished is not None:
                    asyncio.run(finished)


if __name__ == "__main__":
    main()
