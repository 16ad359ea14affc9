"""A private Redis Cluster of six nodes: three primaries, each with a replica. It knows no store."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from keyturn.testing.servers.process import PATIENCE_SECONDS, ServerFailed, Startable
from keyturn.testing.servers.redis import RedisServer

_PRIMARIES: Final = 3
_SLOTS: Final = 16_384
_POLL_SECONDS: Final = 0.05


class RedisCluster(Startable):
    """Six Redis servers that are one cluster; `options` are those of each node's `redis.conf`.

    Attributes:
        nodes: The servers. The first three begin as primaries; the fourth follows the first, and so on.
    """

    def __init__(self, folder: Path | None = None, options: Mapping[str, str] = {}) -> None:
        """Prepare; nothing runs before `start()` or the `with` block.

        Args:
            folder: Keeps the data; None: temporary folders, removed at the end.
            options: Settings of every node.
        """
        password = secrets.token_urlsafe(12)
        settings = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": "2000",
            "requirepass": password,
            "masterauth": password,
            **options,
        }
        places = [folder / f"node-{number}" if folder else None for number in range(2 * _PRIMARIES)]
        self.nodes: tuple[RedisServer, ...] = tuple(RedisServer(place, settings) for place in places)
        self._joined = False

    @property
    def url(self) -> str:
        """All six nodes: a client needs to reach one of them."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://:{self.nodes[0].password}@{hosts}"

    def start(self) -> None:
        """Start all nodes, join them the first time, and wait until every slot is served.

        Raises:
            ServerFailed: A node did not start, or they do not become a cluster.
        """
        for node in self.nodes:
            node.start()
        if not self._joined:
            self._join()
        self.wait_until_whole()

    def stop(self) -> None:
        """Stop all nodes."""
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        """Kill all nodes."""
        for node in self.nodes:
            node.kill()

    def restart(self) -> None:
        """Stop all nodes and start them on the same ports and data."""
        self.stop()
        self.start()

    def empty(self) -> None:
        """Remove all keys, scripts and functions of the nodes that are primaries now."""
        for node in self.nodes:
            if node.command("ROLE").startswith("master"):
                node.empty()

    def wait_until_whole(self) -> None:
        """Wait until all nodes say that every slot is served, and know a replica of each primary."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(self._is_whole(node) for node in self.nodes if node.running):
            if time.monotonic() > deadline:
                raise ServerFailed(f"no cluster yet:\n{self.nodes[0].command('CLUSTER', 'NODES')}")
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """End all nodes for good, and remove temporary folders."""
        with ExitStack() as stack:
            for node in self.nodes:
                stack.callback(node.close)

    def _join(self) -> None:
        """Do what `redis-cli --cluster create` does, without its waits of whole seconds."""
        ids = [node.command("CLUSTER", "MYID") for node in self.nodes]
        bounds = [number * _SLOTS // _PRIMARIES for number in range(_PRIMARIES + 1)]
        for number, node in enumerate(self.nodes):
            # Different epochs from the start: nodes with the same one would have to agree first.
            node.command("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            if number < _PRIMARIES:
                first, last = bounds[number], bounds[number + 1] - 1
                node.command("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
            self.nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(node.port))
        deadline = time.monotonic() + PATIENCE_SECONDS
        for number, node in enumerate(self.nodes[_PRIMARIES:]):
            while ids[number] not in node.command("CLUSTER", "NODES"):
                if time.monotonic() > deadline:
                    raise ServerFailed("the nodes of the cluster do not meet")
                time.sleep(_POLL_SECONDS)
            node.command("CLUSTER", "REPLICATE", ids[number])
        self._joined = True

    def _is_whole(self, node: RedisServer) -> bool:
        if "cluster_state:ok" not in node.command("CLUSTER", "INFO"):
            return False
        lines = node.command("CLUSTER", "NODES").splitlines()
        healthy = [line for line in lines if "fail" not in line and "handshake" not in line]
        replicas = sum("slave" in line for line in healthy)
        running = sum(each.running for each in self.nodes)
        if len(healthy) < running or replicas < running - _PRIMARIES:
            return False
        role = node.command("ROLE").splitlines()
        return role[0] == "master" or "connected" in role
