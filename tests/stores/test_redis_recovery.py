"""Holds the Redis stores to going on by themselves: with another primary, event loop or process."""

from __future__ import annotations

import asyncio
import gc
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import pytest

from keyturn._core.commands import Lookup, Revoke
from keyturn._core.outcomes import Found, Reused, Rotated
from keyturn.errors import StoreUnavailable
from keyturn.stores.redis import AsyncRedisStore, RedisStore
from keyturn.testing.proxy import Proxy
from keyturn.testing.samples import OTHER_BRANCH, RACE, REDEEM, ROW, T0, numbered, refresh_of, sign_in
from keyturn.testing.servers import RedisServer

LOGOUT = Revoke(ROW.sid, None, None, "logout", T0)
MANY = 120  # more connections than the driver's pools allow by default


async def test_a_name_may_lead_to_another_primary() -> None:
    """Nobody stays with an old primary that lives on as a replica: what it refuses, the new one is asked."""
    with RedisServer() as old, RedisServer(options=old.replication()) as new, Proxy(old.port) as proxy:
        store = RedisStore.from_url(f"{proxy.url(old.url)}?wait_replicas=1")
        other = AsyncRedisStore.from_url(f"{proxy.url(old.url)}?wait_replicas=1")
        store.create(sign_in(ROW))
        store.revoke(replace(LOGOUT, digest=b"another"))  # which ends nothing, and waits for the replica
        assert isinstance(await other.lookup(Lookup(ROW.sid)), Found)
        new.command("REPLICAOF", "NO", "ONE")
        old.command("REPLICAOF", "127.0.0.1", str(new.port))
        cast("Any", proxy)._target = new.port
        assert isinstance(store.rotate(REDEEM), Rotated)
        assert isinstance(await other.rotate(replace(REDEEM, gen=ROW.gen + 1, now=T0 + 2 * RACE)), Rotated)
        store.close()
        await other.close()


def test_the_store_alone_says_how_many_connections_there_are() -> None:
    """A bigger pool than the driver's own limit is as big as it was wished."""
    with socket.create_server(("127.0.0.1", 0), backlog=MANY) as deaf, ThreadPoolExecutor(MANY) as pool:
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}"
        store = RedisStore.from_url(url, timeout="1s", pool_size=MANY)
        asked = [pool.submit(store.lookup, Lookup(ROW.sid)) for _ in range(MANY)]
        errors = [each.exception() for each in asked]
        assert {str(error) for error in errors} == {"Redis did not answer in time."}
        assert all(isinstance(error, StoreUnavailable) for error in errors)
        store.close()


async def test_a_reuse_is_told_though_no_replica_has_it() -> None:
    """A reuse waits for replicas and is told without them: its repetition would only find an ended session.

    Where a fail-over forgets the end, the token is as spent as before, and the reuse is found again.
    """
    with RedisServer() as server:
        options = "?wait_replicas=1&wait_timeout=50ms"
        store, other = (
            RedisStore.from_url(server.url + options),
            AsyncRedisStore.from_url(server.url + options),
        )
        store.create(sign_in(ROW))
        store.create(sign_in(numbered(1)))
        store.rotate(refresh_of(numbered(1), T0 + RACE))
        stolen = replace(refresh_of(numbered(1), T0 + 2 * RACE), branch=OTHER_BRANCH)
        assert isinstance(store.rotate(replace(REDEEM, gen=1)), Reused)
        assert isinstance(await other.rotate(stolen), Reused)
        store.close()
        await other.close()


async def test_a_call_that_ends_after_the_close_leaves_nothing_open(redis_url: str) -> None:
    """A call that is on its way when its store is closed comes to its end, and its connection with it."""
    store, other = RedisStore.from_url(redis_url), AsyncRedisStore.from_url(redis_url)
    store.create(sign_in(ROW))
    store.close()
    await other.close()
    assert isinstance(store.lookup(Lookup(ROW.sid)), Found)
    assert isinstance(await other.lookup(Lookup(ROW.sid)), Found)
    assert not cast("Any", store)._channel._free
    assert not cast("Any", other)._channel._free


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # who ends a loop too early leaves its sockets behind
@pytest.mark.parametrize("place", ["redis_url", "redis_cluster_url"])
def test_a_store_may_outlive_its_event_loop(place: str, request: pytest.FixtureRequest) -> None:
    """Connections belong to their event loop. In the next one the store opens others, and closes."""
    _in_several_loops(AsyncRedisStore.from_url(request.getfixturevalue(place)))
    gc.collect()


def _in_several_loops(store: AsyncRedisStore) -> None:
    async def several() -> list[object]:
        return list(await asyncio.gather(*(store.lookup(Lookup(ROW.sid)) for _ in range(10))))

    asyncio.run(store.create(sign_in(ROW)))
    for _ in range(3):
        assert all(isinstance(found, Found) for found in asyncio.run(several()))
    asyncio.run(store.close())
