"""Holds the revocation log in Redis to its lines, where servers lose some, are away, or refuse them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from keyturn._core.commands import Check, Deny, Follow, Lookup, Purge, Revoke, RevokeUser
from keyturn._core.outcomes import Created, Ended, Followed, Found, Reused, Rotated
from keyturn._core.revocations import RETENTION, LogEntry, entries_of
from keyturn.errors import ConfigurationError, SchemaError, StoreUnavailable
from keyturn.stores._redis import operations
from keyturn.stores.protocol import AsyncStore, Store
from keyturn.stores.redis import AsyncRedisStore, RedisStore
from keyturn.testing._duties.logs import Reader, of, revoke
from keyturn.testing.colours import LoopThread, blocking
from keyturn.testing.proxy import Proxy
from keyturn.testing.samples import DAY, RACE, ROW, T0, line_of, numbered, refresh_of, sign_in
from keyturn.testing.servers import RedisCluster, RedisServer
from tests.support.processes import wait_until

LOG = "keyturn:{log}:r"
LINE_BYTES = 40
COLOURS = pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
LOGOUT = Revoke(ROW.sid, None, None, "logout", T0)
STALE = replace(refresh_of(ROW, T0 + RACE), gen=0)


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    """A store on an empty server."""
    store = RedisStore.from_url(redis_url)
    yield store
    store.close()


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """Where stores for asyncio live."""
    with LoopThread() as loop:
        yield loop


def end(store: Store, *numbers: int) -> set[LogEntry]:
    """Sign in and out; give the lines of it."""
    for number in numbers:
        store.create(sign_in(numbered(number)))
        store.revoke(revoke(numbered(number)))
    return of(*map(numbered, numbers))


def server_ms(client: Any) -> int:
    """Give the server's time."""
    seconds, micros = client.time()
    return int(seconds) * 1000 + int(micros) // 1000


# --- Reading on -------------------------------------------------------------------------------------


def test_a_quiet_poll_is_one_call_that_reads_one_line(store: RedisStore, redis_client: Any) -> None:
    """Who has read on to the end asks for one line, once."""
    end(store, *range(1, 10))
    reader = Reader(store)
    reader.news()
    redis_client.config_resetstat()
    assert reader.news() == set()
    sent = redis_client.info("commandstats")
    sent = {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in sent.items()}
    assert {name: count for name, count in sent.items() if name not in {"info", "config|resetstat"}} == {
        "xrange": 1
    }


def test_lines_of_one_millisecond_are_all_read(store: RedisStore, redis_client: Any) -> None:
    """A page that ends within a millisecond goes on there, whatever its size."""
    at, tokens = server_ms(redis_client), [f"token {number}" for number in range(20)]
    for number, token in enumerate(tokens):
        redis_client.xadd(LOG, {"t": token}, id=f"{at}-{number}")
    for limit in (1, 2, 3, 19, 20, 21):
        assert Reader(store).news(limit=limit) == {LogEntry("token", token) for token in tokens}


@pytest.mark.parametrize("earlier", ["5-1", "now"])
def test_what_comes_into_an_empty_log_is_found(store: RedisStore, redis_client: Any, earlier: str) -> None:
    """Whoever found nothing finds all that comes later, also from a server whose clock is far behind."""
    reader = Reader(store)
    assert reader.news() == set()
    redis_client.xadd(LOG, {"t": "a token"}, id="*" if earlier == "now" else earlier)
    assert reader.news() == {LogEntry("token", "a token")}
    assert reader.news() == set()


def test_a_clock_that_goes_back_hides_no_line(store: RedisStore, redis_client: Any) -> None:
    """Whoever began after old lines alone reads on from the last of them, not from a moment."""
    old = server_ms(redis_client) - RETENTION
    redis_client.xadd(LOG, {"t": "old"}, id=f"{old}-0")
    reader = Reader(store)
    assert reader.news() == set(), "it is from before what was asked for"
    redis_client.xadd(LOG, {"t": "by a clock that is behind"}, id=f"{old}-1")
    assert reader.news() == {LogEntry("token", "by a clock that is behind")}


