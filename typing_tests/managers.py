"""What a type checker must infer of the managers. Not meant to be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, assert_type

from keyturn import AsyncTokenManager, KeyRing, Policy, Principal, SessionInfo, TokenManager, TokenPair
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore


@dataclass(frozen=True)
class Claims:
    """An application's claims."""

    roles: list[str]


keys = KeyRing.generate()

plain = TokenManager(store=MemoryStore(), keys=keys, issuer="i", audience="a")
assert_type(plain, TokenManager[dict[str, Any]])
assert_type(plain.issue("u", claims={"roles": ["member"]}), TokenPair)
assert_type(plain.authenticate("t"), Principal[dict[str, Any]])
assert_type(plain.authenticate("t").claims, dict[str, Any])
assert_type(plain.sessions("u"), list[SessionInfo])
assert_type(plain.revoke_user("u"), int)

typed = TokenManager[Claims](store=MemoryStore(), keys=keys, issuer="i", audience="a", claims=Claims)
assert_type(typed.authenticate("t").claims, Claims)
assert_type(typed.verify_access("t").claims.roles, list[str])
typed.issue("u", claims=Claims(roles=["member"]))

inferred = TokenManager(store=MemoryStore(), keys=keys, issuer="i", audience="a", claims=Claims)
assert_type(inferred, TokenManager[Claims])

assert_type(Policy(access_ttl="5m").access_ttl, float)
assert_type(Policy(idle_ttl=None).idle_ttl, float | None)


async def twins() -> None:
    """The asynchronous twin infers alike."""
    manager = AsyncTokenManager(store=AsyncMemoryStore(), keys=keys, issuer="i", audience="a", claims=Claims)
    assert_type(await manager.refresh("t"), TokenPair)
    assert_type((await manager.authenticate("t")).claims, Claims)
