"""Private servers set as in production, and stores on them to be filled fast. They know no benchmark."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import psycopg
from redis import Redis
from sqlalchemy import text

from keyturn._core.commands import Create
from keyturn._core.records import Session
from keyturn.stores._redis import operations, scripts
from keyturn.stores._redis.calls import Call
from keyturn.stores._redis.keys import keys_of
from keyturn.stores._redis.stream import Stream
from keyturn.stores._sql.engines import Settings, open_engine
from keyturn.stores._sql.statements import INSERT
from keyturn.stores._sql.tables import sessions, to_row
from keyturn.stores.urls import OwnStore, store_from_url
from keyturn.testing.servers import MariaDBServer, PostgresServer, RedisServer

BATCH: Final = 1000  # sessions that go to a server together
_FILE_BATCH: Final = 10_000  # the same for a file, where a transaction is what takes time
_TABLE: Final = sessions.name
_COLUMNS: Final = tuple(column.name for column in sessions.columns)
_POLL: Final = 0.5  # seconds
_PATIENCE: Final = 120.0
_DAY: Final = 86_400_000


@dataclass(frozen=True)
class Place(ABC):
    """An empty store on a server of its own kind.

    Attributes:
        url: Where it is.
        options: How it is opened.
    """

    url: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])

    def open(self) -> OwnStore:
        """Open the store."""
        return store_from_url(self.url, **self.options)

    @abstractmethod
    def fill(self, population: Iterable[Session], advance: Callable[[int], object]) -> None:
        """Add sessions as the store would, but many at once; they are read one by one.

        Args:
            population: The sessions.
            advance: Called now and then with the number added so far.
        """

    @abstractmethod
    def octets(self) -> int:
        """Say how many bytes it takes, all that belongs to it included."""

    @abstractmethod
    def parts(self) -> Mapping[str, float]:
        """Say how many bytes its parts take."""

    @abstractmethod
    def settle(self) -> None:
        """Bring it to rest after it was filled, as time would: statistics, checkpoints."""

    def hot_share(self, updates: int) -> float | None:
        """Say which share of all updates, so many, was made in place; None where nobody counts them."""
        del updates
        return None


class PostgresPlace(Place):
    """A database of PostgreSQL."""

    def fill(self, population: Iterable[Session], advance: Callable[[int], object]) -> None:
        """See `Place.fill`."""
        objects = {"claims", "device"}
        with (
            psycopg.connect(self.url) as connection,
            connection.cursor() as cursor,
            cursor.copy(f"COPY {_TABLE} ({', '.join(_COLUMNS)}) FROM STDIN".encode()) as copy,
        ):
            for added, session in enumerate(population, 1):
                row = to_row(session)
                copy.write_row([json.dumps(row[name]) if name in objects else row[name] for name in _COLUMNS])
                if added % BATCH == 0:
                    advance(added)

    def octets(self) -> int:
        """See `Place.octets`."""
        return int(self._ask(f"SELECT pg_total_relation_size('{_TABLE}')")[0][0])

    def parts(self) -> Mapping[str, float]:
        """See `Place.parts`."""
        rows = self._ask(
            f"SELECT 'the table', pg_table_size('{_TABLE}') UNION ALL "
            f"SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) "
            f"FROM pg_index WHERE indrelid = '{_TABLE}'::regclass"
        )
        return {str(name): float(octets) for name, octets in rows}

    def settle(self) -> None:
        """See `Place.settle`."""
        self._ask(f"VACUUM (ANALYZE) {_TABLE}")
        self._ask("CHECKPOINT")

    def hot_share(self, updates: int) -> float:
        """See `Place.hot_share`. The server's processes count together some seconds late."""
        query = f"SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = '{_TABLE}'"
        deadline = time.monotonic() + _PATIENCE
        while True:
            made, in_place = cast("tuple[int, int]", self._ask(query)[0])
            if made >= updates:
                return in_place / made
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL has counted {made:,} of {updates:,} updates")
            time.sleep(_POLL)

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []


class SQLitePlace(Place):
    """A file of SQLite."""

    def fill(self, population: Iterable[Session], advance: Callable[[int], object]) -> None:
        """See `Place.fill`."""
        _insert(self.url, population, advance, at_once=_FILE_BATCH)

    def octets(self) -> int:
        """See `Place.octets`."""
        return Path(self.url.partition("///")[2]).stat().st_size

    def parts(self) -> Mapping[str, float]:
        """See `Place.parts`. The file does not say."""
        return {}

    def settle(self) -> None:
        """See `Place.settle`."""
        engine = open_engine(self.url, Settings())
        with engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()


class MariaDBPlace(Place):
    """A database of MariaDB."""

    def fill(self, population: Iterable[Session], advance: Callable[[int], object]) -> None:
        """See `Place.fill`."""
        _insert(self.url, population, advance, at_once=BATCH)

    def octets(self) -> int:
        """See `Place.octets`."""
        return round(sum(self.parts().values()))

    def parts(self) -> Mapping[str, float]:
        """See `Place.parts`."""
        table, indexes = self._ask(
            "SELECT data_length, index_length FROM information_schema.tables "
            f"WHERE table_schema = database() AND table_name = '{_TABLE}'"
        )[0]
        return {"the table, in its primary key": float(table), "the other indexes": float(indexes)}

    def settle(self) -> None:
        """See `Place.settle`."""
        self._ask(f"ANALYZE TABLE {_TABLE}")

    def _ask(self, sql: str) -> list[tuple[Any, ...]]:
        engine = open_engine(self.url, Settings())
        with engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(text(sql))]
        engine.dispose()
        return rows


