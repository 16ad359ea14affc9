"""SQL databases with Keyturn's tables: made once for a module, emptied for each test. They know no store."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

import pytest
from sqlalchemy import Engine, delete

from keyturn.stores import schema
from keyturn.stores._sql.engines import Settings, open_engine
from keyturn.stores._sql.tables import metadata, stripes

SqlName: TypeAlias = Literal["sqlite", "postgres", "mariadb"]
SERVERS: Final[tuple[SqlName, ...]] = ("postgres", "mariadb")
EVERY_SQL: Final[tuple[SqlName, ...]] = ("sqlite", *SERVERS)


class HasDatabases(Protocol):
    """A server that makes databases."""

    def new_database(self) -> str:
        """Make one, and give its URL."""
        ...

    def drop_database(self, url: str) -> None:
        """Remove one."""
        ...


@contextmanager
def new_database(server: HasDatabases) -> Generator[str]:
    """Make an empty database on a server, gone after the block, also where a test fails in it."""
    url = server.new_database()
    try:
        yield url
    finally:
        server.drop_database(url)


@contextmanager
def database(request: pytest.FixtureRequest, name: SqlName, folder: Path) -> Iterator[str]:
    """Make an empty database, without tables."""
    if name == "sqlite":
        yield f"sqlite:///{folder}/keyturn.db"
        return
    with new_database(request.getfixturevalue(f"{name}_server")) as url:
        yield url


@contextmanager
def prepared(request: pytest.FixtureRequest, name: SqlName, folder: Path) -> Iterator[str]:
    """Make a database with the tables."""
    with database(request, name, folder) as url:
        with opened(url) as engine:
            schema.upgrade(engine)
        yield url


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """Open an engine as a store of ours does, and leave no connection open, also where a test fails."""
    engine = open_engine(url, Settings())
    try:
        yield engine
    finally:
        engine.dispose()


def empty(database: str | Engine) -> None:
    """Remove all rows, but for those that are always there."""
    if isinstance(database, str):
        with opened(database) as engine:
            empty(engine)
        return
    with database.connect() as connection:
        for table in metadata.sorted_tables:
            if table is not stripes:
                connection.execute(delete(table))
