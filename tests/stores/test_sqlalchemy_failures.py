"""Breaks the database in every way that happens, and holds what the stores say and that they go on."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import sqlite3
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.pool import QueuePool

from keyturn._core.commands import Lookup, RevokeUser, Where
from keyturn._core.outcomes import Ended, Found, Rotated
from keyturn.errors import ConfigurationError, InvalidInput, StoreUnavailable
from keyturn.stores._sql.sqlite import Synchronous
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.testing.samples import numbered, refresh_of, sign_in
from tests.support.processes import fork

SESSION = numbered(1)
REFRESH = refresh_of(SESSION, SESSION.created_at + 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with one session."""
    path = tmp_path / "keyturn.db"
    store = SQLAlchemyStore.from_url(f"sqlite:///{path}")
    store.create_schema()
    store.create(sign_in(SESSION))
    store.close()
    return path


@pytest.fixture
def store(path: Path) -> Iterator[SQLAlchemyStore]:
    """A store on it that does not wait for a lock."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{path}", busy_timeout=0)
    yield store
    store.close()


@pytest.fixture
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody who holds the write lock; closing the connection gives it back."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    yield holder
    holder.close()


def test_a_locked_database_is_an_outage_that_passes(
    store: SQLAlchemyStore, locked: sqlite3.Connection
) -> None:
    """Beyond the busy timeout a write is refused as an outage; readers go on; then all is as before."""
    for attempt in (
        lambda: store.rotate(REFRESH),  # the single statement
        lambda: store.rotate(replace(REFRESH, rotation=False)),  # the transaction
        lambda: store.create(sign_in(numbered(2), limit=3)),
        lambda: store.revoke_user(RevokeUser(SESSION.user_id, None, "user", REFRESH.now)),
    ):
        with pytest.raises(StoreUnavailable, match="locked by another process") as caught:
            attempt()
        assert caught.value.detail == "sqlite_busy"
    assert store.lookup(Lookup(SESSION.sid)) == Found(SESSION)
    locked.close()
    assert isinstance(store.rotate(REFRESH), Rotated)


async def test_a_locked_database_is_an_outage_for_asyncio_too(path: Path, locked: sqlite3.Connection) -> None:
    """The same through aiosqlite."""
    store = AsyncSQLAlchemyStore.from_url(f"sqlite:///{path}", busy_timeout=0)
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        await store.rotate(REFRESH)
    with pytest.raises(StoreUnavailable, match="locked by another process"):
        await store.create(sign_in(numbered(2), limit=3))
    locked.close()
    assert isinstance(await store.rotate(REFRESH), Rotated)
    await store.close()


def test_a_writer_waits_as_long_as_the_busy_timeout(path: Path, locked: sqlite3.Connection) -> None:
    """A lock that is given back within the timeout fails nobody: SQLite's own clock counts."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{path}", busy_timeout=7.5)
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 7500
    store.close()


def test_a_transaction_that_fails_changes_nothing(store: SQLAlchemyStore) -> None:
    """What was ended to make room is not ended where the new session cannot be stored."""
    newcomer = replace(numbered(2), device={"name": object()})
    with pytest.raises(InvalidInput):
        store.create(sign_in(newcomer, limit=1))
    assert store.find() == (SESSION,)
    assert isinstance(store.rotate(REFRESH), Rotated)  # and the lock is free


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """It is refused, and left as it is."""
    path = tmp_path / "letter.db"
    path.write_text("Dear database, " * 100)
    store = SQLAlchemyStore.from_url(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable, match="not an SQLite database"):
        store.create_schema()
    store.close()
    assert path.read_text().startswith("Dear database")


