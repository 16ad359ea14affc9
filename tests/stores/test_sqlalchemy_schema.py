"""Holds the schema's versions: migrations, metadata, and what is said where they do not fit."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Final

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, insert, inspect

from keyturn._core.commands import Revoke
from keyturn._core.outcomes import Created
from keyturn._core.records import Session
from keyturn._core.revocations import entry_of_denial
from keyturn.errors import SchemaError
from keyturn.stores import schema
from keyturn.stores._sql.tables import denials, sessions, to_row
from keyturn.stores.schema import History
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore, metadata
from keyturn.testing._duties.logs import Reader, of
from keyturn.testing.samples import DAY, marked, numbered, sign_in
from tests.support.sql import EVERY_SQL, database, opened
from tests.test_dependencies import run_without

HOUR: Final = DAY // 24


@pytest.fixture(params=EVERY_SQL)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, on each engine."""
    with database(request, request.param, tmp_path) as url:
        yield url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine on it."""
    with opened(url) as engine:
        yield engine


def run(engine: Engine, statement: str) -> None:
    """Change the database behind the store's back."""
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_a_row_is_the_arguments_of_a_session() -> None:
    """Columns and fields have the same names in the same order."""
    assert [column.name for column in sessions.columns] == [field.name for field in fields(Session)]


def test_the_migrations_make_what_metadata_says(engine: Engine) -> None:
    """Whoever runs own migrations from `metadata` has the same tables as who runs ours."""
    schema.upgrade(engine)
    options = {"version_table": schema.SESSIONS.version_table, "compare_server_default": True}
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_a_difference_would_be_found(engine: Engine) -> None:
    """The check above finds a column that is missing."""
    schema.upgrade(engine)
    run(engine, "ALTER TABLE keyturn_sessions DROP COLUMN jkt")
    with engine.connect() as connection:
        options = {"version_table": schema.SESSIONS.version_table}
        (found,) = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    assert found[0] == "add_column"


def test_an_upgrade_is_done_once(engine: Engine) -> None:
    """The version goes from none to the newest, stays there, and no session is lost."""
    assert schema.current(engine) is None
    schema.upgrade(engine)
    assert schema.current(engine) == schema.head()
    SQLAlchemyStore(engine).create(sign_in(numbered(1)))
    schema.upgrade(engine)
    assert schema.current(engine) == schema.head()
    assert SQLAlchemyStore(engine).count() == 1


def test_an_upgrade_keeps_what_the_first_release_stored(engine: Engine) -> None:
    """From 0001 with rows to the newest: every row is as it was, and whatever is new works."""
    with engine.connect() as connection:
        command.upgrade(schema._config(schema.SESSIONS, connection), "0001")
        rows = [numbered(number) for number in range(1, 21)]
        connection.execute(insert(sessions), [to_row(row) for row in rows])
    store = SQLAlchemyStore(engine)
    store.create_schema()
    assert list(store.find()) == rows
    assert store.create(sign_in(numbered(30), limit=21)) == Created(numbered(30))


def test_an_upgrade_writes_down_what_ended_shortly_before(engine: Engine) -> None:
    """From 0002 with rows: who follows the log from its beginning takes no session for one that lives."""
    recently = time.time_ns() // 1_000_000 - HOUR
    with engine.connect() as connection:
        command.upgrade(schema._config(schema.SESSIONS, connection), "0002")
        ended = [marked(numbered(number), "logout", recently + number) for number in range(1, 1501)]
        others = [numbered(2000), marked(numbered(2001), "logout", recently - 3 * DAY)]
        connection.execute(insert(sessions), [to_row(row) for row in (*ended, *others)])
        denied = {"token_id": "denied", "expires_at": recently + DAY, "reason": "", "denied_at": recently}
        old = {**denied, "token_id": "long ago", "denied_at": recently - 3 * DAY}
        connection.execute(insert(denials), [denied, old])
    store = SQLAlchemyStore(engine)
    store.create_schema()
    reader = Reader(store, now=recently + HOUR)
    assert reader.news(limit=200) == {*of(*ended), entry_of_denial("denied")}
    store.revoke(Revoke(numbered(2000).sid, None, None, "user", recently + HOUR))
    assert reader.news() == of(numbered(2000))
    assert store.count() == 1502


def test_an_interrupted_upgrade_is_finished(engine: Engine) -> None:
    """Where a table cannot be made and undone in one transaction, what is there already is no hindrance."""
    with engine.connect() as connection:
        command.upgrade(schema._config(schema.SESSIONS, connection), "0001")
        if engine.dialect.name == "mysql":
            connection.exec_driver_sql("CREATE TABLE keyturn_stripes (stripe INT NOT NULL PRIMARY KEY)")
            connection.exec_driver_sql("INSERT INTO keyturn_stripes VALUES (0), (7)")
    schema.upgrade(engine)
    with engine.connect() as connection:
        command.downgrade(schema._config(schema.SESSIONS, connection), "0002")
        if engine.dialect.name == "mysql":
            connection.exec_driver_sql("CREATE TABLE keyturn_revocations (no INT NOT NULL PRIMARY KEY)")
    schema.upgrade(engine)
    assert Reader(SQLAlchemyStore(engine)).news() == set()
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM keyturn_stripes").scalar_one() == 256


