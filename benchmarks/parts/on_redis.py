"""A refresh on Redis beside redis-benchmark, the bare driver and what tutorials write, on one server.

It knows no script: the one that is sent is the store's.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final, cast

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from _colours import ASYNC_KEYTURN, KEYTURN, on_async_store, on_store, threads
from _environments import FLASK
from _findings import Against, Finding, Missing, Plan, Versions, rates_table
from _machine import version_of
from _places import Site, site
from _programs import ProgramFailed, redis_benchmark, with_redis_benchmark
from _rounds import AsyncTurn, Line, Turn, beside, in_tasks, in_turns, line
from _rows import Prepared, Rows, stored
from _workers import Worker, hired
from keyturn._core.outcomes import Rotated
from keyturn.stores._redis import rows as packing
from keyturn.stores._redis.calls import Call
from keyturn.stores._redis.keys import keys_of
from keyturn.stores._redis.operations import rotate
from keyturn.stores._redis.scripts import ROTATE
from keyturn.stores._redis.stream import Stream
from keyturn.stores.protocol import Rotate
from keyturn.stores.redis import AsyncRedisStore, RedisStore
from keyturn.testing.samples import T0, digest_of, numbered, refresh_of
from keyturn.testing.servers import ServerMissing

AT_ONCE: Final = (1, 32)
TOOL: Final = "redis-benchmark, the same script"
BARE, ASYNC_BARE = "bare redis-py EVALSHA, threads", "bare redis-py EVALSHA, asyncio"
TUTORIAL: Final = "token service of seven commands"
FLASK_LINE: Final = "flask-jwt-extended, blocklist in Redis"
_KEYS: Final = keys_of("keyturn")
_STREAM: Final = Stream(_KEYS.log, sharded=False)
_DAY: Final = 86_400
_SPARE: Final = 20  # numbers for each command of redis-benchmark, so that few come twice
_LEAST: Final = 500
_MOSTLY: Final = 0.9


def measure(plan: Plan) -> Iterator[Finding]:
    """Measure refreshes on Redis."""
    with ExitStack() as stack:
        server = stack.enter_context(site("redis", durable=plan.durable))
        given = {"secret": secrets.token_hex(32), "redis": server.place().url}
        flask = hired(stack, plan, FLASK, "flask_accepts.py", given)
        yield Versions(flask.versions) if isinstance(flask, Worker) else flask
        try:
            yield Versions({"Redis": version_of(redis_benchmark())})
        except ServerMissing as missing:
            yield Missing(TOOL, str(missing))
        for at_once in AT_ONCE:
            yield from _measure(plan, server, flask, at_once)


def _measure(plan: Plan, server: Site, flask: Worker | Missing, at_once: int) -> Iterator[Finding]:
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        url = server.place().url
        lines = [
            *_tool(stack, server.place().url, at_once),
            *_threads(stack, url, at_once),
            *_tasks(stack, runner, url, at_once),
        ]
        if isinstance(flask, Worker):
            lines.append(flask.line(FLASK_LINE, "rotate", at_once=at_once))
        rates = in_turns(f"Redis, {at_once} at once", lines, plan.effort)
    note = (
        f"{server.settings}. Keyturn and flask-jwt-extended: tokens and all; the others: the store's part. "
        "The service of seven commands is that of most tutorials: opaque tokens, a set for each user; it "
        "makes no access token here."
    )
    yield rates_table(f"A refresh on Redis, {at_once} at once", rates, lines[0].name, note)
    if at_once == 1:
        yield Against("redis threads", beside(rates, KEYTURN, BARE))
        yield Against("redis asyncio", beside(rates, ASYNC_KEYTURN, ASYNC_BARE))
        yield Against("redis tutorial", beside(rates, KEYTURN, TUTORIAL))


def _threads(stack: ExitStack, url: str, at_once: int) -> list[Line]:
    client = stack.enter_context(cast("Any", Redis).from_url(url))
    client.script_load(ROTATE.source)
    store = RedisStore.from_url(url)
    bare, of_own = crews = [[Rows(100 * kind + worker) for worker in range(at_once)] for kind in range(2)]
    stored(store, crews)
    return [
        threads(BARE, [_bare(client, rows) for rows in bare]),
        *on_store(stack, store, of_own, "RedisStore"),
        threads(TUTORIAL, [_tutorial(client, number) for number in range(at_once)]),
    ]


def _tasks(stack: ExitStack, runner: asyncio.Runner, url: str, at_once: int) -> list[Line]:
    store = RedisStore.from_url(url)
    bare, of_own = crews = [[Rows(100 * kind + worker) for worker in range(at_once)] for kind in (2, 3)]
    stored(store, crews)
    store.close()
    client: Any = cast("Any", AsyncRedis).from_url(url)
    stack.callback(lambda: runner.run(client.aclose()))
    return [
        line(ASYNC_BARE, in_tasks(runner, [_async_bare(client, rows) for rows in bare]), least=at_once),
        *on_async_store(stack, runner, AsyncRedisStore.from_url(url), of_own, "RedisStore"),
    ]


def _words(command: Rotate) -> tuple[Any, ...]:
    """Give what the driver's `evalsha` takes for a refresh."""
    call = cast("Call", next(rotate(_KEYS, _STREAM, command)))
    return (ROTATE.sha, len(call.keys), *call.keys, *call.arguments)


