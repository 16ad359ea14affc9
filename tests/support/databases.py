"""Private database servers as fixtures: one of each for the whole run, emptied for each test. No store here.

The one rule: in CI (`CI=true`) a missing server is a failure; elsewhere it is a skip that names the one
command that brings it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from redis import Redis

from keyturn.testing.servers import MariaDBServer, PostgresServer, RedisCluster, RedisServer, ServerMissing
from keyturn.testing.servers.process import Startable
from tests.support.browser import in_ci
from tests.support.sql import new_database

ServerT = TypeVar("ServerT", bound=Startable)


@contextmanager
def started(server: ServerT) -> Generator[ServerT]:
    """Run a server until the block ends, or end the test as the rule above says."""
    try:
        server.start()
        yield server
    except ServerMissing as missing:
        if in_ci():
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    finally:
        server.close()


def in_step(primary: RedisServer) -> None:
    """Wait until a replica of a primary gets what is written.

    WAIT asks about the writes of its own connection, so something is written first. A replica that has just
    been filled is counted before it gets anything: the stream begins with its first answer, a second later.
    """
    with Redis.from_url(primary.url, single_connection_client=True) as client:
        client.set("in step", "1")
        client.delete("in step")
        assert client.wait(1, 20_000) == 1


@contextmanager
def place_on(server: PostgresServer | MariaDBServer | RedisServer | RedisCluster) -> Generator[str]:
    """Give the URL of an empty place for a store: a new database, or a Redis without keys."""
    match server:
        case PostgresServer() | MariaDBServer():
            with new_database(server) as url:
                yield url
        case RedisServer() | RedisCluster():
            server.empty()
            yield server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole run: leave it running and as it is configured."""
    with started(PostgresServer()) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDBServer]:
    """One MariaDB for the whole run: leave it running and as it is configured."""
    with started(MariaDBServer()) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One Redis for the whole run: leave it running and as it is configured."""
    with started(RedisServer()) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """One Redis Cluster of six nodes for the whole run: leave it running and as it is configured."""
    with started(RedisCluster()) as cluster:
        yield cluster


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty PostgreSQL database, without tables, gone after the test."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture
def mariadb_url(mariadb_server: MariaDBServer) -> Iterator[str]:
    """An empty MariaDB database, without tables, gone after the test."""
    with new_database(mariadb_server) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """An empty Redis."""
    redis_server.empty()
    return redis_server.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[Any]:
    """The driver's own client of an empty Redis, to look at keys and to make trouble."""
    with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def redis_cluster_url(redis_cluster: RedisCluster) -> str:
    """An empty Redis Cluster."""
    redis_cluster.empty()
    return redis_cluster.url