def test_the_applications_own_migrations_are_not_met(engine: Engine) -> None:
    """Keyturn's version is in a table of its own, whatever stands in Alembic's usual one."""
    run(engine, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    run(engine, "INSERT INTO alembic_version VALUES ('the_applications')")
    schema.upgrade(engine)
    assert set(inspect(engine).get_table_names()) == {
        *("alembic_version", "keyturn_alembic_version", "keyturn_sessions", "keyturn_denials"),
        *("keyturn_stripes", "keyturn_trail", "keyturn_revocations"),
    }
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT * FROM alembic_version").all() == [("the_applications",)]


def test_a_downgrade_leaves_no_table(engine: Engine) -> None:
    """The migrations can be undone: what they made is dropped."""
    schema.upgrade(engine)
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        command.downgrade(schema._config(schema.SESSIONS, connection), "base")
    assert inspect(engine).get_table_names() == ["keyturn_alembic_version"]


def test_a_newer_schema_is_left_alone(engine: Engine) -> None:
    """An older Keyturn says so, and changes nothing."""
    schema.upgrade(engine)
    run(engine, "UPDATE keyturn_alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match=r"version 9999, .*newer Keyturn") as caught:
        SQLAlchemyStore(engine).create_schema()
    assert caught.value.detail == "newer_schema"
    assert schema.current(engine) == "9999"


def test_tables_without_a_version_are_left_alone(engine: Engine) -> None:
    """Tables that somebody else made are theirs; a half-done upgrade is undone."""
    metadata.tables["keyturn_denials"].create(engine)
    with pytest.raises(SchemaError, match="keyturn_alembic_version does not say"):
        schema.upgrade(engine)
    left = {"keyturn_denials"}
    if engine.dialect.name == "mysql":  # which cannot undo what made a table
        left |= {"keyturn_alembic_version", "keyturn_sessions"}
    assert set(inspect(engine).get_table_names()) == left


def test_without_tables_the_way_to_make_them_is_said(engine: Engine) -> None:
    """A database without the schema is a matter of set-up, and no outage."""
    with pytest.raises(SchemaError, match=r"keyturn db upgrade.*store\.create_schema\(\)"):
        SQLAlchemyStore(engine).count()


def test_tables_that_were_dropped_without_their_version_come_back_as_it_says(engine: Engine) -> None:
    """Where `create_schema` finds nothing to do, the error says what to drop first, and that is enough."""
    schema.upgrade(engine)
    metadata.drop_all(engine)
    store = SQLAlchemyStore(engine)
    store.create_schema()
    with pytest.raises(SchemaError, match=r"drop what is left of Keyturn's tables, .*alembic_version too"):
        store.count()
    run(engine, "DROP TABLE keyturn_alembic_version")
    store.create_schema()
    assert store.count() == 0


def test_an_older_schema_is_told_the_same(engine: Engine) -> None:
    """A column that a later version added is missing before the upgrade."""
    schema.upgrade(engine)
    run(engine, "ALTER TABLE keyturn_sessions DROP COLUMN jkt")
    with pytest.raises(SchemaError, match="keyturn db upgrade"):
        SQLAlchemyStore(engine).create(sign_in(numbered(1)))


async def test_the_asyncio_store_makes_the_same_schema(url: str, engine: Engine) -> None:
    """Both colours run the same migrations."""
    store = AsyncSQLAlchemyStore.from_url(url)
    await store.create_schema()
    await store.create_schema()
    await store.close()
    assert schema.current(engine) == schema.head()


def start(url: str, number: int) -> None:
    """Start as a server's worker does: make the schema, then use it."""
    store = SQLAlchemyStore.from_url(url)
    store.create_schema()
    store.create(sign_in(numbered(number)))
    store.close()


def test_several_processes_start_on_a_new_database(url: str, engine: Engine) -> None:
    """They make the schema once, and nobody fails."""
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        for started in [pool.submit(start, url, number) for number in range(4)]:
            started.result()
    assert SQLAlchemyStore(engine).count() == 4


def test_a_second_history_stands_beside_the_first(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another part of Keyturn has its own scripts and its own version table in the same database."""
    folder = tmp_path / "second_history"
    (folder / "versions").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "env.py").write_text("from keyturn.stores.schema import run_migrations\nrun_migrations()\n")
    (folder / "versions" / "a1.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = 'a1', None\n"
        "def upgrade():\n    op.create_table('second', sa.Column('id', sa.Integer, primary_key=True))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    second = History("second_history:", "second_version")
    schema.upgrade(engine)
    schema.upgrade(engine, second)
    assert (schema.current(engine), schema.current(engine, second)) == (schema.head(), "a1")
    assert "second" in inspect(engine).get_table_names()


@pytest.mark.parametrize(
    ("package", "url", "extra"),
    [
        ("sqlalchemy", "sqlite:///x.db", "sql"),
        ("alembic", "sqlite:///x.db", "sql"),
        ("aiosqlite", "sqlite:///x.db", "sql"),
        ("asyncmy", "mysql://localhost/x", "mysql"),
        ("psycopg", "postgresql://localhost/x", "postgres"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(package: str, url: str, extra: str) -> None:
    """Whoever lacks a part of the extra reads the command that brings it."""
    code = f"from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore as Store; Store.from_url({url!r})"
    run = run_without({package}, code)
    closing = run.stderr.strip().splitlines()[-1]
    assert closing == f"ImportError: SQL stores need {package}: pip install 'keyturn[{extra}]'"
