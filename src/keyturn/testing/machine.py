"""The whole protocol as a state machine: a `World` in which Hypothesis, or chance, decides what happens.

A complete test of a manager on one's own store:

```python
from hypothesis import settings

from keyturn import KeyRing, Policy, TokenManager
from keyturn.testing.clock import ManualClock
from keyturn.testing.machine import POLICY, protocol_machine
from keyturn.testing.world import Rig


def make_rig(clock: ManualClock) -> Rig:
    store = MyStore.connect("my-test-database")
    store.clear()
    manager = TokenManager(
        store=store, keys=KeyRing.generate("HS256"), policy=POLICY, issuer="i", audience="a", clock=clock
    )
    return Rig(manager, store, POLICY, manager.close)


TestMyProtocol = protocol_machine(make_rig).TestCase
TestMyProtocol.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
```

It knows no store and no rule of the rotation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from keyturn.durations import milliseconds
from keyturn.policy import Policy
from keyturn.testing.clock import ManualClock
from keyturn.testing.world import Manager, Rig, World

if TYPE_CHECKING:
    from random import Random

    from keyturn.manager import AsyncTokenManager
    from keyturn.results import Principal, TokenPair
    from keyturn.testing.colours import LoopThread

MakeRig: TypeAlias = Callable[[ManualClock], Rig]
"""Makes what is tested, on the clock that is given."""

POLICY: Final = Policy(
    revocation="strict",
    race_window="10s",
    recovery_window="1h",
    idle_ttl="1d",
    absolute_ttl="5d",
    access_ttl="10m",
)
"""Windows and limits that lie close enough for a test to cross them all."""

_RACE: Final = milliseconds(POLICY.race_window)
_WAITS: Final = (0, 1, 500, _RACE // 4, _RACE // 2 - 2, _RACE // 2, _RACE - 1, _RACE, _RACE + 1)
_RESTS: Final = (_RACE, 600_000, 3_600_000 - 1, 3_600_000, 20 * 3_600_000)
_EXPIRY: Final = milliseconds(POLICY.idle_ttl or 0)
_JUMPS: Final = (-86_400_000, -3_600_000, -_RACE, -1, 1, _RACE, 3_600_000)
_MOST_IN_FLIGHT: Final = 12

indexes = st.integers(0, _MOST_IN_FLIGHT - 1)


class ProtocolMachine(RuleBasedStateMachine):
    """The protocol's state machine; `protocol_machine` gives one that knows what to test."""

    make_rig: ClassVar[MakeRig]
    world: World

    @initialize(thief=st.booleans(), ends=st.integers(0, 4))
    def sign_in(self, *, thief: bool, ends: int) -> None:
        """Begin, in a history with or without a thief; few histories have a revocation."""
        clock = ManualClock()
        self.rig = type(self).make_rig(clock)
        self.world = World(self.rig, clock)
        self.thief = thief
        self.ends = ends == 0

    def teardown(self) -> None:
        """Give back what the rig holds open."""
        if hasattr(self, "rig"):
            self.rig.close()

    def has_requests(self) -> bool:
        """Tell whether a request is on its way."""
        return bool(self.world.requests)

    def has_answers(self) -> bool:
        """Tell whether an answer is on its way."""
        return bool(self.world.answers)

    def has_room(self) -> bool:
        """Tell whether the network takes one more message."""
        return len(self.world.requests) + len(self.world.answers) < _MOST_IN_FLIGHT

    def may_steal(self) -> bool:
        """Tell whether this history has a thief."""
        return self.thief

    def may_end(self) -> bool:
        """Tell whether this history has a revocation."""
        return self.ends

    @precondition(has_room)
    @rule(tabs=st.integers(1, 4))
    def send(self, tabs: int) -> None:
        """Some tabs refresh at one moment."""
        for _ in range(tabs):
            self.world.send()

    @precondition(has_requests)
    @rule(index=indexes)
    def arrive(self, index: int) -> None:
        """A request reaches the server."""
        self.world.arrive(index % len(self.world.requests))

    @precondition(has_requests)
    @rule(index=indexes)
    def repeat(self, index: int) -> None:
        """A request reaches the server, and will once more."""
        self.world.repeat(index % len(self.world.requests))

    @precondition(has_requests)
    @rule(index=indexes)
    def lose_request(self, index: int) -> None:
        """A request is lost."""
        self.world.lose_request(index % len(self.world.requests))

    @precondition(has_answers)
    @rule(index=indexes)
    def receive(self, index: int) -> None:
        """An answer reaches its client."""
        self.world.receive(index % len(self.world.answers))

    @precondition(has_answers)
    @rule(index=indexes)
    def repeat_answer(self, index: int) -> None:
        """An answer reaches its client, and will once more."""
        self.world.repeat_answer(index % len(self.world.answers))

    @precondition(has_answers)
    @rule(index=indexes)
    def lose_answer(self, index: int) -> None:
        """An answer is lost."""
        self.world.lose_answer(index % len(self.world.answers))

    @rule(millis=st.sampled_from(_WAITS) | st.integers(0, _RACE))
    def wait(self, millis: int) -> None:
        """A little time passes."""
        self.world.wait(millis)

    @rule(millis=st.sampled_from(_RESTS))
    def rest(self, millis: int) -> None:
        """Much time passes."""
        self.world.rest(millis)

    @rule(millis=st.sampled_from(_JUMPS))
    def set_clock(self, millis: int) -> None:
        """The server's clock is set."""
        self.world.set_clock(millis)

    @rule()
    def use(self) -> None:
        """An access token is used, which confirms its generation."""
        self.world.use()

    @rule()
    def change_network(self) -> None:
        """The browser moves."""
        self.world.change_network()

    @rule(count=st.integers(1, 2))
    def lose_writes(self, count: int) -> None:
        """The store loses its last writes."""
        self.world.lose_writes(count)

    @precondition(may_steal)
    @rule(same_context=st.booleans())
    def steal(self, *, same_context: bool) -> None:
        """A thief copies the jar."""
        self.world.steal(same_context=same_context)

    @precondition(may_steal)
    @rule()
    def abuse(self) -> None:
        """The thief refreshes."""
        self.world.abuse()

    @precondition(may_end)
    @rule()
    def expire(self) -> None:
        """The session rests until its idle limit."""
        self.world.rest(_EXPIRY)

    @precondition(may_end)
    @rule()
    def sign_out(self) -> None:
        """The session is revoked."""
        self.world.sign_out()


