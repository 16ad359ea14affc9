"""Languages: which one a reader gets, how it writes a moment, and that no text is missing."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from keyturn import ConfigurationError
from keyturn.pages import ENGLISH, GERMAN, TEXTS, Texts
from keyturn.pages.languages import choose, locale_of, moment

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("de", "de"),
        ("de-CH-1996, en;q=0.9", "de"),
        ("fr, de;q=0.5, en;q=0.8", "en"),
        ("en;q=0, de;q=0.1", "de"),
        ("pt-BR;q=0.9, pt;q=0.8, de;q=0.7", "pt-BR"),
        ("DE", "de"),
        ("De-at", "de"),
        ("EN-us", "en"),
        ("pt-br", "pt-BR"),
        ("*", "en"),
        ("de;q=nan", "en"),
        ("de;q=2", "en"),
        (";;,,=q", "en"),
        ("fr," * 10_000 + "de", "en"),
    ],
)
def test_a_reader_gets_the_language_asked_for(accepted: str | None, language: str) -> None:
    """The most wanted that is there; the first one where none is. Nothing that is sent takes long."""
    assert choose(accepted, ("en", "de", "pt-BR")) == language


def test_a_language_is_found_in_its_country() -> None:
    """Where only one country's variety is there, it serves the language: babel spells it in its own way."""
    assert choose("de", ("en", "de-DE")) == "de-DE"
    assert choose("DE", ("en", "DE-de")) == "DE-de"


def test_a_moment_is_written_as_its_language_does() -> None:
    """Seen from now and by the calendar, in the time zone asked for; for programs always in UTC."""
    german = moment(NOW - 7200, NOW, locale_of("de"), ZoneInfo("Europe/Berlin"))
    assert (german.relative, german.absolute) == ("vor 2 Stunden", "15.01.2027, 07:00 MEZ")
    english = moment(NOW - 86_400 * 3, NOW, locale_of("en"), UTC)
    assert (english.relative, english.iso) == ("3 days ago", "2027-01-12T08:00:00Z")
    assert english.absolute.replace("\u202f", " ") == "Jan 12, 2027, 8:00 AM UTC"
    assert german.iso == "2027-01-15T06:00:00Z"


def test_what_is_still_to_come_was_just_now() -> None:
    """Clocks differ: nobody is told that a device will have been seen."""
    assert moment(NOW + 30, NOW, locale_of("en"), UTC).relative == "1 minute ago"


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_every_text_is_there(texts: Texts) -> None:
    """Each language has all texts in its own words."""
    assert all(getattr(texts, field.name) for field in fields(texts))
    same = {f.name for f in fields(texts) if getattr(texts, f.name) == getattr(ENGLISH, f.name)}
    assert texts is ENGLISH or same == set()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": ""}, "title must be a text"),
        ({"sign_out": None}, "sign_out must be a text"),
        ({"last_seen": "Seen"}, "last_seen must have {when}"),
        ({"device": "{browser}"}, "device must have {browser}, {system}"),
        ({"title": "{0}"}, "title must have no braces"),
        ({"title": "a { brace"}, "title must have no braces"),
        ({"signed_in": "{when.__class__}"}, "signed_in must have {when}"),
    ],
    ids=str,
)
def test_a_text_that_could_not_be_shown_is_refused(change: dict[str, Any], message: str) -> None:
    """When it is made, by its name, and not on somebody's screen."""
    with pytest.raises(ConfigurationError, match=message):
        replace(GERMAN, **change)