class RedisPlace(Place):
    """A database of Redis."""

    def fill(self, population: Iterable[Session], advance: Callable[[int], object]) -> None:
        """See `Place.fill`. Each is a sign-in by the store's own script, at the moment of the sign-in."""
        keys, source = keys_of("keyturn"), iter(population)
        stream = Stream(keys.log, sharded=False)
        with _client(self.url) as client:
            client.script_load(scripts.CREATE.source)
            flushing = client.config_get("appendfsync")
            client.config_set("appendfsync", "no")  # nobody is told that these are kept
            for added in count(BATCH, BATCH):
                pipeline = client.pipeline(transaction=False)
                for session in islice(source, BATCH):
                    command = Create(session, limit=None, evict=True, now=session.created_at)
                    call = next(operations.create(keys, stream, _DAY, command))
                    pipeline.execute_command(*cast("Call", call).command())
                if not len(pipeline):
                    break
                pipeline.execute()
                advance(added)
            client.config_set(*flushing.popitem())

    def octets(self) -> int:
        """See `Place.octets`. It is the whole server's memory: what was there before must be taken off."""
        self.settle()
        return int(self._info("memory")["used_memory"])

    def parts(self) -> Mapping[str, float]:
        """See `Place.parts`."""
        names = {b"s": "the sessions", b"u": "the index of each user"}
        octets = dict.fromkeys(names.values(), 0.0)
        with _client(self.url) as client:
            found: Iterator[bytes] = client.scan_iter(match=b"keyturn:*", count=BATCH)
            while keys := list(islice(found, BATCH)):
                pipeline = client.pipeline(transaction=False)
                for key in keys:
                    pipeline.memory_usage(key)
                for key, taken in zip(keys, pipeline.execute(), strict=True):
                    octets[names[key.split(b":")[2][:1]]] += taken or 0
        return octets

    def settle(self) -> None:
        """See `Place.settle`: it writes its log anew where that has grown, and copies memory meanwhile."""
        while self._info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(_POLL)

    def _info(self, section: str) -> dict[str, Any]:
        with _client(self.url) as client:
            found: dict[str, Any] = client.info(section)
            return found


def _insert(
    url: str, population: Iterable[Session], advance: Callable[[int], object], *, at_once: int
) -> None:
    engine = open_engine(url, Settings(synchronous="NORMAL"))
    source = iter(population)
    with engine.connect() as connection:
        for added in count(at_once, at_once):
            rows = [to_row(session) for session in islice(source, at_once)]
            if not rows:
                break
            connection.exec_driver_sql("BEGIN")
            connection.execute(INSERT, rows)
            connection.exec_driver_sql("COMMIT")
            advance(added - at_once + len(rows))
    engine.dispose()


def _client(url: str) -> Any:  # noqa: ANN401  (its own types are unfinished)
    return cast("Any", Redis).from_url(url)


@dataclass(frozen=True, slots=True)
class Site:
    """A running server.

    Attributes:
        settings: How it is set, for people: what decides durability.
        place: Makes an empty store on it.
    """

    settings: str
    place: Callable[[], Place]


@contextmanager
def site(kind: str, *, appendfsync: str = "always", durable: bool = True) -> Generator[Site]:
    """Run a server of a kind, set as in production; what is not said is the server's own default.

    Args:
        kind: postgres, mariadb, redis or sqlite.
        appendfsync: When Redis sees to it that its log is on the disk.
        durable: False: nobody waits for the disk, so that only the CPU's work is measured.
    """
    if kind == "postgres":
        options = {"fsync": "on" if durable else "off", "synchronous_commit": "on", "max_connections": "500"}
        with PostgresServer(options=options) as postgres:
            yield Site(_words(options), lambda: _with_tables(PostgresPlace(postgres.new_database())))
    elif kind == "mariadb":
        flush = "1" if durable else "2"
        options = {"innodb-flush-log-at-trx-commit": flush, "innodb-log-file-size": "96M"}
        with MariaDBServer(options=options) as mariadb:
            yield Site(_words(options), lambda: _with_tables(MariaDBPlace(mariadb.new_database())))
    elif kind == "sqlite":
        with TemporaryDirectory() as folder:
            files = (f"sqlite:///{folder}/{number}.db" for number in count())
            options = {"synchronous": "FULL" if durable else "NORMAL"}
            yield Site(f"WAL · {_words(options)}", lambda: _with_tables(SQLitePlace(next(files), options)))
    else:
        options = {"appendonly": "yes", "appendfsync": appendfsync} if durable else {"appendonly": "no"}
        with RedisServer(options=options) as redis:
            databases = (redis.url.rpartition("/")[0] + f"/{number}" for number in count())
            yield Site(_words(options), lambda: _with_tables(RedisPlace(next(databases))))


def _with_tables(place: Place) -> Place:
    store = place.open()
    store.create_schema()
    store.close()
    return place


def _words(options: Mapping[str, str]) -> str:
    return " · ".join(f"{name}={value}" for name, value in options.items())
