"""What a store sends to its server: statements by the server's own account, and round trips on the wire.

It knows no store's statements and no expectation.
"""

from __future__ import annotations

import re
import secrets
import socket
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedRWPair
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import event
from sqlalchemy.pool import Pool

from keyturn.testing.proxy import Proxy
from keyturn.testing.servers import MariaDBServer, PostgresServer, RedisCluster, RedisServer
from tests.support.databases import started
from tests.support.sql import new_database
from tests.support.stores import StoreKind

PATIENCE_SECONDS: Final = 20.0
_LOGGED: Final = re.compile(r"LOG:  (?:statement|execute [^:]*): (\w+)")
_MONITORED: Final = re.compile(r'\[\d+ (?!lua\])[^\]]*\] "(\w+)"(.*)')


@dataclass(frozen=True, slots=True)
class Wire:
    """A server behind proxies that count.

    Attributes:
        url: Where a store connects.
        statements: Gives the first word of each statement that the server has run since the last call.
        round_trips: Says how many there were so far; None where nothing goes over a wire.
    """

    url: str
    statements: Callable[[], list[str]]
    round_trips: Callable[[], int] | None


@contextmanager
def wire_of(kind: StoreKind, request: pytest.FixtureRequest, folder: Path) -> Generator[Wire]:
    """Give an empty place for a store, with everything that it sends being watched."""
    with ExitStack() as stack:
        if kind.name == "Redis Cluster":  # one of its own: its nodes must tell clients the proxies' ports
            yield stack.enter_context(_cluster_wire())
            return
        server = None if kind.server is None else request.getfixturevalue(kind.server)
        match server:
            case PostgresServer():
                yield stack.enter_context(_postgres_wire(server))
            case MariaDBServer():
                yield stack.enter_context(_mariadb_wire(server))
            case RedisServer():
                yield stack.enter_context(_redis_wire(server))
            case _:
                yield stack.enter_context(_sqlite_wire(folder))


@contextmanager
def _sqlite_wire(folder: Path) -> Generator[Wire]:
    ran: list[str] = []

    def trace(connection: Any, *_: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_trace_callback(ran.append)
        else:
            connection.run_async(lambda raw: raw.set_trace_callback(ran.append))

    def statements() -> list[str]:
        words = [statement.split()[0] for statement in ran]
        ran.clear()
        return [word for word in words if word != "PRAGMA"]  # SQLAlchemy's isolation levels: no statements

    event.listen(Pool, "checkout", trace)
    try:
        yield Wire(f"sqlite:///{folder}/keyturn.db", statements, None)
    finally:
        event.remove(Pool, "checkout", trace)


@contextmanager
def _postgres_wire(server: PostgresServer) -> Generator[Wire]:
    """Let one database of the server log each statement."""
    read = 0

    def statements() -> list[str]:
        nonlocal read
        start, read = read, len(log := server.output())
        return _LOGGED.findall(log[start:])

    with new_database(server) as url, Proxy(server.port) as proxy:
        server.query(f"ALTER DATABASE \"{url.rpartition('/')[2]}\" SET log_statement = 'all'")
        yield Wire(proxy.url(url), statements, lambda: proxy.round_trips)


@contextmanager
def _mariadb_wire(server: MariaDBServer) -> Generator[Wire]:
    """Let the server log each statement into a table, until the end."""
    before = server.query("SELECT @@log_output").strip()

    def statements() -> list[str]:
        lines = server.query("SELECT command_type, argument FROM mysql.general_log").splitlines()
        server.query("TRUNCATE mysql.general_log")
        asked = [line.partition("\t")[2] for line in lines if line.startswith(("Query", "Execute"))]
        return [words.split()[0] for words in asked if "mysql.general_log" not in words]

    with new_database(server) as url, Proxy(server.port) as proxy:
        server.query("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON")
        try:
            yield Wire(proxy.url(url), statements, lambda: proxy.round_trips)
        finally:
            server.query(f"SET GLOBAL general_log = OFF; SET GLOBAL log_output = '{before}'")
            server.query("TRUNCATE mysql.general_log")


@contextmanager
def _redis_wire(server: RedisServer) -> Generator[Wire]:
    server.empty()
    with Proxy(server.port) as proxy, _listening([server]) as statements:
        yield Wire(proxy.url(server.url), statements, lambda: proxy.round_trips)


@contextmanager
def _cluster_wire() -> Generator[Wire]:
    """Start a cluster whose nodes send their clients to proxies."""
    cluster = RedisCluster()
    primaries = cluster.nodes[: len(cluster.nodes) // 2]
    with ExitStack() as stack:
        proxies = [stack.enter_context(Proxy(node.port)) for node in primaries]
        for node, proxy in zip(primaries, proxies, strict=True):
            node.options["cluster-announce-port"] = str(proxy.port)
        stack.enter_context(started(cluster))
        for replica in cluster.nodes[len(primaries) :]:
            replica.stop()  # replication is no client's round trip
        places = ",".join(f"127.0.0.1:{proxy.port}" for proxy in proxies)
        yield Wire(
            f"redis+cluster://:{primaries[0].password}@{places}",
            stack.enter_context(_listening(primaries)),
            lambda: sum(proxy.round_trips for proxy in proxies),
        )


@contextmanager
def _listening(nodes: Sequence[RedisServer]) -> Generator[Callable[[], list[str]]]:
    """Listen to what nodes say that they do."""
    with ExitStack() as stack:
        monitors = [stack.enter_context(_monitor(node)) for node in nodes]
        yield lambda: [word for monitor in monitors for word in monitor()]


@contextmanager
def _monitor(node: RedisServer) -> Generator[Callable[[], list[str]]]:
    """Give what names the commands of clients since the last call, in order."""
    with _telephone(node) as asking, _telephone(node) as listening:

        def until(mark: str) -> Generator[str]:
            while mark not in (line := listening.readline().decode("utf-8", "replace")):
                assert line, "Redis has closed the connection"
                yield line

        def commands() -> list[str]:
            mark = secrets.token_hex(8)
            _say(asking, f"ECHO {mark}")
            asking.readline()  # the answer's other line
            return [found[1] for line in until(mark) if (found := _MONITORED.search(line))]

        _say(listening, "MONITOR")
        yield commands


@contextmanager
def _telephone(node: RedisServer) -> Generator[BufferedRWPair]:
    address = ("127.0.0.1", node.port)
    with (
        socket.create_connection(address, timeout=PATIENCE_SECONDS) as connection,
        connection.makefile("rwb") as line,
    ):
        _say(line, f"AUTH {node.password}")
        yield line


def _say(line: BufferedRWPair, words: str) -> None:
    line.write(f"{words}\r\n".encode())
    line.flush()
    answer = line.readline()
    assert answer.startswith((b"+", b"$")), answer
