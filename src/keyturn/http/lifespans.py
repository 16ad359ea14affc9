"""A manager while its application runs: started before, closed after. It knows no framework."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

from keyturn.errors import StoreError
from keyturn.manager import AsyncTokenManager


@asynccontextmanager
async def running(manager: AsyncTokenManager[Any]) -> AsyncGenerator[None]:
    """Start a manager, and close it at the end.

    A store that cannot be reached does not keep the application from starting.
    """
    with suppress(StoreError):  # else the store is asked about each token until it can be read
        await manager.start()
    try:
        yield
    finally:
        await manager.close()
