"""The page at `/`, its files, and the headers that fence it in. It knows no session and no token."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import keyturn
from keyturn.http.places import places_of
from keyturn.pages import SessionsPage
from keyturn.policy import Policy
from keyturn.server.settings import Settings
from keyturn.server.words import span
from keyturn.stores.urls import kind_of

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; "
    "script-src 'self'; "
    "style-src 'self'; "
    "connect-src 'self'; "
    "img-src 'self'; "
    "base-uri 'none'; "
    "form-action 'self'; "
    "frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_PLACES: Final = {"memory": "memory, until the server stops", "SQLite": "an SQLite file"}


class Page:
    """Shows what runs here, and what a person can do with it."""

    def __init__(self, settings: Settings) -> None:
        """Write the page once: nothing in it depends on who asks."""
        environment = Environment(
            loader=PackageLoader("keyturn.server"), autoescape=True, undefined=StrictUndefined
        )
        policy: Policy = settings
        kind = kind_of(settings.store)
        facts = {
            "Version": f"Keyturn {keyturn.__version__}",
            "Sessions live in": _PLACES.get(kind.name, kind.name),
            "An access token lives": span(policy.access_ttl),
            "A session ends unused after": _limit(policy.idle_ttl),
            "A session ends at the latest after": span(policy.absolute_ttl),
            "Refreshing twice is one refresh within": span(policy.race_window),
            "A lost answer can be fetched again for": span(policy.recovery_window),
        }
        self._html = environment.get_template("index.html").render(
            facts=facts, prefix=settings.prefix, access_header=settings.access_header
        )
        # Beside its own files, those that all pages share.
        self.files = StaticFiles(
            directory=Path(__file__).parent / "static", packages=[("keyturn.pages", "static")]
        )

    async def show(self, _: Request) -> Response:
        """Answer the page."""
        return HTMLResponse(self._html, headers={"Cache-Control": "no-cache"})


def sessions_page(settings: Settings) -> SessionsPage:
    """Make the page on which users see and end their sessions, with a link to the page at `/`.

    The server may be mounted below a path of which it knows nothing, so its addresses are relative ones.
    """
    home = places_of(settings, SessionsPage()).home or ""
    root = "../" * (home.count("/") - 1)
    return SessionsPage(sign_in_url=root, icon=f"{root}static/icon.svg")


class SecurityHeaders:
    """Adds the headers that fence a page in to every answer that has not its own."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, add if scope["type"] == "http" else send)


def _limit(seconds: float | None) -> str:
    return "never" if seconds is None else span(seconds)
