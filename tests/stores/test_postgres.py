"""How the PostgreSQL store opens and uses a database: URLs, pools, poolers, isolation, processes, tasks."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types.string import TextLoader
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from keyturn._core.commands import Lookup, Revoke
from keyturn._core.outcomes import Converged, Created, Found, Rotated
from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.stores.postgres import AsyncPostgresStore, PostgresStore
from keyturn.testing.samples import numbered, sign_in
from keyturn.testing.servers import PostgresServer
from tests.support.postgres import NOBODY, REFRESH, SESSION, asked, at_once, template, told
from tests.support.processes import fork, no_thread_left

REVOKE: Final = Revoke(SESSION.sid, None, None, "user", SESSION.created_at + 1)
LEVELS: Final = ("read committed", "repeatable read", "serializable")


@pytest.fixture(scope="module")
def copied(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with one session, to be copied."""
    with template(postgres_server) as name:
        yield name


@pytest.fixture
def url(postgres_server: PostgresServer, copied: str) -> Iterator[str]:
    """A database with one session."""
    url = postgres_server.new_database(template=copied)
    yield url
    postgres_server.drop_database(url)


def given(url: str) -> ConnectionPool[Any]:
    """An application's own pool."""
    return ConnectionPool(url, kwargs={"autocommit": True}, min_size=0, max_size=8, open=True)


@pytest.mark.parametrize(
    "url",
    [
        "keyturn.db",
        "sqlite:///keyturn.db",
        "mysql://user:hunter2@host/keyturn",
        "postgresql+asyncpg://user:hunter2@host/keyturn",
        "postgresql://user:hunter2%@host/keyturn",
        "postgresql://user:hunter2@host:port/keyturn?nonsense=hunter2",
        "postgresql://user:hunter2@host/keyturn?prepared=perhaps",
        "postgresql://user:hunter2@host/keyturn?pool_size=many",
        "postgresql://user:hunter2@host/keyturn?pool_size=0",
    ],
)
def test_a_wrong_url_is_refused_at_once_and_not_quoted(url: str) -> None:
    """Before anything is opened; what it holds may be a password."""
    for kind in (PostgresStore, AsyncPostgresStore):
        with pytest.raises(ConfigurationError) as caught:
            kind.from_url(url)
        assert "hunter2" not in told(caught.value)


@pytest.mark.parametrize("option", ["busy_timeout", "connect_timeout", "answer_timeout"])
def test_no_wait_is_without_an_end(option: str) -> None:
    """There is no number that means for ever."""
    for seconds in (0.0, -1.0, float("inf"), float("nan")):
        given: dict[str, Any] = {option: seconds}
        with pytest.raises(ConfigurationError, match=option):
            PostgresStore.from_url(NOBODY, **given)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_each_scheme_opens_the_same(url: str, scheme: str) -> None:
    """PostgreSQL's two, and SQLAlchemy's."""
    store = PostgresStore.from_url(url.replace("postgresql", scheme, 1))
    assert store.count() == 1
    store.close()


def test_a_url_may_say_what_libpq_understands_and_how_large_the_pool_is(url: str) -> None:
    """What the URL says counts more than the defaults."""
    store = PostgresStore.from_url(f"{url}?application_name=mine&pool_size=1")
    store.count()
    names = asked(url, "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()")
    assert Counter(names)["mine",] == 1
    assert at_once(4, store.count) == [1] * 4
    assert store._gate.pool.max_size == 1
    store.close()


def settings_of(store: PostgresStore) -> dict[str, Any]:
    """Read what the store's session has been set to, and how many statements it has prepared."""
    pool = store._gate.pool
    with pool.connection() as connection:
        names = ("statement_timeout", "lock_timeout", "application_name", "default_transaction_isolation")
        found = {name: connection.execute(f"SHOW {name}".encode()).fetchone() for name in names}
        found["prepared"] = connection.execute("SELECT count(*) > 0 FROM pg_prepared_statements").fetchone()
    return {name: None if row is None else row[0] for name, row in found.items()}


def test_the_server_is_told_the_limits_and_statements_are_prepared(url: str) -> None:
    """The server gives up a statement, and a wait for a lock, when nobody waits any more."""
    store = PostgresStore.from_url(url, busy_timeout=2, answer_timeout=7)
    store.lookup(Lookup(SESSION.sid))
    assert settings_of(store) == {
        "statement_timeout": "7s",
        "lock_timeout": "2s",
        "application_name": "keyturn",
        "default_transaction_isolation": "read committed",
        "prepared": True,
    }
    store.close()


@pytest.mark.parametrize("how", ["option", "url"])
def test_behind_a_pooler_nothing_is_kept_in_the_session(url: str, how: str) -> None:
    """Sessions are then shared with others: nothing is prepared, and nothing is set."""
    store = (
        PostgresStore.from_url(url, prepared=False)
        if how == "option"
        else PostgresStore.from_url(f"{url}?prepared=false")
    )
    for _ in range(10):
        store.rotate(REFRESH)
    found = settings_of(store)
    assert (found["statement_timeout"], found["lock_timeout"], found["prepared"]) == ("0", "0", False)
    store.close()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["own", "pooler", "given"])
