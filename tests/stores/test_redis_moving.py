"""Holds the scripts to whole answers while a slot of a cluster moves from one node to another."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest
from redis import Redis

from keyturn._core.commands import Lookup, Revoke, RevokeUser
from keyturn._core.outcomes import Found, Reused, Rotated
from keyturn.errors import StoreUnavailable
from keyturn.stores.protocol import Where
from keyturn.stores.redis import AsyncRedisStore, RedisStore
from keyturn.testing._duties.logs import LONG_SECONDS, Reader, of
from keyturn.testing.colours import LoopThread, blocking
from keyturn.testing.samples import OTHER_BRANCH, RACE, ROW, T0, line_of, numbered, refresh_of, sign_in
from keyturn.testing.servers import RedisCluster, RedisServer
from tests.support.processes import wait_until

SESSIONS = tuple(numbered(number) for number in range(1, 4))


@dataclass
class Move:
    """A slot on its way from one primary to another: its keys go when they are told to."""

    slot: int
    source: RedisServer
    target: RedisServer
    others: list[RedisServer]
    ended: bool = False

    def begin(self) -> None:
        """Open the slot at both ends, as `redis-cli --cluster reshard` does."""
        self._set(self.target, "IMPORTING", self.source.command("CLUSTER", "MYID"))
        self._set(self.source, "MIGRATING", self.target.command("CLUSTER", "MYID"))

    def take(self, *keys: bytes) -> None:
        """Move some keys."""
        to = ("127.0.0.1", self.target.port, "", 0, 5000, "AUTH", self.source.password)
        assert self._ask("MIGRATE", *to, "KEYS", *keys) == b"OK"

    def end(self) -> None:
        """Move what is left, and let the target have the slot."""
        self.take(*self._ask("CLUSTER", "GETKEYSINSLOT", self.slot, 100))
        for node in (self.target, self.source, *self.others):
            self._set(node, "NODE", self.target.command("CLUSTER", "MYID"))
        self.ended = True

    def break_off(self) -> None:
        """Forget what has moved, and leave the slot where it was."""
        self.target.empty()
        for node in (self.target, self.source):
            self._set(node, "STABLE")

    def _set(self, node: RedisServer, *words: str) -> None:
        node.command("CLUSTER", "SETSLOT", str(self.slot), *words)

    def _ask(self, *words: Any) -> Any:
        with Redis(port=self.source.port, password=self.source.password) as client:
            return cast("Any", client).execute_command(*words)


@pytest.fixture
def store(redis_cluster_url: str) -> Iterator[RedisStore]:
    """A store with three sessions of a user, and a line about each."""
    store = RedisStore.from_url(redis_cluster_url)
    for session in SESSIONS:
        store.create(sign_in(session))
        store.note([line_of(session, 1)])
    yield store
    store.close()


@pytest.fixture
def move(store: RedisStore, redis_cluster: RedisCluster) -> Iterator[Move]:
    """The slot of that user, before its first key moves."""
    with moving(store, redis_cluster, index_of(store)) as move:
        yield move


@contextmanager
def moving(store: RedisStore, redis_cluster: RedisCluster, key: bytes) -> Iterator[Move]:
    """Begin to move the slot of a key, for as long as the block or until the move ends."""
    client = cast("Any", store)._channel._client
    owner = client.get_node_from_key(key).port
    primaries = [node for node in redis_cluster.nodes if node.command("ROLE").startswith("master")]
    source = next(node for node in primaries if node.port == owner)
    target, *others = (node for node in primaries if node.port != owner)
    move = Move(client.cluster_keyslot(key), source, target, others)
    move.begin()
    try:
        yield move
    finally:
        if not move.ended:
            move.break_off()


def index_of(store: RedisStore) -> bytes:
    """Name the index of that user."""
    return cast("bytes", cast("Any", store)._keys.index(ROW.user_id))


def keys_of(store: RedisStore, *numbers: int) -> list[bytes]:
    """Name the keys of some of the sessions."""
    return [cast("Any", store)._keys.session(SESSIONS[number].sid) for number in numbers]


@pytest.mark.parametrize("gone_too", [(), (0,), (0, 2)])
def test_no_session_is_overlooked(store: RedisStore, move: Move, gone_too: tuple[int, ...]) -> None:
    """While a user's keys are on two nodes, ending and listing all is refused, and none is forgotten."""
    move.take(index_of(store), *keys_of(store, *gone_too))
    with pytest.raises(StoreUnavailable):
        store.revoke_user(RevokeUser(ROW.user_id, None, "user", T0 + RACE))
    with pytest.raises(StoreUnavailable):
        store.find(Where(user_id=ROW.user_id))
    move.end()
    assert store.count(Where(user_id=ROW.user_id, live_at=T0 + RACE)) == len(SESSIONS), "none ended halfway"
    ended = store.revoke_user(RevokeUser(ROW.user_id, None, "user", T0 + RACE)).ended
    assert {session.sid for session in ended} == {session.sid for session in SESSIONS}


