"""Breaks connections to real servers in every way that happens, and holds what the stores say then."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest
from sqlalchemy import URL, create_engine, event, make_url, select, update

from keyturn._core.commands import Lookup, Revoke, RevokeUser, Where
from keyturn._core.outcomes import Converged, Found, Rotated
from keyturn.errors import InvalidInput, StoreUnavailable
from keyturn.stores._sql.codes import LOST, ROLLED_BACK
from keyturn.stores._sql.retries import Tries
from keyturn.stores._sql.servers import too_old
from keyturn.stores._sql.tables import sessions
from keyturn.stores.protocol import Store
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.testing.colours import LoopThread, blocking
from keyturn.testing.proxy import Proxy
from keyturn.testing.samples import DAY, numbered, refresh_of, sign_in
from tests.support.crosswise import crosswise
from tests.support.processes import fork
from tests.support.sql import SERVERS, empty, opened, prepared

SESSION: Final = numbered(1)
REFRESH: Final = refresh_of(SESSION, SESSION.created_at + 1)
DRIVERS: Final = {"postgres": "postgresql+psycopg", "mariadb": "mysql+pymysql"}

Open: TypeAlias = Callable[..., Store]


@pytest.fixture(scope="module", params=SERVERS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the tables, on each server."""
    with prepared(request, request.param, tmp_path_factory.mktemp("sql")) as url:
        yield url


@pytest.fixture
def url(database: str) -> str:
    """It, with one session."""
    with opened(database) as engine:
        empty(engine)
        SQLAlchemyStore(engine).create(sign_in(SESSION))
    return database


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """The loop in which the stores for asyncio live."""
    with LoopThread() as loop:
        yield loop


@pytest.fixture(params=[SQLAlchemyStore, AsyncSQLAlchemyStore], ids=["threads", "asyncio"])
def open_store(request: pytest.FixtureRequest, loop: LoopThread) -> Iterator[Open]:
    """Open stores of one colour, all with the face of those for threads."""
    stores: list[Store] = []

    def open_one(url: str | URL, **settings: Any) -> Store:
        stores.append(blocking(request.param.from_url(url, **settings), loop))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


def changed(url: str, **parts: Any) -> URL:
    """Change parts of a URL."""
    return make_url(url).set(**parts)


@pytest.mark.parametrize(
    ("parts", "detail", "words"),
    [
        ({"password": "a-wrong-password"}, "access_denied", "another password"),
        ({"username": "nobody"}, "access_denied", "another password"),
        ({"database": "not_there"}, "no_database", "create it"),
        ({"port": 1}, "unreachable", "is it running"),
        ({"host": "nowhere.invalid"}, "unreachable", "is it running"),
    ],
    ids=["password", "user", "database", "port", "host"],
)
def test_what_is_wrong_is_said_and_the_password_is_not(
    url: str, open_store: Open, parts: dict[str, Any], detail: str, words: str
) -> None:
    """One sentence that says what to do; no message and no cause of it holds the password."""
    wrong = changed(url, **parts)
    with pytest.raises(StoreUnavailable, match=words) as caught:
        open_store(wrong).count()
    assert caught.value.detail == detail
    printed = "".join(traceback.format_exception(caught.value))
    assert str(wrong.password) not in printed


