"""Every store that is shared between processes, in both colours, each on a real server. It knows no rule.

Tests that hold for all of them take `STORES`; a process of their own finds a store again by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.stores.urls import AsyncOwnStore, OwnStore, async_store_from_url, store_from_url
from keyturn.testing.colours import LoopThread
from tests.support.databases import place_on

BUSY_SECONDS: Final = 60.0
"""How long a store waits here, where more processes than cores ask at once: slow is no outage."""


@dataclass(frozen=True, slots=True)
class StoreKind:
    """A store on an engine.

    Attributes:
        name: What people call it.
        server: The fixture that runs its server for the whole run; None: it is a file.
        opened: Opens it for threads.
        async_opened: Opens it for asyncio.
    """

    name: str
    server: str | None
    opened: Callable[[str], OwnStore] = store_from_url
    async_opened: Callable[[str], AsyncOwnStore] = async_store_from_url


# Waiting for the disk at each write is for a power cut, and the servers of the tests do not do it either.
_SQLITE: Final[dict[str, Any]] = {"busy_timeout": BUSY_SECONDS, "synchronous": "NORMAL"}
_REDIS: Final[dict[str, Any]] = {"timeout": BUSY_SECONDS}


def _kind(name: str, server: str | None, options: dict[str, Any]) -> StoreKind:
    return StoreKind(
        name, server, partial(store_from_url, **options), partial(async_store_from_url, **options)
    )


STORES: Final = {
    kind.name: kind
    for kind in (
        _kind("SQLite", None, _SQLITE),
        StoreKind("PostgreSQL", "postgres_server"),
        StoreKind(
            "PostgreSQL through SQLAlchemy",
            "postgres_server",
            SQLAlchemyStore.from_url,
            AsyncSQLAlchemyStore.from_url,
        ),
        StoreKind("MariaDB", "mariadb_server"),
        _kind("Redis", "redis_server", _REDIS),
        _kind("Redis Cluster", "redis_cluster", _REDIS),
    )
}
"""All of them, by name."""


@contextmanager
def empty_place(kind: StoreKind, request: pytest.FixtureRequest, folder: Path) -> Generator[str]:
    """Give the URL of an empty place for a store: a new file, a new database, or a Redis without keys.

    Args:
        kind: Whose.
        request: Finds the server's fixture; of any scope, since servers run as long as the tests.
        folder: Takes the file.
    """
    if kind.server is None:
        yield f"sqlite:///{folder}/keyturn.db"
        return
    with place_on(request.getfixturevalue(kind.server)) as url:
        yield url


@contextmanager
def opened(kind: StoreKind, url: str) -> Generator[OwnStore]:
    """Open a store for threads at its place, with its tables."""
    with closing(kind.opened(url)) as store:
        store.create_schema()
        yield store


@contextmanager
def async_opened(kind: StoreKind, url: str, loop: LoopThread) -> Generator[AsyncOwnStore]:
    """Open a store for asyncio in the loop that it belongs to: see `opened`."""

    async def begin() -> AsyncOwnStore:
        return kind.async_opened(url)

    store = loop.run(begin())
    try:
        loop.run(store.create_schema())
        yield store
    finally:
        loop.run(store.close())
