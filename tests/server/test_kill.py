"""`kill -9` of a real server in the middle of a storm of refreshes, and a restart on the same file and keys."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.keyturn_server import demo_password, keyturn_server
from tests.support.processes import free_port, wait_until

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


def sign_in(url: str, password: str, stop: threading.Event) -> Client:
    """Begin a session."""
    body = {"username": "alice", "password": password, "transport": "body"}
    answer = httpx.post(f"{url}/auth/login", json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    return Client(url, answer.json()["refresh_token"], answer.json()["session_id"], stop)


def test_killed_in_a_storm(tmp_path: Path) -> None:
    """No client that retries is logged out, nothing revoked comes back, and each session has one row."""
    stop, port = threading.Event(), free_port()
    flags = ("--login-rate", "off", "--race-window", "0", "--log-level", "warning")
    clients: list[Client] = []
    victims: list[Client] = []
    threads: list[threading.Thread] = []
    try:
        for turn in range(ROUNDS):
            with keyturn_server(tmp_path, *flags, *(["--demo"] if turn == 0 else []), port=port) as server:
                if turn == 0:
                    password = demo_password(server, "alice")
                    clients = [sign_in(server.url, password, stop) for _ in range(CLIENTS)]
                    victims = [sign_in(server.url, password, stop) for _ in range(ROUNDS)]
                    threads = [threading.Thread(target=client.run) for client in clients]
                    for thread in threads:
                        thread.start()
                before = [client.answered for client in clients]
                for victim in victims[:turn]:  # ended before a former kill
                    refused = httpx.post(f"{server.url}/auth/refresh", json={"refresh_token": victim.token})
                    assert refused.status_code == 401, "a revoked session is back"
                wait_until(
                    lambda before=before: stop.is_set()
                    or (
                        all(c.answered > b for c, b in zip(clients, before, strict=True))
                        and sum(c.answered for c in clients) - sum(before) >= REFRESHES_BEFORE_A_KILL
                    ),
                    seconds=40,
                    what="a storm of refreshes",
                )
                gone = httpx.post(f"{server.url}/auth/logout", json={"refresh_token": victims[turn].token})
                assert gone.status_code == 204
                server.kill()  # with the storm still blowing
        with keyturn_server(tmp_path, *flags, port=port) as server:
            before = [client.answered for client in clients]
            wait_until(
                lambda: stop.is_set() or all(c.answered > b for c, b in zip(clients, before, strict=True)),
                what="every client being answered again",
            )
            stop.set()
            for thread in threads:
                thread.join(20)
            for victim in victims:
                refused = httpx.post(f"{server.url}/auth/refresh", json={"refresh_token": victim.token})
                assert refused.status_code == 401, "a revoked session is back"
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert [client.refused for client in clients] == [[]] * CLIENTS
    assert sum(client.unanswered for client in clients) >= ROUNDS, "the kills interrupted nothing"
    with closing(sqlite3.connect(tmp_path / "keyturn.db")) as database:
        rows = database.execute("SELECT revoked_at IS NULL, gen FROM keyturn_sessions").fetchall()
    assert len(rows) == CLIENTS + ROUNDS
    assert sum(alive for alive, _ in rows) == CLIENTS
    assert sum(gen for _, gen in rows) >= ROUNDS * REFRESHES_BEFORE_A_KILL
