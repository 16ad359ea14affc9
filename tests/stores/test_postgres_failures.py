"""What the PostgreSQL store says and does where its server refuses, leaves, returns or never answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from keyturn._core.commands import Check, Confirm, Deny, Lookup, Revoke
from keyturn._core.outcomes import Converged, Rotated
from keyturn.errors import InvalidInput, SchemaError, StoreError, StoreUnavailable
from keyturn.stores.postgres import AsyncPostgresStore, PostgresStore
from keyturn.stores.protocol import Store
from keyturn.testing.colours import LoopThread, blocking
from keyturn.testing.proxy import Proxy
from keyturn.testing.samples import line_of, numbered, sign_in
from keyturn.testing.servers import PostgresServer
from tests.support.databases import started
from tests.support.postgres import NOBODY, REFRESH, SESSION, asked, at_once, template, told
from tests.support.sql import new_database

NOW: Final = SESSION.created_at + 1000
SAFE: Final[dict[str, Callable[[PostgresStore], object]]] = {
    "rotate": lambda store: store.rotate(REFRESH),
    "lookup": lambda store: store.lookup(Lookup(SESSION.sid)),
    "check": lambda store: store.check(Check(SESSION.sid, "token", NOW)),
    "confirm": lambda store: store.confirm(Confirm(SESSION.sid, 0, NOW)),
    "deny": lambda store: store.deny(Deny("token", NOW, "test", NOW)),
    "find": lambda store: store.find(),
    "count": lambda store: store.count(),
    "note": lambda store: store.note([line_of(SESSION, 1)]),
    "history": lambda store: store.history(SESSION.sid),
}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of this module's own: it is stopped and killed."""
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


def changed(url: str, **parts: str) -> str:
    """Change the user, the password or the database of a URL."""
    old = urlsplit(url)
    user, password = parts.get("user", old.username), parts.get("password", old.password)
    return f"postgresql://{user}:{password}@127.0.0.1:{old.port}/{parts.get('database', old.path[1:])}"


def refused(url: str, **options: Any) -> StoreError:
    """Give what a store says at its first use; it must hold no password."""
    store = PostgresStore.from_url(url, **options)
    with pytest.raises(StoreError) as caught:
        store.rotate(REFRESH)
    store.close()
    assert (urlsplit(url).password or "none") not in told(caught.value)
    assert caught.value.__cause__ is not None
    return caught.value


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ({"password": "a-wrong-one"}, "access_denied"),
        ({"user": "nobody"}, "access_denied"),
        ({"database": "nowhere"}, "no_database"),
    ],
)
def test_what_a_connection_is_refused_for_is_said_in_words(
    url: str, parts: dict[str, str], detail: str
) -> None:
    """One sentence that says what to do, without the password, and at once."""
    assert refused(changed(url, **parts)).detail == detail


def test_nobody_at_the_address(url: str) -> None:
    """The sentence tells where to look."""
    del url
    error = refused(NOBODY.replace("keyturn@", "keyturn:hunter2@"))
    assert error.detail == "unreachable"
    assert "host and port" in str(error)


def test_too_many_connections(server: PostgresServer, url: str) -> None:
    """The server's own limit is not the store's fault, and passes."""
    server.query("CREATE ROLE crowded LOGIN PASSWORD 'full' CONNECTION LIMIT 0")
    assert refused(changed(url, user="crowded", password="full")).detail == "too_many_connections"
    server.query("DROP ROLE crowded")


def test_a_user_without_rights(server: PostgresServer, url: str) -> None:
    """Keyturn's tables belong to somebody else."""
    server.query("CREATE ROLE stranger LOGIN PASSWORD 'hidden'")
    assert refused(changed(url, user="stranger", password="hidden")).detail == "no_rights"
    server.query("DROP ROLE stranger")


def test_a_database_without_tables(server: PostgresServer) -> None:
    """The sentence names the command."""
    with new_database(server) as url:
        error = refused(url)
    assert isinstance(error, SchemaError)
    assert "keyturn db upgrade" in str(error)


def test_an_older_and_a_newer_schema(url: str) -> None:
    """Tables of an older version lack columns; those of a newer one are left alone."""
    asked(url, "ALTER TABLE keyturn_sessions DROP COLUMN jkt")
    assert isinstance(refused(url), SchemaError)
    asked(url, "UPDATE keyturn_alembic_version SET version_num = '9999'")
    store = PostgresStore.from_url(url)
    with pytest.raises(SchemaError, match="newer Keyturn"):
        store.create_schema()
    store.close()