def _bare(client: Any, rows: Rows) -> Turn:  # noqa: ANN401  (the driver's types are incomplete)
    return Prepared(rows, _words, lambda words: _sure(client.evalsha(*words)))


def _async_bare(client: Any, rows: Rows) -> AsyncTurn:  # noqa: ANN401  (as above)
    async def do(words: tuple[Any, ...]) -> None:
        _sure(await client.evalsha(*words))

    return Prepared(rows, _words, do)


def _sure(answer: Any) -> None:  # noqa: ANN401  (as above)
    if answer[0] != Rotated.__name__.encode():
        raise RuntimeError(f"that was no rotation, but {answer[0]!r}")


def _tutorial(client: Any, number: int) -> Turn:  # noqa: ANN401  (as above)
    """Seven commands: look the token up, spend it, store its successor, and keep the user's set."""
    tokens, user = [secrets.token_urlsafe(32) for _ in range(20)], f"user:{number}:tokens"
    for token in tokens:
        client.set(f"refresh:{token}", json.dumps({"user": "user"}), ex=30 * _DAY)
        client.sadd(user, token)
    count = 0

    def turn() -> None:
        nonlocal count
        place, count = count % len(tokens), count + 1
        old, new = tokens[place], secrets.token_urlsafe(32)
        found = client.get(f"refresh:{old}")
        if found is None or client.exists(f"spent:{old}"):
            raise RuntimeError("a good token was refused")
        client.set(f"spent:{old}", "1", ex=_DAY)
        client.delete(f"refresh:{old}")
        client.set(f"refresh:{new}", found, ex=30 * _DAY)
        client.srem(user, old)
        client.sadd(user, new)
        tokens[place] = new

    return turn


def _tool(stack: ExitStack, url: str, at_once: int) -> list[Line]:
    """Give redis-benchmark's line; none where it is not here."""
    try:
        redis_benchmark()
    except ServerMissing:
        return []
    client = stack.enter_context(cast("Any", Redis).from_url(url))
    client.script_load(ROTATE.source)
    return [Line(TOOL, _with_tool(client, url, at_once))]


# Gives each number a fresh session, and afterwards counts those that have changed. A session's id is 16
# bytes: here 4 and the 12 digits by which redis-benchmark tells its keys apart.
_FILL: Final = (
    "for i = 0, ARGV[2] - 1 do redis.call('SET', KEYS[1] .. string.format('%012d', i), ARGV[1]) end"
)
_COUNT: Final = (
    "local n = 0 for i = 0, ARGV[2] - 1 do "
    "if redis.call('GET', KEYS[1] .. string.format('%012d', i)) ~= ARGV[1] then n = n + 1 end end return n"
)


def _with_tool(client: Any, url: str, at_once: int) -> Callable[[float], float]:  # noqa: ANN401  (as above)
    digest = next(made for made in map(digest_of, _secrets()) if 0 not in made)  # an argument ends at a zero
    session = replace(numbered(1), secret_digest=digest)
    command = replace(refresh_of(session, T0 + 1000), race_window=0)
    key = _KEYS.session(session.sid)
    base = key[:-12]
    words = [
        b"EVALSHA",
        *(base + b"__rand_int__" if each == key else _argument(each) for each in _words(command)),
    ]
    value, speed = packing.pack(session), 0.0

    def rate(seconds: float) -> float:
        nonlocal speed
        requests = max(_LEAST, round(speed * seconds))
        keys = requests * _SPARE
        client.eval(_FILL, 1, base, value, keys)
        speed = with_redis_benchmark(url, words, keys=keys, requests=requests, at_once=at_once)
        rotated = client.eval(_COUNT, 1, base, value, keys)
        client.flushdb()
        if rotated < _MOSTLY * requests:
            raise ProgramFailed(f"of {requests:,} refreshes by redis-benchmark only {rotated:,} rotated")
        return speed

    return rate


def _secrets() -> Iterator[bytes]:
    while True:
        yield secrets.token_bytes()


def _argument(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