@pytest.mark.parametrize("first", [(1,), (0, 2)], ids=["the session", "the others"])
def test_a_reuse_still_ends_all_sessions(store: RedisStore, move: Move, first: tuple[int, ...]) -> None:
    """A reuse whose other sessions cannot be reached changes nothing yet: the repetition ends them all."""
    reused = SESSIONS[1]
    assert isinstance(store.rotate(refresh_of(reused, T0 + RACE)), Rotated)
    again = replace(refresh_of(reused, T0 + 2 * RACE), branch=OTHER_BRANCH, whole_user=True)
    move.take(*keys_of(store, *first))
    with pytest.raises(StoreUnavailable):
        store.rotate(again)
    move.end()
    outcome = store.rotate(again)
    assert isinstance(outcome, Reused)
    assert {session.sid for session in outcome.others} == {SESSIONS[0].sid, SESSIONS[2].sid}


def test_an_erased_session_leaves_no_trail(store: RedisStore, move: Move) -> None:
    """Removing a session whose trail has not arrived yet is refused: its trail would come after it."""
    erased = SESSIONS[0]
    move.take(*keys_of(store, 0))
    with pytest.raises(StoreUnavailable):
        store.delete([erased.sid])
    move.end()
    assert isinstance(store.lookup(Lookup(erased.sid)), Found)
    assert store.delete([erased.sid]) == 1
    assert store.history(erased.sid) == ()


@pytest.mark.parametrize("kind", [RedisStore, AsyncRedisStore])
def test_the_log_may_move(
    store: RedisStore, redis_cluster: RedisCluster, kind: type[RedisStore | AsyncRedisStore]
) -> None:
    """Whoever waits at the node that had the log is sent away at its move, and finds it where it is then."""
    one, two, three = SESSIONS
    with LoopThread() as loop:
        other: Any = blocking(kind.from_url(redis_cluster.url), loop)
        store.revoke(Revoke(one.sid, None, None, "logout", T0))
        reader, bell = Reader(other), other.bell()
        assert reader.news() == of(one)
        with (
            moving(store, redis_cluster, cast("Any", store)._keys.log) as move,
            ThreadPoolExecutor() as threads,
        ):
            bell.wait(reader.cursor, 0.01)
            waiting = threads.submit(bell.wait, reader.cursor, LONG_SECONDS)
            wait_until(lambda: "blocked_clients:1" in move.source.command("INFO", "clients"), what="a bell")
            move.end()
            with pytest.raises(StoreUnavailable):
                waiting.result()
            store.revoke(Revoke(two.sid, None, None, "logout", T0))
            assert reader.news() == of(two)
            waiting = threads.submit(bell.wait, reader.cursor, LONG_SECONDS)
            wait_until(lambda: "blocked_clients:1" in move.target.command("INFO", "clients"), what="a bell")
            store.revoke(Revoke(three.sid, None, None, "logout", T0))
            waiting.result()
            assert reader.news() == of(three)
        bell.close()
        other.close()
