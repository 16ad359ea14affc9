"""Holds the PostgreSQL stores to the duties of a store, on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyturn.stores.postgres import AsyncPostgresStore, PostgresStore
from keyturn.testing.conformance import LoopThread, StoreConformance
from tests.support.sql import empty, prepared

NOBODY = "postgresql://keyturn@127.0.0.1:1/keyturn"


@pytest.fixture(scope="module")
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Make the tables once."""
    with prepared(request, "postgres", tmp_path_factory.mktemp("sql")) as url:
        yield url


@pytest.fixture
def url(tables: str) -> str:
    """Empty the tables for each test."""
    empty(tables)
    return tables


class TestPostgresStore(StoreConformance):
    """For threads."""

    @pytest.fixture
    def store(self, url: str) -> Iterator[PostgresStore]:
        """Open it."""
        store = PostgresStore.from_url(url)
        yield store
        store.close()

    @pytest.fixture
    def away(self) -> PostgresStore:
        """Open an address at which nobody listens."""
        return PostgresStore.from_url(NOBODY)


class TestAsyncPostgresStore(StoreConformance):
    """For asyncio."""

    @pytest.fixture
    def store(self, url: str, loop: LoopThread) -> Iterator[AsyncPostgresStore]:
        """Open it."""
        store = AsyncPostgresStore.from_url(url)
        yield store
        loop.run(store.close())

    @pytest.fixture
    def away(self) -> AsyncPostgresStore:
        """Open an address at which nobody listens."""
        return AsyncPostgresStore.from_url(NOBODY)
