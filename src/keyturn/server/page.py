"""The page at `/`, its files, and the headers that fence it in. It knows no session and no token."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import PackageLoader
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import keyturn
from keyturn.http.routes import places_of
from keyturn.pages import SessionsPage, environment
from keyturn.policy import Policy
from keyturn.server.settings import Settings
from keyturn.server.texts import LANGUAGES, Texts, texts_for, texts_in
from keyturn.stores.urls import kind_of


def _fence(*, frames: str = "'none'", framed_by: str = "'none'") -> str:
    return (
        "default-src 'none'; "
        "script-src 'self'; "
        "style-src 'self'; "
        "connect-src 'self'; "
        "img-src 'self'; "
        f"frame-src {frames}; "
        "base-uri 'none'; "
        "form-action 'self'; "
        f"frame-ancestors {framed_by}"
    )


CONTENT_SECURITY_POLICY: Final = _fence()
_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_WITH_FRAMES: Final = {"Content-Security-Policy": _fence(frames="'self'")}
_IN_A_FRAME: Final = {
    "Content-Security-Policy": _fence(framed_by="'self'"),
    "X-Frame-Options": "SAMEORIGIN",
}
_FILES: Final = Path(__file__).parent / "static"
_PLACES: Final = {"memory": "facts.memory", "SQLite": "facts.sqlite"}


class Pages:
    """Shows what runs here, and what a person can do with it."""

    def __init__(self, settings: Settings, *, demo: bool = False) -> None:
        """Write the pages once for each language: nothing else in them depends on who asks.

        Args:
            settings: The settings.
            demo: Whether the page at `/` is the one that stages mishaps.
        """
        self._settings = settings
        self._environment = environment(PackageLoader("keyturn.server"))
        name, headers = ("demo.html", _WITH_FRAMES) if demo else ("index.html", {})
        # Beside its own files, those that all pages share.
        files = StaticFiles(directory=_FILES, packages=[("keyturn.pages", "static")])
        self.routes: list[BaseRoute] = [
            Route("/", self._page(name, headers), methods=["GET"]),
            Mount("/static", files),
            Route("/favicon.ico", _icon, methods=["GET"]),  # browsers ask, for pages that name none
        ]
        if demo:
            self.routes.append(Route("/demo/tab", self._page("tab.html", _IN_A_FRAME), methods=["GET"]))

    def _page(
        self, template: str, headers: Mapping[str, str]
    ) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        written = {language: self._write(template, texts_in(language)) for language in LANGUAGES}
        caching = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}

        async def show(request: Request) -> Response:
            language = texts_for(request.headers.get("accept-language")).language
            fenced = {**caching, "Content-Language": language, **headers}
            return HTMLResponse(written[language], headers=fenced)

        return show

    def _write(self, template: str, texts: Texts) -> str:
        policy: Policy = self._settings
        return self._environment.get_template(template).render(
            facts=_facts(self._settings, texts),
            settings=self._settings,
            say=texts.say,
            language=texts.language,
            script_texts=json.dumps(texts.part("script"), ensure_ascii=False),
            race_window=texts.span(policy.race_window),
        )


async def _icon(_: Request) -> Response:
    return FileResponse(_FILES / "icon.svg")


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


def _facts(settings: Settings, texts: Texts) -> dict[str, str]:
    """Say what runs here: names and values for people."""
    policy: Policy = settings
    kind = kind_of(settings.store).name
    idle_ttl = texts.say("facts.never") if policy.idle_ttl is None else texts.span(policy.idle_ttl)
    facts = {
        "version": f"Keyturn {keyturn.__version__}",
        "store": texts.say(_PLACES[kind]) if kind in _PLACES else kind,
        "access_ttl": texts.span(policy.access_ttl),
        "idle_ttl": idle_ttl,
        "absolute_ttl": texts.span(policy.absolute_ttl),
        "race_window": texts.span(policy.race_window),
        "recovery_window": texts.span(policy.recovery_window),
    }
    return {texts.say(f"facts.{name}"): value for name, value in facts.items()}
