"""The private servers of the test kit: what they keep, what they lose, and that they leave nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from keyturn.testing.servers import (
    MariaDBServer,
    PostgresServer,
    RedisCluster,
    RedisSentinel,
    RedisServer,
    ServerFailed,
    ServerMissing,
)
from keyturn.testing.servers.programs import free_port, own_ports
from tests.support.databases import started
from tests.support.processes import wait_until

DURABLE = {"appendonly": "yes", "appendfsync": "always"}


def keep_in_postgres(server: PostgresServer) -> Callable[[], str]:
    """Write something, and give what reads it."""
    server.query("CREATE TABLE kept AS SELECT 'kept' AS word")
    return lambda: server.query("SELECT word FROM kept").strip()


def keep_in_mariadb(server: MariaDBServer) -> Callable[[], str]:
    """Write something, and give what reads it."""
    server.query("CREATE DATABASE d; CREATE TABLE d.kept AS SELECT 'kept' AS word")
    return lambda: server.query("SELECT word FROM d.kept").strip()


def keep_in_redis(server: RedisServer) -> Callable[[], str]:
    """Write something, and give what reads it."""
    server.command("SET", "word", "kept")
    return lambda: server.command("GET", "word")


@pytest.mark.parametrize(
    ("make", "keep"),
    [
        (PostgresServer, keep_in_postgres),
        (MariaDBServer, keep_in_mariadb),
        (lambda: RedisServer(options=DURABLE), keep_in_redis),
    ],
    ids=["postgres", "mariadb", "redis"],
)
def test_what_was_acknowledged_survives_a_kill(
    make: Callable[[], PostgresServer | MariaDBServer | RedisServer], keep: Callable[..., Callable[[], str]]
) -> None:
    """A killed server comes back on its port with what it had, and so does a backup; then nothing is left."""
    with started(make()) as server:
        url, read = server.url, keep(server)
        server.kill()
        assert not server.running
        server.start()
        assert (server.url, read()) == (url, "kept")
        server.stop()
        backup = server.backup()
        server.restore(backup)
        server.start()
        assert read() == "kept"
        folder, process = server.folder, server._process
        assert process is not None
    assert not folder.exists()
    assert process.poll() is not None


def test_a_server_that_starts_leaves_a_neighbours_temporary_tables_alone() -> None:
    """Servers start side by side: each has a temporary folder of its own, where it may clear away."""
    with tempfile.NamedTemporaryFile(prefix="#sql-temptable-", suffix=".MAI") as table:
        with started(MariaDBServer()) as server:
            assert server.query("SELECT @@tmpdir").strip() == str(server.folder / "tmp")
        assert Path(table.name).exists()


@pytest.mark.usefixtures("redis_server")
def test_a_server_does_not_outlive_tests_that_were_killed() -> None:
    """When the process that started a server is killed, the server ends and its folder goes."""
    code = """
import time
from keyturn.testing.servers import RedisServer
server = RedisServer()
server.start()
print(server.folder, server.port, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder, port = process.stdout.readline().split()
        process.kill()
    wait_until(lambda: not Path(folder).exists(), what="the folder to go")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0


def test_workers_choose_from_ports_of_their_own() -> None:
    """No two have one in common, all are somebody's, and a process that is no worker has them all."""

    def of(number: int) -> set[int]:
        named = {"PYTEST_XDIST_WORKER": f"gw{number}", "PYTEST_XDIST_WORKER_COUNT": "3"}
        return set(own_ports(named))

    parts = [of(number) for number in range(3)]
    assert set().union(*parts) == set(own_ports({}))
    assert sum(map(len, parts)) == len(own_ports({}))
    assert free_port() in own_ports(os.environ)


def test_each_new_database_is_empty_and_its_own(postgres_server: PostgresServer) -> None:
    """Two databases of one server do not see each other's tables; a template's tables are there."""
    first, second = postgres_server.new_database(), postgres_server.new_database()
    third = postgres_server.new_database(template=first.rpartition("/")[2])
    assert len({first, second, third}) == 3
    for url in (first, second, third):
        postgres_server.drop_database(url)
    names = postgres_server.query("SELECT datname FROM pg_database").split()
    assert not {url.rpartition("/")[2] for url in (first, second, third)} & set(names)


def test_a_folder_of_ones_own_is_kept(tmp_path: Path) -> None:
    """Data in a folder that was given outlive the server, and a second one finds them, password included."""
    with started(RedisServer(tmp_path / "redis", DURABLE)) as first:
        first.command("SET", "word", "kept")
    with started(RedisServer(tmp_path / "redis", DURABLE, port=first.port)) as second:
        assert second.url == first.url
        assert second.command("GET", "word") == "kept"


def test_a_replica_follows_and_a_sentinel_finds_its_primary(redis_server: RedisServer) -> None:
    """`replication()` makes a replica, and a Sentinel knows where the primary is."""
    with (
        started(RedisServer(options=redis_server.replication())) as replica,
        started(RedisSentinel(redis_server)) as sentinel,
    ):
        wait_until(lambda: "connected" in replica.command("ROLE").split(), what="the replica to be in step")
        address = sentinel.command("SENTINEL", "get-master-addr-by-name", sentinel.service).split()
    assert address == ["127.0.0.1", str(redis_server.port)]


def test_a_cluster_serves_every_slot(redis_cluster: RedisCluster) -> None:
    """Six nodes agree that all slots are served, by three primaries with a replica each."""
    for node in redis_cluster.nodes:
        assert "cluster_state:ok" in node.command("CLUSTER", "INFO")
    roles = [node.command("ROLE").split()[0] for node in redis_cluster.nodes]
    assert (roles.count("master"), roles.count("slave")) == (3, 3)


def test_the_server_wants_the_password(redis_url: str, postgres_server: PostgresServer) -> None:
    """Nobody else on the machine gets in: the port alone is not enough."""
    password, postgres_server.password = postgres_server.password, "wrong"
    try:
        with pytest.raises(ServerFailed, match="password authentication failed") as refused:
            postgres_server.query("SELECT 1")
    finally:
        postgres_server.password = password
    assert password not in str(refused.value)
    assert ":@" not in redis_url


def test_a_failed_start_says_what_the_server_said() -> None:
    """A wrong option ends the start at once, with the server's own words, and leaves no folder."""
    server = RedisServer(options={"no-such-option": "1"})
    with pytest.raises(ServerFailed, match="no-such-option"), started(server):
        pass
    assert not server.folder.exists()


def test_a_missing_server_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a program is missing, the one command that brings it is the message."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("keyturn.testing.servers.programs._FOLDERS", ())
    for make, package in (
        (PostgresServer, "postgresql"),
        (MariaDBServer, "mariadb-server"),
        (RedisServer, "redis-server"),
    ):
        with pytest.raises(ServerMissing, match=rf"sudo apt-get install {package}$"), make():
            pass
    assert os.environ["PATH"] == str(tmp_path)
