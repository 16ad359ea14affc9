"""Holds the bells of the PostgreSQL stores: what they hear, and what becomes of their connections."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from keyturn._core.commands import Deny, Revoke
from keyturn.errors import StoreUnavailable
from keyturn.stores.postgres import AsyncPostgresStore, PostgresStore
from keyturn.stores.protocol import AsyncBell, Bell
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from keyturn.testing.colours import PATIENCE_SECONDS, BlockingBell, LoopThread
from keyturn.testing.proxy import Proxy
from keyturn.testing.samples import numbered, sign_in
from keyturn.testing.servers import PostgresServer
from tests.support.databases import started
from tests.support.postgres import SESSION, asked, template
from tests.support.processes import fork, no_thread_left, wait_until

NOW: Final = SESSION.created_at + 1000
REVOKE: Final = Revoke(SESSION.sid, None, None, "user", NOW)
SHORT: Final = 0.2  # seconds in which nothing is heard
LISTENING: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)
WRITE: Final = (
    "INSERT INTO keyturn_revocations (kind, subject, at) VALUES ('token', 'x', 0) "
    "RETURNING pg_notify('keyturn_revocations', '')"
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of this module's own: it is restarted."""
    with started(PostgresServer()) as server:
        yield server


@pytest.fixture(scope="module")
def copied(server: PostgresServer) -> Iterator[str]:
    """A database with one session, to be copied."""
    with template(server) as name:
        yield name


@pytest.fixture
def url(server: PostgresServer, copied: str) -> Iterator[str]:
    """A database with one session."""
    url = server.new_database(template=copied)
    yield url
    server.drop_database(url)


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """A store with one connection, which no bell may take."""
    store = PostgresStore.from_url(url, pool_size=1)
    yield store
    store.close()


@pytest.fixture(params=["threads", "asyncio"])
def make_bell(request: pytest.FixtureRequest) -> Iterator[Callable[..., Bell]]:
    """Make bells that listen, of one colour, all with the face of those for threads."""
    bells: list[Bell] = []
    with LoopThread() as loop:

        def make(url: str, **options: Any) -> Bell:
            if request.param == "threads":
                bell: Bell | None = PostgresStore.from_url(url, **options).bell()
            else:
                inner = loop.run(open_async(url, **options)).bell()
                bell = None if inner is None else BlockingBell(inner, loop)
            assert bell is not None
            bells.append(bell)
            bell.wait(None, SHORT)
            return bell

        yield make
        for bell in bells:
            bell.close()


async def open_async(url: str, **options: Any) -> AsyncPostgresStore:
    """Open a store in the loop that it belongs to."""
    return AsyncPostgresStore.from_url(url, **options)


def rings(bell: Bell, *, within: float = PATIENCE_SECONDS) -> bool:
    """Wait; tell whether that was over before its time."""
    begun = time.monotonic()
    bell.wait(None, within)
    return time.monotonic() - begun < within


def is_silent(bell: Bell) -> bool:
    """Tell whether nothing rings for a little while."""
    return not rings(bell, within=SHORT)


def test_all_that_is_written_rings(url: str, store: PostgresStore, make_bell: Callable[..., Bell]) -> None:
    """Whatever store wrote it; what changes nothing does not ring, and each ring is heard once."""
    bell = make_bell(url)
    other = SQLAlchemyStore.from_url(url, pool_size=1)
    store.create(sign_in(numbered(2)))
    other.create(sign_in(numbered(3)))
    assert is_silent(bell)
    store.revoke(REVOKE)
    assert rings(bell)
    store.revoke(REVOKE)
    assert is_silent(bell)
    other.revoke(Revoke(numbered(2).sid, None, None, "user", NOW))
    assert rings(bell)
    store.deny(Deny("a token", NOW + 1, "test", NOW))
    assert rings(bell)
    store.create(sign_in(numbered(4), limit=1))
    assert rings(bell)
    store.delete([numbered(4).sid])
    assert rings(bell)
    assert is_silent(bell)
    other.close()


def test_a_ring_is_undone_with_its_transaction(url: str, make_bell: Callable[..., Bell]) -> None:
    """Whoever listens hears of what is committed, and when it is."""
    bell = make_bell(url)
    with psycopg.connect(url) as connection:
        connection.execute(WRITE)
        assert is_silent(bell)
        connection.rollback()
        assert is_silent(bell)
        connection.execute(WRITE)
        connection.commit()
        assert rings(bell)


def test_a_restarted_server_is_an_outage_and_another_bell_listens(
    url: str, server: PostgresServer, store: PostgresStore, make_bell: Callable[..., Bell]
) -> None:
    """The follower polls, and makes another bell: the old one stays closed."""
    bell = make_bell(url)
    server.restart()
    for detail in ("connection_lost", "bell_closed"):
        with pytest.raises(StoreUnavailable) as caught:
            bell.wait(None, PATIENCE_SECONDS)
        assert caught.value.detail == detail
    another = make_bell(url)
    store.revoke(REVOKE)
    assert rings(another)


def test_a_server_that_is_gone_ends_a_wait(
    url: str, server: PostgresServer, make_bell: Callable[..., Bell]
) -> None:
    """As soon as the network tells, and not at its end."""
    with Proxy(server.port) as proxy:
        bell = make_bell(proxy.url(url))
        breaking = threading.Timer(SHORT, proxy.reset)
        breaking.start()
        with pytest.raises(StoreUnavailable) as caught:
            bell.wait(None, PATIENCE_SECONDS)
        assert caught.value.detail == "connection_lost"
        breaking.join()


