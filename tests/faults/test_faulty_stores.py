"""A store that fails, before or after its commit: 503 and never 401, and the client's next try works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import TypeVar

import pytest

from keyturn import AsyncTokenManager, KeyRing, TokenManager
from keyturn.errors import ReusedToken, RevokedToken, StoreUnavailable
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.stores.protocol import Store
from keyturn.testing.clock import ManualClock
from keyturn.testing.colours import BlockingStore, LoopThread
from keyturn.testing.faults import AFTER, BEFORE, AsyncFaultyStore, Fault, FaultPlan, FaultyStore
from keyturn.testing.machine import POLICY, blocking_manager, storm
from keyturn.testing.world import Manager, Rig

T = TypeVar("T")

KEYS = KeyRing.generate("HS256")
ISSUER = "https://issuer.example"
RACE_SECONDS = POLICY.race_window
FAULTS = pytest.mark.parametrize("fault", [BEFORE, AFTER], ids=["before the commit", "after the commit"])


class Site:
    """A manager on a store that fails as planned, and a view of the rows that does not."""

    def __init__(self, manager: Manager, rows: Store, plan: FaultPlan, clock: ManualClock) -> None:
        """Bring the parts together."""
        self.manager, self.rows, self.plan, self.clock = manager, rows, plan, clock

    def generation(self) -> int:
        """Return the generation of the one session."""
        (row,) = self.rows.find()
        return row.gen


@pytest.fixture(params=["threads", "asyncio"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site of each colour."""
    clock, plan = ManualClock(), FaultPlan()
    with LoopThread() as loop:
        if request.param == "threads":
            store = MemoryStore()
            manager = TokenManager(
                store=FaultyStore(store, plan),
                keys=KEYS,
                policy=POLICY,
                issuer="i",
                audience="a",
                clock=clock,
            )
            yield Site(manager, store, plan, clock)
            manager.close()
            return
        inner = AsyncMemoryStore()

        async def begin() -> AsyncTokenManager:
            store = AsyncFaultyStore(inner, plan)
            return AsyncTokenManager(
                store=store, keys=KEYS, policy=POLICY, issuer="i", audience="a", clock=clock
            )

        async_manager = loop.run(begin())
        yield Site(blocking_manager(async_manager, loop), BlockingStore(inner, loop), plan, clock)
        loop.run(async_manager.close())


def unavailable(call: Callable[[], object]) -> StoreUnavailable:
    """Return the error of a call that the store does not answer."""
    with pytest.raises(StoreUnavailable) as caught:
        call()
    assert caught.value.http_status == 503
    return caught.value


@FAULTS
@pytest.mark.parametrize(
    "pause", [0, RACE_SECONDS, 20 * RACE_SECONDS], ids=["at once", "later", "much later"]
)
def test_a_refresh_that_failed_works_when_tried_again(site: Site, fault: Fault, pause: float) -> None:
    """Whether or not it was committed, the next try gives tokens, and the session has rotated once."""
    pair = site.manager.issue("user-1")
    site.plan.next(fault, method="rotate")
    unavailable(lambda: site.manager.refresh(pair.refresh_token))
    assert site.generation() == (0 if fault is BEFORE else 1)
    site.clock.advance(pause)
    again = site.manager.refresh(pair.refresh_token)
    assert again.rotated
    assert site.generation() == 1
    assert site.manager.refresh(pair.refresh_token).refresh_token == again.refresh_token


@FAULTS
def test_several_failures_in_a_row_lose_nothing(site: Site, fault: Fault) -> None:
    """A client that keeps trying gets through, with the successor that all tries share."""
    pair = site.manager.issue("user-1")
    site.plan.next(*[fault] * 5, method="rotate")
    for _ in range(5):
        unavailable(lambda: site.manager.refresh(pair.refresh_token))
    assert site.manager.refresh(pair.refresh_token).rotated
    assert site.generation() == 1


@FAULTS
def test_a_revocation_that_failed_works_when_tried_again(site: Site, fault: Fault) -> None:
    """A revocation that was not acknowledged may be repeated; afterwards no token works."""
    pair = site.manager.issue("user-1")
    site.plan.next(fault, method="revoke")
    unavailable(lambda: site.manager.revoke(pair.session_id))
    assert site.manager.revoke(pair.session_id)
    with pytest.raises(RevokedToken):
        site.manager.refresh(pair.refresh_token)


@FAULTS
def test_reuse_is_noticed_through_a_failure(site: Site, fault: Fault) -> None:
    """A thief's replay that hits a failure is reuse at the next try, or has ended the session already."""
    pair = site.manager.issue("user-1")
    newest = site.manager.refresh(pair.refresh_token)
    site.clock.advance(RACE_SECONDS)
    newest = site.manager.refresh(newest.refresh_token)
    site.plan.next(fault, method="rotate")
    unavailable(lambda: site.manager.refresh(pair.refresh_token))
    with pytest.raises(ReusedToken if fault is BEFORE else RevokedToken):
        site.manager.refresh(pair.refresh_token)
    with pytest.raises(RevokedToken):
        site.manager.refresh(newest.refresh_token)


@FAULTS
def test_a_failed_check_is_no_answer_about_the_token(site: Site, fault: Fault) -> None:
    """While the store cannot be asked, an access token is neither accepted nor refused."""
    pair = site.manager.issue("user-1")
    site.plan.next(fault, method="check")
    unavailable(lambda: site.manager.authenticate(pair.access_token))
    assert site.manager.authenticate(pair.access_token).user_id == "user-1"


def test_a_failed_confirmation_is_made_up_for(site: Site) -> None:
    """A confirmation is off the critical path: its failure is nobody's error, and the next use repeats it."""
    pair = site.manager.refresh(site.manager.issue("user-1").refresh_token)
    site.plan.next(BEFORE, method="confirm")
    for expected in (False, True):
        assert site.manager.authenticate(pair.access_token).generation == 1
        site.manager.flush()
        (row,) = site.rows.find()
        assert row.confirmed is expected
        site.clock.advance(1)  # so long a store that has just failed is left alone


def test_a_slow_store_is_only_slow(site: Site) -> None:
    """A delay alone changes no answer."""
    pair = site.manager.issue("user-1")
    site.plan.next(Fault("never", delay=0.01), method="rotate")
    assert site.manager.refresh(pair.refresh_token).rotated


class Unreliable(FaultyStore):
    """Fails every fifth refresh and revocation, before or after the commit."""

    def __init__(self, inner: Store, random: Random) -> None:
        """Fail by chance."""
        super().__init__(inner)
        self._random = random

    def around(self, method: str, call: Callable[[], T]) -> T:
        """Plan a fault now and then."""
        if method in {"rotate", "revoke"} and self._random.random() < 0.2:
            self.plan.next(self._random.choice((BEFORE, AFTER)), method=method)
        return super().around(method, call)


def test_the_whole_protocol_holds_on_an_unreliable_store() -> None:
    """With failures everywhere, all properties hold: no honest client is logged out, no end is undone."""
    for seed in range(150):
        random = Random(seed)  # noqa: S311 - it chooses a history

        def make_rig(clock: ManualClock, random: Random = random) -> Rig:
            rows = MemoryStore()
            store = Unreliable(rows, random)
            manager = TokenManager(
                store=store, keys=KEYS, policy=POLICY, issuer="i", audience="a", clock=clock
            )
            return Rig(manager, rows, POLICY, manager.flush)

        storm(make_rig, random, thief=bool(seed % 2))