def test_a_read_only_server_is_named(request: pytest.FixtureRequest, url: str, open_store: Open) -> None:
    """What reads is served; a write says that this is a replica."""
    name = make_url(url).database
    if url.startswith("postgresql"):
        server = request.getfixturevalue("postgres_server")
        server.query(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        undo = f"ALTER DATABASE {name} RESET default_transaction_read_only"
        reader: str | URL = url
    else:
        server = request.getfixturevalue("mariadb_server")
        server.query(f"CREATE USER reader@'%' IDENTIFIED BY 'secret'; GRANT ALL ON {name}.* TO reader@'%'")
        server.query("SET GLOBAL read_only = 1")  # which does not hold for those who administrate the server
        undo = "SET GLOBAL read_only = 0; DROP USER reader@'%'"
        reader = changed(url, username="reader", password="secret")
    try:
        store = open_store(reader)
        assert store.lookup(Lookup(SESSION.sid)) == Found(SESSION)
        for write in (lambda: store.rotate(REFRESH), lambda: store.create(sign_in(numbered(2), limit=2))):
            with pytest.raises(StoreUnavailable, match="give the store the primary's URL") as caught:
                write()
            assert caught.value.detail == "read_only"
    finally:
        server.query(undo)


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    """A line to the server that can be broken."""
    port = make_url(url).port
    assert port is not None
    with Proxy(port) as proxy:
        yield proxy


def test_what_is_safe_is_done_again_on_a_new_connection(url: str, proxy: Proxy, open_store: Open) -> None:
    """Connections that were cut while nobody looked fail no refresh, and no reading."""
    store = open_store(proxy.url(url), pool_size=2)
    for operation in (
        lambda: store.lookup(Lookup(SESSION.sid)),
        lambda: store.rotate(REFRESH),
        lambda: store.count(Where(user_id=SESSION.user_id)),
    ):
        store.count()
        proxy.reset()
        assert operation() is not None


def test_a_refresh_whose_answer_was_lost_converges(url: str, proxy: Proxy, open_store: Open) -> None:
    """The server has done it and nobody heard: the second try is handed the successor."""
    store = open_store(proxy.url(url), pool_size=1)
    store.count()
    proxy.lose("answer", to=b"UPDATE")
    outcome = store.rotate(REFRESH)
    assert proxy.lost == 1
    assert isinstance(outcome, Converged | Rotated)
    assert outcome.session.gen == 1


def test_what_is_not_safe_is_not_done_again(url: str, proxy: Proxy, open_store: Open) -> None:
    """Whoever signs in or revokes is told that nobody knows; the store goes on with a new connection."""
    store = open_store(proxy.url(url), pool_size=1)
    store.count()
    proxy.lose("answer", to=b"INSERT")
    with pytest.raises(StoreUnavailable, match="connection to the database was lost"):
        store.create(sign_in(numbered(2)))
    assert store.lookup(Lookup(numbered(2).sid)) == Found(numbered(2))
    proxy.lose("answer", to=b"UPDATE")
    with pytest.raises(StoreUnavailable) as caught:
        store.revoke(Revoke(SESSION.sid, None, None, "user", REFRESH.now))
    assert caught.value.detail == "connection_lost"
    assert store.revoke(Revoke(SESSION.sid, None, None, "user", REFRESH.now)).found


def test_a_refresh_without_windows_is_not_done_again(url: str, proxy: Proxy, open_store: Open) -> None:
    """The second try would find the token spent, and end the session of somebody honest."""
    store = open_store(proxy.url(url), pool_size=1)
    store.count()
    proxy.lose("answer", to=b"UPDATE")
    with pytest.raises(StoreUnavailable, match="connection to the database was lost"):
        store.rotate(replace(REFRESH, race_window=0, recovery_window=0))
    found = store.lookup(Lookup(SESSION.sid))
    assert isinstance(found, Found)
    assert (found.session.gen, found.session.revoked_at) == (1, None)


def test_a_server_that_never_answers_is_given_up(url: str, proxy: Proxy, open_store: Open) -> None:
    """A line that takes everything and says nothing holds nobody for longer than the timeout."""
    store = open_store(proxy.url(url), pool_size=1, connect_timeout=1, answer_timeout=0.3, busy_timeout=5)
    store.count()
    proxy.deafen()
    with pytest.raises(StoreUnavailable) as caught:
        store.lookup(Lookup(SESSION.sid))
    assert caught.value.detail == "timeout"
    proxy.hear()
    proxy.reset()
    assert store.lookup(Lookup(SESSION.sid)) == Found(SESSION)


def test_a_locked_row_is_an_outage_that_passes(url: str, open_store: Open) -> None:
    """Beyond the busy timeout a write is refused as an outage; then all is as before."""
    store = open_store(url, busy_timeout=0.2)
    with opened(url) as engine, engine.connect() as other:
        other.exec_driver_sql("BEGIN")
        other.exec_driver_sql("SELECT sid FROM keyturn_sessions FOR UPDATE").all()
        with pytest.raises(StoreUnavailable, match="locked by another transaction") as caught:
            store.rotate(REFRESH)
        assert caught.value.detail == "lock_timeout"
        other.exec_driver_sql("ROLLBACK")
    assert isinstance(store.rotate(REFRESH), Rotated)


def test_a_deadlock_is_resolved_unseen(url: str, open_store: Open) -> None:
    """Of two that wait for each other the server ends one: if that is ours, it is done again."""
    store, second = open_store(url), numbered(2)
    rows = [SESSION, second, *(numbered(number, user_id="another") for number in range(3, 30))]
    with opened(url) as engine:

        def prepare() -> None:
            empty(engine)
            for row in rows:
                store.create(sign_in(row))

        seen, revocation = crosswise(
            engine,
            prepare=prepare,
            held=[
                update(sessions).where(sessions.c.user_id == "another").values(gen=1),  # so much is spared
                update(sessions).where(sessions.c.sid == second.sid).values(gen=1),
            ],
            wanted=select(sessions.c.gen).where(sessions.c.sid == SESSION.sid).with_for_update(),
            work=lambda: store.revoke_user(RevokeUser("user-1", None, "user", REFRESH.now)),
        )
    assert seen == [(0,)]
    assert [(row.sid, row.gen) for row in revocation.ended] == [(SESSION.sid, 0), (second.sid, 1)]


@pytest.mark.parametrize(
    "where", [Where(user_id="\ud800"), Where(user_id="\0")], ids=["half a pair of surrogates", "U+0000"]
)
def test_text_that_cannot_be_asked_for_is_no_outage(url: str, open_store: Open, where: Where) -> None:
    """PostgreSQL holds no U+0000, and nothing holds half a pair of surrogates; MariaDB finds nothing."""
    store = open_store(url)
    try:
        assert store.find(where) == ()
    except InvalidInput as error:
        assert error.detail == "not_storable"  # noqa: PT017  (either answer is right)


def test_a_text_that_is_too_long_is_the_callers_mistake(url: str, open_store: Open) -> None:
    """It is refused, and never cut off."""
    store = open_store(url)
    with pytest.raises(InvalidInput, match="cannot be stored"):
        store.create(sign_in(numbered(2, user_id="x" * 256)))
    assert store.count() == 1


def test_connections_that_cut_off_text_are_refused(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """An application's engine whose MariaDB is not strict would store another user's id."""
    with prepared(request, "mariadb", tmp_path) as url:
        engine = create_engine(changed(url, drivername="mysql+pymysql"))

        def relax(connection: Any, _: object) -> None:
            connection.query("SET SESSION sql_mode = ''")

        event.listen(engine, "connect", relax)
        with pytest.raises(StoreUnavailable, match="STRICT_ALL_TABLES"):
            SQLAlchemyStore(engine).count()
        engine.dispose()


def test_the_settings_of_a_connection(url: str) -> None:
    """The server gives up a statement when nobody waits any more, and waits for no lock longer than told.

    It also ends a transaction that was left open: whoever follows the log waits for its numbers.
    """
    store = SQLAlchemyStore.from_url(url, busy_timeout=3, answer_timeout=7)
    if url.startswith("postgresql"):
        asked = [
            "SHOW statement_timeout",
            "SHOW idle_in_transaction_session_timeout",
            "SHOW lock_timeout",
            "SHOW default_transaction_isolation",
        ]
        expected = ["7s", "7s", "3s", "read committed"]
    else:
        asked = [
            "SELECT @@max_statement_time + 0",
            "SELECT @@idle_transaction_timeout",
            "SELECT @@innodb_lock_wait_timeout",
            "SELECT @@tx_isolation",
        ]
        expected = ["7.0", "7", "3", "READ-COMMITTED"]
    with store._engine.connect() as connection:
        assert [str(connection.exec_driver_sql(each).scalar_one()) for each in asked] == expected
    store.close()


def test_a_forked_process_has_connections_of_its_own(url: str) -> None:
    """Two processes on one line would read each other's answers."""
    store = SQLAlchemyStore.from_url(url, pool_size=1)
    store.count()
    assert fork(lambda: isinstance(store.rotate(REFRESH), Rotated))() == 0
    found = store.lookup(Lookup(SESSION.sid))
    assert isinstance(found, Found)
    assert found.session.gen == 1
    store.close()


def test_a_pool_recovers_after_a_restart_and_nothing_leaks(
    request: pytest.FixtureRequest, url: str, open_store: Open
) -> None:
    """While the server is down, every operation says so at once; when it is back, the same store goes on."""
    server = request.getfixturevalue("postgres_server" if url.startswith("postgresql") else "mariadb_server")
    store = open_store(url, pool_size=2)
    store.rotate(REFRESH)
    server.kill()
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            store.lookup(Lookup(SESSION.sid))
    server.start()
    found = store.lookup(Lookup(SESSION.sid))
    assert isinstance(found, Found)
    assert found.session.gen == 1
    assert store.count(Where(live_at=SESSION.created_at + DAY)) == 1


@pytest.mark.parametrize(
    ("name", "version", "is_mariadb", "words"),
    [
        ("postgresql", (12, 19), False, "PostgreSQL 12.19, and Keyturn needs PostgreSQL 13"),
        ("postgresql", (13, 0), False, None),
        ("mysql", (10, 5, 9), True, "MariaDB 10.5.9, and Keyturn needs MariaDB 10.6"),
        ("mariadb", (10, 6, 0), True, None),
        ("mysql", (5, 7, 44), False, "MySQL 5.7.44, and Keyturn needs MySQL 8.0.17"),
        ("mysql", (8, 4, 0), False, None),
    ],
)
def test_which_servers_are_too_old(
    name: str,
    version: tuple[int, ...],
    is_mariadb: bool,  # noqa: FBT001
    words: str | None,
) -> None:
    """The sentence says what there is and what it must be."""
    said = too_old(name, version, is_mariadb=is_mariadb)
    assert (said is None) if words is None else (said is not None and words in said)


def test_tries_are_bounded() -> None:
    """What was rolled back is done again a few times; what was lost, once, and only if it is safe."""
    rolled_back = StoreUnavailable(detail=ROLLED_BACK.detail)
    lost, other = StoreUnavailable(detail=LOST.detail), StoreUnavailable(detail="timeout")
    unsafe, safe = Tries(safe=False), Tries(safe=True)
    assert [unsafe.allow_another(rolled_back) for _ in range(6)] == [True] * 4 + [False] * 2
    assert not unsafe.allow_another(lost)
    assert [safe.allow_another(lost), safe.allow_another(lost)] == [True, False]
    assert not safe.allow_another(other)
