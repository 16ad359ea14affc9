"""From which pages a request may come: the defence against CSRF, and CORS. It knows no token.

Rule 1: SameSite is not the defence; browsers' own words are (`Sec-Fetch-Site`, `Origin`).
Rule 2: an origin is allowed by exact equality, or not at all; never "null", never "*".
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from keyturn.http.messages import Headers, HttpReply, HttpRequest
from keyturn.http.replies import csrf_failed
from keyturn.http.settings import HttpSettings, serialize_origin

CORS_HEADERS: Final = ("origin", "access-control-request-method")
"""All that `is_preflight`, `preflight_reply` and `cors_headers` look at."""

CUSTOM_HEADER: Final = "x-keyturn"
REFRESHED_HEADER: Final = "Authorization-Refreshed"
_PREFLIGHT_MAX_AGE: Final = 600  # seconds
_EXPOSED: Final = f"{REFRESHED_HEADER}, Retry-After, WWW-Authenticate"


def check_origin(request: HttpRequest, settings: HttpSettings, *, simple: bool = False) -> None:
    """Let pass what our own pages, allowed pages or programs without cookies sent.

    Args:
        request: The request.
        settings: Which origins are allowed.
        simple: Whether any page could send such a request without being asked first, as a form; then programs
            must say by the custom header that they are none.

    Raises:
        Refusal: Another site's page may have caused the request.
    """
    if not _is_ours(request, settings, simple=simple):
        raise csrf_failed()


def check_navigation(request: HttpRequest) -> None:
    """Let pass what a person opens, and what our own pages fetch: a `GET` that acts for who sent the cookie.

    A link on another site's page may lead here; an image or a frame there may not, and nor may its script.

    Raises:
        Refusal: Another site's page embeds or fetches this.
    """
    site = request.header("sec-fetch-site")
    opened = (request.header("sec-fetch-mode"), request.header("sec-fetch-dest")) == ("navigate", "document")
    if site in {"cross-site", "same-site"} and not opened:
        raise csrf_failed()


def _is_ours(request: HttpRequest, settings: HttpSettings, *, simple: bool) -> bool:
    origins, sites = request.values("origin"), request.values("sec-fetch-site")
    match origins, sites:
        case [], []:  # no browser of today; a page cannot set the custom header without being asked first
            return request.header(CUSTOM_HEADER) == "1" or not (simple or request.values("cookie"))
        case [], [site]:
            return site == "same-origin"
        case [origin], _ if origin in settings.allowed_origins:
            return True
        case [origin], [site]:
            # A browser that says so has compared the true origins, which a proxy may have hidden from us.
            return site == "same-origin" and serialize_origin(origin) is not None
        case [origin], []:
            return _is_own_origin(origin, request, settings)
        case _:  # said twice
            return False


def _is_own_origin(origin: str, request: HttpRequest, settings: HttpSettings) -> bool:
    host = request.header("host")
    scheme, separator, _ = origin.partition("://")
    if not host or not separator or serialize_origin(f"{scheme}://{host}") != origin:
        return False
    return scheme == "https" or not settings.cookie_secure or _is_loopback(origin)


def _is_loopback(origin: str) -> bool:
    host = urlsplit(origin).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_preflight(request: HttpRequest) -> bool:
    """Tell whether a browser asks if it may send something (Fetch, section 4.8)."""
    return (
        request.method == "OPTIONS"
        and request.header("origin") is not None
        and request.header("access-control-request-method") is not None
    )


def preflight_reply(request: HttpRequest, settings: HttpSettings, allow: str) -> HttpReply:
    """Answer `OPTIONS`: what is allowed here, and to an allowed origin's page also from where.

    Args:
        request: The request.
        settings: Which origins are allowed.
        allow: The methods.
    """
    headers: Headers = (("Allow", allow),)
    if is_preflight(request) and _is_allowed(request, settings):
        asked = ("Authorization", "Content-Type", "X-Keyturn", settings.access_header)
        headers += (
            ("Access-Control-Allow-Methods", allow),
            ("Access-Control-Allow-Headers", ", ".join(dict.fromkeys(asked))),
            ("Access-Control-Max-Age", str(_PREFLIGHT_MAX_AGE)),
        )
    return HttpReply(204, headers)


def cors_headers(request: HttpRequest, settings: HttpSettings) -> Headers:
    """Give the headers by which an allowed origin's page may read the answer."""
    if not settings.allowed_origins:
        return ()
    if not _is_allowed(request, settings):
        return (("Vary", "Origin"),)
    return (
        ("Vary", "Origin"),
        ("Access-Control-Allow-Origin", request.values("origin")[0]),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", _EXPOSED),
    )


def _is_allowed(request: HttpRequest, settings: HttpSettings) -> bool:
    return request.header("origin") in settings.allowed_origins
