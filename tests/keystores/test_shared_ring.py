"""The ring that processes share: they follow its changes, switch together, and go on while it is away."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from keyturn._core.schedule import PUBLISH_FOR, TurnPlan, longest_unread_of
from keyturn.errors import AccessTokenError, ConfigurationError, InvalidToken, StoreUnavailable
from keyturn.keys import KeyRing
from keyturn.keystores import KeyKeeper, SharedKeyRing, key_store_from_url
from keyturn.keystores.files import FileKeyStore
from keyturn.manager import TokenManager
from keyturn.policy import Policy
from keyturn.sealing import Seal
from keyturn.stores.memory import MemoryStore
from keyturn.testing.proxy import Proxy
from keyturn.testing.servers import RedisServer
from tests.support.databases import started
from tests.support.processes import fork, wait_until
from tests.support.tokens import accepts, sign_with

PLAN = TurnPlan(drain=1000.0)
QUICK = 0.02  # seconds between two readings, for tests that wait for one


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock at some moment."""
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the keys are."""
    return tmp_path / "keys.json"


def test_keys_are_made_at_the_first_start_and_never_again(tmp_path: Path) -> None:
    """In a file or in a database; whoever comes later reads what is there, and a restart signs on."""
    for place in (str(tmp_path / "keys.json"), tmp_path / "more.json", f"sqlite:///{tmp_path}/keys.db"):
        with SharedKeyRing.open(place, alg="EdDSA") as first, SharedKeyRing.open(place) as second:
            assert repr(first) == repr(second)
            assert "EdDSA active" in repr(first)
            assert accepts(second, sign_with(first))


def test_a_place_that_cannot_hold_keys_is_refused(tmp_path: Path) -> None:
    """With its name, and nothing stays open."""
    (tmp_path / "file").write_text("no keys", encoding="utf-8")
    (tmp_path / "file").chmod(0o600)
    for place, words in (
        (tmp_path / "file", "file"),
        (tmp_path / "missing" / "keys.json", "missing"),
        ("memory://", "forget"),
        ("nowhere://x", "nowhere"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            SharedKeyRing.open(place)


@pytest.fixture
def keeper(path: Path, clock: Clock) -> KeyKeeper:
    """Who changes the keys; there is one, a."""
    keeper = KeyKeeper(FileKeyStore(path), clock=clock)
    assert keeper.create("EdDSA", kid="a")
    return keeper


@pytest.fixture
def ring(keeper: KeyKeeper, path: Path, clock: Clock) -> Iterator[SharedKeyRing]:
    """A worker's view of them, which looks for changes only when it is told to."""
    with SharedKeyRing(FileKeyStore(path), refresh_every="1m", clock=clock) as ring:
        yield ring


def signer(ring: SharedKeyRing) -> str:
    """Give the name of the key that signs."""
    active = ring.current.active
    assert active is not None
    return active.kid


def test_a_turn_happens_by_itself(ring: SharedKeyRing, keeper: KeyKeeper, clock: Clock) -> None:
    """Read once, it needs no further reading: published, signing, verifying, retired, each at its moment."""
    before = sign_with(ring)
    keeper.rotate(PLAN, kid="b")
    assert [key["kid"] for key in ring.jwks()["keys"]] == ["a"], "not read yet"
    ring.refresh()
    assert [key["kid"] for key in ring.jwks()["keys"]] == ["a", "b"]
    assert signer(ring) == "a"
    clock.now += PUBLISH_FOR - 0.1
    assert signer(ring) == "a"
    clock.now += 0.1
    assert signer(ring) == "b"
    assert accepts(ring, before)
    assert accepts(ring, sign_with(ring))
    clock.now += PLAN.drain
    assert not accepts(ring, before)
    assert [(info.kid, info.state) for info in ring.infos()] == [("a", "retired"), ("b", "active")]
    assert [key["kid"] for key in ring.jwks()["keys"]] == ["b"]


