"""Holds the bells of Redis to ringing, ending and leaving nothing behind, whatever their server does."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest
from redis import BlockingConnectionPool, Redis
from redis.asyncio import Redis as AsyncRedis

from keyturn._core.commands import Lookup
from keyturn._core.outcomes import Found
from keyturn.errors import StoreUnavailable
from keyturn.stores.protocol import AsyncStore, RevocationLog, Store
from keyturn.stores.redis import AsyncRedisStore, RedisStore
from keyturn.testing._duties.logs import LONG_SECONDS, Reader, of, revoke
from keyturn.testing.colours import LoopThread, blocking
from keyturn.testing.proxy import Proxy
from keyturn.testing.samples import ROW, numbered, sign_in
from keyturn.testing.servers import RedisSentinel, RedisServer, ServerFailed
from tests.support.databases import in_step
from tests.support.processes import fork, wait_until

COLOURS = pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
Kind = type[RedisStore | AsyncRedisStore]


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """Where stores for asyncio live."""
    with LoopThread() as loop:
        yield loop


def opened(kind: Kind, url: str, loop: LoopThread, **options: Any) -> Any:
    """Open a store of either colour with the face of one for threads."""
    store: Store | AsyncStore = kind.from_url(url, **options)
    return blocking(store, loop)


def waiting(server: RedisServer, count: int = 1) -> None:
    """Wait until so many bells wait in a server."""
    wait_until(
        lambda: f"blocked_clients:{count}" in server.command("INFO", "clients"), what="bells that wait"
    )


def ring(store: Any, server: RedisServer, bell: Any, number: int) -> None:
    """End a session while a bell waits: it must be heard."""
    reader, session = Reader(store), numbered(number)
    store.create(sign_in(session))
    reader.news()
    with ThreadPoolExecutor() as threads:
        heard = threads.submit(bell.wait, reader.cursor, LONG_SECONDS)
        waiting(server)
        begun = time.monotonic()
        store.revoke(revoke(session))
        heard.result()
        assert time.monotonic() - begun < LONG_SECONDS
    assert reader.news() == of(session)


@COLOURS
def test_a_bell_is_made_anew_after_a_restart(kind: Kind, loop: LoopThread) -> None:
    """A wait ends with its server; with the next one, and with another bell, it rings again."""
    with RedisServer(options={"appendonly": "yes", "appendfsync": "always"}) as server:
        store = opened(kind, server.url, loop)
        bell = store.bell()
        ring(store, server, bell, 1)
        with ThreadPoolExecutor() as threads:
            reader = Reader(store)
            reader.news()
            ended = threads.submit(bell.wait, reader.cursor, LONG_SECONDS)
            waiting(server)
            server.kill()
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                ended.result()
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            bell.wait(reader.cursor, 0.01)
        server.start()
        ring(store, server, bell, 2)
        bell.close()
        another = store.bell()
        ring(store, server, another, 3)
        another.close()
        store.close()


@COLOURS
def test_a_bell_takes_no_connection_of_the_pool(
    kind: Kind, redis_server: RedisServer, redis_url: str, loop: LoopThread
) -> None:
    """However many bells wait, all connections of the pool serve requests."""
    store = opened(kind, redis_url, loop, pool_size=1)
    store.create(sign_in(ROW))
    bells = [store.bell() for _ in range(3)]
    with ThreadPoolExecutor() as threads:
        waits = [threads.submit(bell.wait, None, LONG_SECONDS) for bell in bells]
        waiting(redis_server, 3)
        assert isinstance(store.lookup(Lookup(ROW.sid)), Found)
        store.revoke(revoke(ROW))
        for each in waits:
            each.result()
    for bell in bells:
        bell.close()
    store.close()


def test_a_bell_beside_the_applications_client(redis_server: RedisServer, redis_url: str) -> None:
    """It has the client's settings, and counts neither in its pool nor as one of its connections."""
    with Redis(
        connection_pool=BlockingConnectionPool.from_url(
            redis_url, max_connections=1, timeout=1, decode_responses=True, socket_timeout=2
        )
    ) as client:
        store = RedisStore(client)
        bell = store.bell()
        ring(store, redis_server, bell, 1)
        assert bell is not None
        bell.close()
        assert client.ping()


