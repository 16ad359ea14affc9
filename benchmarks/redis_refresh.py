"""Measures one refresh on Redis beside the bare driver's EVALSHA, in one run. It proves nothing else.

```
python benchmarks/redis_refresh.py
```

Each line is the same script on the same server, with more around it: the driver's own `evalsha`; the store;
the manager, tokens and all. The last is what tutorials build: a token service of seven commands without a
script. The rounds of all lines take turns, so that whatever else the machine does hits all of them.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Final, cast

import click
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from _managers import AsyncTurn, Turn, with_async_manager, with_manager
from keyturn._core.outcomes import Rotated
from keyturn._core.records import Session
from keyturn.stores._redis.keys import keys_of
from keyturn.stores._redis.operations import rotate
from keyturn.stores._redis.scripts import ROTATE
from keyturn.stores._redis.stream import Stream
from keyturn.stores.protocol import Create, Rotate
from keyturn.stores.redis import AsyncRedisStore, RedisStore
from keyturn.testing.samples import T0, numbered, refresh_of
from keyturn.testing.servers import RedisServer

KEYS: Final = keys_of("keyturn")
STREAM: Final = Stream(KEYS.log, sharded=False)
BARE: Final = "bare driver: evalsha"
DAY: Final = 86_400


class Rows:
    """The refreshes of some sessions, one after the other."""

    def __init__(self, first: int, many: int = 20) -> None:
        """Take some sessions."""
        self.sessions: list[Session] = [numbered(first * many + number + 1) for number in range(many)]
        self._commands = [replace(refresh_of(each, T0 + 1000), race_window=0) for each in self.sessions]
        self._count = 0

    def next(self) -> Rotate:
        """Give the next refresh."""
        round_, place = divmod(self._count, len(self._commands))
        self._count += 1
        first = self._commands[place]
        return replace(first, gen=round_, now=first.now + round_)


def words(command: Rotate) -> tuple[Any, ...]:
    """Give what the driver's `evalsha` takes for a refresh."""
    call = cast("Any", next(rotate(KEYS, STREAM, command)))
    return (ROTATE.sha, len(call.keys), *call.keys, *call.arguments)


def bare(client: Any, rows: Rows) -> Turn:  # noqa: ANN401  (the driver's types are incomplete)
    """The script by the driver alone. Its arguments are made beforehand."""
    ready = iter([words(rows.next()) for _ in range(20_000)])
    return lambda: client.evalsha(*next(ready))


def on_store(store: RedisStore, rows: Rows) -> Turn:
    """The store alone."""
    ready = iter([rows.next() for _ in range(20_000)])

    def turn() -> None:
        if not isinstance(store.rotate(next(ready)), Rotated):
            raise click.ClickException("that was no rotation")

    return turn


def tutorial(client: Any) -> Turn:  # noqa: ANN401
    """Seven commands: look the token up, spend it, store its successor, and keep two indexes."""
    tokens = [secrets.token_urlsafe(32) for _ in range(20)]
    for token in tokens:
        client.set(f"refresh:{token}", json.dumps({"user": "user"}), ex=30 * DAY)
        client.sadd("user:tokens", token)
    count = 0

    def turn() -> None:
        nonlocal count
        place, count = count % len(tokens), count + 1
        old, new = tokens[place], secrets.token_urlsafe(32)
        found = client.get(f"refresh:{old}")
        if client.exists(f"spent:{old}"):
            raise click.ClickException("that was spent")
        client.set(f"spent:{old}", "1", ex=DAY)
        client.delete(f"refresh:{old}")
        client.set(f"refresh:{new}", found, ex=30 * DAY)
        client.srem("user:tokens", old)
        client.sadd("user:tokens", new)
        tokens[place] = new

    return turn


def async_bare(client: Any, rows: Rows) -> AsyncTurn:  # noqa: ANN401
    """`bare` for asyncio."""
    ready = iter([words(rows.next()) for _ in range(20_000)])
    return lambda: client.evalsha(*next(ready))


def on_async_store(store: AsyncRedisStore, rows: Rows) -> AsyncTurn:
    """`on_store` for asyncio."""
    ready = iter([rows.next() for _ in range(20_000)])

    async def turn() -> None:
        if not isinstance(await store.rotate(next(ready)), Rotated):
            raise click.ClickException("that was no rotation")

    return turn


@dataclass(slots=True)
class Line:
    """What was measured of one line, a figure for each round.

    Attributes:
        rates: Refreshes per second.
        work: Microseconds of this process's CPU for each.
    """

    rates: list[float] = field(default_factory=list[float])
    work: list[float] = field(default_factory=list[float])

    @contextmanager
    def measured(self, turns: int) -> Generator[None]:
        """Measure a block of so many refreshes."""
        began, worked = time.perf_counter(), time.process_time()
        yield
        self.work.append((time.process_time() - worked) / turns * 1e6)
        self.rates.append(turns / (time.perf_counter() - began))


def report(colour: str, lines: dict[str, Line]) -> None:
    """Print the median rate of each line, and the median of its ratio to the bare driver's."""
    click.echo(f"\n{colour}, one at once")
    limits = lines[BARE].rates
    for name, line in lines.items():
        beside = median(rate / limit for rate, limit in zip(line.rates, limits, strict=True))
        speed = f"{median(line.rates):>8,.0f} per second{beside:>7.2f} ×"
        click.echo(f"  {name:<38}{speed}{median(line.work):>8.0f} µs of CPU")


def for_threads(url: str, rounds: int, turns: int) -> None:
    """Measure what a thread gets."""
    with cast("Any", Redis).from_url(url) as client:
        store, limit, own = RedisStore.from_url(url), Rows(0), Rows(1)
        for session in (*limit.sessions, *own.sessions):
            store.create(Create(session, None, evict=True, now=session.created_at))
        lines: dict[str, Turn] = {
            BARE: bare(client, limit),
            "RedisStore.rotate": on_store(store, own),
            "TokenManager.refresh on RedisStore": with_manager(store),
            "a token service of seven commands": tutorial(client),
        }
        client.script_load(ROTATE.source)
        found = {name: Line() for name in lines}
        for _ in range(rounds):
            for name, turn in lines.items():
                with found[name].measured(turns):
                    for _ in range(turns):
                        turn()
        report("Threads", found)
        store.close()


async def for_tasks(url: str, rounds: int, turns: int) -> None:
    """Measure what a task gets."""
    client = cast("Any", AsyncRedis).from_url(url)
    store, limit, own = AsyncRedisStore.from_url(url), Rows(2), Rows(3)
    for session in (*limit.sessions, *own.sessions):
        await store.create(Create(session, None, evict=True, now=session.created_at))
    lines: dict[str, AsyncTurn] = {
        BARE: async_bare(client, limit),
        "AsyncRedisStore.rotate": on_async_store(store, own),
        "AsyncTokenManager.refresh": await with_async_manager(store),
    }
    found = {name: Line() for name in lines}
    for _ in range(rounds):
        for name, turn in lines.items():
            with found[name].measured(turns):
                for _ in range(turns):
                    await turn()
    report("Tasks", found)
    await store.close()
    await client.aclose()


@click.command()
@click.option("--rounds", default=9, help="How often each line has its turn.")
@click.option("--turns", default=1000, help="Refreshes in one turn.")
def main(rounds: int, turns: int) -> None:
    """Measure one refresh on Redis."""
    with RedisServer() as server:
        for_threads(server.url, rounds, turns)
        asyncio.run(for_tasks(server.url, rounds, turns))


if __name__ == "__main__":
    main()
