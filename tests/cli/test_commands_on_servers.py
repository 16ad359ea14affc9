"""The commands on every store that is a server: the same answers as on a file, and what differs in words."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from keyturn.cli.root import keyturn
from keyturn.keys import KeyRing
from keyturn.manager import TokenManager
from keyturn.results import TokenPair
from keyturn.stores.urls import store_from_url
from keyturn.testing.servers.programs import free_port

PASSWORD = "correct horse\n"
NO_FILE = "Warning: Redis writes no append-only file"


@pytest.fixture(params=["postgres", "mariadb", "redis", "redis_cluster"])
def url(request: pytest.FixtureRequest, empty_folder: Path) -> str:
    """An empty store on a server, for commands in an empty folder."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


def invoke(url: str, *arguments: str, stdin: str = "", status: int = 0) -> Result:
    """Run a command on a store."""
    result = CliRunner().invoke(keyturn, [*arguments, "--store", url], input=stdin)
    assert result.exit_code == status, f"{result.output}\n{result.exception!r}"
    return result


def listed(url: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a command that lists, as JSON."""
    rows: list[dict[str, Any]] = json.loads(invoke(url, *arguments, "--json").stdout)
    return rows


def issue(url: str, user_id: str, *, days_ago: float = 0) -> TokenPair:
    """Begin a session in a store, now or some time ago."""
    manager = TokenManager(
        store=store_from_url(url),
        keys=KeyRing.generate(),
        issuer="https://auth.example.com",
        audience="keyturn",
        clock=lambda: time.time() - days_ago * 86_400,
    )
    pair = manager.issue(user_id)
    manager.close()
    return pair


def test_users_and_sessions(url: str) -> None:
    """Added, listed by name, ended one by one and all at once: as on a file."""
    invoke(url, "db", "upgrade")
    invoke(url, "users", "add", "Alice", "--password-stdin", stdin=PASSWORD)
    alice = listed(url, "users", "list")[0]["id"]
    one, two, other = issue(url, alice), issue(url, alice), issue(url, "somebody else")
    found = {row["id"]: row["user"] for row in listed(url, "sessions", "list")}
    assert found == {one.session_id: "alice", two.session_id: "alice", other.session_id: "somebody else"}
    assert [row["id"] for row in listed(url, "sessions", "list")] == sorted(found)
    assert len(listed(url, "sessions", "list", "--user", "ALICE")) == 2
    assert "no user" in invoke(url, "sessions", "list", "--user", "nobody", status=1).output
    assert "has ended" in invoke(url, "sessions", "revoke", one.session_id, "--yes").output
    assert "1 session ended" in invoke(url, "users", "disable", "alice", "--yes").output
    assert [row["user"] for row in listed(url, "sessions", "list")] == ["somebody else"]
    assert len(listed(url, "sessions", "list", "--all")) == 3


def test_purge(url: str) -> None:
    """Batch by batch, with progress; what lives stays."""
    invoke(url, "db", "upgrade")
    for _ in range(5):
        issue(url, "alice", days_ago=90.5)  # its absolute end was half a day ago
    kept = issue(url, "alice")
    said = invoke(url, "purge", "--retention", "1h", "--batch", "2", "--yes").output
    assert said.splitlines()[-2:] == ["5 removed so far", "5 rows removed."]
    assert [row["id"] for row in listed(url, "sessions", "list", "--all")] == [kept.session_id]


def test_the_schema(url: str) -> None:
    """Tables are made and shown; where there are none, that is said, and the server is checked."""
    upgraded, again = invoke(url, "db", "upgrade"), invoke(url, "db", "upgrade")
    parts = {row["part"]: row for row in listed(url, "db", "current")}
    assert parts["users"]["version"] == parts["users"]["newest"]
    if "redis" in url:
        assert "Redis has no tables, so there is nothing to upgrade." in upgraded.stdout
        assert parts["sessions"]["version"] == "no tables in Redis"
        for result in (upgraded, again, invoke(url, "db", "current")):
            assert result.stderr.count(NO_FILE) == 1
            assert all(line.startswith("Warning: ") for line in result.stderr.splitlines())
    else:
        assert upgraded.output == again.output == "The database is up to date.\n"
        assert parts["sessions"]["version"] == parts["sessions"]["newest"]


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("postgresql://", "postgres://"),
        ("postgresql://", "postgresql+psycopg://"),
        ("@127.0.0.1:", "@127.0.0.1:1,127.0.0.1:"),
        ("", "?prepared=false&pool_size=2"),
        ("", "?sslmode=prefer&application_name=shop"),
    ],
)
def test_a_url_of_postgresql_means_the_same_for_users(
    postgres_url: str, empty_folder: Path, part: str, other: str
) -> None:
    """What the store's URL may say (hosts, a pooler, libpq's parameters), the users' table takes, too."""
    url = postgres_url.replace(part, other, 1) if part else postgres_url + other
    assert invoke(url, "db", "upgrade").output == "The database is up to date.\n"
    invoke(url, "users", "add", "alice", "--password-stdin", stdin=PASSWORD)
    assert invoke(url, "sessions", "list").output == "There are no sessions.\n"
    assert [row["username"] for row in listed(postgres_url, "users", "list")] == ["alice"]
    assert {row["version"] == row["newest"] for row in listed(url, "db", "current")} == {True}


def test_a_store_is_asked_without_users(redis_url: str, empty_folder: Path) -> None:
    """With an authenticator of one's own and sessions in Redis, nobody has made a table of users."""
    session = issue(redis_url, "shop-ann")
    assert [row["user"] for row in listed(redis_url, "sessions", "list")] == ["shop-ann"]
    assert len(listed(redis_url, "sessions", "list", "--user", "shop-ann")) == 1
    assert "has ended" in invoke(redis_url, "sessions", "revoke", session.session_id, "--yes").output
    assert "there is no database" in invoke(redis_url, "users", "list", status=1).output
    assert list(empty_folder.iterdir()) == []


def test_a_place_of_users_that_was_chosen_must_be_there(redis_url: str, empty_folder: Path) -> None:
    """A slip in `--users` is no silent absence of names."""
    arguments = ("sessions", "list", "--users", "sqlite:///userz.db")
    assert "there is no database userz.db" in invoke(redis_url, *arguments, status=1).output


def test_users_apart_from_the_sessions(postgres_url: str, redis_url: str, empty_folder: Path) -> None:
    """Sessions in Redis, users in PostgreSQL: the commands find both, and either may be away."""
    users = ("--users", postgres_url)
    invoke(redis_url, "db", "upgrade", *users)
    invoke(redis_url, "users", "add", "alice", "--password-stdin", *users, stdin=PASSWORD)
    alice = json.loads(invoke(redis_url, "users", "list", "--json", *users).stdout)[0]["id"]
    session = issue(redis_url, alice)
    assert "alice" in invoke(redis_url, "sessions", "list", *users).stdout
    gone = ("--users", f"postgresql://127.0.0.1:{free_port()}/x")
    assert "has ended" in invoke(redis_url, "sessions", "revoke", session.session_id, "--yes", *gone).output
    assert "reach" in invoke(redis_url, "sessions", "list", *gone, status=1).output
