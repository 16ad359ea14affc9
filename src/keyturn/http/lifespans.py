"""A manager while its application runs: started before, closed after. It knows no framework."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from keyturn.errors import StoreError
from keyturn.manager import AsyncTokenManager


async def start(manager: AsyncTokenManager[Any]) -> None:
    """Start a manager. A store that cannot be reached does not keep the application from starting."""
    with suppress(StoreError):  # then the store is asked about each token until it can be read
        await manager.start()


@asynccontextmanager
async def running(manager: AsyncTokenManager[Any]) -> AsyncGenerator[None]:
    """Start a manager, and close it at the end: see `start`."""
    async with closed(manager):
        await start(manager)
        yield


@asynccontextmanager
async def closed(manager: AsyncTokenManager[Any]) -> AsyncGenerator[None]:
    """Close a manager at the end, also where what comes after this fails."""
    try:
        yield
    finally:
        await manager.close()
