"""Refreshes through a manager, tokens and all: what every comparison with a bare driver ends with.

It knows no engine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from keyturn import AsyncTokenManager, KeyRing, Policy, TokenManager
from keyturn.stores.protocol import AsyncStore, Store

POLICY: Final = Policy(race_window=0)  # otherwise a second refresh at once would not rotate

Turn: TypeAlias = Callable[[], object]
AsyncTurn: TypeAlias = Callable[[], Awaitable[object]]


def with_manager(store: Store) -> Turn:
    """Tokens and all."""
    manager = TokenManager(
        store=store, keys=KeyRing.generate("HS256"), policy=POLICY, issuer="i", audience="a"
    )
    tokens = [manager.issue("user").refresh_token for _ in range(20)]
    count = 0

    def turn() -> None:
        nonlocal count
        place, count = count % len(tokens), count + 1
        tokens[place] = manager.refresh(tokens[place]).refresh_token

    return turn


async def with_async_manager(store: AsyncStore) -> AsyncTurn:
    """`with_manager` for asyncio."""
    manager = AsyncTokenManager(
        store=store, keys=KeyRing.generate("HS256"), policy=POLICY, issuer="i", audience="a"
    )
    tokens = [(await manager.issue("user")).refresh_token for _ in range(20)]
    count = 0

    async def turn() -> None:
        nonlocal count
        place, count = count % len(tokens), count + 1
        tokens[place] = (await manager.refresh(tokens[place])).refresh_token

    return turn
