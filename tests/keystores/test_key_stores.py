"""Every key store on its real server: it keeps one document, and of several writers one wins."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Barrier

import pytest
from redis import Redis
from sqlalchemy import create_engine

from keyturn._core.schedule import PUBLISH_FOR, TurnPlan
from keyturn.errors import ConfigurationError, SchemaError, StoreUnavailable
from keyturn.keystores import KeyKeeper, KeyStore, key_store_from_url
from keyturn.keystores.files import FileKeyStore
from keyturn.keystores.redis import RedisKeyStore
from keyturn.keystores.sql import SQLKeyStore
from keyturn.sealing import Seal
from keyturn.stores import schema
from keyturn.stores._redis.keys import key_of_ring
from keyturn.stores.engines import engine_from_url
from keyturn.testing.servers.programs import free_port
from tests.support.processes import fork
from tests.support.sql import EVERY_SQL, database, empty

EVERY = ["file", *EVERY_SQL, "redis_url", "redis_cluster_url"]

Opener = Callable[[], KeyStore]


@pytest.fixture(scope="module", params=EVERY)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One kind of key store: a database with its tables, or the name of a fixture."""
    if request.param not in EVERY_SQL:
        yield request.param
        return
    with database(request, request.param, tmp_path_factory.mktemp("keys")) as url:
        with closing(key_store_from_url(url)) as store:
            store.prepare()
        yield url


