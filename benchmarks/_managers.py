"""Managers as the suite measures them, and refreshes through them, tokens and all. They know no engine."""

from __future__ import annotations

import time
from dataclasses import fields
from typing import Any, Final

from _rounds import AsyncTurn, Turn
from keyturn import AsyncTokenManager, KeyRing, Policy, TokenManager
from keyturn.stores.protocol import AsyncStore, Store

ISSUER: Final = "https://auth.example.com"
AUDIENCE: Final = "api"
CLAIMS: Final = {"roles": ["member"]}
ROTATING: Final = Policy(race_window=0)  # otherwise a second refresh at once would not rotate
_PATIENCE, _POLL = 60.0, 0.02
_EACH: Final = 10  # sessions that one worker refreshes in turn
_CACHE: Final = "verified_tokens"


def remembers() -> bool:
    """Tell whether this Keyturn remembers the tokens that it has verified."""
    return _CACHE in {field.name for field in fields(Policy)}


def cold() -> Policy:
    """Give the policy with which every token is verified anew."""
    without: dict[str, Any] = {_CACHE: 0} if remembers() else {}
    return Policy(**without)


def manager_on(store: Store, keys: KeyRing, policy: Policy | None = None) -> TokenManager:
    """Make a manager for threads."""
    return TokenManager(store=store, keys=keys, policy=policy, issuer=ISSUER, audience=AUDIENCE)


def async_manager_on(store: AsyncStore, keys: KeyRing, policy: Policy | None = None) -> AsyncTokenManager:
    """`manager_on` for asyncio."""
    return AsyncTokenManager(store=store, keys=keys, policy=policy, issuer=ISSUER, audience=AUDIENCE)


def wait_for_view(manager: TokenManager, count: int) -> None:
    """Wait until a manager that has accepted a token knows so many revocations.

    Raises:
        TimeoutError: It does not learn of them.
    """
    deadline, view = time.monotonic() + _PATIENCE, manager.revocations
    while view is not None and len(view) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the view has {len(view):,} of {count:,} revocations")
        time.sleep(_POLL)


def refreshing(manager: TokenManager) -> Turn:
    """Refresh some sessions of one's own in turn; each refresh must rotate."""
    tokens = [manager.issue("user", claims=CLAIMS).refresh_token for _ in range(_EACH)]
    count = 0

    def turn() -> None:
        nonlocal count
        place, count = count % _EACH, count + 1
        pair = manager.refresh(tokens[place])
        if not pair.rotated:
            raise RuntimeError("a refresh did not rotate")
        tokens[place] = pair.refresh_token

    return turn


async def async_refreshing(manager: AsyncTokenManager) -> AsyncTurn:
    """`refreshing` for asyncio."""
    tokens = [(await manager.issue("user", claims=CLAIMS)).refresh_token for _ in range(_EACH)]
    count = 0

    async def turn() -> None:
        nonlocal count
        place, count = count % _EACH, count + 1
        pair = await manager.refresh(tokens[place])
        if not pair.rotated:
            raise RuntimeError("a refresh did not rotate")
        tokens[place] = pair.refresh_token

    return turn