def test_a_damaged_file(path: Path, store: SQLAlchemyStore) -> None:
    """Damage is an outage, never an answer about a token."""
    page_size = 4096
    content = bytearray(path.read_bytes())
    content[page_size:] = b"\xff" * (len(content) - page_size)  # all but the first page
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="damaged"):
        store.lookup(Lookup(SESSION.sid))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """The message says where to look."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/missing/keyturn.db")
    with pytest.raises(StoreUnavailable, match="is its folder there"):
        store.create_schema()
    store.close()


def test_a_read_only_database(path: Path) -> None:
    """Readers are served; a write says what is wrong."""
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    store = SQLAlchemyStore(engine)
    assert store.count() == 1
    with pytest.raises(StoreUnavailable, match="read-only"):
        store.rotate(REFRESH)
    engine.dispose()


def test_a_full_disk(path: Path) -> None:
    """A write that finds no room is refused, and nothing of it is stored."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{path}", pool_size=1)
    with (
        store._engine.connect() as connection
    ):  # the pool's only one; SQLite's own limit stands in for a disk
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    newcomers = [numbered(number) for number in range(2, 1000)]
    with pytest.raises(StoreUnavailable, match="full"):
        deque(map(store.create, map(sign_in, newcomers)), maxlen=0)
    assert list(store.find()) == [SESSION, *newcomers][: store.count()]
    assert 1 < store.count() < 999
    store.close()


def test_a_busy_pool_is_an_outage(path: Path) -> None:
    """Whoever waits too long for a connection is told to come again."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{path}", pool_size=1, busy_timeout=0)
    with store._engine.connect(), pytest.raises(StoreUnavailable, match="connections of the pool are busy"):
        store.count()
    assert store.count() == 1
    store.close()


def test_no_value_of_a_row_is_in_a_traceback(path: Path, locked: sqlite3.Connection) -> None:
    """Whatever prints the error and its causes prints no parameter, also on an application's own engine."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})
    store, command = (
        SQLAlchemyStore(engine),
        sign_in(replace(numbered(2), claims={"name": "a private claim"})),
    )
    with pytest.raises(StoreUnavailable) as caught:
        store.create(command)
    printed = "".join(traceback.format_exception(caught.value))
    assert "INSERT INTO keyturn_sessions" in printed
    assert "a private claim" not in printed
    assert repr(SESSION.secret_digest)[2:10] not in printed
    engine.dispose()


def test_text_that_no_database_takes_is_the_callers_mistake(store: SQLAlchemyStore) -> None:
    """Half of a surrogate pair is no outage."""
    with pytest.raises(InvalidInput, match="cannot be stored"):
        store.find(Where(user_id="\ud800"))


@pytest.mark.parametrize("number", range(1, 7))
async def test_a_cancelled_operation_ends_whole(path: Path, store: SQLAlchemyStore, number: int) -> None:
    """A task may be cancelled at any statement: it ends at once, and what it began is done by `close()`."""
    working = AsyncSQLAlchemyStore.from_url(f"sqlite:///{path}", pool_size=1)
    sent: list[str] = []

    def cancel(*arguments: object) -> None:
        sent.append(str(arguments[2]).split()[0])
        if len(sent) == number:
            task.cancel()

    event.listen(working._engine.sync_engine, "before_cursor_execute", cancel)
    task = asyncio.create_task(working.create(sign_in(numbered(2), limit=1)))
    with pytest.raises(asyncio.CancelledError):
        await task
    await working.close()
    assert sent == ["BEGIN", "SELECT", "UPDATE", "INSERT", "INSERT", "COMMIT"]
    assert store.find(Where(live_at=SESSION.created_at)) == (numbered(2),)
    assert isinstance(store.rotate(refresh_of(numbered(2), numbered(2).created_at)), Rotated)


