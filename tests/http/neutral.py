"""The endpoints without a framework: made, and asked with plain requests. It knows no test."""

from __future__ import annotations

import json
from typing import Any

from keyturn.http import Endpoints, HttpReply, HttpRequest, HttpSettings
from keyturn.testing.http_suite import Throttle, World, check_password

PASSWORD = "correct horse battery staple"


def endpoints(world: World, **options: Any) -> Endpoints:
    """Make endpoints over a world's manager."""
    options = {"login": check_password, "settings": world.settings, "throttle": Throttle(), **options}
    return Endpoints(world.manager(), **options)


def request(
    method: str, path: str, *headers: tuple[str, str], body: object = None, client: str | None = "192.0.2.7"
) -> HttpRequest:
    """Make a request as a program without cookies sends it."""
    content = b"" if body is None else json.dumps(body).encode()
    typed = (("content-type", "application/json"),) if content else ()
    return HttpRequest(method, path, (*headers, *typed), content, client)


def login(username: str = "ann", **fields: Any) -> HttpRequest:
    """Make a sign-in."""
    return request(
        "POST",
        "/auth/login",
        body={"username": username, "password": PASSWORD, "transport": "body", **fields},
    )


def body_of(reply: HttpReply) -> dict[str, Any]:
    """Read a reply's JSON."""
    found: dict[str, Any] = json.loads(reply.body)
    return found


def values(reply: HttpReply, name: str) -> list[str]:
    """Give all values of a reply's header."""
    return [value for each, value in reply.headers if each.lower() == name.lower()]


INSECURE = HttpSettings(cookie_secure=False)
