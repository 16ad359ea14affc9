"""The page on which users see and end their sessions, written out. It knows no token and no framework.

It has no script, and asks nobody but its own site.
"""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import partial
from hashlib import sha256
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, cast
from urllib.parse import urlsplit

from babel import Locale
from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from keyturn.errors import ConfigurationError
from keyturn.http import Headers, HttpReply, HttpRequest, PageView
from keyturn.http.settings import PATH, check_text, serialize_origin
from keyturn.pages.devices import Kind, given_name, recognise, user_agent_of
from keyturn.pages.languages import TEXTS, Moment, choose, locale_of, moment
from keyturn.pages.texts import Texts
from keyturn.policy import check_switch
from keyturn.results import SessionInfo

_LOG: Final = logging.getLogger("keyturn")
TEMPLATE: Final = "sessions.html"
_ADDRESS: Final = re.compile(r"[!#-;=?-~]+")  # what a URL may have; no quotes, no "<", no ">"
_STATIC: Final = files("keyturn.pages") / "static"
_STYLE: Final = "".join((_STATIC / name).read_text("utf-8") for name in ("base.css", "sessions.css"))


def nowhere(_device: Mapping[str, Any]) -> str | None:
    """Say of no device where it is: whoever looks an address up must say so to their users."""
    return None


