"""Holds the scripts to the core's table and to one call each, and keys to their slot, size and expiry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyturn._core.commands import Check, Confirm, Deny, Follow, Lookup, Purge, Revoke, RevokeUser, Rotate
from keyturn._core.decide import decide
from keyturn._core.endings import revoked_by
from keyturn._core.ids import UUID7_BYTES, session_id
from keyturn._core.outcomes import Created, Reused, Unknown
from keyturn._core.records import EndReason, Session
from keyturn._core.revocations import entries_of
from keyturn.errors import InvalidInput
from keyturn.stores._redis.scripts import ALL
from keyturn.stores.protocol import Where
from keyturn.stores.redis import RedisStore
from keyturn.testing.samples import (
    BRANCH,
    DAY,
    DIGEST,
    IDLE,
    OTHER_BRANCH,
    RACE,
    RECOVERY,
    REDEEM,
    ROW,
    T0,
    digest_of,
    line_of,
    numbered,
    refresh_of,
    sign_in,
)
from keyturn.testing.servers import RedisCluster

BUDGET = 450  # bytes of all keys of a session
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36"
)


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    """A store on an empty server."""
    store = RedisStore.from_url(redis_url)
    yield store
    store.close()


def keys(client: Any, kind: str) -> list[bytes]:
    """Give all keys of a kind."""
    return sorted(key for key in client.scan_iter() if b"}:%b:" % kind.encode() in key)


# --- The table ------------------------------------------------------------------------------------

_moments = st.sampled_from([T0 - DAY, T0 - 1, T0, T0 + 1, T0 + RACE - 1, T0 + RACE, T0 + RECOVERY, T0 + IDLE])
_spans = st.sampled_from([0, 1, RACE, RECOVERY, IDLE])
_branches = st.sampled_from([b"", BRANCH, OTHER_BRANCH, b"\0\xff\0\xff\0\xff\0\xff", b"short"])
_reasons: list[EndReason] = [
    "logout",
    "revoked",
    "user",
    "admin",
    "reuse",
    "limit",
    "inactive",
    "idle",
    "absolute",
]
_keys = st.sampled_from([*[None] * 9, "", "thumbprint", "another"])

ROWS = st.builds(
    lambda ended, **fields: replace(
        ROW,
        revoked_at=ended and ended[0],
        revoked_reason=ended and ended[1],
        **fields,
    ),
    ended=st.sampled_from([None] * 4) | st.tuples(_moments, st.sampled_from(_reasons)),
    gen=st.sampled_from([0, 1, 2, 5, 2**32 - 1]),
    parent_branch=_branches,
    confirmed=st.booleans(),
    rotated_at=_moments,
    handed_at=_moments,
    last_seen_at=_moments,
    idle_ttl=st.none() | _spans,
    idle_expires_at=st.none() | _moments,
    expires_at=st.sampled_from([T0, T0 + RACE, T0 + 87 * DAY]),
    access_ttl=st.none() | _spans,
    jkt=_keys,
)
REFRESHES = st.builds(
    Rotate,
    sid=st.just(ROW.sid),
    digest=st.sampled_from([DIGEST, DIGEST, DIGEST, DIGEST, digest_of(b"a guess")]),
    gen=st.sampled_from([0, 0, 0, -1, -1, -1, -2, 1, 2, 3]),  # beside the row's
    branch=st.sampled_from([b"the row's", b"the row's", BRANCH, OTHER_BRANCH, b"\0"]),
    jkt=_keys,
    now=_moments,
    race_window=_spans,
    recovery_window=_spans,
    rotation=st.booleans(),
    converge=st.booleans(),
    whole_user=st.booleans(),
)


def test_lua_decides_as_the_core_does(store: RedisStore) -> None:
    """Over any row and any refresh, the script's answer, what it leaves and what it logs are the core's."""
    seen: set[str] = set()
    cursor: object | None = None

    @settings(
        max_examples=1500,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.nested_given, HealthCheck.too_slow],
    )
    @given(row=ROWS, refresh=REFRESHES)
    def agree(row: Session, refresh: Rotate) -> None:
        same = refresh.branch == b"the row's"
        branch = row.parent_branch if same else refresh.branch
        command = replace(refresh, gen=max(0, row.gen + refresh.gen), branch=branch)
        nonlocal cursor
        logged = list(entries_of([row.sid] * store.delete([row.sid])))
        store.create(sign_in(row))
        decision = decide(row, command)
        seen.add(decision.case)
        assert store.rotate(command) == decision.outcome
        page = store.follow(Follow(cursor, T0, T0 + DAY, 10))
        cursor = page.cursor
        assert list(page.entries) == [*logged, *revoked_by(decision.outcome)]
        found = store.lookup(Lookup(row.sid))
        assert getattr(found, "session", None) == (decision.write or row)

    agree()
    assert store.rotate(replace(REDEEM, sid=numbered(1).sid)) == Unknown()
    assert seen == {"3", "5", "6", "7", "8", "8b", "9", "10", "11", "12", "13", "14", "15"}


def test_the_scripts_name_the_cases_in_the_order_of_the_table() -> None:
    """`rotate.lua` has a branch for each rule of `decide`, in the same order and under the same number."""
    source = next(script.source for script in ALL if script.name == "rotate")
    cases = re.findall(r"(?:then|return same\('Ahead', ahead\)) -- (\w+)$", source, re.MULTILINE)
    assert cases == ["4", "3", "5", "6", "7", "8b", "8", "9", "10", "11", "12", "13", "14", "15"]


# --- Calls ----------------------------------------------------------------------------------------


def calls(client: Any) -> dict[str, int]:
    """Count the commands that clients sent; what a script runs inside is not one."""
    stats = client.info("commandstats")
    inside = {
        "get",
        "set",
        "setrange",
        "exists",
        "zadd",
        "zrem",
        "zrange",
        "pttl",
        "pexpire",
        "unlink",
        "scan",
        "xadd",
        "xtrim",
    }
    return {
        name.removeprefix("cmdstat_"): values["calls"]
        for name, values in stats.items()
        if not {name.removeprefix("cmdstat_")}
        & (inside | {"info", "config|resetstat", "zlexcount", "zremrangebyrank"})
    }


def test_an_operation_is_one_call(store: RedisStore, redis_client: Any) -> None:
    """Each operation sends one command; the ones that read one thing send no script."""
    other = numbered(1)
    spent = replace(REDEEM, gen=1, whole_user=True)
    scripted: list[Callable[[], object]] = [
        lambda: store.create(sign_in(other)),
        lambda: store.create(sign_in(numbered(2), limit=2)),
        lambda: store.rotate(REDEEM),
        lambda: store.rotate(replace(REDEEM, now=T0 + RACE + 1)),
        lambda: store.confirm(Confirm(other.sid, 0, T0 + 5)),
        lambda: store.deny(Deny("token", T0 + 5, "", T0, ROW.sid)),
        lambda: store.find(Where(user_id=ROW.user_id)),
        lambda: store.count(Where(user_id=ROW.user_id)),
        lambda: store.note([line_of(ROW, 1), line_of(other, 2)]),
        lambda: store.rotate(spent),
        lambda: store.revoke(Revoke(other.sid, None, None, "logout", T0)),
        lambda: store.revoke_user(RevokeUser(ROW.user_id, None, "user", T0)),
        lambda: store.delete([ROW.sid, other.sid]),
        lambda: store.purge(Purge(before=T0, now=T0, limit=10)),
    ]
    for number, call in enumerate(scripted):
        for _ in range(2):  # the first brings the script along
            store.delete([ROW.sid, other.sid, numbered(2).sid])
            store.create(sign_in(ROW))
            redis_client.config_resetstat()
            call()
        sent = calls(redis_client)
        sent.pop("mget", None)  # within the script
        assert sent == {"evalsha": 1}, number
    redis_client.config_resetstat()
    store.check(Check(ROW.sid, "token", T0))
    assert calls(redis_client) == {"mget": 1}


def test_a_flushed_script_is_sent_again(store: RedisStore, redis_client: Any) -> None:
    """After SCRIPT FLUSH, a restart or a fail-over, the next call brings its script along, once."""
    store.create(sign_in(ROW))
    redis_client.script_flush()
    redis_client.config_resetstat()
    row = ROW
    for turn in range(1, 3):
        outcome = store.rotate(refresh_of(row, T0 + turn * RACE))
        row = cast("Any", outcome).session
    assert row.gen == ROW.gen + 2
    assert calls(redis_client) == {"evalsha": 2, "eval": 1}


# --- Keys -----------------------------------------------------------------------------------------


def test_all_keys_of_a_user_share_a_slot(redis_cluster_url: str, redis_cluster: RedisCluster) -> None:
    """Sessions, index, denials and trails of a user are in one slot, so one script reaches them all."""
    store = RedisStore.from_url(redis_cluster_url)
    sids = [session_id("somebody", T0 + number, bytes([number] * UUID7_BYTES)) for number in range(5)]
    for sid in sids:
        session = replace(ROW, sid=sid, user_id="somebody")
        store.create(sign_in(session))
        store.deny(Deny(f"token of {sid}", T0 + 1, "", T0, sid))
        store.note([line_of(session, 1)])
    found = [key for node in cast("Any", store)._channel.nodes() for key in node.redis_connection.scan_iter()]
    found.remove(cast("Any", store)._keys.log)
    assert len(found) == 3 * len(sids) + 1
    client = cast("Any", store)._channel._client
    assert len({client.cluster_keyslot(key) for key in found}) == 1
    store.close()


def test_a_session_of_another_bucket_is_refused(store: RedisStore) -> None:
    """`create` refuses an id without its user's bucket: the session could not be found again by its user."""
    with pytest.raises(InvalidInput, match="bucket"):
        store.create(sign_in(replace(ROW, user_id="user-2")))


