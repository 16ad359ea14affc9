"""The revocation view under a server that loads the application and then forks its workers (gunicorn)."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

from keyturn import KeyRing, TokenManager
from keyturn.stores.urls import store_from_url
from keyturn.testing.servers.programs import free_port
from tests.support.processes import running_server, wait_until

SECRET = "a long secret of more than 32 bytes, for tests only"


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_every_worker_learns_of_a_revocation(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Each worker follows the log on its own: what a third process revokes, both refuse within the bound."""
    url = f"sqlite:///{tmp_path}/keyturn.db"
    if engine == "postgres":
        url = request.getfixturevalue("postgres_url")
    store = store_from_url(url)
    store.create_schema()
    manager = TokenManager(store=store, keys=KeyRing.from_secret(SECRET), issuer="https://i", audience="api")
    pair = manager.issue("user-1")
    headers = {"Authorization": f"Bearer {pair.access_token}", "Connection": "close"}
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "--preload", "--workers", "2", "--bind", f"127.0.0.1:{port}"),
        "tests.server.forked_app:app",
    ]
    environment = {"STORE": url, "SECRET": SECRET}
    with running_server(command, port=port, log=tmp_path / "log", env=environment) as server:
        last: dict[str, int] = {}

        def ask() -> None:
            answer = httpx.get(f"{server.url}/whoami", headers=headers, timeout=20)
            last[answer.headers["X-Process"]] = answer.status_code

        def both(status: int) -> bool:
            ask()
            return list(last.values()) == [status, status]

        wait_until(lambda: both(200), what="both workers")
        manager.revoke(pair.session_id)
        wait_until(lambda: both(401), what="the revocation in both workers")
        assert both(401)
    assert "Traceback" not in server.output()
    manager.close()
