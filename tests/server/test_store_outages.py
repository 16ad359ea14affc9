"""A store that goes away while the server runs: 503 until it is back, and nobody is signed out."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Signed:
    """A server, and somebody who has signed in there."""

    http: httpx.Client
    who: dict[str, str]
    cookie: dict[str, str]
    bearer: dict[str, str]

    def refresh(self) -> httpx.Response:
        """Refresh with the cookie, which stays as it was."""
        # Over plain HTTP the client would not send the Secure cookie back by itself.
        return self.http.post("/auth/refresh", headers={"X-Keyturn": "1", **self.cookie})

    def log_in(self) -> httpx.Response:
        """Sign in once more."""
        return self.http.post("/auth/login", json=self.who)

    def log_out(self) -> httpx.Response:
        """Sign out."""
        return self.http.post("/auth/logout", headers={"X-Keyturn": "1", **self.cookie})

    def me(self) -> httpx.Response:
        """Use the access token."""
        return self.http.get("/auth/me", headers=self.bearer)

    def health(self) -> httpx.Response:
        """Ask whether the server can do its work."""
        return self.http.get("/healthz")


@contextmanager
def signed_in(folder: Path, database: Any) -> Generator[Signed]:
    """Serve on a database, with the users beside the sessions where they can be, and sign in."""
    is_redis = isinstance(database, RedisServer)
    url = database.url if is_redis else database.new_database()
    users = ["--users", f"sqlite:///{folder}/users.db"] if is_redis else []
    with (
        keyturn_server(folder, "--store", url, *users, "--demo", "--revocation", "strict") as server,
        httpx.Client(base_url=server.url, timeout=60) as http,
    ):
        who = {"username": "alice", "password": demo_password(server, "alice")}
        answer = http.post("/auth/login", json=who)
        assert answer.status_code == 200, answer.text
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in answer.cookies.items())}
        yield Signed(http, who, cookie, {"Authorization": f"Bearer {answer.json()['access_token']}"})
        said = server.output()
    assert "Traceback" not in said
    assert database.password not in said


@pytest.mark.parametrize("ending", ["stop", "kill"])
@pytest.mark.parametrize("engine", SERVERS)
def test_a_store_that_goes_and_comes_back(tmp_path: Path, engine: str, ending: str) -> None:
    """Meanwhile every answer is 503 with Retry-After, never 401, and no cookie is touched; then all works."""
    with started(SERVERS[engine]()) as database, signed_in(tmp_path, database) as signed:
        getattr(database, ending)()
        asking = [signed.refresh, signed.me, signed.log_in, signed.log_out, signed.health]
        answers = {ask.__name__: ask() for ask in asking}
        assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 503)
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers.values())
        assert not any("Set-Cookie" in answer.headers for answer in answers.values())
        database.start()
        wait_until(lambda: signed.health().status_code == 200, what="the store to be back")
        again = signed.refresh()
        assert again.status_code == 200, again.text
        assert [ask().status_code for ask in (signed.me, signed.log_in, signed.log_out)] == [200, 200, 204]


@pytest.mark.parametrize("engine", SERVERS)
def test_a_store_that_was_restarted_unseen(tmp_path: Path, engine: str) -> None:
    """Connections that died while nobody used them cost no client an error: what is safe is repeated."""
    with started(SERVERS[engine]()) as database, signed_in(tmp_path, database) as signed:
        for ask in (signed.me, signed.refresh):
            database.restart()
            answer = ask()
            assert answer.status_code == 200, answer.text
        assert signed.log_in().status_code == 200