def test_any_default_isolation_will_do(
    url: str, postgres_server: PostgresServer, level: str, kind: str
) -> None:
    """Of many refreshes at once one rotates and all others converge; a limit holds against many sign-ins."""
    name = url.rpartition("/")[2]
    postgres_server.query(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = '{level}'")
    pool = given(url)
    store = PostgresStore(pool) if kind == "given" else PostgresStore.from_url(url, prepared=kind == "own")
    outcomes = Counter(map(type, at_once(12, lambda: store.rotate(REFRESH))))
    assert outcomes == {Rotated: 1, Converged: 11}
    numbers = iter(range(2, 100))
    lock = threading.Lock()

    def sign_in_once() -> object:
        with lock:
            session = numbered(next(numbers))
        return store.create(sign_in(session, limit=3))

    assert all(isinstance(each, Created) for each in at_once(12, sign_in_once))
    assert len([each for each in store.find() if each.revoked_at is None]) == 3
    store.close()
    pool.close()


def test_a_pool_of_the_applications_is_used_and_left_open(url: str) -> None:
    """The store works on it, makes the tables through its settings, and does not close it."""
    with given(url) as pool:
        store = PostgresStore(pool)
        store.create_schema()
        assert isinstance(store.rotate(REFRESH), Rotated)
        store.close()
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


async def test_an_asynchronous_pool_of_the_applications_is_used_and_left_open(url: str) -> None:
    """As above."""
    async with AsyncConnectionPool(
        url, kwargs={"autocommit": True}, min_size=0, max_size=2, open=False
    ) as pool:
        store = AsyncPostgresStore(pool)
        await store.create_schema()
        assert isinstance(await store.rotate(REFRESH), Rotated)
        await store.close()
        async with pool.connection() as connection:
            assert connection.autocommit


def test_a_pool_that_opens_transactions_is_refused() -> None:
    """Psycopg would open one around each statement, and commit nothing; the message says what to change."""
    with pytest.raises(ConfigurationError, match="autocommit"):
        PostgresStore(ConnectionPool(NOBODY, open=False))


def test_what_an_application_sets_on_its_pool_does_not_reach_the_rows(url: str) -> None:
    """Rows as dictionaries, JSON as text: the application's own business."""

    def configure(connection: psycopg.Connection[Any]) -> None:
        connection.adapters.register_loader("json", TextLoader)
        connection.row_factory = dict_row

    kwargs = {"autocommit": True}
    with ConnectionPool(url, kwargs=kwargs, configure=configure, min_size=0, max_size=1, open=True) as pool:
        found = PostgresStore(pool).lookup(Lookup(SESSION.sid))
    assert found == Found(SESSION)


def test_closing_ends_all_threads_and_connections(url: str) -> None:
    """And then the store says that it is closed."""
    with no_thread_left() as before:
        store = PostgresStore.from_url(url)
        at_once(4, store.count)
        assert set(threading.enumerate()) - before
        store.close()
        store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.count()


def test_a_store_that_was_never_used_has_no_threads() -> None:
    """Nothing is opened before the first use; closing it then does no harm."""
    with no_thread_left():
        store = PostgresStore.from_url(NOBODY)
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.count()


async def test_closing_ends_all_tasks(url: str) -> None:
    """Also where operations have not ended yet: they are waited for."""
    before = asyncio.all_tasks()
    store = AsyncPostgresStore.from_url(url, pool_size=2)
    pending = [asyncio.create_task(store.count()) for _ in range(8)]
    await asyncio.sleep(0)  # they begin
    await store.close()
    assert [await each for each in pending] == [1] * 8
    assert asyncio.all_tasks() == before


async def test_an_operation_that_has_begun_runs_to_its_end(url: str) -> None:
    """Whoever waits is free at once when it is cancelled; the revocation still happens."""
    store = AsyncPostgresStore.from_url(url)
    await store.count()
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM keyturn_sessions FOR UPDATE")
        revoking = asyncio.create_task(store.revoke(REVOKE))
        await waiting_for_a_lock(url)
        revoking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await revoking
        other.rollback()
    await store.close()
    assert asked(url, "SELECT revoked_reason FROM keyturn_sessions") == [("user",)]


async def waiting_for_a_lock(url: str) -> None:
    """Wait until some session of the database waits for another's lock."""
    waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(asked, url, waits):
            pass


@pytest.mark.parametrize("busy", [False, True])
def test_a_forked_process_has_connections_of_its_own(url: str, *, busy: bool) -> None:
    """A child uses none of its parent's, whoever holds them, and disturbs none."""
    store = PostgresStore.from_url(url, pool_size=1)
    store.count()
    pool = store._gate.pool
    held = pool.getconn() if busy else None

    def refreshes() -> bool:
        is_rotated = isinstance(store.rotate(REFRESH), Rotated)
        store.close()
        return is_rotated

    assert fork(refreshes)() == 0
    if held is not None:
        assert held.execute("SELECT 1").fetchone() == (1,)
        pool.putconn(held)
    found = store.lookup(Lookup(SESSION.sid))
    assert isinstance(found, Found)
    assert found.session.gen == 1
    store.close()


def test_a_forked_process_does_not_use_a_pool_of_the_applications(url: str) -> None:
    """Only the application can make another: the store says so."""
    with given(url) as pool:
        store = PostgresStore(pool)
        store.count()

        def is_refused() -> bool:
            with pytest.raises(StoreUnavailable) as caught:
                store.count()
            return caught.value.detail == "forked"

        assert fork(is_refused)() == 0
        assert store.count() == 1
