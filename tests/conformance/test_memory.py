"""Holds the stores in memory to the duties of a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.testing.conformance import Capability, StoreConformance

NO_ENGINE = "there is no engine that could be away"


class TestMemoryStore(StoreConformance):
    """For threads."""

    lacks: ClassVar[Mapping[Capability, str]] = {"outage": NO_ENGINE}

    @pytest.fixture
    def store(self) -> MemoryStore:
        """Start empty."""
        return MemoryStore()


class TestAsyncMemoryStore(StoreConformance):
    """For asyncio."""

    lacks: ClassVar[Mapping[Capability, str]] = {"outage": NO_ENGINE}

    @pytest.fixture
    def store(self) -> AsyncMemoryStore:
        """Start empty."""
        return AsyncMemoryStore()
