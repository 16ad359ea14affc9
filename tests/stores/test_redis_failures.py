"""Holds the Redis stores to their behaviour where a server is wrong, away, full, replaced or slow."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis, RedisCluster
from redis.asyncio import Redis as AsyncRedis

from keyturn._core.commands import Check, Lookup, Revoke, RevokeUser
from keyturn._core.outcomes import Converged, Created, Found, Live, Rotated, Unknown
from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.stores.redis import AsyncRedisStore, RedisStore
from keyturn.testing.proxy import Proxy
from keyturn.testing.samples import RACE, REDEEM, ROW, T0, numbered, refresh_of, sign_in
from keyturn.testing.servers import RedisSentinel, RedisServer
from tests.support.databases import in_step
from tests.support.processes import fork

LOGOUT = Revoke(ROW.sid, None, None, "logout", T0)
DURABLE = {"appendonly": "yes", "appendfsync": "always"}


@pytest.fixture
def admin(redis_url: str) -> Iterator[Any]:
    """The driver's own client, to make trouble with."""
    with Redis.from_url(redis_url) as client:
        yield client


# --- What the server is -----------------------------------------------------------------------------


def test_unsafe_settings_are_said_in_words(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """`warnings` names what may be lost and which setting helps, and `create_schema` logs the same once."""
    store = RedisStore.from_url(redis_url, wait_replicas=2)
    caplog.set_level(logging.WARNING, "keyturn.stores.redis")
    no_file, waits = store.warnings()
    assert "appendonly yes" in no_file
    assert "lost revocations are not" in no_file
    assert "2 replicas, and 0 are connected" in waits
    store.create_schema()
    assert [record.getMessage() for record in caplog.records] == [no_file, waits]
    store.close()


def test_a_safe_server_has_no_warnings_and_an_evicting_one_has() -> None:
    """With an append-only file that is always synced and no eviction, there is nothing to say."""
    with RedisServer(options=DURABLE) as server:
        store = RedisStore.from_url(server.url)
        assert store.warnings() == ()
        server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        server.command("CONFIG", "SET", "appendfsync", "everysec")
        evicting, syncing = store.warnings()
        assert "allkeys-lru" in evicting
        assert "noeviction" in evicting
        assert "once a second" in syncing
        store.close()


def test_a_user_without_config_is_no_obstacle(redis_url: str, admin: Any) -> None:
    """Where CONFIG may not be asked, INFO says the rest; and the store works with a user of few rights."""
    admin.acl_setuser(
        "keyturn",
        enabled=True,
        passwords=["+pw"],
        keys=["keyturn:*"],
        categories=["+@read", "+@write", "+@scripting"],
    )
    admin.execute_command("ACL", "SETUSER", "keyturn", "+info", "+ping")
    url = f"redis://keyturn:pw@{redis_url.rpartition('@')[2]}"
    store = RedisStore.from_url(url)
    assert any("append-only" in warning for warning in store.warnings())
    assert isinstance(store.create(sign_in(ROW)), Created)
    assert isinstance(store.rotate(REDEEM), Rotated)
    assert store.count() == 1
    admin.acl_setuser("keyturn", categories=["-@scripting"])
    with pytest.raises(StoreUnavailable, match=r"may not do this"):
        store.rotate(REDEEM)
    admin.acl_deluser("keyturn")
    store.close()


def test_a_wrong_password_is_named_and_never_shown(redis_url: str) -> None:
    """A wrong password is a sentence: `ConfigurationError` at the start, `StoreUnavailable` later."""
    url = redis_url.replace("@", "-and-wrong@")
    secret = url.split("@")[0].rsplit(":", 1)[1]
    store = RedisStore.from_url(url)
    with pytest.raises(ConfigurationError, match="refuses the user name or the password") as caught:
        store.create_schema()
    with pytest.raises(StoreUnavailable, match="refuses the user name or the password") as later:
        store.rotate(REDEEM)
    for error in (caught.value, later.value):
        chain: BaseException | None = error
        while chain is not None:
            assert secret not in f"{chain!r} {chain}"
            chain = chain.__cause__
    assert secret not in repr(store)
    store.close()


def test_the_wrong_kind_of_server_is_named(redis_url: str, redis_cluster_url: str) -> None:
    """A cluster opened as a server, and a server opened as a cluster, are told apart in a sentence."""
    node = redis_cluster_url.replace("redis+cluster", "redis").split(",")[0]
    one = RedisStore.from_url(node)
    with pytest.raises(ConfigurationError, match=r"redis\+cluster://"):
        one.create_schema()
    other = RedisStore.from_url(redis_url.replace("redis://", "redis+cluster://"))
    with pytest.raises(ConfigurationError, match="is no cluster"):
        other.create_schema()
    one.close()
    other.close()


async def test_the_wrong_kind_of_server_is_named_for_asyncio(redis_url: str, redis_cluster_url: str) -> None:
    """The same for asyncio."""
    node = redis_cluster_url.replace("redis+cluster", "redis").split(",")[0]
    one = AsyncRedisStore.from_url(node)
    with pytest.raises(ConfigurationError, match=r"redis\+cluster://"):
        await one.create_schema()
    other = AsyncRedisStore.from_url(redis_url.replace("redis://", "redis+cluster://"))
    with pytest.raises(ConfigurationError, match="is no cluster"):
        await other.create_schema()
    await one.close()
    await other.close()


def test_a_replica_is_refused_and_revocations_wait_for_one() -> None:
    """A read-only replica is no place for a store; with `wait_replicas` a revocation needs one to count."""
    with RedisServer() as master:
        store = RedisStore.from_url(master.url, wait_replicas=1, wait_timeout="1s")
        store.create(sign_in(ROW))
        with pytest.raises(StoreUnavailable, match="only 0 of 1 replicas"):
            store.revoke(LOGOUT)
        with pytest.raises(StoreUnavailable, match="only 0 of 1 replicas"):
            store.revoke(LOGOUT)  # also where it has nothing left to write
        assert isinstance(store.lookup(Lookup(ROW.sid)), Found)
        with RedisServer(options=master.replication()) as replica:
            reading = RedisStore.from_url(replica.url)
            with pytest.raises(ConfigurationError, match="replica"):
                reading.create_schema()
            in_step(master)
            assert store.revoke(LOGOUT).found
            with pytest.raises(StoreUnavailable, match="read-only replica"):
                reading.rotate(REDEEM)
            reading.close()
        store.close()


def test_waiting_in_a_cluster(redis_cluster_url: str) -> None:
    """In a cluster a revocation waits for replicas of its own node."""
    store = RedisStore.from_url(redis_cluster_url, timeout="9s", wait_replicas=1, wait_timeout="5s")
    store.create_schema()
    store.create(sign_in(ROW))
    assert store.revoke(LOGOUT).found
    assert store.revoke_user(RevokeUser(ROW.user_id, None, "user", T0)).ended == ()
    store.close()
    strict = RedisStore.from_url(redis_cluster_url, wait_replicas=9, wait_timeout="50ms")
    with pytest.raises(StoreUnavailable, match="of 9 replicas"):
        strict.revoke(LOGOUT)
    strict.close()


async def test_waiting_in_a_cluster_for_asyncio(redis_cluster_url: str) -> None:
    """The same for asyncio."""
    store = AsyncRedisStore.from_url(redis_cluster_url, timeout="9s", wait_replicas=1, wait_timeout="5s")
    await store.create_schema()
    await store.create(sign_in(ROW))
    assert (await store.revoke(LOGOUT)).found
    await store.close()
    strict = AsyncRedisStore.from_url(redis_cluster_url, wait_replicas=9, wait_timeout="50ms")
    with pytest.raises(StoreUnavailable, match="of 9 replicas"):
        await strict.revoke(LOGOUT)
    await strict.close()


# --- What happens to the server ---------------------------------------------------------------------


def test_a_full_server_still_refreshes_and_revokes(redis_url: str, admin: Any) -> None:
    """Where memory is full nobody can sign in, which is said; refreshes and revocations go on."""
    store = RedisStore.from_url(redis_url)
    store.create(sign_in(ROW))
    admin.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="no memory left"):
            store.create(sign_in(numbered(1)))
        assert isinstance(store.rotate(REDEEM), Rotated)
        assert store.revoke(LOGOUT).ended
    finally:
        admin.config_set("maxmemory", 0)
    store.close()