@pytest.mark.parametrize("trouble", ["flushed", "same id", "trimmed", "made again"])
def test_another_log_is_begun_anew(store: RedisStore, redis_client: Any, trouble: str) -> None:
    """Where the last line that was read is not there, all is read again, and nothing passed over."""
    end(store, 1)
    reader = Reader(store)
    reader.news()
    ((last, fields),) = redis_client.xrevrange(LOG, count=1)
    expected = set[LogEntry]()
    match trouble:
        case "flushed":
            redis_client.delete(LOG)
        case "made again":
            redis_client.delete(LOG)
            expected = end(store, 2)
        case "same id":
            redis_client.delete(LOG)
            redis_client.xadd(LOG, {"s": numbered(2).sid.bytes}, id=last)
            expected = of(numbered(2))
            assert fields != {b"s": numbered(2).sid.bytes}
        case _:
            expected = end(store, 2)
            redis_client.xdel(LOG, last)
    page = store.follow(Follow(reader.cursor, T0, T0 + DAY, 10))
    assert page == Followed((), None, more=True)
    assert reader.news() == expected
    assert reader.news() == set()


@COLOURS
def test_a_fail_over_that_lost_the_last_lines_is_begun_anew(
    kind: type[RedisStore | AsyncRedisStore], loop: LoopThread
) -> None:
    """A replica that takes over without the last lines is another log, though it has most of them."""
    with RedisServer() as old, RedisServer(options=old.replication()) as new, Proxy(old.port) as proxy:
        inner = kind.from_url(proxy.url(old.url))
        store = blocking(inner, loop)
        both = end(store, 1)
        reader = Reader(store)
        wait_until(lambda: new.command("XLEN", LOG) == "1", what="the replica")
        new.command("REPLICAOF", "NO", "ONE")
        lost = end(store, 2)
        assert reader.news() == both | lost
        proxy.fail_over(new.port)
        assert reader.log.follow(Follow(reader.cursor, T0, T0 + DAY, 10)) == Followed((), None, more=True)
        again = end(store, 3)
        assert reader.news() == both | again
        store.close()


def test_a_line_of_a_newer_version_is_said(store: RedisStore, redis_client: Any) -> None:
    """What cannot be understood may end something: it is an error, never passed over."""
    redis_client.xadd(LOG, {"u": "user-1"})
    with pytest.raises(SchemaError, match="newer version"):
        Reader(store).news()


# --- Size and time ----------------------------------------------------------------------------------


def test_old_lines_go(store: RedisStore, redis_client: Any) -> None:
    """With each line, those go that are older than anyone looks back; and with the last one, all."""
    old, many = server_ms(redis_client) - RETENTION - 60_000, 1000
    for number in range(many):
        redis_client.xadd(LOG, {"t": f"old {number}"}, id=f"{old}-{number}")
    reader = Reader(store)
    assert reader.news() == set()
    new = end(store, 1)
    assert redis_client.xlen(LOG) <= 101, "whole nodes of a hundred lines go"
    assert reader.news() == new
    assert RETENTION - 60_000 < redis_client.pttl(LOG) <= RETENTION


def test_a_line_is_small(store: RedisStore, redis_client: Any) -> None:
    """A line takes at most 40 bytes of memory, so that a hundred thousand take four megabytes."""
    count = 1000
    for number in range(1, count + 1):
        store.create(sign_in(numbered(number, user_id=f"user-{number % 50}")))
    for number in range(50):
        store.revoke_user(RevokeUser(f"user-{number}", None, "user", T0))
    assert redis_client.xlen(LOG) == count
    assert redis_client.memory_usage(LOG, samples=0) / count <= LINE_BYTES


def test_a_full_server_still_logs(store: RedisStore, redis_client: Any) -> None:
    """Where memory is full, revocations and their lines are written all the same."""
    for session in (ROW, numbered(1)):
        store.create(sign_in(session))
    redis_client.config_set("maxmemory", 1)
    try:
        store.revoke(LOGOUT)
        store.deny(Deny("a token", T0 + DAY, "", T0))
        store.rotate(replace(refresh_of(numbered(1), T0), gen=0, branch=b"another"))
    finally:
        redis_client.config_set("maxmemory", 0)
    assert {LogEntry("token", "a token"), *of(ROW)} <= Reader(store).news()


