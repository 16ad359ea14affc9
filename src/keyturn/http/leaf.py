"""What every leaf for asyncio offers of what it was made with. It knows no framework."""

from __future__ import annotations

from typing import Generic

from keyturn.http.endpoints import AsyncEndpoints
from keyturn.http.settings import HttpSettings
from keyturn.manager import AsyncTokenManager
from keyturn.results import ClaimsT


class AsyncLeaf(Generic[ClaimsT]):
    """The manager and the settings, to be read."""

    _manager: AsyncTokenManager[ClaimsT]
    _endpoints: AsyncEndpoints

    @property
    def manager(self) -> AsyncTokenManager[ClaimsT]:
        """The manager that was given."""
        return self._manager

    @property
    def settings(self) -> HttpSettings:
        """How tokens travel: what was given, or the defaults."""
        return self._endpoints.settings
