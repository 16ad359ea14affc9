"""`kill -9` of a real server in the middle of a storm of refreshes, and a restart on the same files."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from keyturn.testing.servers.programs import free_port
from tests.support.keyturn_server import demo_password, keyturn_server
from tests.support.processes import wait_until

ROUNDS = 4
CLIENTS = 6
REFRESHES_BEFORE_A_KILL = 40


@dataclass(slots=True)
class Client:
    """A client that refreshes as fast as it can, and repeats what was not answered."""

    url: str
    token: str
    session: str
    stop: threading.Event
    answered: int = 0
    unanswered: int = 0
    refused: list[str] = field(default_factory=list[str])

    def run(self) -> None:
        """Refresh until told to stop."""
        http = httpx.Client(timeout=5)
        while not self.stop.is_set():
            self.refresh(http)
        http.close()

    def refresh(self, http: httpx.Client) -> None:
        """Refresh once; without an answer the token stays, and the next call repeats it."""
        try:
            answer = http.post(f"{self.url}/auth/refresh", json={"refresh_token": self.token})
        except httpx.TransportError:
            self.unanswered += 1
            self.stop.wait(0.02)  # no busy loop while nobody listens
            return
        if answer.status_code == 200:
            self.token = answer.json()["refresh_token"]
            self.answered += 1
        elif answer.status_code != 503:
            self.refused.append(answer.text)
            self.stop.set()


@dataclass(slots=True)
class Storm:
    """All clients, each in a thread of its own."""

    clients: list[Client] = field(default_factory=list[Client])
    threads: list[threading.Thread] = field(default_factory=list[threading.Thread])
    stop: threading.Event = field(default_factory=threading.Event)

    def sign_in(self, url: str, password: str) -> Client:
        """Begin a session."""
        body = {"username": "alice", "password": password, "transport": "body"}
        answer = httpx.post(f"{url}/auth/login", json=body, timeout=20)
        assert answer.status_code == 200, answer.text
        return Client(url, answer.json()["refresh_token"], answer.json()["session_id"], self.stop)

    def begin(self, clients: list[Client]) -> None:
        """Let clients refresh."""
        self.clients = clients
        self.threads = [threading.Thread(target=client.run) for client in clients]
        for thread in self.threads:
            thread.start()

    def blow(self, refreshes: int) -> None:
        """Wait until every client was answered, and all together so often."""
        before = [client.answered for client in self.clients]

        def enough() -> bool:
            gained = [client.answered - was for client, was in zip(self.clients, before, strict=True)]
            return self.stop.is_set() or (min(gained) > 0 and sum(gained) >= refreshes)

        wait_until(enough, seconds=60, what="a storm of refreshes")

    def end(self) -> None:
        """Let every client finish what it is at."""
        self.stop.set()
        for thread in self.threads:
            thread.join(20)


def post(url: str, path: str, client: Client) -> int:
    """Send a client's token, and give the status of the answer."""
    return httpx.post(f"{url}{path}", json={"refresh_token": client.token}, timeout=20).status_code


def test_killed_in_a_storm(tmp_path: Path) -> None:
    """No client that retries is logged out, nothing revoked comes back, and each session has one row."""
    storm, port, victims = Storm(), free_port(), list[Client]()
    flags = ("--login-rate", "off", "--race-window", "0", "--log-level", "warning")
    try:
        for turn in range(ROUNDS):
            with keyturn_server(tmp_path, *flags, *([] if turn else ["--demo"]), port=port) as server:
                if turn == 0:
                    password = demo_password(server, "alice")
                    victims = [storm.sign_in(server.url, password) for _ in range(ROUNDS)]
                    storm.begin([storm.sign_in(server.url, password) for _ in range(CLIENTS)])
                back = [
                    victim for victim in victims[:turn] if post(server.url, "/auth/refresh", victim) != 401
                ]
                assert back == [], "a revoked session is back"
                storm.blow(REFRESHES_BEFORE_A_KILL)
                assert post(server.url, "/auth/logout", victims[turn]) == 204
                server.kill()  # with the storm still blowing
        with keyturn_server(tmp_path, *flags, port=port) as server:
            storm.blow(CLIENTS)
            storm.end()
            assert {post(server.url, "/auth/refresh", victim) for victim in victims} == {401}
    finally:
        storm.end()
    assert [client.refused for client in storm.clients] == [[]] * CLIENTS
    assert sum(client.unanswered for client in storm.clients) >= ROUNDS, "the kills interrupted nothing"
    with closing(sqlite3.connect(tmp_path / "keyturn.db")) as database:
        rows = database.execute("SELECT revoked_at IS NULL, gen FROM keyturn_sessions").fetchall()
    assert len(rows) == CLIENTS + ROUNDS
    assert sum(alive for alive, _ in rows) == CLIENTS
    assert sum(gen for _, gen in rows) >= ROUNDS * REFRESHES_BEFORE_A_KILL