def test_a_store_recovers_after_a_restart() -> None:
    """Connections that a restart has killed are opened again, for every kind of call."""
    with RedisServer(options=DURABLE) as server:
        store = RedisStore.from_url(server.url)
        store.create(sign_in(ROW))
        server.kill()
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.rotate(REDEEM)
        server.start()
        assert isinstance(store.rotate(REDEEM), Rotated)
        server.restart()
        assert isinstance(store.check(Check(ROW.sid, "a", T0)), Live)
        server.restart()
        assert store.revoke(LOGOUT).ended
        store.close()


async def test_a_store_recovers_after_a_restart_for_asyncio() -> None:
    """The same for asyncio, and so does each connection of the pool."""
    with RedisServer(options=DURABLE) as server:
        store = AsyncRedisStore.from_url(server.url)
        await store.create(sign_in(ROW))
        await asyncio.gather(*(store.lookup(Lookup(ROW.sid)) for _ in range(20)))
        server.restart()
        found = await asyncio.gather(*(store.lookup(Lookup(ROW.sid)) for _ in range(20)))
        assert all(isinstance(each, Found) for each in found)
        server.restart()
        assert (await store.revoke(LOGOUT)).ended
        await store.close()


async def test_only_what_is_safe_is_sent_again(redis_server: RedisServer, redis_url: str) -> None:
    """A lost answer is asked for again where that converges; a strict refresh and a revocation are not."""
    strict = replace(REDEEM, race_window=0, recovery_window=0, gen=ROW.gen + 1)
    with Proxy(redis_server.port) as proxy:
        store = RedisStore.from_url(proxy.url(redis_url))
        other = AsyncRedisStore.from_url(proxy.url(redis_url))
        store.create(sign_in(ROW))
        unknown = numbered(1).sid
        store.rotate(
            replace(REDEEM, sid=unknown)
        )  # brings the script along, so that one answer is the answer
        store.revoke(replace(LOGOUT, sid=unknown))
        proxy.lose("answer")
        assert isinstance(store.rotate(REDEEM), Converged)
        proxy.lose("answer")
        assert isinstance(await other.rotate(REDEEM), Converged)
        proxy.lose("answer")
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.rotate(strict)
        found = store.lookup(Lookup(ROW.sid))
        assert isinstance(found, Found)
        assert (found.session.gen, found.session.revoked_at) == (ROW.gen + 2, None)
        proxy.lose("answer")
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await other.revoke(LOGOUT)
        assert (await other.revoke(LOGOUT)).ended == ()
        store.close()
        await other.close()


