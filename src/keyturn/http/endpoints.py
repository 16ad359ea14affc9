"""The endpoints as one object per colour: a request in, a reply out. It decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from keyturn.http import routes
from keyturn.http.calls import (
    Accepted,
    AsyncBackend,
    AsyncLogin,
    Backend,
    Login,
    SignIn,
    drive,
    drive_async,
    is_awaited,
    nobody,
)
from keyturn.http.given import check_login, check_manager, settings_of
from keyturn.http.messages import HttpReply, HttpRequest
from keyturn.http.page import Page
from keyturn.http.places import Places
from keyturn.http.settings import HttpSettings
from keyturn.http.signing_in import sign_in
from keyturn.http.site import Answer, LoginThrottle, Site, Transport
from keyturn.manager import AsyncTokenManager, TokenManager
from keyturn.manager_base import ManagerBase


class Endpoints:
    """All endpoints, for frameworks with threads."""

    def __init__(
        self,
        manager: TokenManager[Any],
        *,
        login: Login | None = None,
        settings: HttpSettings | None = None,
        throttle: LoginThrottle | None = None,
        sessions_page: Page | None = None,
    ) -> None:
        """Bring a manager and an application's login check together.

        Args:
            manager: The lifecycle.
            login: Says who a user name and a password belong to; None: there is no `/login`, and the
                application calls `sign_in`.
            settings: How tokens travel; None: the defaults.
            throttle: Slows sign-ins down.
            sessions_page: On which users see and end their sessions, such as `keyturn.pages.SessionsPage()`;
                None: there is none.

        Raises:
            ConfigurationError: One of them is not what it is taken for.
        """
        check_manager(manager, TokenManager)
        check_login(login, threads=True)
        self.settings = settings_of(settings)
        self._site = _site_of(
            manager, self.settings, has_login=login is not None, throttle=throttle, page=sessions_page
        )
        self._backend = Backend(manager, login or nobody)

    def handle(self, request: HttpRequest, *, login: Login | None = None) -> HttpReply:
        """Answer a request to any endpoint, or 404.

        Args:
            request: The request.
            login: The login check for this request, where it needs to know the framework's request; None: the
                application's one.
        """
        backend = self._backend if login is None else Backend(self._backend.manager, login)
        return self._finish(request, routes.begin(self._site, request), backend)

    def sign_in(self, request: HttpRequest, who: SignIn, *, transport: Transport = "cookie") -> HttpReply:
        """Begin a session for a user whom the application has accepted in its own way, and answer tokens."""
        return self._finish(request, sign_in(self._site, request, who, transport), self._backend)

    def step_up(self, request: HttpRequest) -> HttpReply:
        """Answer an access token that says that its user has just signed in again, in the application's way.

        The application has checked that it is the user of the request's access token.
        """
        return self._finish(request, routes.begin_step_up(self._site, request), self._backend)

    @property
    def places(self) -> Places:
        """Where they are."""
        return self._site.places

    def _finish(self, request: HttpRequest, step: Answer, backend: Backend) -> HttpReply:
        return routes.finish(self._site, request, drive(step, backend))


class AsyncEndpoints:
    """All endpoints, for asyncio."""

    def __init__(
        self,
        manager: AsyncTokenManager[Any],
        *,
        login: AsyncLogin | None = None,
        settings: HttpSettings | None = None,
        throttle: LoginThrottle | None = None,
        sessions_page: Page | None = None,
    ) -> None:
        """Bring a manager and an application's login check together.

        See `Endpoints`; `login` may be a coroutine function, or a plain one, which is run in a thread.
        """
        check_manager(manager, AsyncTokenManager)
        check_login(login, threads=False)
        self.settings = settings_of(settings)
        self._site = _site_of(
            manager, self.settings, has_login=login is not None, throttle=throttle, page=sessions_page
        )
        self._backend = AsyncBackend(manager, _awaitable(login or nobody))

    async def handle(self, request: HttpRequest, *, login: AsyncLogin | None = None) -> HttpReply:
        """Answer a request to any endpoint, or 404.

        See `Endpoints.handle`.
        """
        backend = self._backend if login is None else AsyncBackend(self._backend.manager, _awaitable(login))
        return await self._finish(request, routes.begin(self._site, request), backend)

    async def sign_in(
        self, request: HttpRequest, who: SignIn, *, transport: Transport = "cookie"
    ) -> HttpReply:
        """Begin a session for a user whom the application has accepted in its own way, and answer tokens."""
        return await self._finish(request, sign_in(self._site, request, who, transport), self._backend)

    async def step_up(self, request: HttpRequest) -> HttpReply:
        """Answer an access token that says that its user has just signed in again, in the application's way.

        See `Endpoints.step_up`.
        """
        return await self._finish(request, routes.begin_step_up(self._site, request), self._backend)

    @property
    def places(self) -> Places:
        """Where they are."""
        return self._site.places

    async def _finish(self, request: HttpRequest, step: Answer, backend: AsyncBackend) -> HttpReply:
        return routes.finish(self._site, request, await drive_async(step, backend))


def _site_of(
    manager: ManagerBase[Any],
    settings: HttpSettings,
    *,
    has_login: bool,
    throttle: LoginThrottle | None,
    page: Page | None,
) -> Site:
    return Site(manager, settings, has_login, throttle, routes.places_of(settings, page), page)


def _awaitable(login: AsyncLogin) -> Callable[[str, str], Awaitable[Accepted]]:
    """Make any login check awaitable; a plain one hashes passwords, so it must not hold the event loop up."""

    async def check(username: str, password: str) -> Accepted:
        if is_awaited(login):
            accepted = login(username, password)
        else:
            accepted = await asyncio.to_thread(login, username, password)
        return await accepted if isinstance(accepted, Awaitable) else accepted

    return check
