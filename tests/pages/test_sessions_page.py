"""The page as HTML: its settings, what it lets in, and how an application changes it."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from jinja2 import DictLoader, Environment

from keyturn import ConfigurationError
from keyturn.http import Page, PageView
from keyturn.http.messages import HttpReply
from keyturn.pages import ENGLISH, SessionsPage, environment
from keyturn.results import SessionInfo
from tests.http.neutral import request, values

NOW = 1_800_000_000.0
UNSAFE = Environment(autoescape=False).from_string("x")  # noqa: S701 - it is refused


def session(**given: Any) -> SessionInfo:
    """Make a session as the manager lists it."""
    defaults: dict[str, Any] = {
        "id": "01890000-0000-7000-8000-000000000000",
        "user_id": "ann",
        "device": {"user_agent": "curl/8.5.0"},
        "created_at": NOW - 7200,
        "last_seen_at": NOW - 3600,
        "expires_at": NOW + 3600,
        "absolute_expires_at": NOW + 3600,
        "generation": 1,
        "current": False,
        "active": True,
        "ended_at": None,
        "end_reason": None,
    }
    return SessionInfo(**defaults | given)


def shown(page: SessionsPage, *sessions: SessionInfo, **view: Any) -> str:
    """Give the HTML of a page that lists sessions."""
    reply = page.show(request("GET", page.path), PageView("sessions", NOW, sessions, **view))
    return reply.body.decode()


def signed_out(page: SessionsPage, **view: Any) -> HttpReply:
    """Give the page for nobody."""
    return page.show(request("GET", page.path), PageView("sessions", NOW, **view))


def test_it_is_a_page_of_the_endpoints() -> None:
    """The HTTP layer knows it by what it can do."""
    assert isinstance(SessionsPage(), Page)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("path", "account"),
        ("path", "/account/"),
        ("path", "/../x"),
        ("path", "/"),
        ("path", None),
        ("sign_in_url", "javascript:alert(1)"),
        ("sign_in_url", "//evil.example"),
        ("sign_in_url", "https:evil"),
        ("sign_in_url", "a b"),
        ("sign_in_url", '"'),
        ("stylesheet", "https://cdn.example;script-src */x.css"),
        ("stylesheet", "data:text/css,*{}"),
        ("texts", {}),
        ("texts", {"en": "English"}),
        ("texts", {"no language": ENGLISH}),
        ("place", "Zürich"),
        ("password_form", "no"),
        ("template", "sessions.html"),
        pytest.param("template", UNSAFE, id="template that does not escape"),
    ],
    ids=str,
)
def test_an_unusable_setting_names_itself(field: str, value: Any) -> None:
    """At once, and not when somebody opens the page."""
    with pytest.raises(ConfigurationError, match=field):
        SessionsPage(**{field: value})


def test_its_one_style_is_let_in_by_its_digest() -> None:
    """What the policy allows is exactly what stands in the page, and nothing else may style it."""
    reply = signed_out(SessionsPage())
    (style,) = re.findall(r"<style>(.*?)</style>", reply.body.decode(), re.DOTALL)
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    (policy,) = values(reply, "Content-Security-Policy")
    assert f"; style-src 'sha256-{digest}';" in policy
    assert not re.search(r'\sstyle="|\son\w+="', reply.body.decode())


@pytest.mark.parametrize(
    ("stylesheet", "source"),
    [("/static/brand.css", "'self'"), ("https://cdn.example.com/a.css", "https://cdn.example.com")],
)
def test_an_applications_stylesheet_is_let_in(stylesheet: str, source: str) -> None:
    """After the page's own, from where it is and from nowhere else."""
    reply = signed_out(SessionsPage(stylesheet=stylesheet))
    (policy,) = values(reply, "Content-Security-Policy")
    assert re.search(rf"style-src 'sha256-\S+' {re.escape(source)};", policy)
    assert f'</style>\n  <link rel="stylesheet" href="{stylesheet}">' in reply.body.decode()


def test_a_place_is_the_applications_word() -> None:
    """It is asked of each device, and what it says is text; nothing is said of its own accord."""

    def place(device: Mapping[str, Any]) -> str | None:
        return device.get("city")

    page = SessionsPage(place=place)
    assert "<p>&lt;Zürich&gt;</p>" in shown(page, session(device={"city": "<Zürich>"}))
    assert shown(page, session()) == shown(SessionsPage(), session())


def test_a_place_that_fails_is_unknown(caplog: pytest.LogCaptureFixture) -> None:
    """The device is shown without it, and the mistake is logged."""

    def place(device: Mapping[str, Any]) -> str:
        raise LookupError(f"no place of {len(device)}")

    assert shown(SessionsPage(place=place), session()) == shown(SessionsPage(), session())
    assert "LookupError: no place of 1" in caplog.text


def test_words_of_ones_own() -> None:
    """A word changed, a language added; right-to-left ones are written so."""
    arabic = replace(ENGLISH, title="أجهزتك")
    page = SessionsPage(texts={"en": replace(ENGLISH, title="Where you are signed in"), "ar": arabic})
    assert "<h1>Where you are signed in</h1>" in shown(page, session())
    asked = request("GET", page.path, ("accept-language", "ar"))
    html = page.show(asked, PageView("sessions", NOW, (session(),))).body.decode()
    assert '<html lang="ar" dir="rtl">' in html
    assert "<h1>أجهزتك</h1>" in html


def test_a_template_of_ones_own() -> None:
    """It extends the page, or takes its place; a word that is not there is an error, not an empty place."""
    loader = DictLoader(
        {"mine.html": '{% extends "sessions.html" %}{% block before %}<nav>Acme</nav>{% endblock %}'}
    )
    page = SessionsPage(template=environment(loader).get_template("mine.html"))
    assert re.search(r"<nav>Acme</nav>\s*<main>", shown(page, session()))
    assert "Acme" in signed_out(page).body.decode()


def test_what_is_no_text_is_still_a_page() -> None:
    """Half a character, which UTF-8 has not, is replaced."""
    assert "a?b" in shown(SessionsPage(), session(device={"name": "a\ud800b"}))


def test_buttons_name_their_device() -> None:
    """Each "Sign out" is labelled with its device, and described by when that was seen."""
    html = shown(SessionsPage(), session(current=True), session(device={"name": "Kitchen"}))
    assert 'aria-labelledby="device-2 device-2-name" aria-describedby="device-2-seen">Sign out<' in html
    assert '<span id="device-2-name">Kitchen</span>' in html
    assert html.count("This device") == 1
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_the_form_is_there_where_it_is_wanted() -> None:
    """A login check and `password_form`; the link to another page is beside it, or instead."""
    both = signed_out(SessionsPage(sign_in_url="/in"), asks_password=True).body.decode()
    assert 'type="password"' in both
    assert '<a class="button plain" href="/in">Sign in another way</a>' in both
    page = SessionsPage(sign_in_url="/in", password_form=False)
    for html in (signed_out(page, asks_password=True), signed_out(page)):
        assert b'type="password"' not in html.body
        assert b'<a class="button" href="/in">Sign in</a>' in html.body


def test_what_was_done_is_said_first() -> None:
    """In the title too, which a screen reader reads when the page has come."""
    html = shown(SessionsPage(), session(), done="one")
    assert "<title>That device is signed out. - Your devices</title>" in html
    assert '<p class="message good" role="status">That device is signed out.</p>' in html
