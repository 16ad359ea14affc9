"""Holds the SQLAlchemy stores to the duties of a store, on SQLite files and on real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import ClassVar, Final

import pytest
from sqlalchemy import Engine

from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.testing.conformance import LoopThread, StoreConformance
from tests.support.sql import SqlName, empty, opened, prepared

NOBODY: Final = {
    "sqlite": "sqlite:////nowhere/keyturn.db",
    "postgres": "postgresql://keyturn@127.0.0.1:1/keyturn",
    "mariadb": "mysql://keyturn@127.0.0.1:1/keyturn",
}


@pytest.fixture(scope="module")
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[SqlName], str]]:
    """Make the tables once on each engine that is asked for, and empty them each time."""
    with ExitStack() as stack:

        @cache
        def made(on: SqlName) -> tuple[str, Engine]:
            url = stack.enter_context(prepared(request, on, tmp_path_factory.mktemp("sql")))
            return url, stack.enter_context(opened(url))

        def emptied(on: SqlName) -> str:
            url, engine = made(on)
            empty(engine)
            return url

        yield emptied


class OnSql(StoreConformance):
    """What the suites below have in common: a database, emptied for each test."""

    on: ClassVar[SqlName]

    @pytest.fixture
    def url(self, database: Callable[[SqlName], str]) -> str:
        """Empty it."""
        return database(self.on)


class ForThreads(OnSql):
    """`SQLAlchemyStore`."""

    @pytest.fixture
    def store(self, url: str) -> Iterator[SQLAlchemyStore]:
        """Open it."""
        store = SQLAlchemyStore.from_url(url)
        yield store
        store.close()

    @pytest.fixture
    def away(self) -> SQLAlchemyStore:
        """Open what is not there."""
        return SQLAlchemyStore.from_url(NOBODY[self.on])


class ForAsyncio(OnSql):
    """`AsyncSQLAlchemyStore`."""

    @pytest.fixture
    def store(self, url: str, loop: LoopThread) -> Iterator[AsyncSQLAlchemyStore]:
        """Open it."""
        store = AsyncSQLAlchemyStore.from_url(url)
        yield store
        loop.run(store.close())

    @pytest.fixture
    def away(self) -> AsyncSQLAlchemyStore:
        """Open what is not there."""
        return AsyncSQLAlchemyStore.from_url(NOBODY[self.on])


class TestSqlite(ForThreads):
    """On SQLite, for threads."""

    on = "sqlite"


class TestSqliteForAsyncio(ForAsyncio):
    """On SQLite, for asyncio."""

    on = "sqlite"


class TestPostgres(ForThreads):
    """On PostgreSQL, for threads."""

    on = "postgres"


class TestPostgresForAsyncio(ForAsyncio):
    """On PostgreSQL, for asyncio."""

    on = "postgres"


class TestMariaDB(ForThreads):
    """On MariaDB, for threads."""

    on = "mariadb"


class TestMariaDBForAsyncio(ForAsyncio):
    """On MariaDB, for asyncio."""

    on = "mariadb"
