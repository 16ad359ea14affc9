"""Holds what real servers bring to its place: failovers, tables without rows, starts that are stuck."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest
from sqlalchemy import delete, func, insert, make_url, select

from keyturn._core.commands import Deny, Purge, Where
from keyturn._core.outcomes import Created
from keyturn._core.trail import TrailEntry
from keyturn.errors import InvalidInput, StoreUnavailable
from keyturn.stores._sql.codes import by_words
from keyturn.stores._sql.locking import POSTGRES_LOCK
from keyturn.stores._sql.meanings import code_of
from keyturn.stores._sql.queries import CHUNK
from keyturn.stores._sql.tables import denials, from_entry, sessions, stripes, to_row, trail
from keyturn.stores.postgres import AsyncPostgresStore, PostgresStore
from keyturn.stores.protocol import Store, Trail
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.testing.colours import LoopThread, blocking
from keyturn.testing.samples import T0, numbered, sign_in
from tests.support.crosswise import crosswise
from tests.support.postgres import at_once
from tests.support.sql import SERVERS, empty, opened, prepared

NOW: Final = T0 + 1000
DENY: Final = Deny("token", NOW + 1, "test", NOW)
DENIAL: Final = {"expires_at": NOW * 2, "reason": "", "denied_at": NOW}
FAR: Final = 2 * T0  # when all is old


@pytest.fixture(scope="module", params=SERVERS)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the tables, on each server."""
    with prepared(request, request.param, tmp_path_factory.mktemp("sql")) as url:
        yield url


@pytest.fixture(params=["threads", "asyncio"])
def store(request: pytest.FixtureRequest, database: str) -> Iterator[Store]:
    """The store that a URL opens, on an empty database, in both colours with the face of that for threads."""
    empty(database)
    native = database.startswith("postgresql")
    with LoopThread() as loop:
        if request.param == "threads":
            kind = PostgresStore if native else SQLAlchemyStore
            store: Store = kind.from_url(database)
        else:
            async_kind = AsyncPostgresStore if native else AsyncSQLAlchemyStore
            store = blocking(async_kind.from_url(database), loop)
        yield store
        store.close()


def test_a_limit_holds_where_the_rows_of_the_locks_are_missing(store: Store, database: str) -> None:
    """Tables made from `metadata` have none, and sign-ins must not pass each other unseen for it."""
    for trial in range(10):
        with opened(database) as engine, engine.connect() as connection:
            connection.execute(delete(stripes))
        user_id = f"user-{trial}"
        commands = iter(
            [replace(sign_in(numbered(trial * 100 + i, user_id=user_id), limit=1), now=NOW) for i in range(5)]
        )
        answers = at_once(5, lambda: store.create(next(commands)))  # noqa: B023  (all are done here)
        assert all(isinstance(answer, Created) for answer in answers)
        assert store.count(Where(user_id=user_id, live_at=NOW)) == 1


def test_a_pool_leaves_a_server_that_has_become_read_only(
    request: pytest.FixtureRequest, store: Store, database: str
) -> None:
    """A failover may leave connections open to what is a replica now: those who write find the primary."""
    with read_only_for_new_connections(request, database), pytest.raises(StoreUnavailable) as caught:
        store.deny(DENY)
    assert caught.value.detail == "read_only"
    with suppress(StoreUnavailable):  # psycopg's pool has replaced the connection meanwhile
        store.deny(DENY)
    store.deny(DENY)


@contextmanager
def read_only_for_new_connections(request: pytest.FixtureRequest, url: str) -> Iterator[None]:
    """Have a server tell each new connection, for as long as that lives, that it must not write."""
    if url.startswith("postgresql"):
        setting = f"ALTER DATABASE {make_url(url).database} SET default_transaction_read_only ="
        server = request.getfixturevalue("postgres_server")
    else:
        setting, server = "SET GLOBAL tx_read_only =", request.getfixturevalue("mariadb_server")
    server.query(f"{setting} ON")
    try:
        yield
    finally:
        server.query(f"{setting} OFF")


