"""Devices in words: what a user agent tells, and what it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from keyturn.pages.devices import given_name, recognise, user_agent_of

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "iPhone; CPU iPhone OS 18_5 like Mac OS X"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
NAMED = {
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": ("Firefox on Linux", "desktop"),
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BLINK} Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0": (
        "Edge on Windows",
        "desktop",
    ),
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.5 Safari/605.1.15": (
        "Safari on macOS",
        "desktop",
    ),
    f"Mozilla/5.0 ({IPHONE}) {WEBKIT} Version/18.5 Mobile/15E148 Safari/604.1": (
        "Safari on iPhone",
        "phone",
    ),
    f"Mozilla/5.0 ({IPHONE}) {WEBKIT} FxiOS/140.0 Mobile/15E148 Safari/605.1.15": (
        "Firefox on iPhone",
        "phone",
    ),
    f"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) {WEBKIT} Version/17.5 Mobile/15E148 Safari/604.1": (
        "Safari on iPad",
        "tablet",
    ),
    f"Mozilla/5.0 (Linux; Android 10; K) {BLINK} Chrome/139.0.0.0 Mobile Safari/537.36": (
        "Chrome on Android",
        "phone",
    ),
    f"Mozilla/5.0 (Linux; Android 14; SM-X910) {BLINK} Chrome/139.0.0.0 Safari/537.36": (
        "Chrome on Android",
        "tablet",
    ),
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Chrome/139.0.0.0 Safari/537.36": (
        "Chrome on Chrome OS",
        "desktop",
    ),
    "curl/8.5.0": ("curl", "program"),
    "python-httpx/0.28.1": ("python-httpx", "program"),
    "Acme App/3.2 (build 7)": ("Acme", "program"),
    "<b>/1": ("<b>", "program"),
    "": ("An unnamed client", "program"),
    "x" * 5000: ("x" * 64, "program"),
}


@pytest.mark.parametrize(("user_agent", "expected"), NAMED.items(), ids=str)
def test_a_device_in_words(user_agent: str, expected: tuple[str, str]) -> None:
    """The browser and what it runs on, as people call them; a program by its product; and its kind."""
    found = recognise(user_agent)
    assert (found.name(), found.kind) == expected


def test_reading_a_user_agent_is_bounded() -> None:
    """What a client says of itself is read as far as real ones need: the time grows with its length."""
    linux = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 "
    assert recognise(f"{linux}{' ' * 150}Firefox/140.0").browser == "Firefox"
    assert recognise(f"{linux}{' ' * 200}Firefox/140.0").browser == "Mozilla"


def test_words_are_a_languages() -> None:
    """How a browser runs on a system, and that nothing is known, each language says in its way."""
    firefox = recognise(next(iter(NAMED)))
    assert firefox.name("{system}: {browser}", "?") == "Linux: Firefox"
    assert recognise("").name("{system}: {browser}", "?") == "?"


def own_name(device: Mapping[str, Any]) -> str | None:
    """Give the name that an application has given a device."""
    return given_name(device, recognise(user_agent_of(device)))


def test_an_applications_own_name_counts_more() -> None:
    """But what was only made of the user agent at sign-in is no own name, and neither is what is no text."""
    user_agent = next(iter(NAMED))
    assert own_name({"name": "Kitchen tablet", "user_agent": user_agent}) == "Kitchen tablet"
    assert own_name({"name": "x" * 500}) == "x" * 128
    for device in (
        {},
        {"user_agent": user_agent},
        {"name": "Firefox on Linux", "user_agent": user_agent},
        {"name": ""},
        {"name": ["a"], "user_agent": 7},
    ):
        assert own_name(device) is None
