"""Holds the Redis store to a user with many sessions, and to values that it did not write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from redis import Redis

from keyturn._core.commands import Check, Lookup, Revoke, RevokeUser
from keyturn.errors import SchemaError, StoreUnavailable
from keyturn.stores.protocol import Where
from keyturn.stores.redis import RedisStore
from keyturn.testing.samples import DAY, REDEEM, ROW, T0, numbered, sign_in


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    """A store on an empty server."""
    store = RedisStore.from_url(redis_url)
    yield store
    store.close()


@pytest.mark.parametrize("cut", [slice(0), slice(60), slice(-9)])
def test_what_something_else_wrote_is_no_answer(store: RedisStore, redis_url: str, cut: slice) -> None:
    """A value that is no session's is an error of its own kind: it makes no session unknown."""
    store.create(sign_in(ROW))
    with Redis.from_url(redis_url) as client:
        (key,) = cast("Any", client).keys("keyturn:*:s:*")
        client.set(key, cast("Any", client).get(key)[cut])
    acts: list[Callable[[], object]] = [
        lambda: store.lookup(Lookup(ROW.sid)),
        lambda: store.check(Check(ROW.sid, "token", T0)),
        lambda: store.rotate(REDEEM),
    ]
    for act in acts:
        with pytest.raises((SchemaError, StoreUnavailable)):
            act()


def test_a_user_may_have_many_sessions(store: RedisStore) -> None:
    """More sessions than are read at once: the living are found, ended and counted among the ended."""
    rows = [numbered(number) for number in range(250)]
    for row in rows:
        store.create(sign_in(row))
    for row in rows[::2]:
        store.revoke(Revoke(row.sid, None, None, "logout", T0 + DAY))
    mine, living = Where(user_id=ROW.user_id), Where(user_id=ROW.user_id, live_at=T0 + DAY)
    assert [found.sid for found in store.find(mine)] == [row.sid for row in rows]
    assert [found.sid for found in store.find(living)] == [row.sid for row in rows[1::2]]
    ended = store.revoke_user(RevokeUser(ROW.user_id, None, "user", T0 + DAY)).ended
    assert [session.sid for session in ended] == [row.sid for row in rows[1::2]]
    assert store.count(living) == 0
