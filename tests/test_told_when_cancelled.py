"""What the store did is told, whatever becomes of the task that asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from keyturn import AsyncTokenManager, Denied, Issued, KeyRing, Policy, ReuseDetected, Revoked
from keyturn.stores.memory import AsyncMemoryStore
from keyturn.testing.clock import ManualClock
from keyturn.testing.wrappers import AsyncStoreWrapper

if TYPE_CHECKING:
    from keyturn import TokenPair

T = TypeVar("T")


class Distant(AsyncStoreWrapper):
    """A store whose answers to one method wait, after the deed, until they are let through."""

    def __init__(self) -> None:
        super().__init__(AsyncMemoryStore())
        self.slow = ""
        self.did, self.answer = asyncio.Event(), asyncio.Event()
        self.asked_by: list[asyncio.Task[Any] | None] = []

    async def around(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        self.asked_by.append(asyncio.current_task())
        outcome = await call()
        if method == self.slow:
            self.did.set()
            await self.answer.wait()
        return outcome


class Site:
    """A manager over such a store, and what happened to it."""

    def __init__(self, **options: Any) -> None:
        self.store, self.clock, self.heard = Distant(), ManualClock(), list[object]()
        self.manager: AsyncTokenManager[dict[str, Any]] = AsyncTokenManager(
            store=self.store,
            keys=KeyRing.from_secret("a long secret of more than 32 bytes, for tests only"),
            issuer="i",
            audience="a",
            policy=Policy(audit_retention="1d", recovery_window=0),
            clock=self.clock,
            **options,
        )
        for kind in (Issued, ReuseDetected, Revoked, Denied):
            self.manager.events.subscribe(kind, self.heard.append)

    async def hang_up(self, method: str, request: Awaitable[object]) -> None:
        """Make a request, and cancel it when the store has done it but nobody knows yet."""
        self.store.slow = method
        self.heard.clear()
        task = asyncio.ensure_future(request)
        await self.store.did.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()


@pytest.mark.parametrize(
    ("method", "request_of", "event", "lines"),
    [
        ("create", lambda s, _: s.manager.issue("another"), Issued, []),
        ("rotate", lambda s, p: s.manager.refresh(p.refresh_token), ReuseDetected, ["reuse", "revocation"]),
        ("revoke", lambda s, p: s.manager.revoke(p.session_id), Revoked, ["revocation"]),
        ("revoke", lambda s, p: s.manager.revoke_token(p.refresh_token), Revoked, ["revocation"]),
        ("revoke_user", lambda s, _: s.manager.revoke_user("u"), Revoked, ["revocation"]),
        ("deny", lambda s, p: s.manager.deny(p.access_token), Denied, ["denial"]),
    ],
)
async def test_what_a_client_that_hangs_up_began_is_told(
    method: str, request_of: Callable[[Site, TokenPair], Awaitable[object]], event: type, lines: list[str]
) -> None:
    """A request that is cancelled while the store answers still leaves its event and its lines."""
    site = Site()
    first = await site.manager.issue("u")
    await site.manager.refresh(first.refresh_token)
    site.clock.advance(60)
    await site.hang_up(method, request_of(site, first))
    assert site.heard == []
    site.store.answer.set()
    assert await site.manager.flush()
    assert [type(one) for one in site.heard][:1] == [event]
    told = [line.kind for line in await site.manager.history(first.session_id)]
    assert told == ["sign_in", "rotation", *lines]
    await site.manager.close()


async def test_a_close_waits_for_what_was_begun() -> None:
    """As a flush does: the store is not closed under a request that nobody waits for any more."""
    site = Site()
    first = await site.manager.issue("u")
    await site.hang_up("revoke", site.manager.revoke(first.session_id))
    asyncio.get_running_loop().call_soon(site.store.answer.set)
    await site.manager.close()
    assert [type(event) for event in site.heard] == [Revoked]
    assert len(await site.manager.history(first.session_id)) == 2


async def test_a_flush_by_what_it_would_wait_for_ends() -> None:
    """An application that flushes in `load_claims` waits for everything but itself."""

    async def load(_: str) -> dict[str, Any]:
        assert await site.manager.flush()
        return {"fresh": True}

    site = Site(load_claims=load)
    pair = await site.manager.refresh((await site.manager.issue("u")).refresh_token)
    assert (await site.manager.authenticate(pair.access_token)).claims == {"fresh": True}
    await site.manager.close()


async def test_a_request_that_only_reads_needs_no_task() -> None:
    """What changes nothing is asked by the task of the request itself, and ends with it."""
    site = Site()
    pair = await site.manager.issue("u")
    await site.manager.flush()
    site.store.asked_by.clear()
    await site.manager.authenticate(pair.access_token)
    await site.manager.renew(pair.access_token)
    await site.manager.inspect(pair.refresh_token)
    await site.manager.sessions("u")
    await site.manager.history(pair.session_id, user_id="u")
    own = asyncio.current_task()
    assert len(site.store.asked_by) >= 5
    assert site.store.asked_by[:1] == [own]
    assert sum(task is not own for task in site.store.asked_by) <= 1  # the confirmation, which is deferred
    await site.manager.close()
