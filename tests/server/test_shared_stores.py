"""Several `keyturn serve` on one database are one server: real processes, on every store that is shared."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from keyturn.testing.servers import RedisSentinel, RedisServer
from tests.support.databases import started
from tests.support.keyturn_server import demo_password, keyturn_server, me, refresh, sign_in
from tests.support.processes import wait_until

SHARED = ["postgres_url", "mariadb_url", "redis_url", "redis_cluster_url"]


@pytest.fixture(params=SHARED)
def shared(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store that several processes can share."""
    url: str = request.getfixturevalue(request.param)
    return url


def password_in(url: str) -> str:
    """Give the password that a URL of the fixtures carries."""
    return url.partition("://")[2].partition("@")[0].rpartition(":")[2]


def flags_in(folder: Path, url: str) -> list[str]:
    """Give the flags of a server on a shared store; users beside the sessions where they can be."""
    users = ["--users", f"sqlite:///{folder}/users.db"] if "redis" in url else []
    # The issuer would be each server's own address otherwise, and each would refuse the other's tokens.
    issuer = ["--issuer", "https://auth.example.com"]
    return ["--store", url, *users, *issuer, "--keys-file", f"{folder}/keys.json"]


def walk(folder: Path, url: str) -> str:
    """Sign in at one server, go on at another, sign out at the first; give what both have printed."""
    flags = flags_in(folder, url)
    places = [folder / "first", folder / "second"]
    for place in places:
        place.mkdir()
    with keyturn_server(places[0], *flags, "--demo") as first, keyturn_server(places[1], *flags) as second:
        tokens = sign_in(first, demo_password(first, "alice"))
        assert me(second, tokens) == 200
        later = refresh(second, tokens)
        assert later.status_code == 200, later.text
        assert refresh(first, tokens).json()["refresh_token"] == later.json()["refresh_token"]
        out = httpx.post(
            f"{first.url}/auth/logout", json={"refresh_token": later.json()["refresh_token"]}, timeout=20
        )
        assert out.status_code == 204
        assert refresh(second, later.json()).status_code == 401
        wait_until(lambda: me(second, later.json()) == 401, what="the revocation in the other server")
        return first.output() + second.output()


def test_two_servers_are_one(tmp_path: Path, shared: str) -> None:
    """Signed in at one, refreshed at the other, signed out at the first: refused at the other at once."""
    said = walk(tmp_path, shared)
    assert "Traceback" not in said
    assert password_in(shared) not in said
    assert f"sessions   {shared.partition('://')[0]}://" in said
    users = f"sqlite:///{tmp_path}/users.db" if "redis" in shared else shared.partition("://")[0]
    assert f"users      {users}" in said


def test_servers_that_start_at_once_make_one_place(tmp_path: Path, shared: str) -> None:
    """Three first starts on one empty store: the tables are made once, and all serve with one key ring."""
    flags = flags_in(tmp_path, shared)
    together = Barrier(3)

    def start(name: str) -> str:
        place = tmp_path / name
        place.mkdir()
        together.wait(20)
        with keyturn_server(place, *flags) as server:
            assert httpx.get(f"{server.url}/healthz", timeout=20).status_code == 200
            return httpx.get(f"{server.url}/.well-known/jwks.json", timeout=20).text

    with ThreadPoolExecutor(3) as threads:
        published = list(threads.map(start, ["one", "two", "three"]))
    assert len(set(published)) == 1
    assert '"kid"' in published[0]


def test_two_servers_find_redis_through_sentinel(tmp_path: Path) -> None:
    """A Sentinel's URL names the service; whoever asks is sent to the server that is the primary now."""
    with started(RedisServer()) as redis, started(RedisSentinel(redis)) as sentinel:
        said = walk(tmp_path, sentinel.url)
        assert redis.password not in said


def test_users_stay_where_they_were_when_sessions_move_to_redis(empty_folder: Path, redis_url: str) -> None:
    """Changing the one URL from the default file to Redis asks nobody to be added again."""
    with keyturn_server(empty_folder, "--store", "sqlite:///keyturn.db", "--demo") as before:
        password = demo_password(before, "alice")
        sign_in(before, password)
    (empty_folder / "keys.json").unlink()  # no session is in Redis yet, so new keys log nobody out
    with keyturn_server(empty_folder, "--store", redis_url) as server:
        assert "users      sqlite:///keyturn.db\n" in server.output()
        tokens = sign_in(server, password)
        assert refresh(server, tokens).status_code == 200


def test_an_own_check_of_passwords_needs_no_table(empty_folder: Path, redis_url: str) -> None:
    """With sessions in Redis and an authenticator, no database of users is made."""
    (empty_folder / "shop.py").write_text("def check(username, password):\n    return f'shop-{username}'\n")
    flags = ("--store", redis_url, "--authenticator", "shop:check")
    with keyturn_server(empty_folder, *flags) as server:
        assert "users      those of your own check, shop:check\n" in server.output()
        assert refresh(server, sign_in(server, "any")).status_code == 200
    assert list(empty_folder.glob("*.db*")) == []


def test_what_is_unsafe_about_a_server_is_said_at_the_start(empty_folder: Path, redis_url: str) -> None:
    """Once, in words: this Redis keeps nothing over a restart."""
    with keyturn_server(empty_folder, "--store", redis_url, "--demo") as server:
        assert server.output().count("the store: Redis writes no append-only file") == 1


def test_lost_keys_are_not_made_up_for(tmp_path: Path, shared: str) -> None:
    """With a session in the store and no keys file a start is refused, whatever the store."""
    flags = flags_in(tmp_path, shared)
    with keyturn_server(tmp_path, *flags, "--demo") as server:
        sign_in(server, demo_password(server, "alice"))
    (tmp_path / "keys.json").unlink()
    with pytest.raises(AssertionError, match="is gone, but the store holds sessions"):
        keyturn_server(tmp_path, *flags).__enter__()
    assert not (tmp_path / "keys.json").exists()
