"""Holds the stores on Django's ORM to the duties of a store, on SQLite files and on real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any, ClassVar, Final

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from keyturn.django.store import AsyncDjangoStore, DjangoStore
from keyturn.testing.conformance import LoopThread, StoreConformance
from tests.support import django_site
from tests.support.sql import SqlName

NOBODY: Final[dict[SqlName, dict[str, Any]]] = {
    "sqlite": {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nowhere/keyturn.sqlite3"},
    "postgres": django_site.options("postgresql://keyturn@127.0.0.1:1/keyturn"),
    "mariadb": django_site.options("mysql://keyturn@127.0.0.1:1/keyturn"),
}
NO_LOG: Final = "the revocation log is not kept: access tokens are checked in the database"


@pytest.fixture(scope="module")
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[SqlName], str]]:
    """Make the tables once on each engine that is asked for, and empty them each time."""
    with ExitStack() as stack:

        @cache
        def made(on: SqlName) -> str:
            folder = tmp_path_factory.mktemp("django")
            return stack.enter_context(django_site.on_engine(request, on, folder))

        def emptied(on: SqlName) -> str:
            alias = made(on)
            django_site.empty(alias)
            return alias

        yield emptied


class OnDjango(StoreConformance):
    """What the suites below have in common: a database, emptied for each test."""

    on: ClassVar[SqlName]
    lacks: ClassVar = {"log": NO_LOG}

    @pytest.fixture
    def alias(self, database: Callable[[SqlName], str]) -> str:
        """Empty it."""
        return database(self.on)

    @pytest.fixture
    def nobody(self) -> Iterator[str]:
        """Name a database that is not there."""
        with django_site.database("nobody", NOBODY[self.on]) as alias:
            yield alias


class ForThreads(OnDjango):
    """`DjangoStore`."""

    @pytest.fixture
    def store(self, alias: str) -> Any:
        """Open it."""
        return django_site.between_requests(alias)

    @pytest.fixture
    def away(self, nobody: str) -> Any:
        """Open what is not there."""
        return DjangoStore(using=nobody)


class ForAsyncio(OnDjango):
    """`AsyncDjangoStore`."""

    @pytest.fixture
    def store(self, alias: str, loop: LoopThread) -> Iterator[Any]:
        """Open it, and leave no connection in Django's thread."""
        yield AsyncDjangoStore(using=alias)
        loop.run(sync_to_async(connections.close_all)())

    @pytest.fixture
    def away(self, nobody: str) -> Any:
        """Open what is not there."""
        return AsyncDjangoStore(using=nobody)


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

    on, examples = "mariadb", 20


class TestMariaDBForAsyncio(ForAsyncio):
    """On MariaDB, for asyncio."""

    on, examples = "mariadb", 20
