"""Holds the SQLAlchemy stores to the duties of a store, on a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.testing.conformance import LoopThread, StoreConformance


class TestSQLAlchemyStore(StoreConformance):
    """For threads."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SQLAlchemyStore]:
        """Open a fresh file."""
        store = SQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/keyturn.db")
        store.create_schema()
        yield store
        store.close()

    @pytest.fixture
    def away(self, tmp_path: Path) -> SQLAlchemyStore:
        """Open a file in a folder that is not there."""
        return SQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/away/keyturn.db")


class TestAsyncSQLAlchemyStore(StoreConformance):
    """For asyncio."""

    @pytest.fixture
    def store(self, tmp_path: Path, loop: LoopThread) -> Iterator[AsyncSQLAlchemyStore]:
        """Open a fresh file."""
        store = AsyncSQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/keyturn.db")
        loop.run(store.create_schema())
        yield store
        loop.run(store.close())

    @pytest.fixture
    def away(self, tmp_path: Path) -> AsyncSQLAlchemyStore:
        """Open a file in a folder that is not there."""
        return AsyncSQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/away/keyturn.db")