@pytest.fixture
def deaf() -> Iterator[str]:
    """A server that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}"


def test_a_deaf_server_is_given_up(deaf: str) -> None:
    """Every call ends within its timeout."""
    store = RedisStore.from_url(deaf, timeout="50ms")
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        store.rotate(REDEEM)
    store.close()


async def test_a_deaf_server_is_given_up_for_asyncio(deaf: str) -> None:
    """The same for asyncio."""
    store = AsyncRedisStore.from_url(deaf, timeout="50ms")
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        await store.rotate(REDEEM)
    await store.close()


async def test_a_cancelled_call_neither_gets_lost_nor_harms_others(redis_url: str, admin: Any) -> None:
    """A revocation runs to its end though its task is cancelled; no answer reaches another call."""
    store = AsyncRedisStore.from_url(redis_url, pool_size=2)
    rows = [numbered(number) for number in range(30)]
    for row in rows:
        await store.create(sign_in(row))
    admin.client_pause(100)  # milliseconds, in which everything sent waits
    revoking = [asyncio.create_task(store.revoke(replace(LOGOUT, sid=row.sid))) for row in rows[:10]]
    refreshing = [asyncio.create_task(store.rotate(refresh_of(row, T0 + RACE))) for row in rows[10:]]
    await asyncio.sleep(0.01)
    for task in (*revoking, *refreshing):
        task.cancel()
    await asyncio.gather(*revoking, *refreshing, return_exceptions=True)
    for row in rows:
        found = await store.lookup(Lookup(row.sid))
        assert isinstance(found, Found)
        assert found.session.sid == row.sid
        assert found.session.secret_digest == row.secret_digest
    await store.close()
    reading = RedisStore.from_url(redis_url)
    ended = [cast("Found", reading.lookup(Lookup(row.sid))).session.revoked_reason for row in rows[:10]]
    assert ended == ["logout"] * 10
    reading.close()


def test_waiting_for_a_connection_ends(redis_url: str, admin: Any) -> None:
    """Where all connections are busy for too long, that is what is said."""
    store = RedisStore.from_url(redis_url, pool_size=1, timeout="10s")
    store.create(sign_in(ROW))
    channel = cast("Any", store)._channel
    admin.client_pause(300)  # milliseconds
    with ThreadPoolExecutor() as threads:
        first = threads.submit(store.lookup, Lookup(ROW.sid))
        while channel._permits.qsize():
            pass
        channel._patience = 0.02
        with pytest.raises(StoreUnavailable, match="busy"):
            store.lookup(Lookup(ROW.sid))
        assert isinstance(first.result(), Found)
    store.close()


async def test_waiting_for_a_connection_ends_for_asyncio(redis_url: str, admin: Any) -> None:
    """The same for asyncio; who waits long enough gets the connection of whoever is ready."""
    store = AsyncRedisStore.from_url(redis_url, pool_size=1, timeout="10s")
    await store.create(sign_in(ROW))
    channel = cast("Any", store)._channel
    admin.client_pause(300)  # milliseconds
    first = [asyncio.create_task(store.lookup(Lookup(ROW.sid))) for _ in range(3)]
    await asyncio.sleep(0.01)
    channel._patience = 0.02
    with pytest.raises(StoreUnavailable, match="busy"):
        await store.lookup(Lookup(ROW.sid))
    assert all(isinstance(each, Found) for each in await asyncio.gather(*first))
    await store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_connections_of_its_own(redis_url: str) -> None:
    """A child and its parent use the store at once, and each gets its own answers."""
    store = RedisStore.from_url(redis_url)
    rows = [numbered(number) for number in range(2)]
    for row in rows:
        store.create(sign_in(row))

    def reads(row: int) -> bool:
        answers = (store.lookup(Lookup(rows[row].sid)) for _ in range(300))
        return all(isinstance(each, Found) and each.session == rows[row] for each in answers)

    end_of_child = fork(lambda: reads(1))
    assert reads(0)
    assert end_of_child() == 0
    store.close()


# --- The application's own client -------------------------------------------------------------------


def test_the_applications_client_stays_its_own(redis_url: str, redis_cluster_url: str) -> None:
    """A store on a client of the application's works with its settings, decoding too, and leaves it open."""
    with Redis.from_url(redis_url, decode_responses=True, socket_timeout=2) as client:
        store = RedisStore(client, prefix="mine")
        store.create(sign_in(ROW))
        assert isinstance(store.rotate(REDEEM), Rotated)
        store.close()
        assert client.ping()
        assert client.dbsize() == 2
    with Redis.from_url(redis_url, socket_timeout=None) as patient:
        assert any("socket_timeout" in warning for warning in RedisStore(patient).warnings())
    cluster = RedisCluster.from_url(
        redis_cluster_url.replace("redis+cluster", "redis").split(",")[0], decode_responses=True
    )
    store = RedisStore(cluster)
    store.create(sign_in(ROW))
    assert isinstance(store.rotate(REDEEM), Rotated)
    assert any("append-only" in warning for warning in store.warnings())
    store.close()
    assert cluster.ping(target_nodes="random")
    cluster.close()


