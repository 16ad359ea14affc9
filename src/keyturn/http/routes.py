"""Which endpoint answers which path and method. It knows no endpoint's content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.http import account, browser, devices, signing_in, signing_out
from keyturn.http.bodies import check_size
from keyturn.http.given import check_page
from keyturn.http.messages import HttpReply, HttpRequest
from keyturn.http.origins import cors_headers, preflight_reply
from keyturn.http.page import Page
from keyturn.http.places import JWKS_PATH, Places, is_below
from keyturn.http.replies import method_not_allowed, not_found, refuse
from keyturn.http.settings import HttpSettings
from keyturn.http.site import Answer, Site

Endpoint: TypeAlias = Callable[[Site, HttpRequest], Answer]

_ENDPOINTS: Final[Mapping[str, Mapping[str, Endpoint]]] = {
    "/login": {"POST": signing_in.login},
    "/step-up": {"POST": signing_in.step_up},
    "/refresh": {"POST": signing_in.refresh},
    "/logout": {"POST": signing_out.logout},
    "/logout-all": {"POST": signing_out.logout_all},
    "/sessions": {"GET": account.sessions},
    "/me": {"GET": account.me},
    browser.CLIENT_PATH: {"GET": browser.client},
}
_SESSION: Final = "/sessions/"
_LOGINS: Final = ("/login", "/step-up")  # which the application's login check answers


def is_endpoint(places: Places, path: str) -> bool:
    """Tell whether a path is an endpoint's, and can be read in no other way."""
    return path in {JWKS_PATH, places.page, places.home} or bool(_below(places.prefix, path))


def places_of(settings: HttpSettings, page: Page | None) -> Places:
    """Say where the endpoints are, and where a page that is none of theirs.

    An application that is mounted below another path has a longer `cookie_path`, which still ends with the
    prefix: so what is below the prefix is reached by the cookie, wherever that is.

    Raises:
        ConfigurationError: It is no page, or would hide an endpoint.
    """
    check_page(page)
    if page is None:
        return Places(settings.prefix)
    reached = any(is_below(page.path, base) for base in (settings.prefix, settings.cookie_path))
    home = page.path if reached else settings.prefix + page.path
    for path in (page.path, home):
        if path == JWKS_PATH or _below(settings.prefix, path):
            raise ConfigurationError(f"sessions_page: its path would hide the endpoint at {path}")
    return Places(settings.prefix, page.path, home)


def begin(site: Site, request: HttpRequest) -> Answer:
    """Take the first step of a request; what is wrong with it is an answer too."""
    try:
        methods = _methods(site, request.path)
        if not methods:
            raise not_found()
        allow = ", ".join((*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"))
        if request.method == "OPTIONS":
            return preflight_reply(request, site.settings, allow)
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            raise method_not_allowed(allow)
        check_size(request)
        return endpoint(site, request)
    except KeyturnError as error:
        return refuse(error)


def begin_step_up(site: Site, request: HttpRequest) -> Answer:
    """Take the first step of a step-up that the application has checked itself."""
    try:
        return signing_in.stepped_up(site, request)
    except KeyturnError as error:
        return refuse(error)


def finish(site: Site, request: HttpRequest, reply: HttpReply) -> HttpReply:
    """Let an allowed origin's page read the answer."""
    return HttpReply(reply.status, (*reply.headers, *cors_headers(request, site.settings)), reply.body)


def _methods(site: Site, path: str) -> Mapping[str, Endpoint]:
    places, page = site.places, site.page
    if path == JWKS_PATH:
        return {"GET": account.jwks}
    if page is not None and path == places.home:
        return {"GET": partial(devices.show, page=page), "POST": partial(devices.act, page=page)}
    if places.home is not None and path == places.page:
        return {"GET": partial(devices.lead_home, home=places.home)}
    is_login = path in {f"{places.prefix}{login}" for login in _LOGINS}
    return {} if is_login and not site.has_login else _below(places.prefix, path)


def _below(prefix: str, path: str) -> Mapping[str, Endpoint]:
    """Give the methods of an endpoint below the prefix."""
    if not path.startswith(f"{prefix}/"):
        return {}
    below = path.removeprefix(prefix)
    session_id = below.removeprefix(_SESSION)
    if below.startswith(_SESSION) and session_id not in {"", ".", ".."} and "/" not in session_id:
        return {"DELETE": partial(account.end_session, session_id=session_id)}
    return _ENDPOINTS.get(below, {})