async def test_a_bell_beside_the_applications_client_for_asyncio(redis_url: str) -> None:
    """The same for asyncio, where the client's timeout for an answer is shorter than the wait."""
    client = AsyncRedis.from_url(redis_url, decode_responses=True, protocol=3, socket_timeout=1)
    store = AsyncRedisStore(client)
    bell = store.bell()
    assert bell is not None
    await bell.wait(None, 1.2)
    await store.create(sign_in(ROW))
    await store.revoke(revoke(ROW))
    await bell.wait(None, LONG_SECONDS)
    await bell.close()
    await store.close()
    await client.aclose()


def test_there_is_no_bell_where_no_connection_can_be_made(redis_url: str) -> None:
    """A pool that does not say how it makes its connections has no bell, and followers poll."""

    class Closed:
        """A pool that shows no more than it must."""

        def __init__(self, pool: Any) -> None:
            self.connection_kwargs = pool.connection_kwargs
            self.get_connection, self.release = pool.get_connection, pool.release
            self.disconnect = self.close = pool.disconnect

    with Redis.from_url(redis_url) as client:
        client.connection_pool = cast("Any", Closed(client.connection_pool))
        store = RedisStore(client)
        assert store.bell() is None
        store.create(sign_in(ROW))
        store.revoke(revoke(ROW))
        assert Reader(store).news() == of(ROW)


@COLOURS
def test_a_deaf_server_is_given_up(
    kind: Kind, redis_server: RedisServer, redis_url: str, loop: LoopThread
) -> None:
    """A wait that is not answered in its time, and a little more, has lost its server."""
    with Proxy(redis_server.port) as proxy:
        store = opened(kind, proxy.url(redis_url), loop, timeout="1s")
        bell = store.bell()
        bell.wait(None, 0.01)
        proxy.deafen()
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match="in time"):
            bell.wait(None, 0.01)
        with pytest.raises(StoreUnavailable, match="in time"):
            store.bell().wait(None, 0.01)
        assert time.monotonic() - begun < LONG_SECONDS
        proxy.hear()
        bell.wait(None, 0.01)
        bell.close()
        store.close()


@COLOURS
def test_a_bell_rings_from_the_master_that_sentinel_names(kind: Kind, loop: LoopThread) -> None:
    """Each connection asks the Sentinels; where none names a master, that is said."""
    with RedisServer() as master, RedisSentinel(master) as sentinel:
        store = opened(kind, sentinel.url, loop)
        bell = store.bell()
        ring(store, master, bell, 1)
        bell.close()
        nobody = opened(kind, sentinel.url.replace("/keyturn/", "/nobody/"), loop)
        with pytest.raises(StoreUnavailable, match="No Sentinel names a master"):
            nobody.bell().wait(None, 0.01)
        nobody.close()
        store.close()


@COLOURS
def test_a_bell_finds_the_next_master(kind: Kind, loop: LoopThread) -> None:
    """A wait ends with its master; after the fail-over the same bell rings from the new one."""
    with (
        RedisServer() as master,
        RedisServer(options=master.replication()) as replica,
        RedisSentinel(master) as sentinel,
    ):
        store = opened(kind, sentinel.url, loop)
        bell, reader = store.bell(), Reader(store)
        reader.news()
        wait_until(
            lambda: str(replica.port) in sentinel.command("SENTINEL", "REPLICAS", sentinel.service),
            what="the Sentinel's knowledge of the replica",
        )
        in_step(master)
        with ThreadPoolExecutor() as threads:
            waits = threads.submit(bell.wait, reader.cursor, LONG_SECONDS)
            waiting(master)
            master.kill()
            with pytest.raises(StoreUnavailable):
                waits.result()
        wait_until(lambda: _leads(replica), what="the fail-over")
        wait_until(lambda: _rings(bell), what="a bell at the new master")
        ring(store, replica, bell, 1)
        bell.close()
        store.close()


def _leads(server: RedisServer) -> bool:
    try:
        return server.command("ROLE").startswith("master")
    except ServerFailed:  # a Sentinel closes all connections to the server that it promotes
        return False


def _rings(bell: Any) -> bool:
    try:
        bell.wait(None, 0.01)
    except StoreUnavailable:
        return False
    return True


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_leaves_the_bell_alone(redis_server: RedisServer, redis_url: str) -> None:
    """In a child the bell counts as closed, and neither using nor closing it there is felt by the parent."""
    store = RedisStore.from_url(redis_url)
    bell = store.bell()
    assert bell is not None
    bell.wait(None, 0.01)

    def leaves_it_alone() -> bool:
        with pytest.raises(StoreUnavailable, match="closed"):
            bell.wait(None, 0.01)
        bell.close()
        another = store.bell()
        assert another is not None
        another.wait(None, 0.01)
        another.close()
        return True

    assert fork(leaves_it_alone)() == 0
    port = cast("Any", bell)._connection._sock.getsockname()[1]
    ring(store, redis_server, bell, 1)
    assert cast("Any", bell)._connection._sock.getsockname()[1] == port, "it is the same connection"
    bell.close()
    store.close()


