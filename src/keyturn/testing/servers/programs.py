"""Where the servers' programs are, who may run them, and which ports are free. It knows no server."""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

# Below every usual range of outgoing connections. A port inside it could be taken by a connection while its
# server is down; worse, a client that tries to connect to it then may end up connected to itself.
_PORTS: Final = range(12_000, 21_000)
BUS: Final = 10_000
"""How far above its port a Redis Cluster node listens for the other nodes."""

_FOLDERS: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/*/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/sbin",
)


class ServerMissing(RuntimeError):
    """A server's program is not on this machine. The message names the command that brings it."""


def find(names: Sequence[str], *, what: str, package: str) -> Path:
    """Find a program on PATH, or in the folders where packages put servers.

    Args:
        names: What it may be called, the preferred name first.
        what: What a person calls it.
        package: The Debian package that brings it.

    Returns:
        Its path. Links are left alone: some programs act by the name that they are called by.

    Raises:
        ServerMissing: It is nowhere.
    """
    for name in names:
        if found := shutil.which(name):
            return Path(found)
        for pattern in _FOLDERS:
            candidates = [path / name for path in Path("/").glob(pattern[1:]) if (path / name).is_file()]
            if candidates:
                return max(candidates, key=_version)
    raise ServerMissing(f"{what} is not installed here. On Debian: sudo apt-get install {package}")


def _version(path: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(path))]


def account(name: str) -> pwd.struct_passwd | None:
    """Return the account that a server must run as: its own where we are root, else None for ours."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def own_ports(environment: Mapping[str, str]) -> range:
    """Give the ports that this process may choose from.

    Between the choice and the moment when a server listens, seconds may pass in which its data are made. So
    workers of pytest-xdist, which start servers side by side, choose from parts of their own, and so do the
    programs that they run.

    Args:
        environment: The variables of this process.

    Examples:
        >>> worker = {"PYTEST_XDIST_WORKER": "gw1", "PYTEST_XDIST_WORKER_COUNT": "3"}
        >>> own_ports(worker)[:2], own_ports({})[:2]
        (range(12001, 12007, 3), range(12000, 12002))
    """
    number = int(environment.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    count = int(environment.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return _PORTS[number % count :: count]


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free at this moment, and so is the one `BUS` above it."""
    ports = own_ports(os.environ)
    while True:
        port = secrets.choice(ports)
        if _is_free(port) and _is_free(port + BUS):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