def test_a_server_that_is_read_only(url: str) -> None:
    """As a replica is: the sentence says whose URL is wanted."""
    name = url.rpartition("/")[2]
    asked(url, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    assert refused(url).detail == "read_only"


def test_another_lock_is_waited_for_only_so_long(url: str) -> None:
    """And a statement runs only so long; both are the server's answers, which leave the connection whole."""
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE keyturn_sessions")
        assert refused(url, busy_timeout=0.2).detail == "lock_timeout"
        assert refused(url, answer_timeout=0.2).detail == "timeout"


def test_a_pool_that_is_busy(url: str) -> None:
    """Whoever waits too long for a connection is told so."""
    store = PostgresStore.from_url(url, pool_size=1, busy_timeout=1)
    store.count()
    held = store._gate.pool.getconn()
    with pytest.raises(StoreUnavailable) as caught:
        store.count()
    assert caught.value.detail == "pool_timeout"
    store._gate.pool.putconn(held)
    store.close()


@pytest.mark.parametrize("user_id", ["nul \0", "half \ud800", 300 * "x"])
def test_a_value_that_cannot_be_stored(url: str, user_id: str) -> None:
    """It is the value's fault, not the server's; and what it was is not told."""
    store = PostgresStore.from_url(url)
    with pytest.raises(InvalidInput):
        store.create(sign_in(replace(numbered(2), user_id=user_id)))
    store.close()


@pytest.mark.parametrize("name", SAFE)
def test_what_is_safe_to_repeat_does_not_notice_a_restart(
    server: PostgresServer, url: str, name: str
) -> None:
    """Not even the first calls after it, on many connections that have all become stale."""
    store = PostgresStore.from_url(url, pool_size=4)
    at_once(4, store.count)
    server.restart()
    at_once(8, lambda: SAFE[name](store))
    store.close()


def test_what_cannot_be_repeated_is_not_sent_on_a_stale_connection(server: PostgresServer, url: str) -> None:
    """After a restart the first sign-ins and revocations succeed, too: they find out before they are sent."""
    store = PostgresStore.from_url(url, pool_size=4)
    at_once(4, store.count)
    server.restart()
    numbers = iter(range(2, 100))
    at_once(4, lambda: store.create(sign_in(numbered(next(numbers)))))
    server.restart()
    assert store.revoke(Revoke(SESSION.sid, None, None, "user", NOW)).found
    assert store.count() == 5
    store.close()


def test_connections_that_were_never_used_become_stale_too(server: PostgresServer, url: str) -> None:
    """A pool makes some before anybody asks for them; a restart leaves all of them behind."""
    with ConnectionPool[Any](url, min_size=3, kwargs={"autocommit": True}) as pool:
        pool.wait()
        store = PostgresStore(pool)
        server.restart()
        store.create(sign_in(numbered(2)))
        store.close()


def test_tasks_do_not_notice_a_restart(server: PostgresServer, url: str) -> None:
    """As above, for asyncio, and after a crash."""

    async def many(store: AsyncPostgresStore) -> None:
        await asyncio.gather(*(store.lookup(Lookup(SESSION.sid)) for _ in range(8)))

    with LoopThread() as loop:
        store = AsyncPostgresStore.from_url(url, pool_size=4)
        loop.run(many(store))
        server.kill()
        server.start()
        loop.run(many(store))
        server.restart()
        loop.run(store.create(sign_in(numbered(2))))
        loop.run(store.close())


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_server_that_is_away_is_said_to_be_and_found_again(
    server: PostgresServer, url: str, *, asynchronous: bool
) -> None:
    """While it is away everybody is told at once, and the next call after its return succeeds."""
    with LoopThread() as loop:
        store: Store = (
            blocking(AsyncPostgresStore.from_url(url, pool_size=4), loop)
            if asynchronous
            else PostgresStore.from_url(url, pool_size=4)
        )
        store.count()
        server.stop()
        for _ in range(3):
            for call in (store.count, lambda: store.create(sign_in(numbered(2)))):
                with pytest.raises(StoreUnavailable) as caught:
                    call()
                assert caught.value.detail in {"unreachable", "connection_lost", "starting"}
        server.start()
        assert store.count() == 1
        store.close()


def test_a_lost_answer_to_a_rotation_is_made_up_for(server: PostgresServer, url: str) -> None:
    """It was done; asked again, the store gives the same successor."""
    with Proxy(server.port) as proxy:
        store = PostgresStore.from_url(proxy.url(url))
        store.count()
        proxy.lose("answer", after=1)  # the first request prepares the statement
        assert isinstance(store.rotate(REFRESH), Converged)
        assert proxy.lost == 1
        store.close()


def test_what_cannot_be_repeated_is_not(server: PostgresServer, url: str) -> None:
    """Nobody knows whether a sign-in or a revocation was done: the application is told, and decides.

    So it is with a rotation without windows: repeated, it would look like theft.
    """
    strict = replace(REFRESH, race_window=0, recovery_window=0)
    calls: list[Callable[[PostgresStore], object]] = [
        lambda store: store.create(sign_in(numbered(2))),
        lambda store: store.rotate(strict),
        lambda store: store.revoke(Revoke(SESSION.sid, None, None, "user", NOW)),
    ]
    with Proxy(server.port) as proxy:
        store = PostgresStore.from_url(proxy.url(url), pool_size=1)  # no other is opened meanwhile
        for call in calls:
            store.count()
            lost = proxy.lost
            proxy.lose("answer", after=1)  # the first request prepares the statement
            with pytest.raises(StoreUnavailable) as caught:
                call(store)
            assert caught.value.detail == "connection_lost"
            assert proxy.lost == lost + 1
        assert store.count() == 2
        store.close()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_server_that_never_answers(server: PostgresServer, url: str, *, asynchronous: bool) -> None:
    """The client's own patience ends a little after the server's; the connection is not used again."""
    with Proxy(server.port) as proxy, LoopThread() as loop:
        target = proxy.url(url)
        store: Store = (
            blocking(AsyncPostgresStore.from_url(target, answer_timeout=1), loop)
            if asynchronous
            else PostgresStore.from_url(target, answer_timeout=1)
        )
        store.count()
        proxy.deafen()
        with pytest.raises(StoreUnavailable) as caught:
            store.rotate(REFRESH)
        assert caught.value.detail == "timeout"
        proxy.hear()
        assert isinstance(store.rotate(REFRESH), Rotated)
        store.close()


def test_one_lost_connection_of_many(url: str) -> None:
    """An administrator ends the store's connections: nobody notices, and the pool is whole after it."""
    store = PostgresStore.from_url(url, pool_size=4)
    at_once(4, store.count)
    ended = asked(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'keyturn'",
    )
    assert ended
    assert at_once(8, store.count) == [1] * 8
    store.close()