@pytest.fixture
def opener(place: str, request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """What opens one key store, which holds nothing yet, again and again."""
    if place == "file":
        return partial(FileKeyStore, tmp_path / "keys.json")
    if place.startswith("redis"):
        return partial(key_store_from_url, request.getfixturevalue(place))
    empty(place)
    return partial(key_store_from_url, place)


@pytest.fixture
def store(opener: Opener) -> Iterator[KeyStore]:
    """The store, opened once."""
    with closing(opener()) as store:
        yield store


def document(number: int) -> bytes:
    """Make a document, as long as one with a few RSA keys."""
    return json.dumps({"number": number, "filling": "x" * 20_000}).encode()


def test_what_is_written_is_read(store: KeyStore) -> None:
    """Nothing at first, then byte for byte what was written last, with another version each time."""
    assert store.read() is None
    assert store.replace(document(1), version=None)
    first = store.read()
    assert first is not None
    assert first.data == document(1)
    assert store.replace(document(2), version=first.version)
    second = store.read()
    assert second is not None
    assert second.data == document(2)
    assert second.version != first.version


def test_a_writer_that_has_not_read_the_latest_loses(opener: Opener, store: KeyStore) -> None:
    """Compare and swap: what was not read is not replaced, by whomever and from wherever."""
    assert store.replace(document(1), version=None)
    assert not store.replace(document(2), version=None)
    first = store.read()
    assert first is not None
    with closing(opener()) as other:
        assert other.replace(document(3), version=first.version)
    assert not store.replace(document(4), version=first.version)
    found = store.read()
    assert found is not None
    assert found.data == document(3)
    assert not store.replace(document(5), version="f" * 64)


def test_of_many_processes_one_makes_the_keys(opener: Opener) -> None:
    """Starting workers: each sees the same ring afterwards, and one has made it."""

    def make() -> bool:
        with closing(opener()) as store:
            return KeyKeeper(store).create("HS256")

    waiting = [fork(make) for _ in range(6)]
    codes = [wait() for wait in waiting]
    assert sorted(codes) == [0, 2, 2, 2, 2, 2]
    with closing(opener()) as store:
        assert len(KeyKeeper(store).load().infos()) == 1


def test_changes_from_many_processes_all_count(opener: Opener) -> None:
    """Administrators who change at the same moment: no change is lost, and none is half there."""
    with closing(opener()) as store:
        KeyKeeper(store).create("HS256")

    def change() -> bool:
        with closing(opener()) as store:
            for _ in range(3):
                KeyKeeper(store).replace("HS256")
        return True

    waiting = [fork(change) for _ in range(4)]
    assert [wait() for wait in waiting] == [0, 0, 0, 0]
    with closing(opener()) as store:
        assert [info.state for info in KeyKeeper(store).load().infos()] == ["active"]


def test_of_two_who_turn_the_keys_one_does(opener: Opener) -> None:
    """The other is told that a turn is under way: turns do not pile up."""
    with closing(opener()) as store:
        KeyKeeper(store).create("HS256")
    together = Barrier(4)

    def turn(_: int) -> str:
        with closing(opener()) as store:
            together.wait(20)
            try:
                KeyKeeper(store).rotate(TurnPlan(drain=1000.0))
            except ConfigurationError as error:
                return str(error)
        return "turned"

    with ThreadPoolExecutor(4) as threads:
        told = sorted(threads.map(turn, range(4)))
    assert told[-1] == "turned"
    assert all("a turn is under way" in each for each in told[:-1])
    with closing(opener()) as store:
        infos = KeyKeeper(store).load().infos()
    assert [info.state for info in infos] == ["active", "pending"]
    assert infos[1].active_at == pytest.approx(infos[1].created_at + PUBLISH_FOR)


def test_an_encrypted_ring_is_kept_everywhere(store: KeyStore) -> None:
    """The document may be a JWE; the store need not know."""
    seal = Seal.from_key(bytes(range(32)))
    keeper = KeyKeeper(store, seal=seal)
    keeper.create("ES256", kid="shown")
    keeper.rotate(TurnPlan(drain=1000.0))
    assert keeper.is_encrypted()
    found = store.read()
    assert found is not None
    assert b"shown" not in found.data
    assert len(keeper.load().infos()) == 2
    with pytest.raises(ConfigurationError, match="it is missing"):
        KeyKeeper(store).load()


def test_where_it_is_shows_no_password(store: KeyStore, opener: Opener) -> None:
    """As the log and the command line say it."""
    assert "***" in store.where or "@" not in store.where
    assert "keyturn" in store.where or "keys.json" in store.where or "redis" in store.where


# --- Files --------------------------------------------------------------------------------------------


def test_a_file_is_its_owners_and_alone(tmp_path: Path) -> None:
    """Mode 0600 from the first moment, and nothing is left beside it: neither a lock nor a draft."""
    store = FileKeyStore(tmp_path / "keys.json")
    assert store.replace(b"{}", version=None)
    found = store.read()
    assert found is not None
    assert store.replace(b"[]", version=found.version)
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write another's file")
def test_a_file_stays_its_owners(tmp_path: Path) -> None:
    """What root changes for a server that runs as somebody else, that server can still read."""
    path = tmp_path / "keys.json"
    store = FileKeyStore(path)
    store.replace(b"{}", version=None)
    os.chown(path, 12345, 23456)
    found = store.read()
    assert found is not None
    assert store.replace(b"[]", version=found.version)
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    """Else the file behind the link keeps the old keys, for whoever reads it there."""
    (tmp_path / "real").mkdir()
    behind, link = tmp_path / "real" / "keys.json", tmp_path / "keys.json"
    link.symlink_to(behind)
    store = FileKeyStore(link)
    assert store.replace(document(1), version=None)
    found = store.read()
    assert found is not None
    assert store.replace(document(2), version=found.version)
    assert link.is_symlink()
    assert behind.read_bytes() == document(2)
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(ConfigurationError):
        store.replace(document(3), version=None)


def test_what_a_crash_has_left_is_removed(tmp_path: Path) -> None:
    """It holds private keys; what else is in the folder stays."""
    store = FileKeyStore(tmp_path / "keys.json")
    for name in (".keys.json.abcd1234.new", ".other.json.abcd1234.new", ".keys.json.notes"):
        (tmp_path / name).write_bytes(b"{}")
    assert store.replace(document(1), version=None)
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        ".keys.json.notes",
        ".other.json.abcd1234.new",
        "keys.json",
    ]


def test_a_pipe_is_no_key_file(tmp_path: Path) -> None:
    """It would be waited for, for ever."""
    os.mkfifo(tmp_path / "keys.json", 0o600)
    with pytest.raises(ConfigurationError, match="is no file"):
        FileKeyStore(tmp_path / "keys.json").read()