def test_the_snapshot_is_the_same_until_something_changes(
    ring: SharedKeyRing, keeper: KeyKeeper, clock: Clock
) -> None:
    """What is prepared for a set of keys is kept by its identity; readings without news change none."""
    first = ring.current
    clock.now += 5
    ring.refresh()
    assert ring.current is first
    keeper.rotate(PLAN)
    ring.refresh()
    second = ring.current
    assert second is not first
    clock.now += PUBLISH_FOR - 6
    ring.refresh()
    assert ring.current is second
    clock.now += 6
    assert ring.current is not second
    assert ring.current is ring.current


def test_all_threads_switch_to_one_snapshot(ring: SharedKeyRing, keeper: KeyKeeper, clock: Clock) -> None:
    """At the moment of the switch, threads that ask together get one and the same set."""
    keeper.rotate(PLAN, kid="b")
    ring.refresh()
    barrier, seen = threading.Barrier(8), set[int]()

    def look() -> None:
        barrier.wait(20)
        seen.add(id(ring.current))

    clock.now += PUBLISH_FOR
    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {id(ring.current)}


def test_a_reading_that_meets_a_switch_is_not_undone(
    ring: SharedKeyRing, keeper: KeyKeeper, clock: Clock
) -> None:
    """A thread that is late with the switch of the old ring does not bring the old ring back."""
    keeper.rotate(PLAN, kid="b")
    ring.refresh()
    late = clock.now + PUBLISH_FOR
    keeper.replace("EdDSA")
    ring.refresh()
    (only,) = ring.infos()
    ring._put(None, late)
    assert signer(ring) == only.kid


def test_a_clock_that_is_set_back_heals(ring: SharedKeyRing, keeper: KeyKeeper, clock: Clock) -> None:
    """What a wrong clock switched too early is taken back at the next reading."""
    keeper.rotate(PLAN, kid="b")
    ring.refresh()
    clock.now += PUBLISH_FOR + 1
    assert signer(ring) == "b"
    clock.now -= 3600
    assert signer(ring) == "b", "no flicker between two readings"
    ring.refresh()
    assert signer(ring) == "a"


def test_an_emergency_reaches_every_worker(ring: SharedKeyRing, keeper: KeyKeeper) -> None:
    """At the next reading, what the dropped key signed is refused."""
    token = sign_with(ring)
    keeper.rotate(PLAN, kid="pending")
    done = keeper.replace()
    assert [info.kid for info in done.dropped] == ["a", "pending"]
    assert (done.kept, done.new.alg, done.new.state) == ((), "EdDSA", "active")
    ring.refresh()
    assert not accepts(ring, token)
    assert signer(ring) == done.new.kid


def test_an_emergency_keeps_or_drops_what_only_verifies(
    ring: SharedKeyRing, keeper: KeyKeeper, clock: Clock
) -> None:
    """An earlier key goes on verifying unless all are to go."""
    early = sign_with(ring)
    keeper.rotate(PLAN, kid="b")
    clock.now += PUBLISH_FOR
    assert [info.kid for info in keeper.replace().kept] == ["a"]
    ring.refresh()
    assert accepts(ring, early)
    assert keeper.replace(everything=True).kept == ()
    ring.refresh()
    assert not accepts(ring, early)


def threads() -> list[threading.Thread]:
    """Give the threads that look for changes."""
    return [thread for thread in threading.enumerate() if thread.name == "keyturn-keys"]


def test_workers_follow_without_being_told(keeper: KeyKeeper, path: Path, clock: Clock) -> None:
    """In a thread that starts when the first reading is old, and ends when the ring is closed."""
    with SharedKeyRing(FileKeyStore(path), refresh_every="1m", clock=clock) as ring:
        assert signer(ring) == "a"
        assert threads() == [], "a fork that follows is one of a process without threads"
    ring = SharedKeyRing(FileKeyStore(path), refresh_every=QUICK, clock=clock)
    assert signer(ring) == "a"
    keeper.replace()
    wait_until(lambda: signer(ring) != "a", what="the change")
    (thread,) = threads()
    ring.close()
    assert not thread.is_alive()
    after = signer(ring)
    keeper.replace()
    assert signer(ring) == after, "a closed ring goes on with what it knows"
    assert threads() == [], "and starts no thread"


