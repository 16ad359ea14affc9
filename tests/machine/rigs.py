"""What the protocol is tried on: real managers on real stores, of both colours. It knows no property."""

from __future__ import annotations

from collections.abc import Callable

from keyturn import AsyncTokenManager, KeyRing, Policy, TokenManager
from keyturn.stores.memory import MemoryStore
from keyturn.stores.protocol import AsyncStore, Store
from keyturn.testing._duties.asking import empty
from keyturn.testing.clock import ManualClock
from keyturn.testing.colours import BlockingStore, LoopThread
from keyturn.testing.machine import POLICY, MakeRig, blocking_manager
from keyturn.testing.world import Manager, Rig

KEYS = KeyRing.generate("HS256")


def rig_on(
    store: Store,
    clock: ManualClock,
    *,
    policy: Policy = POLICY,
    face: Callable[[Manager], Manager] = lambda manager: manager,
) -> Rig:
    """Put a manager on a store; `face` may stand between it and the world."""
    manager = TokenManager(
        store=store, keys=KEYS, policy=policy, issuer="https://issuer.example", audience="api", clock=clock
    )
    return Rig(face(manager), store, policy, manager.flush)


def on_memory(clock: ManualClock) -> Rig:
    """A fresh store in memory."""
    return rig_on(MemoryStore(), clock)


def on_store(store: Store) -> MakeRig:
    """One store for threads, emptied for each history: that is cheap, where a new database is not."""

    def make(clock: ManualClock) -> Rig:
        empty(store)
        return rig_on(store, clock)

    return make


def on_async(store: AsyncStore, loop: LoopThread) -> MakeRig:
    """An asyncio store, emptied for each history, below an asyncio manager."""
    rows = BlockingStore(store, loop)

    async def begin(clock: ManualClock) -> AsyncTokenManager:
        return AsyncTokenManager(
            store=store,
            keys=KEYS,
            policy=POLICY,
            issuer="https://issuer.example",
            audience="api",
            clock=clock,
        )

    def make(clock: ManualClock) -> Rig:
        empty(rows)
        manager = blocking_manager(loop.run(begin(clock)), loop)
        return Rig(manager, rows, POLICY, manager.flush)

    return make