def test_a_server_that_never_answers_does_not_hold_a_bell(
    url: str, server: PostgresServer, make_bell: Callable[..., Bell]
) -> None:
    """Neither while it connects nor while it begins to listen; the limits are those of the store."""
    with Proxy(server.port) as proxy:
        proxy.deafen()
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable):
            make_bell(proxy.url(url), connect_timeout=1, answer_timeout=1)
        assert time.monotonic() - begun < PATIENCE_SECONDS / 4


def test_closing_gives_the_connection_back(url: str, make_bell: Callable[..., Bell]) -> None:
    """At once, also where nobody waits."""
    bell = make_bell(url)
    assert asked(url, LISTENING) == [(1,)]
    bell.close()
    wait_until(lambda: asked(url, LISTENING) == [(0,)], what="the connection to be gone")


async def test_a_wait_that_is_cancelled_closes_the_bell(url: str) -> None:
    """Nothing is left of it, no connection and no reader of the loop, also where nobody calls `close`."""
    store = AsyncPostgresStore.from_url(url)
    bell = store.bell()
    assert bell is not None
    await bell.wait(None, SHORT)
    with no_thread_left():
        waiting = asyncio.create_task(bell.wait(None, PATIENCE_SECONDS))
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    del bell, waiting
    gc.collect()
    # Threads of this loop's executor may ask, as what is asked for is not the bell.
    await asyncio.to_thread(wait_until, lambda: asked(url, LISTENING) == [(0,)], what="its connection to end")
    await store.close()


async def test_a_bell_that_was_cancelled_while_it_connected(url: str) -> None:
    """Neither is anything left then."""
    store = AsyncPostgresStore.from_url(url)
    for turns in range(12):
        bell = store.bell()
        assert bell is not None
        waiting = asyncio.create_task(bell.wait(None, PATIENCE_SECONDS))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await bell.close()
    await asyncio.to_thread(wait_until, lambda: asked(url, LISTENING) == [(0,)], what="all to end")
    await store.close()


def is_collected_in_silence(bell: Bell) -> bool:
    """Take a bell apart as the collector does; nothing warns of what is still open."""
    inner: Any = bell._inner if isinstance(bell, BlockingBell) else bell
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        inner.__del__()
        inner._connection, inner._line = None, ()
        gc.collect()
    return not said


@pytest.mark.parametrize("waiting", [False, True])
def test_a_forked_process_leaves_the_bell_to_its_parent(
    url: str, store: PostgresStore, make_bell: Callable[..., Bell], *, waiting: bool
) -> None:
    """In the child it is closed, without a word to the server; the parent goes on to hear."""
    bell = make_bell(url)
    heard: list[bool] = []

    def listen() -> None:
        bell.wait(None, PATIENCE_SECONDS)
        heard.append(True)

    thread = threading.Thread(target=listen)
    if waiting:
        thread.start()

    def wait_in_child() -> None:
        if isinstance(bell, BlockingBell):  # its loop's thread is the parent's
            asyncio.run(bell._inner.wait(None, SHORT))
        else:
            bell.wait(None, SHORT)

    def close_in_child() -> None:
        if isinstance(bell, BlockingBell):
            asyncio.run(bell._inner.close())
        else:
            bell.close()

    def is_closed() -> bool:
        with pytest.raises(StoreUnavailable) as caught:
            wait_in_child()
        close_in_child()
        return caught.value.detail == "bell_closed" and is_collected_in_silence(bell)

    assert fork(is_closed)() == 0
    store.revoke(REVOKE)
    if waiting:
        thread.join(PATIENCE_SECONDS)
        assert heard == [True]
    else:
        assert rings(bell)


def test_where_there_is_no_bell(url: str) -> None:
    """Behind a pooler that shares sessions, nobody is told; nor is it known how to connect there."""
    assert PostgresStore.from_url(url, prepared=False).bell() is None
    assert PostgresStore.from_url(f"{url}?prepared=false").bell() is None
    assert AsyncPostgresStore.from_url(f"{url}?prepared=false").bell() is None
    shared = {"autocommit": True, "prepare_threshold": None}
    assert PostgresStore(ConnectionPool(url, kwargs=shared, open=False)).bell() is None
    made: Any = lambda: url  # noqa: E731  (psycopg takes a function)
    assert PostgresStore(ConnectionPool(made, kwargs={"autocommit": True}, open=False)).bell() is None


def test_a_pool_of_the_applications_is_not_used(url: str) -> None:
    """A bell beside it connects as it does, to a place of its own."""
    kwargs = {"autocommit": True, "application_name": "theirs"}
    with ConnectionPool(url, kwargs=kwargs, min_size=1, max_size=1, open=True) as pool:
        store = PostgresStore(pool)
        bell = store.bell()
        assert bell is not None
        with pool.connection():
            bell.wait(None, SHORT)
        store.revoke(REVOKE)
        assert rings(bell)
        names = asked(url, LISTENING.replace("count(*)", "application_name"))
        assert names == [("theirs",)]
        bell.close()


async def test_an_asynchronous_pool_of_the_applications_is_not_used(url: str) -> None:
    """As above."""
    kwargs = {"autocommit": True}
    async with AsyncConnectionPool(url, kwargs=kwargs, min_size=0, max_size=1, open=False) as pool:
        store = AsyncPostgresStore(pool)
        bell: AsyncBell | None = store.bell()
        assert bell is not None
        async with pool.connection():
            await bell.wait(None, SHORT)
        await store.revoke(REVOKE)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await bell.wait(None, 2 * PATIENCE_SECONDS)
        await bell.close()


def test_a_bell_that_was_never_used_holds_nothing(url: str) -> None:
    """Closing it does no harm, and it stays closed."""
    bell = PostgresStore.from_url(url).bell()
    assert bell is not None
    bell.close()
    with pytest.raises(StoreUnavailable):
        bell.wait(None, SHORT)
    assert asked(url, LISTENING) == [(0,)]
