"""Reading and writing the refresh cookie (RFC 6265bis, sections 4.1, 4.2 and 5.6). It knows no token."""

from __future__ import annotations

import re
from typing import Final

from keyturn.errors import ConfigurationError
from keyturn.http.messages import HttpRequest
from keyturn.http.replies import invalid_request
from keyturn.http.settings import HttpSettings

MAX_PAIR: Final = 4096  # name and value together (RFC 6265bis, section 5.6)
_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")  # cookie-octet (section 4.1.1)


def read_cookie(request: HttpRequest, settings: HttpSettings) -> str | None:
    """Give the refresh cookie's value, exactly as sent; None where there is none.

    Raises:
        Refusal: There are several, so that it is not known which is meant. Some servers join several headers
            with a comma, so that a name after a comma counts too, but never as a value.
    """
    name = settings.cookie
    lines = request.values("cookie")
    named = re.compile(rf"(?:^|[;,])[ \t]*{re.escape(name)}[ \t]*(?=[=;,]|$)")
    if sum(len(named.findall(line)) for line in lines) > 1:
        raise invalid_request("The refresh cookie was sent more than once.")
    for line in lines:
        for part in line.split(";"):
            key, equals, value = part.partition("=")
            if equals and key.strip(" \t") == name:
                return value.strip(" \t")
    return None


def set_cookie(settings: HttpSettings, value: str, max_age: int) -> tuple[str, str]:
    """Write the header that stores the refresh cookie.

    Args:
        settings: Its name and attributes.
        value: The refresh token.
        max_age: Seconds until the browser forgets it.

    Raises:
        ConfigurationError: Browsers would not store it.
    """
    name = settings.cookie
    if not _VALUE.fullmatch(value) or len(name) + len(value) > MAX_PAIR:
        raise ConfigurationError("the refresh token does not fit into a cookie")
    attributes = [f"{name}={value}", f"Max-Age={max_age}", f"Path={settings.cookie_path}"]
    if settings.cookie_domain is not None:
        attributes.append(f"Domain={settings.cookie_domain}")
    attributes.append("HttpOnly")
    if settings.cookie_secure:
        attributes.append("Secure")
    attributes.append(f"SameSite={settings.cookie_samesite}")
    if settings.cookie_partitioned:
        attributes.append("Partitioned")
    return ("Set-Cookie", "; ".join(attributes))


def clear_cookie(settings: HttpSettings) -> tuple[str, str]:
    """Write the header that removes the refresh cookie: the same attributes, so that it hits the same one."""
    return set_cookie(settings, "", 0)
