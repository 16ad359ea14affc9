"""A device's name for people, from its user agent. It knows no session."""

from __future__ import annotations

from typing import Any, Final

from ua_parser import parse

from keyturn.http import HttpRequest, clients

_UNKNOWN: Final = "Other"


def device_from(request: HttpRequest) -> dict[str, Any]:
    """Describe the client of a sign-in: its user agent, and a name where that tells one.

    Examples:
        >>> firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
        >>> device_from(HttpRequest("POST", "/", (("user-agent", firefox),)))["name"]
        'Firefox on Linux'
    """
    device = clients.device_from(request)
    return {"name": _name(device["user_agent"]), **device}


def _name(user_agent: str) -> str:
    """Name browser and system; anything else by its product (RFC 9110, section 10.1.5)."""
    result = parse(user_agent)
    browser = result.user_agent.family if result.user_agent else _UNKNOWN
    system = result.os.family if result.os else _UNKNOWN
    if browser != _UNKNOWN:
        return browser if system == _UNKNOWN else f"{browser} on {system}"
    return user_agent.partition("/")[0].partition(" ")[0][:64] or "An unnamed client"