# --- All or nothing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ["revoke", "revoke_user", "reuse", "reuse of all", "deny", "delete"])
def test_nothing_ends_whose_line_cannot_be_written(store: RedisStore, redis_client: Any, act: str) -> None:
    """On a single server an end and its line are one step: where one fails, neither has happened."""
    acts: dict[str, Callable[[], object]] = {
        "revoke": lambda: store.revoke(LOGOUT),
        "revoke_user": lambda: store.revoke_user(RevokeUser(ROW.user_id, None, "user", T0)),
        "reuse": lambda: store.rotate(STALE),
        "reuse of all": lambda: store.rotate(replace(STALE, whole_user=True)),
        "deny": lambda: store.deny(Deny("a token", T0 + DAY, "", T0, ROW.sid)),
        "delete": lambda: store.delete([ROW.sid]),
    }
    store.create(sign_in(ROW))
    store.create(sign_in(numbered(1)))
    redis_client.set(LOG, "no stream")
    with pytest.raises(StoreUnavailable):
        acts[act]()
    assert store.check(Check(ROW.sid, "a token", T0)) == store.check(Check(ROW.sid, "another", T0))
    assert isinstance(store.lookup(Lookup(ROW.sid)), Found)
    redis_client.delete(LOG)
    assert acts[act]() != 0
    assert Reader(store).news()


def test_the_start_says_who_may_not_use_the_log(redis_url: str, redis_client: Any) -> None:
    """Who may not write the log could end no session, and is refused; who may not read it is told."""
    redis_client.acl_setuser("keyturn", enabled=True, passwords=["+pw"], keys=["keyturn:*"])
    redis_client.execute_command("ACL", "SETUSER", "keyturn", "+@read", "+@write", "+@scripting", "+info")
    store = RedisStore.from_url(f"redis://keyturn:pw@{redis_url.rpartition('@')[2]}")
    try:
        assert not any("revocation log" in warning for warning in store.warnings())
        store.create(sign_in(ROW))
        redis_client.execute_command("ACL", "SETUSER", "keyturn", "-info")
        store.revoke(LOGOUT)
        assert Reader(store).news() == of(ROW), "without INFO, from the first line"
        redis_client.execute_command("ACL", "SETUSER", "keyturn", "+info", "-xread", "-xrange")
        (warning,) = (warning for warning in store.warnings() if "revocation log" in warning)
        assert f"XRANGE, XREAD on the key {LOG}" in warning
        redis_client.execute_command("ACL", "SETUSER", "keyturn", "resetkeys", "~keyturn:{[0-9a-f]*")
        with pytest.raises(ConfigurationError, match=r"XADD on the key keyturn:\{log\}:r"):
            store.create_schema()
        redis_client.execute_command("ACL", "SETUSER", "keyturn", "allkeys", "-xtrim")
        with pytest.raises(ConfigurationError, match="XTRIM"):
            store.create_schema()
    finally:
        redis_client.acl_deluser("keyturn")
        store.close()


DOCUMENT = Path(__file__).parents[2] / "docs" / "explanation" / "stores.md"


def test_the_documented_rights_are_enough(redis_server: RedisServer, redis_cluster: RedisCluster) -> None:
    """A user of just these rights can do all that a store does, its log and its bell included."""
    told = DOCUMENT.read_text("utf-8")
    (rights,) = re.findall(r"ACL SETUSER (keyturn on >password .*)", told)
    in_a_cluster = "+command +cluster|slots"
    assert f"`{in_a_cluster}`" in told
    assert "`+wait`" in told
    places = [
        (redis_server.url, [redis_server], 0, []),
        (redis_cluster.url, redis_cluster.nodes, 1, ["+wait", *in_a_cluster.split()]),
    ]
    for url, nodes, replicas, more in places:
        for node in nodes:
            if node.command("ROLE").startswith("master"):
                node.empty()
            node.command("ACL", "SETUSER", *rights.split(), *more)
        scheme, _, rest = url.partition("://")
        user = f"{scheme}://keyturn:password@{rest.partition('@')[2]}"
        store = RedisStore.from_url(user, timeout="9s", wait_replicas=replicas, wait_timeout="5s")
        assert not any("user of the store" in warning for warning in store.warnings())
        everything = end(store, 1) | end(store, 2)
        assert store.count() == 2
        store.note([line_of(ROW, 1)])
        store.purge(Purge(T0, T0, 10))
        reader, bell = Reader(store), store.bell()
        assert reader.news() == everything
        assert bell is not None
        bell.wait(None, 9)
        bell.close()
        store.close()
        for node in nodes:
            node.command("ACL", "DELUSER", "keyturn")


