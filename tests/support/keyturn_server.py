"""A real `keyturn serve` in a folder of its own, for tests. It knows no test."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from keyturn.testing.servers.programs import free_port
from tests.support.processes import Server, running_server, wait_until

COMMAND = [sys.executable, "-c", "from keyturn.cli import main; main()"]


def places(folder: Path) -> list[str]:
    """Give the flags that put a server's files into a folder."""
    return ["--store", f"sqlite:///{folder}/keyturn.db", "--keys-file", f"{folder}/keys.json"]


@contextmanager
def keyturn_server(folder: Path, *flags: str, port: int | None = None) -> Generator[Server]:
    """Run `keyturn serve` until the block ends; its files are in the folder.

    Args:
        folder: A restart with the same folder finds the same sessions and keys.
        flags: More flags, such as `--demo`.
        port: The same one again for a restart; a free one unless given.
    """
    chosen = port or free_port()
    command = [*COMMAND, "serve", "--port", str(chosen), *places(folder), *flags]
    log = folder / "server.log"
    starts = _count_starts(log)
    with running_server(command, port=chosen, log=log) as server:
        wait_until(lambda: _count_starts(log) > starts, what="the end of what it says at its start")
        yield server


def _count_starts(log: Path) -> int:
    return log.read_text("utf-8").count("Press Ctrl-C") if log.exists() else 0


def sign_in(server: Server, password: str) -> dict[str, str]:
    """Sign alice in with the refresh token in the body, and give the answer."""
    body = {"username": "alice", "password": password, "transport": "body"}
    answer = httpx.post(f"{server.url}/auth/login", json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    tokens: dict[str, str] = answer.json()
    return tokens


def refresh(server: Server, tokens: dict[str, str]) -> httpx.Response:
    """Redeem a refresh token."""
    body = {"refresh_token": tokens["refresh_token"]}
    return httpx.post(f"{server.url}/auth/refresh", json=body, timeout=20)


def me(server: Server, tokens: dict[str, str]) -> int:
    """Use an access token, and give the status of the answer."""
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    return httpx.get(f"{server.url}/auth/me", headers=bearer, timeout=20).status_code


def demo_password(server: Server, user: str) -> str:
    """Give the password that `--demo` printed for a user at the latest start."""
    found = re.findall(rf"(?m)^  {user} +(\S+)$", server.output())
    assert found, server.output()
    password: str = found[-1]
    return password