def test_a_process_that_was_idle_reads_before_it_answers(
    ring: SharedKeyRing, keeper: KeyKeeper, path: Path
) -> None:
    """A child that got no request for a while must not refuse what others have signed meanwhile."""
    done = keeper.replace()
    ring._looked -= 59
    assert signer(ring) == "a"
    ring._looked -= 2
    assert signer(ring) == done.new.kid
    ring.close()
    path.unlink()
    assert signer(ring) == done.new.kid


def managed(ring: SharedKeyRing, clock: Clock) -> TokenManager:
    """Give a manager that signs with a ring."""
    return TokenManager(
        store=MemoryStore(), keys=ring, issuer="https://auth.example.com", audience="api", clock=clock
    )


@pytest.mark.parametrize("refresh_format", ["opaque", "jwt"])
def test_a_worker_that_cannot_read_the_keys_judges_no_unknown_one(
    refresh_format: Any, keeper: KeyKeeper, path: Path, clock: Clock
) -> None:
    """Its key may have been made meanwhile: an outage, for each kind of token, until the keys can be read."""
    with (
        SharedKeyRing(FileKeyStore(path), refresh_every="1m", clock=clock) as behind,
        SharedKeyRing(FileKeyStore(path), refresh_every="1m", clock=clock) as ahead,
    ):
        keeper.replace()
        ahead.refresh()
        ours, theirs = (
            TokenManager(
                store=MemoryStore(),
                keys=keys,
                policy=Policy(refresh_format=refresh_format),
                issuer="https://auth.example.com",
                audience="api",
                clock=clock,
            )
            for keys in (behind, ahead)
        )
        pair = theirs.issue("alice")
        kept = path.read_bytes()
        path.unlink()
        behind._try_to_refresh()
        assert behind.failing
        uses: list[Callable[[], object]] = [
            lambda: ours.refresh(pair.refresh_token),
            lambda: ours.verify_refresh(pair.refresh_token),
            lambda: ours.inspect(pair.refresh_token),
            lambda: ours.revoke_token(pair.refresh_token),
            lambda: ours.authenticate(pair.access_token),
            lambda: ours.verify_access(pair.access_token),
            lambda: ours.renew(pair.access_token),
            lambda: ours.deny(pair.access_token),
        ]
        for use in uses:
            with pytest.raises(StoreUnavailable) as caught:
                use()
            assert caught.value.detail == "keys"
        with pytest.raises(InvalidToken):
            ours.refresh("ktr_" + "A" * 60)
        own = ours.issue("bob")
        assert ours.refresh(own.refresh_token).rotated, "what is known is judged as ever"
        path.write_bytes(kept)
        path.chmod(0o600)
        behind._try_to_refresh()
        assert ours.verify_refresh(pair.refresh_token).generation == 0
        with pytest.raises(AccessTokenError):
            ours.verify_access(own.access_token)
        ours.close()
        theirs.close()


def test_an_unknown_key_is_looked_for_soon_and_seldom(keeper: KeyKeeper, path: Path, clock: Clock) -> None:
    """The thread reads at once, but however many tokens come, once more in each pause and no oftener."""
    with SharedKeyRing(FileKeyStore(path), refresh_every="1m", clock=clock) as ring:
        ring.follow()
        wait_until(lambda: ring._thread is not None and ring._wake.is_set() is False, what="the thread")
        done = keeper.replace()
        assert not ring.may_miss_keys()
        wait_until(lambda: signer(ring) == done.new.kid, what="the change, long before its minute")
        wait_until(lambda: not ring._wake.is_set(), what="a thread that waits")
        for _ in range(100):
            assert not ring.may_miss_keys()
        assert not ring._wake.is_set(), "nobody asks for another reading within the minute"


