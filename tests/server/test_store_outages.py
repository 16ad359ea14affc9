"""A store that goes away while the server runs: 503 until it is back, and nobody is signed out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from keyturn.testing.servers import MariaDBServer, PostgresServer, RedisServer
from tests.support.databases import started
from tests.support.keyturn_server import demo_password, keyturn_server
from tests.support.processes import wait_until

SERVERS: dict[str, Callable[[], Any]] = {
    "postgresql": PostgresServer,
    "mariadb": MariaDBServer,
    "redis": lambda: RedisServer(options={"appendonly": "yes", "appendfsync": "always"}),
}
HEADERS = {"X-Keyturn": "1"}


@pytest.mark.parametrize("ending", ["stop", "kill"])
@pytest.mark.parametrize("engine", SERVERS)
def test_a_store_that_goes_and_comes_back(tmp_path: Path, engine: str, ending: str) -> None:
    """Meanwhile every answer is 503 with Retry-After, never 401, and no cookie is touched; then all works."""
    with started(SERVERS[engine]()) as database:
        url = database.url if engine == "redis" else database.new_database()
        users = ["--users", f"sqlite:///{tmp_path}/users.db"] if engine == "redis" else []
        with (
            keyturn_server(tmp_path, "--store", url, *users, "--demo") as server,
            httpx.Client(base_url=server.url, timeout=60) as http,
        ):
            who = {"username": "alice", "password": demo_password(server, "alice")}
            signed_in = http.post("/auth/login", json=who)
            assert signed_in.status_code == 200, signed_in.text
            # Over plain HTTP the client would not send the Secure cookie back by itself.
            cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in signed_in.cookies.items())}
            bearer = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}

            def refresh() -> httpx.Response:
                return http.post("/auth/refresh", headers={**HEADERS, **cookie})

            getattr(database, ending)()
            answers = {
                "refresh": refresh(),
                "me": http.get("/auth/me", headers=bearer),
                "login": http.post("/auth/login", json=who),
                "logout": http.post("/auth/logout", headers={**HEADERS, **cookie}),
                "health": http.get("/healthz"),
            }
            assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
                answers, 503
            )
            assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers.values())
            assert not any("Set-Cookie" in answer.headers for answer in answers.values())
            database.start()
            wait_until(lambda: http.get("/healthz").status_code == 200, what="the store to be back")
            again = refresh()
            assert again.status_code == 200, again.text
            assert http.get("/auth/me", headers=bearer).status_code == 200
            assert http.post("/auth/login", json=who).status_code == 200
        said = server.output()
    assert "Traceback" not in said
    assert database.password not in said
