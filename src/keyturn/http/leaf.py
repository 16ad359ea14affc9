"""What every leaf for asyncio is made of: the endpoints and the guard. It knows no framework."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic

from keyturn.http.calls import AsyncLogin
from keyturn.http.endpoints import AsyncEndpoints
from keyturn.http.guard import AsyncGuard
from keyturn.http.needs import Requirements
from keyturn.http.page import Page
from keyturn.http.settings import HttpSettings
from keyturn.http.site import LoginThrottle
from keyturn.manager import AsyncTokenManager
from keyturn.results import ClaimsT


class AsyncLeaf(Generic[ClaimsT]):
    """The endpoints and the guard of one application."""

    def __init__(
        self,
        manager: AsyncTokenManager[ClaimsT],
        *,
        login: AsyncLogin | None = None,
        settings: HttpSettings | None = None,
        throttle: LoginThrottle | None = None,
        exempt: Iterable[str] | None = None,
        require: Requirements | None = None,
        sessions_page: Page | None = None,
    ) -> None:
        """Set it up: see `keyturn.http.AsyncEndpoints`, and for `exempt` and `require` `AsyncGuard`.

        With one of those two, all routes are guarded by paths; without, those that say so alone.
        """
        self._manager = manager
        self._endpoints = AsyncEndpoints(
            manager, login=login, settings=settings, throttle=throttle, sessions_page=sessions_page
        )
        self._guard = AsyncGuard(
            manager, settings=settings, exempt=exempt or (), require=require, sessions_page=sessions_page
        )
        self._has_login = login is not None
        self._requires = require is not None
        self._by_path = self._requires or exempt is not None

    @property
    def manager(self) -> AsyncTokenManager[ClaimsT]:
        """The manager that was given."""
        return self._manager

    @property
    def settings(self) -> HttpSettings:
        """How tokens travel: what was given, or the defaults."""
        return self._endpoints.settings