def test_following_is_begun_without_a_reading(ring: SharedKeyRing, keeper: KeyKeeper) -> None:
    """An event loop may begin it after a pause of any length: the thread reads, and nobody waits."""
    done = keeper.replace()
    ring._looked -= 3600
    with ring._reading:  # whoever would read now would wait
        ring.follow()
        assert signer(ring) == "a"
        assert ring.may_miss_keys(), "nothing was read for an hour"
    wait_until(lambda: signer(ring) == done.new.kid, what="the change")
    assert not ring.may_miss_keys()
    (only,) = threads()
    ring.follow()
    assert threads() == [only]


def test_a_thread_that_cannot_be_started_stops_nobody(
    keeper: KeyKeeper,
    path: Path,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The good keys hold, the log says why, and it is tried again after a pause."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with SharedKeyRing(FileKeyStore(path), refresh_every=QUICK, clock=clock) as ring:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            ring._looked -= 3600
            assert signer(ring) == "a"
            assert signer(ring) == "a"
            assert ring.failing
        assert "RuntimeError" in caplog.text
        wait_until(lambda: signer(ring) == "a" and threads() != [], what="the thread")
        wait_until(lambda: not ring.failing, what="a reading")


def test_who_has_not_read_for_as_long_as_a_key_drains_signs_nothing(
    ring: SharedKeyRing, clock: Clock, path: Path
) -> None:
    """A turn may have begun and ended meanwhile: what it signs would be refused by all others."""
    manager = managed(ring, clock)
    pair = manager.issue("alice")
    longest = longest_unread_of(manager.policy)
    path.unlink()
    ring._looked -= longest - 5
    assert manager.refresh(pair.refresh_token).rotated
    ring._looked -= 10
    signs: list[Callable[[], object]] = [
        lambda: manager.issue("alice"),
        lambda: manager.refresh(pair.refresh_token),
        lambda: manager.renew(pair.access_token),
        lambda: manager.sign_access("alice"),
    ]
    for sign in signs:
        with pytest.raises(StoreUnavailable):
            sign()
    assert manager.verify_access(pair.access_token).user_id == "alice", "verifying goes on"
    manager.close()


def test_the_log_says_it_again(ring: SharedKeyRing, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once per reason, and every ten minutes as long as it lasts."""

    def lines() -> int:
        ring._try_to_refresh()
        return len(caplog.records)

    path.chmod(0o644)
    assert [lines(), lines()] == [1, 1]
    path.unlink()
    assert [lines(), lines()] == [2, 2]
    ring._told_at -= 601
    assert [lines(), lines()] == [3, 3]


def test_an_idle_process_goes_on_in_an_outage(ring: SharedKeyRing, path: Path) -> None:
    """Where even that first reading fails, the keys that are known hold, and the log says why."""
    path.unlink()
    ring._looked -= 3600
    assert signer(ring) == "a"
    assert ring.failing


def test_an_outage_keeps_the_last_good_keys(
    keeper: KeyKeeper, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Gone, damaged, open to others: the log says it once, the switch happens on time, and it heals."""
    caplog.set_level(logging.INFO, "keyturn")
    keeper.rotate(PLAN, kid="b")
    with SharedKeyRing(FileKeyStore(path), refresh_every=QUICK, clock=clock) as ring:
        assert signer(ring) == "a"
        kept = path.read_bytes()
        spoilings: list[Callable[[], object]] = [
            path.unlink,
            lambda: path.write_bytes(b"{"),
            lambda: path.chmod(0o644),
        ]
        for number, spoil in enumerate(spoilings, 1):
            spoil()
            wait_until(lambda: bool(signer(ring)) and ring.failing, what="the outage")
            assert signer(ring) == ("a" if number == 1 else "b")
            clock.now += PUBLISH_FOR
            assert signer(ring) == "b"
            path.write_bytes(kept)
            path.chmod(0o600)
            wait_until(lambda: not ring.failing, what="the end of the outage")
    told = [record.getMessage() for record in caplog.records]
    ends = ["again" in each for each in told]  # a write that is half done is one more reason to be told
    assert [end for end, _ in groupby(ends)] == [False, True] * 3
    assert str(path) in told[0]


def test_a_server_that_is_away_and_comes_back(clock: Clock) -> None:
    """Redis is stopped and started again: the keys hold meanwhile, and later changes are followed."""
    with (
        started(RedisServer(options={"appendonly": "yes", "appendfsync": "always"})) as server,
        closing(key_store_from_url(server.url)) as admin,
    ):
        keeper = KeyKeeper(admin, clock=clock)
        keeper.create("EdDSA", kid="a")
        with SharedKeyRing(key_store_from_url(server.url), refresh_every=QUICK, clock=clock) as ring:
            assert signer(ring) == "a"
            server.kill()
            wait_until(lambda: bool(signer(ring)) and ring.failing, what="the outage")
            assert signer(ring) == "a"
            server.start()
            wait_until(lambda: not ring.failing, what="the end of the outage")
            keeper.replace()
            wait_until(lambda: signer(ring) != "a", what="the change")


@pytest.mark.parametrize("kind", ["sqlite", "postgres_url", "redis_url"])
def test_a_forked_child_follows_by_itself(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> None:
    """A ring that was opened before a fork has a thread and connections of its own in each child."""
    url = f"sqlite:///{tmp_path}/keys.db" if kind == "sqlite" else request.getfixturevalue(kind)
    with (
        closing(key_store_from_url(url)) as admin,
        closing(key_store_from_url(url)) as store,
    ):
        admin.prepare()
        keeper = KeyKeeper(admin, clock=clock)
        assert keeper.create("EdDSA", kid="a")
        ring = SharedKeyRing(store, refresh_every=QUICK, clock=clock)
        assert signer(ring) == "a"
        ready, go = os.pipe(), os.pipe()

        def child() -> bool:
            os.write(ready[1], b"." if signer(ring) == "a" else b"!")
            os.read(go[0], 1)
            wait_until(lambda: signer(ring) != "a", what="the change, in a child")
            return True

        waiting = [fork(child) for _ in range(2)]
        assert [os.read(ready[0], 1), os.read(ready[0], 1)] == [b".", b"."]
        keeper.replace()
        os.write(go[1], b"..")
        assert [wait() for wait in waiting] == [0, 0]
        wait_until(lambda: signer(ring) != "a", what="the change, in the parent")
        ring.close()
        for end in (*ready, *go):
            os.close(end)


def test_a_store_that_does_not_answer_stops_nobody(redis_url: str, clock: Clock) -> None:
    """While a reading hangs in its thread, `current` answers at once, and the switch happens on time."""
    port = urlsplit(redis_url).port
    assert port is not None
    with Proxy(port) as proxy, closing(key_store_from_url(redis_url)) as admin:
        keeper = KeyKeeper(admin, clock=clock)
        keeper.create("EdDSA", kid="a")
        keeper.rotate(PLAN, kid="b")
        slow = key_store_from_url(f"{proxy.url(redis_url)}?timeout=4s")
        with SharedKeyRing(slow, refresh_every=QUICK, clock=clock) as ring:
            assert signer(ring) == "a"
            wait_until(lambda: signer(ring) == "a" and threads() != [], what="the thread")
            proxy.deafen()
            wait_until(ring._reading.locked, what="a reading that hangs")
            clock.now += PUBLISH_FOR
            began = time.perf_counter()
            assert signer(ring) == "b"
            assert time.perf_counter() - began < 2, "it waited for the reading"
            wait_until(lambda: ring.failing, what="the outage")
            proxy.behave()
            wait_until(lambda: not ring.failing, what="the end of the outage")


def test_a_fork_while_another_thread_reads(keeper: KeyKeeper, path: Path, clock: Clock) -> None:
    """The child waits for no lock of a thread that it does not have."""
    with SharedKeyRing(FileKeyStore(path), refresh_every="1m", clock=clock) as ring:
        keeper.rotate(PLAN, kid="b")
        with ring._reading, ring._starting, ring._swapping:

            def child() -> bool:
                ring.refresh()
                clock.now += PUBLISH_FOR
                return signer(ring) == "b"

            wait = fork(child)
        assert wait() == 0


def test_a_manager_signs_with_what_holds(ring: SharedKeyRing, keeper: KeyKeeper, clock: Clock) -> None:
    """Sessions live through a whole turn: each refresh moves them to the key that signs."""
    manager = managed(ring, clock)
    pair = manager.issue("alice")
    keeper.rotate(PLAN, kid="b")
    ring.refresh()
    clock.now += PUBLISH_FOR + 1
    assert manager.authenticate(pair.access_token).user_id == "alice"
    later = manager.refresh(pair.refresh_token)
    clock.now += PLAN.drain
    assert manager.verify_refresh(later.refresh_token).generation == 1
    assert manager.refresh(later.refresh_token).rotated
    manager.close()


def test_reading_costs_a_request_nothing(ring: SharedKeyRing, path: Path) -> None:
    """`current` touches no store: with the file gone it answers the same object, in well under 10 µs."""
    first = ring.current
    path.unlink()
    began = time.perf_counter()
    assert all(ring.current is first for _ in range(10_000))
    assert time.perf_counter() - began < 1.0, "more than 100 µs each: that is no look at an attribute"


def test_what_a_ring_refuses_at_its_start(path: Path, keeper: KeyKeeper, tmp_path: Path) -> None:
    """No keys, keys that cannot be decrypted, a pause that is too long for a turn."""
    with pytest.raises(ConfigurationError, match="`keyturn keys generate` makes them"):
        SharedKeyRing(FileKeyStore(tmp_path / "none.json"))
    seal = Seal.from_key(bytes(range(32)))
    keeper.encrypt(seal)
    with pytest.raises(ConfigurationError, match="it is missing"):
        SharedKeyRing(FileKeyStore(path))
    SharedKeyRing(FileKeyStore(path), seal=seal).close()
    for pause in (0, "61s"):
        with pytest.raises(ConfigurationError, match="refresh_every"):
            SharedKeyRing(FileKeyStore(path), seal=seal, refresh_every=pause)


def test_encryption_is_switched_on_by_hand(
    keeper: KeyKeeper, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has a secret reads keys in clear at the start alone, with a warning, and changes none of them."""
    seal = Seal.from_key(bytes(range(32)))
    with SharedKeyRing(FileKeyStore(path), seal=seal, clock=clock) as ring:
        assert signer(ring) == "a"
        assert "in clear" in caplog.text
        ours = KeyKeeper(FileKeyStore(path), seal=seal, clock=clock)
        changes: list[Callable[[], object]] = [
            lambda: ours.rotate(PLAN),
            ours.replace,
            lambda: ours.retire("a", drain=0),
        ]
        for change in changes:
            with pytest.raises(ConfigurationError, match="are in clear"):
                change()
        ring.refresh()
        ours.encrypt(seal)
        ours.rotate(PLAN, kid="b")
        assert b"kid" not in path.read_bytes()
        ring.refresh()
        assert [info.kid for info in ring.infos()] == ["a", "b"]
        assert "secret" not in repr(ring)


@pytest.mark.parametrize("encrypted", [False, True])
def test_planted_keys_are_refused(
    encrypted: bool,  # noqa: FBT001
    keeper: KeyKeeper,
    path: Path,
    tmp_path: Path,
    clock: Clock,
) -> None:
    """With a secret, keys in clear are nobody's after the start, also where they were in clear then."""
    seal = Seal.from_key(bytes(range(32)))
    if encrypted:
        keeper.encrypt(seal)
    with SharedKeyRing(FileKeyStore(path), seal=seal, clock=clock) as ring:
        KeyRing.generate("EdDSA", kid="planted").save(path)
        with pytest.raises(ConfigurationError, match="are in clear"):
            ring.refresh()
        assert signer(ring) == "a"


def test_an_older_document_is_refused(keeper: KeyKeeper, path: Path, clock: Clock) -> None:
    """What was dropped in an emergency does not come back with an encrypted copy of before."""
    seal = Seal.from_key(bytes(range(32)))
    keeper.encrypt(seal)
    before = path.read_bytes()
    ours = KeyKeeper(FileKeyStore(path), seal=seal, clock=clock)
    with SharedKeyRing(FileKeyStore(path), seal=seal, clock=clock) as ring:
        done = ours.replace()
        ring.refresh()
        kept = path.read_bytes()
        path.write_bytes(before)
        with pytest.raises(ConfigurationError, match="older than those that were read"):
            ring.refresh()
        assert signer(ring) == done.new.kid
        path.write_bytes(kept)
        ring.refresh()
        clock.now -= 3600  # a clock that is behind makes no change an older one
        ours.replace()
        ring.refresh()
        ours.start_over("EdDSA")
        ring.refresh()
        assert signer(ring) != done.new.kid


def test_the_secret_is_changed(keeper: KeyKeeper, path: Path) -> None:
    """Read with the old one, written with the new one: the same keys; the old one opens them no more."""
    old, new = (Seal.from_key(bytes(range(first, first + 32))) for first in (0, 1))
    keeper.encrypt(old)
    KeyKeeper(FileKeyStore(path), seal=old).encrypt(new)
    again = KeyKeeper(FileKeyStore(path), seal=new)
    assert again.load().infos() == KeyRing.load(path, seal=new).infos()
    assert [info.kid for info in again.load().infos()] == ["a"]
    with pytest.raises(ConfigurationError, match="key is wrong"):
        KeyKeeper(FileKeyStore(path), seal=old).load()
    again.encrypt(None)
    assert KeyRing.load(path).infos()[0].kid == "a"


def test_retiring_by_hand(keeper: KeyKeeper, clock: Clock) -> None:
    """Refused with the moment from which it is safe; done from then on; a turn is called off in time."""
    keeper.rotate(PLAN, kid="b")
    assert keeper.retire("b", drain=PLAN.drain).state == "pending"
    assert [(info.kid, info.state, info.verifying_at) for info in keeper.load().infos()] == [
        ("a", "active", None),
        ("b", "pending", None),
    ]
    keeper.rotate(PLAN, kid="c")
    clock.now += PUBLISH_FOR
    with pytest.raises(ConfigurationError, match="alive until 1970-01-12 14:13:20 UTC"):
        keeper.retire("a", drain=PLAN.drain)
    with pytest.raises(ConfigurationError, match="signs now"):
        keeper.retire("c", drain=PLAN.drain)
    with pytest.raises(ConfigurationError, match="no key 'x'"):
        keeper.retire("x", drain=PLAN.drain)
    clock.now += PLAN.drain
    assert keeper.retire("a", drain=PLAN.drain).state == "retired"
    assert [info.kid for info in keeper.load().infos()] == ["b", "c"]


def test_a_turn_that_was_called_off_is_survived_by_who_has_not_noticed(
    keeper: KeyKeeper, path: Path, clock: Clock
) -> None:
    """A worker that cannot read switches all the same; what it signs is accepted by the others."""
    keeper.rotate(PLAN, kid="b")
    with (
        SharedKeyRing(FileKeyStore(path), refresh_every="1m", clock=clock) as unaware,
        SharedKeyRing(FileKeyStore(path), refresh_every="1m", clock=clock) as aware,
    ):
        keeper.retire("b", drain=PLAN.drain)
        aware.refresh()
        clock.now += PUBLISH_FOR
        assert (signer(unaware), signer(aware)) == ("b", "a")
        assert accepts(aware, sign_with(unaware))
