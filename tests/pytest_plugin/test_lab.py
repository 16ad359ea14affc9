"""What tests do in a lab, without a framework: both colours, the loops, and what would prove nothing."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from keyturn import (
    AccessTokenError,
    AsyncTokenManager,
    ConfigurationError,
    InvalidToken,
    KeyRing,
    Policy,
    RefreshConflict,
    Refreshed,
    ReuseDetected,
    ReusedToken,
    SteppedUp,
    StoreUnavailable,
    TokenManager,
)
from keyturn.http import Endpoints, HttpRequest, HttpSettings, SignIn
from keyturn.lab import AsyncLab, Bench, Lab, LabError, ManualClock, OwnLoop, lab_on, loops, opened, together
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.stores.protocol import EVERY
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.testing import clock, colours
from keyturn.testing.colours import is_async

RING = KeyRing.from_secret("a long secret of more than 32 bytes, for tests only")
Labs = Callable[..., Lab]


def manager_of(store: Any, policy: Policy | None) -> Any:
    """Make a manager of a store's colour."""
    kind: Any = AsyncTokenManager if is_async(store) else TokenManager
    return kind(store=store, keys=RING, policy=policy, issuer="https://i", audience="a")


@pytest.fixture(params=["memory", "async memory", "sqlite", "async sqlite"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Labs]:
    """Make labs for tests without `await`, over managers of each colour, in memory and in a database."""
    with ExitStack() as stack:
        loop = OwnLoop()
        stack.callback(loop.close)

        def make(policy: Policy | None = None, settings: HttpSettings | None = None) -> Lab:
            url = f"sqlite:///{tmp_path}/sessions.db"
            store: Any
            match request.param:
                case "memory":
                    store = MemoryStore()
                case "async memory":
                    store = AsyncMemoryStore()
                case "sqlite":
                    store = SQLAlchemyStore.from_url(url)
                    store.create_schema()
                case _:
                    store = AsyncSQLAlchemyStore.from_url(url)
                    loop.call(store.create_schema)
            manager = manager_of(store, policy)
            close: Any = (
                manager.close if isinstance(manager, TokenManager) else lambda: loop.call(manager.close)
            )
            stack.callback(close)
            return stack.enter_context(lab_on(stack.enter_context(opened(manager, settings)), loop))

        yield make


def test_a_race_really_is_one(lab: Labs) -> None:
    """Of many tabs one rotates and all others converge; the client goes on with the successor."""
    keyturn = lab()
    ann = keyturn.login_as("ann")
    before = ann.refresh_token
    race = keyturn.simulate_race(ann, tabs=20)
    assert race.converged
    assert {pair.refresh_token for pair in race.pairs} == {ann.refresh_token} != {before}
    assert len(keyturn.events.of(Refreshed)) == 1
    ann.assert_lives()


def test_threads_are_in_a_race_together() -> None:
    """All tabs have asked before any of them is answered."""
    inside = threading.Barrier(4, timeout=30)

    class Slow(MemoryStore):
        def rotate(self, command: Any, /) -> Any:
            inside.wait()
            return super().rotate(command)

    manager = manager_of(Slow(), None)
    with opened(manager) as bench, lab_on(bench) as keyturn:
        assert keyturn.simulate_race(keyturn.login_as("ann"), tabs=4).converged
    manager.close()


def test_tasks_are_in_a_race_together() -> None:
    """The same for asyncio."""
    inside = asyncio.Barrier(4)

    class Slow(AsyncMemoryStore):
        async def rotate(self, command: Any, /) -> Any:
            await inside.wait()
            return await super().rotate(command)

    with opened(manager_of(Slow(), None)) as bench, lab_on(bench) as keyturn:
        assert keyturn.simulate_race(keyturn.login_as("ann"), tabs=4).converged


def test_a_race_shows_what_the_policy_makes_of_it(lab: Labs) -> None:
    """Where the loser of a race is refused, each tab's own answer is there."""
    keyturn = lab(Policy(on_race="conflict"))
    ann = keyturn.login_as("ann")
    race = keyturn.simulate_race(ann, tabs=3)
    assert not race.converged
    assert [type(error) for error in race.errors] == [RefreshConflict] * 2
    assert ann.refresh_token == race.pairs[0].refresh_token


def test_a_race_under_strict_tokens_ends_the_session(lab: Labs) -> None:
    """Without any window, a race is reuse."""
    keyturn = lab(Policy.strict())
    ann = keyturn.login_as("ann")
    race = keyturn.simulate_race(ann, tabs=3)
    assert len(race.pairs) == 1
    assert ReusedToken in {type(error) for error in race.errors}
    ann.assert_ended("reuse")


def test_what_simulates_nothing_is_refused(lab: Labs) -> None:
    """Within the race window of a refresh nothing rotates; a race of nothing must not look like a pass."""
    keyturn = lab()
    ann = keyturn.login_as("ann")
    ann.refresh()
    with pytest.raises(LabError, match=r'was no race.*clock.advance\("10s"\)'):
        keyturn.simulate_race(ann)
    with pytest.raises(LabError, match="has lost nothing"):
        keyturn.simulate_lost_response(ann)
    keyturn.clock.advance("10s")
    assert keyturn.simulate_race(ann).converged
    with pytest.raises(LabError, match="at least 2"):
        keyturn.simulate_race(ann, tabs=1)


def test_where_nothing_ever_rotates_nothing_is_refused(lab: Labs) -> None:
    """With `rotation=False`, the same token is what everybody gets."""
    keyturn = lab(Policy(rotation=False))
    ann = keyturn.login_as("ann")
    assert keyturn.simulate_race(ann).converged
    assert keyturn.simulate_lost_response(ann).refresh_token == ann.refresh_token


def test_a_lost_answer_comes_again(lab: Labs) -> None:
    """The client that repeats its request gets the very successor that it has missed."""
    keyturn = lab()
    ann = keyturn.login_as("ann")
    lost = keyturn.simulate_lost_response(ann)
    keyturn.clock.advance("23h")
    ann.refresh()
    assert ann.refresh_token == lost.refresh_token


def test_two_clients_of_one_token_fork(lab: Labs) -> None:
    """Thief and victim refresh in one race window; when both go on, the second is noticed."""
    keyturn = lab()
    ann = keyturn.login_as("ann", context="Firefox")
    thief = keyturn.steal(ann)
    thief.refresh()
    ann.refresh()
    assert thief.refresh_token != ann.refresh_token
    keyturn.clock.advance("1m")
    thief.refresh()
    with pytest.raises(ReusedToken):
        ann.refresh()
    keyturn.assert_event(ReuseDetected, kind="fork", user_id="ann", session_id=ann.session_id)
    thief.assert_ended("reuse")


def test_a_stolen_token_alone_is_enough(lab: Labs) -> None:
    """A thief may have found nothing but a refresh token; a token from long ago is noticed as such."""
    keyturn = lab()
    ann = keyturn.login_as("ann")
    old = ann.refresh_token
    for _ in range(2):
        ann.refresh()
        keyturn.clock.advance("1h")
    thief = keyturn.steal(old)
    assert (thief.user_id, thief.session_id) == (None, ann.session_id)
    with pytest.raises(LabError, match="only a refresh token"):
        _ = thief.access_token
    with pytest.raises(ReusedToken):
        thief.refresh()
    keyturn.assert_event(ReuseDetected, kind="stale")
    with pytest.raises(InvalidToken):
        keyturn.steal("nonsense")


def test_a_thief_who_is_not_noticed_has_what_the_victim_had(lab: Labs) -> None:
    """A copy works until the product notices; nothing is staged."""
    keyturn = lab()
    ann = keyturn.login_as("ann")
    thief = keyturn.steal(ann)
    assert (thief.access_token, thief.refresh_token) == (ann.access_token, ann.refresh_token)
    thief.refresh()
    assert ann.access_token != thief.access_token, "the victim's own copy has not changed"
    ann.assert_lives()


def test_a_client_shows_its_tokens_as_the_settings_say(lab: Labs) -> None:
    """Header, cookie and body are named as the application names them."""
    plain, odd = (
        lab(),
        lab(settings=HttpSettings(access_header="X-Access", cookie_name="rt", cookie_secure=False)),
    )
    ann, bob = plain.login_as("ann"), odd.login_as("bob")
    assert ann.headers == {"Authorization": f"Bearer {ann.access_token}"}
    assert ann.cookies == {"__Secure-keyturn": ann.refresh_token}
    assert bob.headers == {"X-Access": bob.access_token}
    assert bob.cookie_headers == {"Cookie": f"rt={bob.refresh_token}", "X-Keyturn": "1"}
    assert bob.body == {"refresh_token": bob.refresh_token}


def test_no_token_is_in_a_repr(lab: Labs) -> None:
    """A failing test prints what it works with; tokens are not in it."""
    keyturn = lab()
    ann = keyturn.login_as("ann")
    thief = keyturn.steal(ann)
    race = keyturn.simulate_race(ann)
    shown = f"{ann!r} {ann.holding!r} {thief!r} {race!r} {keyturn!r} {keyturn.events!r} {vars(ann)!r}"
    assert ann.session_id in shown
    for client in (ann, thief):
        assert client.access_token not in shown
        assert client.refresh_token not in shown


def test_time_is_turned_for_the_manager_and_given_back(lab: Labs) -> None:
    """The clock starts at the manager's own moment, stands still there, and takes durations as text."""
    keyturn = lab()
    began = keyturn.clock()
    assert abs(began - time.time()) < 60
    keyturn.clock.advance("1h30m")
    assert keyturn.manager.now() == began + 5400
    with pytest.raises(ConfigurationError):
        keyturn.clock.advance("-1h")


def test_an_outage_reaches_whatever_uses_the_store(lab: Labs) -> None:
    """While the store is away every operation says so; afterwards its methods are its own again."""
    keyturn = lab()
    store: Any = keyturn.manager.store
    ann = keyturn.login_as("ann")
    before = set(vars(store))
    with keyturn.store_away(), keyturn.store_away():
        for deed in (ann.refresh, ann.sign_out, ann.info, lambda: keyturn.login_as("bob")):
            with pytest.raises(StoreUnavailable):
                deed()
        with pytest.raises(StoreUnavailable):
            keyturn.simulate_lost_response(ann)
        assert len(keyturn.simulate_race(ann).errors) == 5
    assert set(vars(store)) == before
    keyturn.assert_event(StoreUnavailable, operation="create", reason="store_away")
    ann.refresh()


@pytest.mark.parametrize("store", [MemoryStore, AsyncMemoryStore])
async def test_the_store_may_be_away_in_a_block_of_either_kind(store: Any) -> None:
    """In a test with `await`, `async with` is what one writes without thinking; both bring the store back."""
    manager = manager_of(store(), None)
    with opened(manager) as bench:
        lab = AsyncLab(bench)
        ann = await lab.login_as("ann")
        async with lab.store_away():
            with pytest.raises(StoreUnavailable):
                await ann.refresh()
        with pytest.raises(ZeroDivisionError):
            async with lab.store_away():
                raise ZeroDivisionError
        with lab.store_away(), pytest.raises(StoreUnavailable):
            await ann.refresh()
        await ann.assert_lives()
        await ann.step_up()
        lab.assert_event(SteppedUp, user_id="ann")


def test_a_user_may_sign_in_again_within_a_session(lab: Labs) -> None:
    """The access token says so from then on, and the refresh token stays what it was."""
    keyturn = lab()
    ann = keyturn.login_as("ann")
    keyturn.clock.advance("1h")
    with pytest.raises(AccessTokenError):
        ann.step_up()
    ann.refresh()
    refresh, access = ann.refresh_token, ann.access_token
    ann.step_up()
    assert ann.refresh_token == refresh
    assert ann.access_token != access
    assert keyturn.manager.verify_access(ann.access_token).auth_time == int(keyturn.clock())
    ann.assert_lives()


def test_the_answer_of_a_step_up_is_taken() -> None:
    """It has no refresh token; nor has one whose refresh token is in a cookie, and that is refused."""
    manager = manager_of(MemoryStore(), None)
    site = Endpoints(manager, login=lambda username, _: username)
    with opened(manager) as bench, lab_on(bench) as keyturn:
        ann = keyturn.login_as("ann")
        bearer = next(iter(ann.headers.items()))
        headers = ((bearer[0].lower(), bearer[1]), ("content-type", "application/json"))
        body = json.dumps({"username": "ann", "password": "x"}).encode()
        refresh = ann.refresh_token
        answer = json.loads(site.handle(HttpRequest("POST", "/auth/step-up", headers, body)).body)
        ann.take(answer)
        assert (ann.access_token, ann.refresh_token) == (answer["access_token"], refresh)
        ann.refresh()
        begun = site.sign_in(HttpRequest("POST", "/in"), SignIn("ann"))
        with pytest.raises(LabError, match="nothing to take"):
            ann.take(json.loads(begun.body))
    manager.close()


def test_a_store_that_cannot_be_shut_says_so() -> None:
    """A store with slots has no place for a gate: that is an error, and no outage that is none."""

    class Slotted:
        __slots__ = ("inner",)

        def __init__(self) -> None:
            self.inner = MemoryStore()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    manager = manager_of(Slotted(), None)
    with opened(manager) as bench, lab_on(bench) as keyturn:
        with pytest.raises(LabError, match="Slotted has __slots__"), keyturn.store_away():
            pass
        assert keyturn.login_as("ann").lives
    manager.close()


def test_a_gate_that_cannot_be_placed_is_taken_away_again() -> None:
    """Of several stores, and of the methods of one: nothing of it stays where one cannot be exchanged."""

    class Stubborn(MemoryStore):
        stubborn = True

        def __setattr__(self, name: str, value: object) -> None:
            if name == "lookup" and self.stubborn:
                raise AttributeError(name)
            super().__setattr__(name, value)

    first, second = MemoryStore(), Stubborn()
    with opened(manager_of(first, None)) as bench:
        bench.gate.join(second)
        with pytest.raises(AttributeError, match="lookup"), bench.gate.shut():
            pass
        assert not {"check", "create", "lookup", "rotate"} & (vars(first).keys() | vars(second).keys())
        second.stubborn = False
        with bench.gate.shut(), pytest.raises(StoreUnavailable):
            second.find(EVERY)
        assert second.find(EVERY) == []


def test_clock_and_events_are_given_back_whatever_happens() -> None:
    """Also where the test fails, nothing of the lab stays with the manager."""
    manager = manager_of(MemoryStore(), None)
    benches: list[Bench] = []

    def fail() -> None:
        with opened(manager) as bench:
            benches.append(bench)
            bench.clock.advance("30d")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert abs(manager.now() - time.time()) < 60
    manager.issue("ann")
    assert len(benches[0].events) == 0
    manager.close()


async def test_with_await_it_is_all_the_same() -> None:
    """The lab for coroutines does everything in their own loop."""
    manager = manager_of(AsyncMemoryStore(), None)
    with opened(manager) as bench:
        keyturn = AsyncLab(bench)
        ann = await keyturn.login_as("ann", claims={"roles": []}, device={"name": "x"}, context="Firefox")
        assert (await keyturn.simulate_race(ann)).converged
        keyturn.clock.advance("1h")
        lost = await keyturn.simulate_lost_response(ann)
        thief = keyturn.steal(ann)
        await thief.refresh()
        await ann.refresh()
        assert ann.refresh_token == lost.refresh_token
        assert await keyturn.flush()
        keyturn.clock.advance("1h")
        await ann.refresh()
        with pytest.raises(ReusedToken):
            await thief.refresh()
        keyturn.assert_event(ReuseDetected, kind="fork")
        await ann.assert_ended("reuse")
        assert not await ann.lives
        bob = await keyturn.login_as("bob")
        await bob.assert_lives()
        with keyturn.store_away(), pytest.raises(StoreUnavailable):
            await bob.refresh()
        assert await bob.sign_out()
    await manager.close()


async def test_with_await_a_manager_for_threads_works_too() -> None:
    """Applications of either colour have tests of either colour."""
    manager = manager_of(MemoryStore(), None)
    with opened(manager) as bench:
        keyturn = AsyncLab(bench)
        ann = await keyturn.login_as("ann")
        assert (await keyturn.simulate_race(ann, tabs=3)).converged
        assert await ann.lives
    manager.close()


async def test_a_coroutine_with_the_wrong_lab_is_told_so() -> None:
    """A test that waits for its own loop would wait for ever; it is told what it needs instead."""
    manager = manager_of(AsyncMemoryStore(), None)
    with opened(manager) as bench, lab_on(bench) as keyturn:
        await manager.issue("ann")
        with pytest.raises(LabError, match="async_keyturn"):
            keyturn.login_as("ann")
    await manager.close()


def test_a_server_in_a_thread_is_found(tmp_path: Path) -> None:
    """Where the application's loop runs, and has used the store, the test's deeds run in it."""
    store = AsyncSQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/sessions.db")
    manager = manager_of(store, None)
    server = OwnLoop()
    server.call(store.create_schema)
    with opened(manager) as bench, lab_on(bench) as keyturn:
        server.call(lambda: manager.issue("bob"))
        ann = keyturn.login_as("ann")
        assert server.call(lambda: manager.authenticate(ann.access_token)).user_id == "ann"
        assert keyturn.simulate_race(ann).converged
    server.call(manager.close)
    server.close()


def test_a_named_loop_is_taken(tmp_path: Path) -> None:
    """What a test names as the way into its application's loop is taken, whatever else there is."""

    class Named:
        def __init__(self) -> None:
            self.inner = OwnLoop()
            self.calls = 0

        def call(self, func: Any, /) -> Any:
            self.calls += 1
            return self.inner.call(func)

    store, named = AsyncSQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/sessions.db"), Named()
    named.inner.call(store.create_schema)
    manager = manager_of(store, None)
    with opened(manager) as bench, lab_on(bench, named) as keyturn:
        assert keyturn.login_as("ann").lives
        assert named.calls == 2
    named.inner.call(manager.close)
    named.inner.close()


def test_the_loop_of_the_plugin_lets_the_store_go(tmp_path: Path) -> None:
    """After a test in a loop of the plugin's own, a store that reopens is free for the application's loop."""
    store = AsyncSQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/sessions.db")
    manager = manager_of(store, None)
    own = OwnLoop()
    own.call(store.create_schema)
    with opened(manager) as bench, lab_on(bench, own) as keyturn:
        ann = keyturn.login_as("ann")
    assert asyncio.run(manager.authenticate(ann.access_token)).user_id == "ann"
    asyncio.run(manager.close())
    own.close()


def test_what_has_moved_is_still_where_it_was() -> None:
    """The kit's old names are the lab's new ones: one thing, once."""
    assert clock.ManualClock is ManualClock
    assert (colours.LoopThread, colours.together) == (loops.LoopThread, together.together)
