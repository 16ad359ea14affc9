"""A device in words, and of which kind it is, from its user agent. It knows no session and no language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from ua_parser import parse

from keyturn.http import HttpRequest, clients

Kind: TypeAlias = Literal["desktop", "phone", "tablet", "program"]

ON: Final = "{browser} on {system}"
UNNAMED: Final = "An unnamed client"

_MAX_READ: Final = 256  # real browsers have told it all by then; reading takes time in proportion
_MAX_NAME: Final = 128
_MAX_PRODUCT: Final = 64
_APPLES: Final = frozenset({"iPhone", "iPad", "iPod"})  # which people call by these names, not by "iOS"
_PLAIN: Final = {"Mac OS X": "macOS", "HeadlessChrome": "Chrome"}
_ON_A_PHONE: Final = re.compile(r"^Mobile | Mobile| iOS| WebView| UI/WKWebView")  # the system says it already


@dataclass(frozen=True, slots=True)
class Device:
    """What a user agent tells.

    Attributes:
        browser: The browser or, where it is none, the program (RFC 9110, section 10.1.5); may be empty.
        system: What it runs on; None where that is unknown.
        kind: What it looks like.
    """

    browser: str
    system: str | None
    kind: Kind

    def name(self, on: str = ON, unnamed: str = UNNAMED) -> str:
        """Name it.

        Args:
            on: How a language says that a browser runs on a system.
            unnamed: How it says that nothing is known.
        """
        if self.system is None:
            return self.browser or unnamed
        return on.format(browser=self.browser, system=self.system)


def device_from(request: HttpRequest) -> dict[str, Any]:
    """Describe the client of a sign-in: its user agent, and a name where that tells one.

    Examples:
        >>> firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        >>> device_from(HttpRequest("POST", "/", (("user-agent", firefox),)))["name"]
        'Firefox on Linux'
    """
    device = clients.device_from(request)
    return {"name": recognise(device["user_agent"]).name(), **device}


def recognise(user_agent: str) -> Device:
    """Say what a user agent tells.

    Examples:
        >>> recognise("curl/8.5.0")
        Device(browser='curl', system=None, kind='program')
    """
    bounded = user_agent[:_MAX_READ]
    found = parse(bounded)
    model = found.device.family if found.device else ""
    browser = found.user_agent.family if found.user_agent else None
    if browser is None or found.os is None:
        product = browser or bounded.partition("/")[0].partition(" ")[0]
        return Device(product[:_MAX_PRODUCT], None, "program")
    system = model if model in _APPLES else found.os.family
    plain = _ON_A_PHONE.sub("", browser)
    return Device(_PLAIN.get(plain, plain), _PLAIN.get(system, system), _kind(bounded, system))


def given_name(device: Mapping[str, Any], recognised: Device) -> str | None:
    """Give the name that the application has given a device; None where it is only what its user agent tells.

    That one can be told in every language.

    Args:
        device: What the application knows of it.
        recognised: What its user agent tells.
    """
    name = device.get("name")
    if not isinstance(name, str) or not name or name == recognised.name():
        return None
    return name[:_MAX_NAME]


def user_agent_of(device: Mapping[str, Any]) -> str:
    """Give the user agent of what an application knows of a device; empty where it knows none."""
    found = device.get("user_agent")
    return found if isinstance(found, str) else ""


def _kind(user_agent: str, system: str) -> Kind:
    if system == "iPad" or (system == "Android" and "Mobile" not in user_agent):
        return "tablet"
    return "phone" if system in {"iPhone", "iPod", "Android", "KaiOS"} else "desktop"
