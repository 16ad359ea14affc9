"""`keyturn serve` as a process: what it prints, logs and believes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.support.keyturn_server import COMMAND, demo_password, keyturn_server, places


def test_it_says_where_it_is_and_what_it_uses(tmp_path: Path) -> None:
    """Address, store, keys, and a line to paste, which works."""
    with keyturn_server(tmp_path, "--demo") as server:
        said = server.output()
        assert f"listens on {server.url}\n" in said
        assert f"{tmp_path}/keyturn.db" in said
        assert f"{tmp_path}/keys.json (made just now)" in said
        line = next(line for line in said.splitlines() if line.startswith("  curl "))
        run = subprocess.run(["bash", "-c", f"{line} -s"], capture_output=True, check=True, timeout=30)
        assert json.loads(run.stdout)["token_type"] == "Bearer"
        assert demo_password(server, "bob") not in line
    with keyturn_server(tmp_path) as again:
        assert "made just now" not in again.output().rpartition("listens on")[2]


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    """Exit status 1, and nothing is made."""
    with keyturn_server(tmp_path) as server:
        empty = tmp_path / "second"
        empty.mkdir()
        second = subprocess.run(
            [*COMMAND, "serve", "--port", str(server.port), *places(empty)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 1
    assert second.stderr == f"Error: cannot listen on 127.0.0.1, port {server.port}: Address already in use\n"
    assert list(empty.iterdir()) == []


@pytest.mark.parametrize(("flags", "believed"), [([], False), (["--forwarded-allow-ips", "127.0.0.1"], True)])
def test_only_configured_proxies_are_believed(tmp_path: Path, flags: list[str], *, believed: bool) -> None:
    """An address in a header counts only from a proxy that was named, for the log and for the rate limit."""
    flags = [*flags, "--log-format", "json", "--login-rate", "1/minute"]
    with keyturn_server(tmp_path, *flags) as server:
        answers = [
            httpx.post(
                f"{server.url}/auth/login?token=not-in-the-log",
                json={"username": f"user-{i}", "password": "a password"},
                headers={"X-Forwarded-For": f"192.0.2.{i}"},
                timeout=20,
            ).status_code
            for i in range(2)
        ]
    logged = [json.loads(line) for line in server.output().splitlines() if line.startswith("{")]
    assert answers == ([401, 401] if believed else [401, 429])
    requests = [entry for entry in logged if entry["logger"] == "keyturn.access"]
    assert [entry["message"] for entry in requests] == ["POST /auth/login"] * 2
    assert [entry["client"] for entry in requests] == (
        ["192.0.2.0", "192.0.2.1"] if believed else ["127.0.0.1"] * 2
    )
    assert "not-in-the-log" not in json.dumps(logged)


def test_an_own_authenticator_serves(empty_folder: Path) -> None:
    """Users of the application's own sign in, with its claims; there is no table to look into."""
    (empty_folder / "shop.py").write_text(
        "from keyturn.http import SignIn\n"
        "def check(username, password):\n"
        "    return SignIn(f'shop-{username}', claims={'plan': 'pro'}) if password == 'right' else None\n"
    )
    with keyturn_server(empty_folder, "--authenticator", "shop:check") as server:
        wrong = httpx.post(f"{server.url}/auth/login", json={"username": "ann", "password": "wrong"})
        assert wrong.status_code == 401
        body = {"username": "ann", "password": "right", "transport": "body"}
        tokens = httpx.post(f"{server.url}/auth/login", json=body).json()
        again = httpx.post(
            f"{server.url}/auth/refresh", json={"refresh_token": tokens["refresh_token"]}
        ).json()
        bearer = {"Authorization": f"Bearer {again['access_token']}"}
        me = httpx.get(f"{server.url}/auth/me", headers=bearer).json()
    assert (me["user_id"], me["claims"]) == ("shop-ann", {"plan": "pro"})


def test_two_starts_at_once_share_one_ring(tmp_path: Path) -> None:
    """Two servers that start on one empty folder publish the same keys."""
    found: list[str] = []

    def start() -> None:
        with keyturn_server(tmp_path) as server:
            found.append(httpx.get(f"{server.url}/.well-known/jwks.json").text)

    threads = [Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 2
    assert found[0] == found[1]
    assert json.loads(found[0])["keys"]