def test_a_start_does_not_wait_for_ever_for_another(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A process that stopped in the middle of an upgrade holds its lock: others say so and end."""
    with (
        prepared(request, "postgres", tmp_path) as url,
        opened(url) as engine,
        engine.connect() as stuck,
        ThreadPoolExecutor(1) as threads,
    ):
        stuck.exec_driver_sql("DROP TABLE keyturn_alembic_version")
        stuck.exec_driver_sql("BEGIN")
        stuck.exec_driver_sql(f"SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")
        store = PostgresStore.from_url(url)
        started = threads.submit(store.create_schema)
        try:
            error = started.exception(timeout=30)
        finally:
            stuck.exec_driver_sql("ROLLBACK")
        assert isinstance(error, StoreUnavailable)
        assert error.detail == "schema_lock"
        store.close()


def test_claims_that_are_no_json_are_the_callers_mistake(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """PostgreSQL refuses the value, and that is no outage."""
    with prepared(request, "postgres", tmp_path) as url:
        store = PostgresStore.from_url(url)
        with pytest.raises(InvalidInput):
            store.create(sign_in(replace(numbered(1), claims={"n": float("nan")})))
        store.close()


@pytest.mark.parametrize("limit", [None, 1])
def test_claims_that_cannot_be_json_are_the_callers_mistake(store: Store, limit: int | None) -> None:
    """No driver's own error leaves a store, and the next operation finds its connection in order."""
    endless: dict[str, Any] = {}
    endless["more"] = endless
    for claims in ({"who": object()}, {"when": {1, 2}}, {(1, 2): "pair"}, endless):
        wrong: Any = claims
        with pytest.raises(InvalidInput):
            store.create(sign_in(replace(numbered(1), claims=wrong), limit=limit))
        assert store.count() == 0


@pytest.mark.parametrize("operation", ["delete", "purge", "forget"])
def test_what_is_gone_is_counted_once_however_often_it_is_tried(
    store: Store, database: str, operation: str
) -> None:
    """A deadlock in the second chunk has the operation done again, and the first chunk is gone already."""
    rows = [numbered(number) for number in range(1, CHUNK + 3)]
    entries = [TrailEntry(row.sid, row.sid, T0, "sign_in") for row in rows]
    table, key = (trail, trail.c.id) if operation == "forget" else (sessions, sessions.c.sid)
    ids = [row.sid for row in rows]
    gone = {
        "delete": lambda: store.delete(ids),
        "purge": lambda: store.purge(Purge(now=NOW, before=FAR, limit=len(ids))),
        "forget": lambda: cast("Trail", store).forget(FAR, len(ids)),
    }[operation]
    before_last, last = (select(key).where(key == each).with_for_update() for each in ids[-2:])
    much = insert(denials).values([{**DENIAL, "token_id": str(n)} for n in range(100)])  # which is spared
    with opened(database) as engine, engine.connect() as connection:

        def prepare() -> None:
            empty(engine)
            connection.execute(insert(sessions), [to_row(row) for row in rows])
            if operation == "forget":
                connection.execute(insert(trail), [from_entry(each) for each in entries])

        seen, count = crosswise(engine, prepare=prepare, held=[much, last], wanted=before_last, work=gone)
        assert (len(seen), count) == (1, len(ids))
        assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


@pytest.mark.parametrize("name", ["sqlstate", "pgcode"])
def test_both_psycopgs_say_what_is_wrong(name: str) -> None:
    """Django still takes psycopg 2, which has another name for the five characters."""
    error = Exception("deadlock detected")
    setattr(error, name, "40P01")
    assert code_of(error) == "40P01"
    assert code_of(Exception("deadlock detected")) is None


@pytest.mark.parametrize(
    ("words", "detail"),
    [
        ("connection failed: FATAL:  unsupported startup parameter in options: lock_timeout", "pooler"),
        ("connection failed: server does not support SSL, but SSL was required", "tls"),
        ('connection failed: root certificate file "/etc/ca.pem" does not exist', "tls"),
        ("connection failed: Connection refused", "unreachable"),
        ("Lost connection to MySQL server during query (read timeout)", "timeout"),
        ("Lost connection to MySQL server during query (timed out)", "timeout"),
    ],
)
def test_what_drivers_say_in_words_only_is_told_apart(words: str, detail: str) -> None:
    """Each has another remedy."""
    meaning = by_words(words)
    assert meaning is not None
    assert meaning.detail == detail
