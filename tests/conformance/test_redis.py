"""Holds the Redis stores to the duties of a store, on a real server and on a real cluster of six nodes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keyturn.stores.redis import AsyncRedisStore, RedisStore
from keyturn.testing.conformance import LoopThread, StoreConformance
from tests.support.stores import BUSY_SECONDS

NOBODY = "127.0.0.1:1"  # a port at which nothing listens


class TestRedisStore(StoreConformance):
    """For threads."""

    @pytest.fixture
    def store(self, redis_url: str) -> Iterator[RedisStore]:
        """Open an empty server."""
        store = RedisStore.from_url(redis_url, timeout=BUSY_SECONDS)
        yield store
        store.close()

    @pytest.fixture
    def away(self) -> RedisStore:
        """Open a server that is not there."""
        return RedisStore.from_url(f"redis://{NOBODY}")


class TestAsyncRedisStore(StoreConformance):
    """For asyncio."""

    @pytest.fixture
    def store(self, redis_url: str, loop: LoopThread) -> Iterator[AsyncRedisStore]:
        """Open an empty server."""
        store = AsyncRedisStore.from_url(redis_url, timeout=BUSY_SECONDS)
        yield store
        loop.run(store.close())

    @pytest.fixture
    def away(self) -> AsyncRedisStore:
        """Open a server that is not there."""
        return AsyncRedisStore.from_url(f"redis://{NOBODY}")


class TestRedisClusterStore(StoreConformance):
    """For threads, on a cluster."""

    examples = 20

    @pytest.fixture
    def store(self, redis_cluster_url: str) -> Iterator[RedisStore]:
        """Open an empty cluster."""
        store = RedisStore.from_url(redis_cluster_url, timeout=BUSY_SECONDS)
        yield store
        store.close()

    @pytest.fixture
    def away(self) -> RedisStore:
        """Open a cluster that is not there."""
        return RedisStore.from_url(f"redis+cluster://{NOBODY}")


class TestAsyncRedisClusterStore(StoreConformance):
    """For asyncio, on a cluster."""

    examples = 20

    @pytest.fixture
    def store(self, redis_cluster_url: str, loop: LoopThread) -> Iterator[AsyncRedisStore]:
        """Open an empty cluster."""
        store = AsyncRedisStore.from_url(redis_cluster_url, timeout=BUSY_SECONDS)
        yield store
        loop.run(store.close())

    @pytest.fixture
    def away(self) -> AsyncRedisStore:
        """Open a cluster that is not there."""
        return AsyncRedisStore.from_url(f"redis+cluster://{NOBODY}")