async def test_the_applications_client_stays_its_own_for_asyncio(redis_url: str) -> None:
    """The same for asyncio."""
    client = AsyncRedis.from_url(redis_url, decode_responses=True)
    store = AsyncRedisStore(client, prefix="mine")
    await store.create(sign_in(ROW))
    assert isinstance(await store.rotate(REDEEM), Rotated)
    await store.close()
    assert await client.ping()
    await client.aclose()


# --- Ways to a server -------------------------------------------------------------------------------


async def test_sentinel_names_the_master() -> None:
    """A store finds the master through Sentinel, says where there is none, and leaves no connection open."""
    with RedisServer() as master, RedisSentinel(master) as sentinel:
        store = RedisStore.from_url(sentinel.url)
        store.create(sign_in(ROW))
        assert isinstance(store.rotate(REDEEM), Rotated)
        store.close()
        other = AsyncRedisStore.from_url(sentinel.url)
        assert isinstance(await other.lookup(Lookup(ROW.sid)), Found)
        await other.close()
        nobody = sentinel.url.replace("/keyturn/", "/nobody/")
        lost, also_lost = RedisStore.from_url(nobody), AsyncRedisStore.from_url(nobody)
        with pytest.raises(StoreUnavailable, match="No Sentinel names a master"):
            lost.count()
        with pytest.raises(StoreUnavailable, match="No Sentinel names a master"):
            await also_lost.count()
        lost.close()
        await also_lost.close()
        mistaken = RedisStore.from_url(f"redis://127.0.0.1:{sentinel.port}")
        with pytest.raises(ConfigurationError, match="This is a Sentinel"):
            mistaken.create_schema()
        mistaken.close()


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """A certificate for this machine that only those trust who know it, as options of a server."""
    key, own = tmp_path / "key.pem", tmp_path / "certificate.pem"
    kind = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    names = ("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    command = ["openssl", *kind, *names, "-keyout", str(key), "-out", str(own)]
    subprocess.run(command, check=True, capture_output=True)
    return {"tls-cert-file": str(own), "tls-key-file": str(key), "tls-ca-cert-file": str(own)}


async def test_tls_is_checked(certificate: dict[str, str]) -> None:
    """`rediss://` speaks TLS with a server whose certificate it can check, and with no other."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    options = {"tls-port": str(port), "tls-auth-clients": "no", **certificate}
    trusted = certificate["tls-cert-file"]
    with RedisServer(options=options) as server:
        url = f"rediss://:{server.password}@127.0.0.1:{port}/0"
        store = RedisStore.from_url(f"{url}?ssl_ca_certs={trusted}")
        assert isinstance(store.create(sign_in(ROW)), Created)
        store.close()
        other = AsyncRedisStore.from_url(f"{url}?ssl_ca_certs={trusted}")
        assert isinstance(await other.lookup(Lookup(ROW.sid)), Found)
        await other.close()
        trusting = RedisStore.from_url(url)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            trusting.lookup(Lookup(ROW.sid))
        trusting.close()


# --- URLs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://localhost", "begins with"),
        ("redis://", "begins with"),
        ("redis://one,two", r"redis\+cluster"),
        ("redis+cluster://one:1/3", "database 0"),
        ("redis+sentinel://one:1", "name the master"),
        ("redis://host:99999", "host:port"),
        ("redis://host/x", "database"),
        ("redis://host?retension=1d", "retension"),
        ("redis://host?retention=soon", "retention"),
        ("redis://host?timeout=0", "timeout"),
        ("redis://host?timeout=1&timeout=2", "twice"),
        ("redis://host?wait_replicas=-1", "wait_replicas"),
        ("redis://host?wait_replicas=1&wait_timeout=2", "shorter than timeout"),
        ("redis://host?prefix=a{b}", "prefix"),
        ("redis://host?ssl_ca_certs=x", "rediss"),
    ],
)
def test_a_wrong_url_is_a_sentence(url: str, says: str) -> None:
    """What cannot be opened is said before anything is sent, for both colours, and no URL is quoted."""
    secret = url.replace("://", "://user:hunter2@", 1)
    for kind in (RedisStore, AsyncRedisStore):
        with pytest.raises(ConfigurationError, match=says) as caught:
            kind.from_url(secret if "http" not in url and url != "redis://" else url)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis://:12?hunter2@host/0", "redis://user:12?hunter2=3@host"])
def test_a_password_that_is_taken_for_an_option_is_not_shown(url: str) -> None:
    """A question mark in a password makes an option of its rest, which no message quotes."""
    with pytest.raises(ConfigurationError, match="%3F") as caught:
        RedisStore.from_url(url)
    assert "hunter2" not in str(caught.value)


def test_options_may_stand_in_the_url(redis_url: str) -> None:
    """What is given in code wins over the URL."""
    store = RedisStore.from_url(f"{redis_url}?prefix=other&retention=2h&pool_size=3", retention="3h")
    store.create(sign_in(ROW))
    with Redis.from_url(redis_url) as client:
        keys = sorted(cast("Any", client).scan_iter())
        assert all(key.startswith(b"other:{") for key in keys)
        left = ROW.expires_at - ROW.created_at + 3 * 3_600_000
        assert left - 60_000 < cast("Any", client).pttl(keys[0]) <= left
    store.close()
    assert RedisStore.from_url(redis_url).lookup(Lookup(ROW.sid)) == Unknown()