@pytest.mark.parametrize(
    "odd",
    [
        {"created_at": -1},
        {"gen": 2**48},
        {"secret_digest": b"x"},
        {"user_id": "\ud800"},
        {"jkt": "\ud800"},
        {"jkt": "k" * 255},
    ],
)
def test_what_has_no_place_in_a_row_is_refused(store: RedisStore, odd: dict[str, Any]) -> None:
    """A value that cannot be stored exactly is `InvalidInput`, never stored as another."""
    with pytest.raises(InvalidInput):
        store.create(sign_in(replace(ROW, **odd)))


def test_a_session_is_small(store: RedisStore, redis_client: Any) -> None:
    """All keys of a session with its index take at most 450 bytes, with a user agent in the device."""
    count = 1000
    for number in range(count):
        user = str(UUID(int=number << 90))
        session = replace(
            ROW,
            sid=session_id(user, T0 + number, number.to_bytes(UUID7_BYTES, "big")),
            user_id=user,
            device={"name": "Chrome on Windows", "user_agent": CHROME},
        )
        store.create(sign_in(session))
        store.rotate(refresh_of(session, T0 + RACE))
    found = list(redis_client.scan_iter(count=count))
    assert len(found) == 2 * count
    pipeline = redis_client.pipeline(transaction=False)
    for key in found:
        pipeline.memory_usage(key)
    assert sum(pipeline.execute()) / count <= BUDGET