def test_a_file_that_others_may_touch_is_refused(tmp_path: Path) -> None:
    """It is not read and not replaced; only an option with a loud name lets it pass."""
    path = tmp_path / "keys.json"
    store = FileKeyStore(path)
    store.replace(b"{}", version=None)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        store.read()
    with pytest.raises(ConfigurationError, match="chmod 600"):
        store.replace(b"[]", version=None)
    assert FileKeyStore(path, unsafe_allow_readable_by_others=True).read() is not None


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """One sentence, with the path."""
    with pytest.raises(ConfigurationError, match="cannot write the key file"):
        FileKeyStore(tmp_path / "none" / "keys.json").replace(b"{}", version=None)


def test_who_writes_for_too_long_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is another's: an outage, and nothing was changed."""
    monkeypatch.setattr("keyturn.keystores.files._PATIENCE", 0.05)
    store = FileKeyStore(tmp_path / "keys.json")
    with store._alone(tmp_path), pytest.raises(StoreUnavailable, match="Another process"):
        FileKeyStore(tmp_path / "keys.json").replace(b"{}", version=None)
    assert store.read() is None
    assert store.replace(b"{}", version=None), "the lock is given back"


# --- Databases ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@127.0.0.1:{}/x", "redis://:hunter2@127.0.0.1:{}/0"])
def test_a_server_that_is_away_is_an_outage(url: str) -> None:
    """With no password in the message."""
    with closing(key_store_from_url(url.format(free_port()))) as store:
        with pytest.raises(StoreUnavailable) as caught:
            store.read()
        assert "hunter2" not in f"{caught.value!r} {store.where}"


def test_a_database_without_the_table_says_what_to_do(tmp_path: Path) -> None:
    """As the sessions' store does."""
    with (
        closing(key_store_from_url(f"sqlite:///{tmp_path}/x.db")) as store,
        pytest.raises(SchemaError, match="keyturn db upgrade"),
    ):
        store.read()


def test_an_interrupted_upgrade_is_finished(mariadb_url: str) -> None:
    """Where a table cannot be undone, one that is there already is no hindrance."""
    engine = engine_from_url(mariadb_url)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE keyturn_keys (name INT)")
    schema.upgrade(engine)
    engine.dispose()
    with closing(key_store_from_url(mariadb_url)) as store:
        assert store.replace(document(1), version=None)


def test_a_redis_that_forgets_is_warned_of(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Keys that are gone after a restart sign everybody out."""
    with closing(key_store_from_url(redis_url)) as store:
        store.prepare()
    assert "append-only file" in caplog.text


def test_what_something_else_has_changed_is_noticed(redis_url: str, tmp_path: Path) -> None:
    """A document without its version, or with another's, would not be followed: one clear sentence."""
    engine = create_engine(f"sqlite:///{tmp_path}/keys.db")
    schema.upgrade(engine)
    client = Redis.from_url(redis_url)

    def in_sql() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE keyturn_keys SET document = '{}'")

    changes: list[tuple[KeyStore, Callable[[], object]]] = [
        (SQLKeyStore(engine), in_sql),
        (RedisKeyStore(client), lambda: client.hset(key_of_ring("keyturn"), "document", "{}")),
        (RedisKeyStore(client, prefix="other"), lambda: client.hdel(key_of_ring("other"), "version")),
    ]
    for store, change in changes:
        assert store.replace(document(1), version=None)
        change()
        with pytest.raises(ConfigurationError, match="put both back together"):
            store.read()
    engine.dispose()
    client.close()


def test_clients_of_the_application_are_used(redis_url: str, tmp_path: Path) -> None:
    """An engine or a client that is there is taken, and stays open when the store is closed."""
    engine = create_engine(f"sqlite:///{tmp_path}/own.db")
    with Redis.from_url(redis_url, socket_timeout=5) as client:
        for store in (SQLKeyStore(engine), RedisKeyStore(client, prefix="own")):
            store.prepare()
            assert store.replace(document(1), version=None)
            store.close()
            found = store.read()
            assert found is not None
            assert not store.replace(document(2), version=None)
        assert client.keys() == [b"own:{keys}:r"]
        assert client.ttl("own:{keys}:r") == -1, "it never expires"
    engine.dispose()


def test_places_that_forget_are_refused() -> None:
    """Keys in memory would be gone with the process; a slip in the scheme is found."""
    with pytest.raises(ConfigurationError, match="forget the keys"):
        key_store_from_url("memory://")
    with pytest.raises(ConfigurationError, match="did you mean redis"):
        key_store_from_url("redsi://x")
