"""`kill -9` of a database server in the middle of a storm, and a restart on the same data.

Every client goes on with what it was told; what was acknowledged is there; what was revoked stays revoked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from keyturn.testing.servers import MariaDBServer, PostgresServer, RedisServer
from tests.faults.storms import COLOURS, Colour, Storm, stand
from tests.support.databases import started
from tests.support.processes import no_thread_left, wait_until

SHORT, LONG = 2, 25  # kills
REFRESHES_BEFORE_A_KILL = 40
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'keyturn'"
# Redis keeps what it acknowledged if it writes every command to the disk before it answers.
DURABLE = {"appendonly": "yes", "appendfsync": "always"}


@dataclass(frozen=True, slots=True)
class Engine:
    """A server of its own, and how the store is opened on it."""

    name: str
    make: Callable[[], PostgresServer | MariaDBServer | RedisServer]
    portable: bool = False

    def __str__(self) -> str:
        return self.name


def durable_redis() -> RedisServer:
    """Give a Redis that keeps what it acknowledged."""
    return RedisServer(options=DURABLE)


ENGINES = (
    Engine("PostgreSQL", PostgresServer),
    Engine("MariaDB", MariaDBServer),
    Engine("Redis", durable_redis),
)
ALL_ENGINES = (*ENGINES, Engine("PostgreSQL through SQLAlchemy", PostgresServer, portable=True))


def url_on(server: PostgresServer | MariaDBServer | RedisServer) -> str:
    """Give the URL of an empty place for a store."""
    return server.url if isinstance(server, RedisServer) else server.new_database()


def kill_in_storms(engine: Engine, colour: Colour, kills: int) -> None:
    """Kill a server again and again while clients go on."""
    with started(engine.make()) as server:
        with no_thread_left(), stand(url_on(server), colour, portable=engine.portable) as site:
            storm = Storm(site.manager)
            storm.begin()
            try:
                for _ in range(kills):
                    storm.blow(REFRESHES_BEFORE_A_KILL)
                    kill_and_restart(server, storm)
                storm.blow(REFRESHES_BEFORE_A_KILL)
                wait_until(lambda: storm.history.answered("sign-out") > 0, what="somebody to sign out")
            finally:
                storm.end()
            storm.check(site.rows)
        if isinstance(server, PostgresServer):
            wait_until(lambda: server.query(CONNECTIONS).strip() == "0", what="connections to be closed")


def kill_and_restart(server: PostgresServer | MariaDBServer | RedisServer, storm: Storm) -> None:
    """Kill a server, and start it again when somebody has noticed."""
    before = storm.history.unanswered()
    server.kill()
    wait_until(lambda: storm.history.unanswered() > before, what="the kill to be noticed")
    server.start()


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_killed_server_loses_nothing(engine: Engine, colour: Colour) -> None:
    """Nothing acknowledged is lost, nobody is logged out, and no thread is left behind."""
    kill_in_storms(engine, colour, SHORT)


@pytest.mark.slow
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("engine", ALL_ENGINES, ids=str)
def test_a_server_that_is_killed_many_times_loses_nothing(engine: Engine, colour: Colour) -> None:
    """As above, for long enough that kills fall into every part of an operation."""
    kill_in_storms(engine, colour, LONG)