def environment(loader: BaseLoader | None = None) -> Environment:
    """Give the environment of the templates, for a template of one's own that extends "sessions.html".

    Args:
        loader: Where the own ones are.
    """
    ours = PackageLoader("keyturn.pages")
    return Environment(
        loader=ours if loader is None else ChoiceLoader([loader, ours]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One session as the page shows it.

    Attributes:
        id: The session's id.
        name: The device in words.
        kind: What it looks like.
        current: Whether it is the reader's own.
        place: Where it is, if the application says so.
        signed_in: When its user signed in.
        last_seen: When it was last seen in use.
    """

    id: str
    name: str
    kind: Kind
    current: bool
    place: str | None
    signed_in: Moment
    last_seen: Moment


@dataclass(frozen=True, kw_only=True)
class SessionsPage:
    """The page, to be handed to a framework's `Keyturn` as `sessions_page`.

    Attributes:
        path: Where it is. Where the refresh cookie does not reach, this leads to where it does.
        sign_in_url: Where else who is not signed in may do so; None: the page has no such link.
        password_form: Whether who is not signed in finds a form for user name and password, where the
            application has a login check; False: only the link.
        stylesheet: The URL of a stylesheet that is loaded after the page's own.
        icon: The URL of an icon, of the same origin; None: browsers look for the site's at `/favicon.ico`.
        texts: The words by language; the first is for everybody who wants none of the others.
        place: Says where a device is, from what the application knows of it; None where that is unknown.
        timezone: In which times are written, because a page without a script does not know its reader's.
        template: A template instead of the page's own: see `environment`.

    Raises:
        ConfigurationError: A value is not usable; the message names it.

    Examples:
        >>> SessionsPage(sign_in_url="javascript:alert(1)")
        Traceback (most recent call last):
        ...
        keyturn.errors.ConfigurationError: sign_in_url is no address of a page: 'javascript:alert(1)'
    """

    path: str = "/account/sessions"
    sign_in_url: str | None = None
    password_form: bool = True
    stylesheet: str | None = None
    icon: str | None = None
    texts: Mapping[str, Texts] = field(default_factory=lambda: TEXTS, repr=False)
    place: Callable[[Mapping[str, Any]], str | None] = nowhere
    timezone: tzinfo = UTC
    template: Template | None = field(default=None, repr=False)
    _headers: Headers = field(init=False, repr=False, compare=False)
    _locales: Mapping[str, Locale] = field(init=False, repr=False, compare=False)
    _render: Callable[..., str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check each value, and read the template."""
        check_text("path", self.path, PATH)
        for name in ("sign_in_url", "stylesheet", "icon"):
            _check_address(name, getattr(self, name))
        check_switch("password_form", self.password_form)
        if not callable(self.place):
            raise ConfigurationError("place must be a function of what is known of a device")
        template = environment().get_template(TEMPLATE) if self.template is None else self.template
        if not isinstance(cast("object", template), Template) or not template.environment.autoescape:
            raise ConfigurationError("template must be a template of Jinja2 that escapes (autoescape=True)")
        texts = _checked(self.texts)
        put = partial(object.__setattr__, self)
        put("texts", texts)
        put("_locales", {tag: locale_of(tag) for tag in texts})
        put("_render", partial(template.render, page=self, style=Markup(_STYLE)))  # noqa: S704 - our own file
        put("_headers", _headers(self.stylesheet))

    def show(self, request: HttpRequest, view: PageView, /) -> HttpReply:
        """Write the page: see `keyturn.http.Page`."""
        language = choose(", ".join(request.values("accept-language")), self.texts)
        texts, locale = self.texts[language], self._locales[language]
        rows = None if view.sessions is None else [self._row(each, view, language) for each in view.sessions]
        html = self._render(
            view=view,
            texts=texts,
            language=language,
            direction=locale.text_direction,
            rows=rows,
            done=texts.done(view.done),
            problem=texts.problem(view.problem),
        )
        headers = (*self._headers, ("Content-Language", language))
        return HttpReply(view.status, headers, html.encode("utf-8", "replace"))

    def _row(self, session: SessionInfo, view: PageView, language: str) -> Row:
        texts, device = self.texts[language], recognise(user_agent_of(session.device))
        when = partial(moment, now=view.now, locale=self._locales[language], zone=self.timezone)
        return Row(
            id=session.id,
            name=given_name(session.device, device) or device.name(texts.device, texts.unnamed_device),
            kind=device.kind,
            current=session.current,
            place=self._place(session.device),
            signed_in=when(session.created_at),
            last_seen=when(session.last_seen_at),
        )

    def _place(self, device: Mapping[str, Any]) -> str | None:
        try:
            return self.place(device)
        except Exception:  # noqa: BLE001  (a page is not worth less for what an application's function raises)
            _LOG.exception("a device is shown without its place")
            return None


def _checked(texts: object) -> Mapping[str, Texts]:
    if not isinstance(texts, Mapping) or not texts:
        raise ConfigurationError('texts must be a mapping of languages such as {"en": ENGLISH}')
    found = dict(cast("Mapping[str, object]", texts))
    for tag, each in found.items():
        if not isinstance(each, Texts):
            raise ConfigurationError(f"texts: {tag!r} must have Texts(…), not {type(each).__name__}")
    return MappingProxyType(cast("dict[str, Texts]", found))


def _check_address(name: str, value: object) -> None:
    if value is None:
        return
    usable = isinstance(value, str) and _ADDRESS.fullmatch(value) and not value.startswith("//")
    parts = urlsplit(value) if usable and isinstance(value, str) else None
    if parts is None or parts.scheme not in {"", "http", "https"} or bool(parts.scheme) != bool(parts.netloc):
        raise ConfigurationError(f"{name} is no address of a page: {value!r}")


def _headers(stylesheet: str | None) -> Headers:
    """Give the headers of every answer.

    `Referrer-Policy` is no stricter than this, because without a referrer browsers send `Origin: null` with
    forms (Fetch, section 3.2).
    """
    digest = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
    styles = f"'sha256-{digest}'"
    if stylesheet is not None:
        parts = urlsplit(stylesheet)
        origin = serialize_origin(f"{parts.scheme}://{parts.netloc}") if parts.netloc else "'self'"
        if origin is None:
            raise ConfigurationError(f"stylesheet is no address of a stylesheet: {stylesheet!r}")
        styles += f" {origin}"
    policy = (
        "default-src 'none'",
        f"style-src {styles}",
        "img-src 'self'",  # the icon
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", "; ".join(policy)),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Referrer-Policy", "same-origin"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
    )