async def test_a_forked_child_leaves_the_bell_alone_for_asyncio(
    redis_server: RedisServer, redis_url: str
) -> None:
    """The same for asyncio: a bell belongs to its event loop, and the child has another."""
    store = AsyncRedisStore.from_url(redis_url)
    bell = store.bell()
    assert bell is not None
    await bell.wait(None, 0.01)

    async def use() -> None:
        assert bell is not None
        with pytest.raises(StoreUnavailable, match="closed"):
            await bell.wait(None, 0.01)
        await bell.close()

    def leaves_it_alone() -> bool:
        thread = threading.Thread(target=asyncio.run, args=(use(),))
        thread.start()
        thread.join(10)
        return not thread.is_alive()

    assert fork(leaves_it_alone)() == 0
    ringing = asyncio.create_task(bell.wait(None, LONG_SECONDS))
    await asyncio.to_thread(waiting, redis_server)
    await store.create(sign_in(ROW))
    await store.revoke(revoke(ROW))
    await ringing
    await bell.close()
    await store.close()


@pytest.mark.parametrize("place", ["redis_url", "redis_cluster_url"])
async def test_a_cancelled_wait_leaves_nothing_open(place: str, request: pytest.FixtureRequest) -> None:
    """A wait may be cancelled at any moment; the bell can be used again, and closed."""
    store = AsyncRedisStore.from_url(request.getfixturevalue(place))
    bell = store.bell()
    assert bell is not None
    for turns in (0, 1, 2, 3, 5, 8, 13, 21, 50):
        wait = asyncio.create_task(bell.wait(None, LONG_SECONDS))
        for _ in range(turns):
            await asyncio.sleep(0)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
    await bell.wait(None, 0.01)
    wait = asyncio.create_task(bell.wait(None, LONG_SECONDS))
    await asyncio.sleep(0.01)
    wait.cancel()
    await bell.close()
    with pytest.raises(asyncio.CancelledError):
        await wait
    await bell.close()
    await store.close()
    gc.collect()


async def test_closing_ends_a_wait_at_any_moment(redis_url: str) -> None:
    """Whether a wait has not begun, connects or waits: closing the bell ends it."""
    store = AsyncRedisStore.from_url(redis_url)
    for turns in (0, 1, 2, 3, 5, 8, 13, 21, 50):
        bell = store.bell()
        assert bell is not None
        wait = asyncio.create_task(bell.wait(None, LONG_SECONDS))
        for _ in range(turns):
            await asyncio.sleep(0)
        await bell.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await wait
    await store.close()
    gc.collect()


def test_closing_ends_a_connection_that_is_being_made(redis_url: str) -> None:
    """A thread that has just connected to a server which says nothing is not waited for any longer."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://:secret@127.0.0.1:{deaf.getsockname()[1]}"
        store = RedisStore.from_url(url, timeout=LONG_SECONDS)
        bell = store.bell()
        assert bell is not None
        with ThreadPoolExecutor() as threads:
            begun = time.monotonic()
            ended = threads.submit(bell.wait, None, LONG_SECONDS)
            accepted, _ = deaf.accept()
            wait_until(lambda: getattr(cast("Any", bell)._connection, "_sock", None) is not None, what="it")
            bell.close()
            with pytest.raises(StoreUnavailable, match="closed"):
                ended.result()
            assert time.monotonic() - begun < LONG_SECONDS
            accepted.close()
        store.close()


def test_threads_may_close_a_bell_at_once(redis_url: str) -> None:
    """However closing and waiting meet, each ends and no connection is left."""
    store = RedisStore.from_url(redis_url)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(50):
            bell = store.bell()
            assert bell is not None
            waits = [threads.submit(bell.wait, None, LONG_SECONDS) for _ in range(2)]
            calls: list[Callable[[], None]] = [bell.close, bell.close]
            for closing in [threads.submit(call) for call in calls]:
                closing.result()
            for wait in waits:
                with pytest.raises(StoreUnavailable, match="closed"):
                    wait.result()
            assert cast("Any", bell)._connection is None
    store.close()
    assert isinstance(store, RevocationLog)