# --- A cluster whose log is away --------------------------------------------------------------------


@pytest.fixture(params=[RedisStore, AsyncRedisStore])
def many(
    request: pytest.FixtureRequest, redis_cluster_url: str, loop: LoopThread
) -> Iterator[Callable[[], Store]]:
    """Open stores on an empty cluster, each like one of another process."""
    opened: list[Store] = []

    def another() -> Store:
        inner: RedisStore | AsyncRedisStore = request.param.from_url(redis_cluster_url, timeout="1s")
        opened.append(blocking(cast("Store | AsyncStore", inner), loop))
        return opened[-1]

    yield another
    for each in opened:
        each.close()


@pytest.fixture
def elsewhere(redis_cluster: RedisCluster, redis_cluster_url: str) -> tuple[str, RedisServer]:
    """Name a user whose sessions are on another node than the log, and give the log's node."""
    store = RedisStore.from_url(redis_cluster_url)
    store.count()
    client, keys = cast("Any", store)._channel._client, cast("Any", store)._keys
    node = client.get_node_from_key(keys.log)
    users = (f"user-{number}" for number in range(100))
    user = next(user for user in users if client.get_node_from_key(keys.index(user)).port != node.port)
    store.close()
    return user, next(each for each in redis_cluster.nodes if each.port == node.port)


@contextmanager
def away(node: RedisServer) -> Iterator[None]:
    """Let a node answer no write, as if it had gone, for as long as the block."""
    node.command("CLIENT", "PAUSE", "60000", "WRITE")
    try:
        yield
    finally:
        node.command("CLIENT", "UNPAUSE")


def is_over(store: Store, session: Any) -> bool:
    """Tell whether the store knows that a session has ended."""
    return isinstance(store.check(Check(session.sid, "a token", T0)), Ended)


def test_a_revocation_counts_when_its_line_is_written(
    many: Callable[[], Store], elsewhere: tuple[str, RedisServer]
) -> None:
    """Without its log a cluster acknowledges no revocation, though it ends the session; repeat it.

    Whoever repeats it may be another process, which knows nothing of the first try.
    """
    user, node = elsewhere
    one, two, three = (numbered(number, user_id=user) for number in range(1, 4))
    store, other = many(), many()
    for session in (one, two, three):
        store.create(sign_in(session))
    reader = Reader(many())
    assert reader.news() == set()
    acts: list[tuple[Callable[[Store], object], Any]] = [
        (lambda at: at.revoke(revoke(one)), one),
        (lambda at: at.revoke_user(RevokeUser(user, three.sid, "user", T0)), two),
    ]
    for act, session in acts:
        with away(node), pytest.raises(StoreUnavailable, match="in time"):
            act(store)
        assert is_over(store, session)
        act(other)
        assert reader.news() >= of(session)
    assert reader.news() == set()


def test_what_expired_is_no_news(many: Callable[[], Store]) -> None:
    """A session whose time was over is not logged either where somebody ends it once more."""
    store = many()
    store.create(sign_in(ROW))
    store.rotate(refresh_of(ROW, ROW.expires_at))
    assert store.revoke(replace(LOGOUT, now=ROW.expires_at)).found
    store.revoke_user(RevokeUser(ROW.user_id, None, "user", ROW.expires_at))
    assert Reader(store).news() == set()