def test_nothing_outlives_its_use(redis_url: str, redis_client: Any) -> None:
    """Keys expire some time after the absolute end, by the command's moment, and no call prolongs it."""
    store = RedisStore.from_url(redis_url, retention="2h")
    left, slack, hour = ROW.expires_at - ROW.created_at, 60_000, 3_600_000
    store.create(sign_in(ROW))
    store.rotate(REDEEM)
    store.confirm(Confirm(ROW.sid, ROW.gen + 1, T0 + RACE))
    store.revoke(Revoke(ROW.sid, None, None, "logout", T0 + RACE))
    store.deny(Deny("token", T0 + hour, "", T0, ROW.sid))
    store.note([line_of(ROW, 1)])
    for kind, expected in (("s", left + 2 * hour), ("u", left + 2 * hour), ("d", hour + 5 * 60_000)):
        (key,) = keys(redis_client, kind)
        assert expected - slack < redis_client.pttl(key) <= expected, kind
    (trail,) = keys(redis_client, "h")
    assert redis_client.pttl(trail) > 0
    shorter = replace(numbered(1), expires_at=T0 + hour)
    store.create(sign_in(shorter))
    (index,) = keys(redis_client, "u")
    assert redis_client.pttl(index) > left + 2 * hour - slack, (
        "the index lives as long as its longest session"
    )
    store.close()


