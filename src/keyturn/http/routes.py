"""Which endpoint answers which path and method. It knows no endpoint's content."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeAlias

from keyturn.errors import KeyturnError
from keyturn.http import account, signing_in, signing_out
from keyturn.http.bodies import check_size
from keyturn.http.messages import HttpReply, HttpRequest
from keyturn.http.origins import cors_headers, preflight_reply
from keyturn.http.replies import method_not_allowed, not_found, refuse
from keyturn.http.site import Answer, Site

JWKS_PATH: Final = "/.well-known/jwks.json"
"""Where the public keys are, below where the application is mounted."""

Endpoint: TypeAlias = Callable[[Site, HttpRequest], Answer]

_ENDPOINTS: Final[Mapping[str, Mapping[str, Endpoint]]] = {
    "/login": {"POST": signing_in.login},
    "/step-up": {"POST": signing_in.step_up},
    "/refresh": {"POST": signing_in.refresh},
    "/logout": {"POST": signing_out.logout},
    "/logout-all": {"POST": signing_out.logout_all},
    "/sessions": {"GET": account.sessions},
    "/me": {"GET": account.me},
}
_SESSION: Final = "/sessions/"
_LOGINS: Final = ("/login", "/step-up")  # which the application's login check answers


def is_endpoint(prefix: str, path: str) -> bool:
    """Tell whether a path is an endpoint's, and can be read in no other way."""
    return path == JWKS_PATH or (path.startswith(f"{prefix}/") and bool(_below(path.removeprefix(prefix))))


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
    prefix = site.settings.prefix
    if path == JWKS_PATH:
        return {"GET": account.jwks}
    if not path.startswith(f"{prefix}/"):
        return {}
    below = path.removeprefix(prefix)
    return {} if below in _LOGINS and not site.has_login else _below(below)


def _below(path: str) -> Mapping[str, Endpoint]:
    """Give the methods of an endpoint by its path below the prefix."""
    session_id = path.removeprefix(_SESSION)
    if path.startswith(_SESSION) and session_id not in {"", ".", ".."} and "/" not in session_id:
        return {"DELETE": partial(account.end_session, session_id=session_id)}
    return _ENDPOINTS.get(path, {})