def test_a_removal_tells_the_log_first(many: Callable[[], Store], elsewhere: tuple[str, RedisServer]) -> None:
    """In a cluster a session is removed when its line is written: its repetition would not find it again."""
    user, node = elsewhere
    session, store = numbered(1, user_id=user), many()
    store.create(sign_in(session))
    with away(node), pytest.raises(StoreUnavailable):
        store.delete([session.sid])
    assert isinstance(store.lookup(Lookup(session.sid)), Found)
    assert store.delete([session.sid]) == 1
    assert Reader(store).news() == of(session)


def test_what_cannot_be_repeated_is_owed(
    many: Callable[[], Store], elsewhere: tuple[str, RedisServer]
) -> None:
    """A reuse is told, and a sign-in made, though the log is away; their lines come with the next operation.

    Until then the process that owes them cannot read the log either, so its view does not seem fresh.
    """
    user, node = elsewhere
    one, two, three, four = (numbered(number, user_id=user) for number in range(1, 5))
    store, reader = many(), Reader(many())
    for session in (one, two, three):
        store.create(sign_in(session))
    assert reader.news() == set()
    stale = replace(refresh_of(one, T0 + RACE), gen=0, branch=b"another")
    store.rotate(refresh_of(one, T0 + RACE))
    with away(node):
        assert isinstance(store.rotate(replace(stale, now=T0 + DAY)), Reused)
        ended = replace(two, revoked_at=sign_in(four).now, revoked_reason="limit")
        assert store.create(sign_in(four, limit=2)) == Created(four, (ended,))
        with pytest.raises(StoreUnavailable):
            Reader(store).news()
        assert reader.news() == set(), "whoever owes nothing may read"
    assert isinstance(store.rotate(refresh_of(three, T0 + RACE)), Rotated)
    assert reader.news() == of(one, two)
    assert Reader(store).news() == of(one, two), "no line is owed any more"


def test_the_others_of_a_reuse_are_told_though_its_answer_was_lost(redis_cluster_url: str) -> None:
    """A refresh that is asked again names no others any more; their lines are written all the same."""
    store = RedisStore.from_url(redis_cluster_url)
    sessions = [numbered(number) for number in range(1, 4)]
    for session in sessions:
        store.create(sign_in(session))
    first = sessions[0]
    store.rotate(refresh_of(first, T0 + RACE))
    reused = replace(refresh_of(first, T0 + DAY), branch=b"another", whole_user=True)
    parts = cast("Any", store)
    operation = operations.rotate(parts._keys, parts._stream, reused)
    call = cast("Any", next(operation))
    parts._channel.ask(call)  # whose answer is lost
    request, outcome = operation.send(call.again(parts._channel.ask(call))), None
    while outcome is None:
        try:
            request = operation.send(parts._channel.ask(request))
        except StopIteration as end:
            outcome = end.value
    assert isinstance(outcome, Reused)
    assert Reader(store).news() == of(*sessions)
    store.close()


def test_a_cluster_waits_for_replicas_of_the_log_too(redis_cluster_url: str) -> None:
    """With `wait_replicas`, a revocation's line counts when replicas of the log's node have it."""
    strict = RedisStore.from_url(redis_cluster_url, wait_replicas=9, wait_timeout="50ms")
    with pytest.raises(StoreUnavailable, match="of 9 replicas"):
        strict.deny(Deny("a token", T0 + DAY, "", T0))
    strict.close()
    store = RedisStore.from_url(redis_cluster_url, timeout="9s", wait_replicas=1, wait_timeout="5s")
    store.deny(Deny("a token", T0 + DAY, "", T0))
    assert Reader(store).news() == {LogEntry("token", "a token")}
    store.close()


def test_every_key_is_one_of_the_stores(store: RedisStore, redis_client: Any) -> None:
    """The log is no session, denial or trail to those who walk through all keys."""
    expected = end(store, 1)
    assert store.count() == 1
    assert [session.sid for session in store.find()] == [numbered(1).sid]
    assert store.forget(T0 + 1000 * DAY, 10) == 0
    assert redis_client.exists(LOG)
    assert Reader(store).news() == expected == set(entries_of([numbered(1).sid]))
