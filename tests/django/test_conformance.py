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
from tests.support.sql import EVERY_SQL, SqlName

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


# The whole kit takes the row lock for everything on MariaDB, which has no RETURNING: too long for every run.
ENGINES = [*EVERY_SQL[:-1], pytest.param(EVERY_SQL[-1], marks=pytest.mark.slow)]


class OnDjango(StoreConformance):
    """What the suites below have in common: each engine in turn, emptied for each test."""

    lacks: ClassVar = {"log": NO_LOG}
    examples = 30  # a server answers in milliseconds, and a history has many steps

    @pytest.fixture(params=ENGINES)
    def on(self, request: pytest.FixtureRequest) -> SqlName:
        """Name the engine."""
        name: SqlName = request.param
        return name

    @pytest.fixture
    def alias(self, database: Callable[[SqlName], str], on: SqlName) -> str:
        """Empty it."""
        return database(on)

    @pytest.fixture
    def nobody(self, on: SqlName) -> Iterator[str]:
        """Name a database that is not there."""
        with django_site.database("nobody", NOBODY[on]) as alias:
            yield alias


class TestForThreads(OnDjango):
    """`DjangoStore`."""

    @pytest.fixture
    def store(self, alias: str) -> DjangoStore:
        """Open it."""
        return django_site.between_requests(alias)

    @pytest.fixture
    def away(self, nobody: str) -> DjangoStore:
        """Open what is not there."""
        return DjangoStore(using=nobody)


class TestForAsyncio(OnDjango):
    """`AsyncDjangoStore`."""

    @pytest.fixture
    def store(self, alias: str, loop: LoopThread) -> Iterator[AsyncDjangoStore]:
        """Open it, and leave no connection in Django's thread."""
        yield AsyncDjangoStore(using=alias)
        loop.run(sync_to_async(connections.close_all)())

    @pytest.fixture
    def away(self, nobody: str) -> AsyncDjangoStore:
        """Open what is not there."""
        return AsyncDjangoStore(using=nobody)