async def test_a_cancelled_operation_that_fails_is_quiet(path: Path, locked: sqlite3.Connection) -> None:
    """Nobody waits for the failure any more, so nobody is told: also not by asyncio, with a traceback."""
    store = AsyncSQLAlchemyStore.from_url(f"sqlite:///{path}", busy_timeout=0)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    task = asyncio.create_task(store.rotate(REFRESH))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.close()
    del task
    gc.collect()
    assert complaints == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    """It would be another one for each connection: there is MemoryStore for that."""
    for kind in (SQLAlchemyStore, AsyncSQLAlchemyStore):
        with pytest.raises(ConfigurationError, match="MemoryStore"):
            kind.from_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("keyturn.db", "cannot be read"),
        ("oracle://localhost/x", "not oracle"),
        ("sqlite+pysqlcipher:///x.db", "driver"),
        ("mysql+mysqldb://localhost/x", "driver"),
        ("mysql://localhost", "names no database"),
        (
            "mysql://u:password@localhost/x?password=hunter2&nonsense=1",
            "has a parameter that .+ does not take",
        ),
        ("mariadb://localhost/x?connect_timeout=soon", "has a value that .+ cannot read"),
        ("postgresql+psycopg2://localhost/x", "driver psycopg"),
        ("mysql://user:pass/word@host:port/x", "cannot be read"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, reason: str) -> None:
    """The message says what to write, and repeats nothing of the URL that could be a password."""
    for kind in (SQLAlchemyStore, AsyncSQLAlchemyStore):
        with pytest.raises(ConfigurationError, match=reason):
            kind.from_url(url)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"busy_timeout": -1}, "busy_timeout"),
        ({"busy_timeout": float("nan")}, "busy_timeout"),
        ({"busy_timeout": 1e9}, "busy_timeout"),
        ({"pool_size": 0}, "pool_size"),
        ({"synchronous": "OFF"}, "synchronous"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"answer_timeout": float("inf")}, "answer_timeout"),
    ],
)
def test_a_setting_out_of_range_is_refused(path: Path, setting: dict[str, Any], reason: str) -> None:
    """A wrong setting is an error at the start, and not a surprise under load."""
    for kind in (SQLAlchemyStore, AsyncSQLAlchemyStore):
        with pytest.raises(ConfigurationError, match=reason):
            kind.from_url(f"sqlite:///{path}", **setting)


def revoke_and_die(url: str) -> None:
    """End all sessions of the sample's user, and then this process without any farewell."""
    store = SQLAlchemyStore.from_url(url)
    if store.revoke_user(RevokeUser(SESSION.user_id, None, "user", REFRESH.now)).found:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_revocation_survives_the_end_of_its_process(path: Path, store: SQLAlchemyStore) -> None:
    """What was acknowledged is in the file, also where the process never closes it."""
    process = multiprocessing.get_context("spawn").Process(target=revoke_and_die, args=(f"sqlite:///{path}",))
    process.start()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    assert isinstance(store.rotate(REFRESH), Ended)


def test_an_engine_that_opens_transactions_itself_is_refused(path: Path) -> None:
    """A well-known recipe sends BEGIN before every statement: a refresh would then never be committed."""
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    with pytest.raises(ConfigurationError, match="listener for 'begin'"):
        SQLAlchemyStore(engine)


def test_an_applications_engine_stays_as_it_is(path: Path) -> None:
    """The application's own transactions still roll back, and closing the store leaves its engine open."""
    engine = create_engine(f"sqlite:///{path}", poolclass=QueuePool, pool_size=1, max_overflow=0)
    store = SQLAlchemyStore(engine)
    assert isinstance(store.rotate(REFRESH), Rotated)
    with engine.connect() as connection:
        connection.exec_driver_sql("DELETE FROM keyturn_sessions")
        connection.rollback()
    store.close()
    assert store.count() == 1
    engine.dispose()


def test_a_forked_process_has_connections_of_its_own(path: Path) -> None:
    """A child uses none of its parent's connections, which SQLite forbids, and disturbs none."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{path}", pool_size=1)
    store.count()
    # Even while the parent's only connection is in use, and one of its threads has its turn at writing.
    assert store._turns is not None
    with store._engine.connect(), store._turns.turn():
        assert fork(lambda: isinstance(store.rotate(REFRESH), Rotated))() == 0
    found = store.lookup(Lookup(SESSION.sid))
    assert isinstance(found, Found)
    assert found.session.gen == 1
    store.close()


@pytest.mark.parametrize(("synchronous", "number"), [("NORMAL", 1), ("FULL", 2), ("EXTRA", 3)])
def test_what_a_new_connection_is_set_to(path: Path, synchronous: Synchronous, number: int) -> None:
    """Write-ahead log, and durability as asked for; FULL unless something else is."""
    chosen = SQLAlchemyStore.from_url(f"sqlite:///{path}", synchronous=synchronous)
    default = SQLAlchemyStore.from_url(f"sqlite:///{path}")
    for store, expected in ((chosen, number), (default, 2)):
        with store._engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == expected
        store.close()
        store.close()
