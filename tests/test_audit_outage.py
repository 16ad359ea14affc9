"""The audit trail across a restart of the server that keeps it, with managers of both colours."""

from __future__ import annotations

import asyncio
from threading import Semaphore
from typing import TYPE_CHECKING, Any

from keyturn import AsyncTokenManager, KeyRing, StoreUnavailable, TokenManager
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.stores.redis import AsyncRedisStore, RedisStore
from keyturn.testing.servers import RedisServer
from tests.support.databases import started

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn._core.trail import TrailEntry

GIVEN: dict[str, Any] = {
    "keys": KeyRing.from_secret("a long secret of more than 32 bytes, for tests only"),
    "issuer": "https://i",
    "audience": "a",
}
SESSIONS = 3
FAILURES = 3
WHOLE = ["sign_in", "revocation"]


class Watched(RedisStore):
    """Says how often a write has met the outage."""

    met: Semaphore

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        try:
            super().note(entries)
        except StoreUnavailable:
            self.met.release()
            raise


class AsyncWatched(AsyncRedisStore):
    """The same for asyncio."""

    met: asyncio.Semaphore

    async def note(self, entries: Sequence[TrailEntry], /) -> None:
        try:
            await super().note(entries)
        except StoreUnavailable:
            self.met.release()
            raise


def test_a_restart_of_the_trails_server_loses_no_line() -> None:
    """What happened while it was away is written when it is back; requests have not waited for it."""
    with started(RedisServer()) as server:
        trail = Watched.from_url(server.url)
        trail.met = Semaphore(0)
        manager = TokenManager(store=MemoryStore(), audit=trail, **GIVEN)
        server.stop()
        sessions = [manager.issue("u").session_id for _ in range(SESSIONS)]
        assert manager.revoke_user("u") == SESSIONS
        assert all(trail.met.acquire(timeout=30) for _ in range(FAILURES))
        server.start()
        assert manager.flush()
        for session in sessions:
            assert [line.kind for line in manager.history(session)] == WHOLE
        assert manager.audit_lost == 0
        manager.close()
        trail.close()


async def test_a_restart_of_the_trails_server_loses_no_line_of_tasks() -> None:
    """For asyncio as for threads."""
    with started(RedisServer()) as server:
        trail = AsyncWatched.from_url(server.url)
        trail.met = asyncio.Semaphore(0)
        manager = AsyncTokenManager(store=AsyncMemoryStore(), audit=trail, **GIVEN)
        server.stop()
        sessions = [(await manager.issue("u")).session_id for _ in range(SESSIONS)]
        assert await manager.revoke_user("u") == SESSIONS
        async with asyncio.timeout(30):
            for _ in range(FAILURES):
                await trail.met.acquire()
        server.start()
        assert await manager.flush()
        for session in sessions:
            assert [line.kind for line in await manager.history(session)] == WHOLE
        assert manager.audit_lost == 0
        await manager.close()
        await trail.close()
