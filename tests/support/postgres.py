"""What the tests of the PostgreSQL store share: a database with its tables and a session. No rule here."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Barrier
from typing import Any, Final, TypeVar

import psycopg

from keyturn.stores.postgres import PostgresStore
from keyturn.testing.samples import numbered, refresh_of, sign_in
from keyturn.testing.servers import PostgresServer
from tests.support.sql import new_database

T = TypeVar("T")

SESSION: Final = numbered(1)
REFRESH: Final = refresh_of(SESSION, SESSION.created_at + 1000)
NOBODY: Final = "postgresql://keyturn@127.0.0.1:1/keyturn"


@contextmanager
def template(server: PostgresServer) -> Iterator[str]:
    """Make a database with one session, to be copied: that takes a tenth of the time. Gives its name."""
    with new_database(server) as url:
        with closing(PostgresStore.from_url(url)) as store:
            store.create_schema()
            store.create(sign_in(SESSION))
        yield url.rpartition("/")[2]


def asked(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Run SQL on a connection of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def at_once(count: int, work: Callable[[], T]) -> list[T]:
    """Let several threads do the same at the same moment."""
    start = Barrier(count)

    def begin() -> T:
        start.wait()
        return work()

    with ThreadPoolExecutor(count) as threads:
        return [each.result() for each in [threads.submit(begin) for _ in range(count)]]


def told(error: BaseException) -> str:
    """Give all that a traceback prints of an error and its causes."""
    return "".join(traceback.format_exception(error)) + repr(error)