def protocol_machine(make_rig: MakeRig) -> type[ProtocolMachine]:
    """Give the state machine for what a function makes.

    Args:
        make_rig: Makes a fresh manager and store; called once per history.

    Returns:
        A class for `hypothesis.stateful.run_state_machine_as_test`, or whose `TestCase` is collected.
    """
    return type("ProtocolMachine", (ProtocolMachine,), {"make_rig": staticmethod(make_rig)})


def storm(make_rig: MakeRig, random: Random, *, thief: bool, steps: int = 120) -> None:
    """Let chance decide what happens for so many steps, which is fast where `Hypothesis` is thorough.

    Args:
        make_rig: As for `protocol_machine`.
        random: Decides; the same seed gives the same history.
        thief: Whether there is one.
        steps: How many things happen.

    Raises:
        Violation: A property of the rotation does not hold.
    """
    clock = ManualClock()
    rig = make_rig(clock)
    try:
        world = World(rig, clock)
        acts, weights = zip(*_acts(world, random, thief=thief), strict=True)
        for act in random.choices(acts, weights, k=steps):
            act()
    finally:
        rig.close()


def _acts(world: World, random: Random, *, thief: bool) -> list[tuple[Callable[[], object], float]]:
    """Give what can happen in a world, each with how often it does."""
    some_request, some_answer = _one_of(world.requests, random), _one_of(world.answers, random)
    return [
        (world.send, 6),
        (some_request(world.arrive), 6),
        (some_request(world.repeat), 1),
        (some_request(world.lose_request), 0.5),
        (some_answer(world.receive), 5),
        (some_answer(world.repeat_answer), 1),
        (some_answer(world.lose_answer), 1),
        (lambda: world.wait(random.choice(_WAITS)), 8),
        (lambda: world.rest(random.choice(_RESTS)), 1),
        (lambda: world.set_clock(random.choice(_JUMPS)), 0.2),
        (world.use, 2),
        (world.change_network, 0.5),
        (lambda: world.lose_writes(random.randint(1, 2)), 0.3),
        (lambda: world.steal(same_context=random.random() < 0.5), 0.3 if thief else 0),  # noqa: PLR2004 - a coin
        (world.abuse, 3 if thief else 0),
        (world.sign_out, 0.1),
        (lambda: world.rest(_EXPIRY), 0.05),
    ]


def _one_of(messages: list[Any], random: Random) -> Callable[[Callable[[int], None]], Callable[[], None]]:
    """Turn what happens to one message into something that happens to any, if there is one."""

    def pick(act: Callable[[int], None]) -> Callable[[], None]:
        return lambda: act(random.randrange(len(messages))) if messages else None

    return pick


class BlockingManager:
    """An asyncio manager with the face that a world uses."""

    def __init__(self, inner: AsyncTokenManager[Any], loop: LoopThread) -> None:
        """Drive a manager in the loop that it belongs to."""
        self._inner = inner
        self._run = loop.run

    def issue(self, user_id: str, /, *, context: str = "") -> TokenPair:
        """See `Manager.issue`."""
        return self._run(self._inner.issue(user_id, context=context))

    def refresh(self, token: str, /, *, context: str = "") -> TokenPair:
        """See `Manager.refresh`."""
        return self._run(self._inner.refresh(token, context=context))

    def authenticate(self, token: str, /) -> Principal[Any]:
        """See `Manager.authenticate`."""
        return self._run(self._inner.authenticate(token))

    def revoke(self, session_id: str, /) -> bool:
        """See `Manager.revoke`."""
        return self._run(self._inner.revoke(session_id))

    def flush(self) -> None:
        """See `Manager.flush`."""
        self._run(self._inner.flush())


def blocking_manager(manager: AsyncTokenManager[Any], loop: LoopThread) -> Manager:
    """Give an asyncio manager the face that a world uses."""
    return BlockingManager(manager, loop)