def test_a_trail_keeps_a_long_session_whole(redis_url: str) -> None:
    """Ninety days of a rotation every quarter of an hour fit below the bound of a session's lines."""
    store, lines = RedisStore.from_url(redis_url), [line_of(ROW, number) for number in range(90 * 24 * 4)]
    for start in range(0, len(lines), 500):
        store.note(lines[start : start + 500])
    assert list(store.history(ROW.sid, limit=len(lines) + 1)) == lines
    store.close()


def test_the_index_cleans_itself(store: RedisStore, redis_client: Any) -> None:
    """Ids of expired sessions leave the index with the user's next sign-in, listing or revocation."""
    acts: list[Callable[[], object]] = [
        lambda: store.create(sign_in(replace(numbered(9), created_at=T0 + 200 * DAY))),
        lambda: store.create(sign_in(numbered(10), limit=50)),
        lambda: store.find(Where(user_id=ROW.user_id)),
        lambda: store.revoke_user(RevokeUser(ROW.user_id, None, "user", T0)),
    ]
    for act in acts:
        redis_client.flushdb()
        for number in range(5):
            store.create(sign_in(numbered(number)))
        for key in keys(redis_client, "s")[:3]:
            redis_client.delete(key)  # as its expiry would
        (index,) = keys(redis_client, "u")
        act()
        kept = set(redis_client.zrange(index, 0, -1))
        assert kept == {key[-16:] for key in keys(redis_client, "s")}


def test_a_clock_that_runs_ahead_takes_nothing_out_of_the_index(store: RedisStore) -> None:
    """Only ids whose session is really gone leave the index: whatever moment a command names."""
    store.create(sign_in(numbered(1)))
    late = replace(numbered(2), created_at=T0 + 300 * DAY, expires_at=T0 + 400 * DAY)
    assert isinstance(store.create(sign_in(late)), Created)
    assert store.count(Where(user_id=ROW.user_id)) == 2


def test_reuse_across_a_user_leaves_other_users_alone(store: RedisStore) -> None:
    """Two users of one bucket share a slot, and nothing else."""
    store.create(sign_in(ROW))
    twin = next(name for name in map(str, range(100_000)) if _same_bucket(name, ROW.user_id))
    neighbour = replace(numbered(1, user_id=twin))
    store.create(sign_in(neighbour))
    outcome = store.rotate(replace(REDEEM, gen=1, whole_user=True))
    assert isinstance(outcome, Reused)
    assert outcome.others == ()
    assert list(store.find(Where(user_id=twin))) == [neighbour]


def _same_bucket(one: str, other: str) -> bool:
    return numbered(0, user_id=one).sid == numbered(0, user_id=other).sid


def test_a_purge_is_linear(store: RedisStore, redis_client: Any) -> None:
    """A purge in many batches looks at each key a bounded number of times: it goes on where it stopped."""
    count = 1500
    for number in range(count):
        old = number % 2
        session = numbered(number, user_id=f"user-{number}")
        store.create(sign_in(replace(session, expires_at=T0 + (0 if old else 90 * DAY))))
    redis_client.config_resetstat()
    removed = 0
    while gone := store.purge(Purge(before=T0 + 1, now=T0 + 1, limit=100)):
        removed += gone
    assert removed == count // 2
    read = redis_client.info("commandstats")["cmdstat_get"]["calls"]
    assert read < 4 * count
    assert len(keys(redis_client, "u")) == len(keys(redis_client, "s")) == count // 2
