"""The endpoints that give tokens: login and refresh. They know no framework and no user table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyturn.errors import (
    ConfigurationError,
    InvalidProof,
    KeyturnError,
    RefreshConflict,
    RefreshError,
)
from keyturn.http.bodies import (
    MAX_PASSWORD,
    MAX_REFRESH_TOKEN,
    MAX_USERNAME,
    read_fields,
    read_text,
)
from keyturn.http.calls import Accepted, SignIn, call
from keyturn.http.cookies import read_cookie
from keyturn.http.messages import HttpReply, HttpRequest
from keyturn.http.origins import check_origin
from keyturn.http.replies import invalid_credentials, invalid_request, no_credentials, refuse, slow_down
from keyturn.http.site import Answer, Site, Transport, cleared, tokens_reply
from keyturn.results import TokenPair


def login(site: Site, request: HttpRequest) -> Answer:
    """`POST /auth/login`: what it is given is bounded before anybody hashes it."""
    check_origin(request, site.settings)
    fields = read_fields(request, frozenset({"username", "password", "transport"}))
    username = read_text(fields, "username", MAX_USERNAME)
    password = read_text(fields, "password", MAX_PASSWORD)
    transport = _transport(fields)
    wait = site.throttle.take(request, username) if site.throttle else None
    if wait is not None:
        raise slow_down(wait)

    def go_on(accepted: Accepted) -> Answer:
        match accepted:
            case None:
                raise invalid_credentials()
            case SignIn():
                return sign_in(site, request, accepted, transport)
            case str():
                return sign_in(site, request, SignIn(accepted), transport)
            case _:  # whatever it is, it must not be taken for somebody's id
                raise ConfigurationError("login must give a user id (a str), a SignIn, or None")

    return call(lambda backend: backend.login(username, password), go_on, refuse)


def sign_in(site: Site, request: HttpRequest, who: SignIn, transport: Transport) -> Answer:
    """Begin a session for a user whom the application has accepted."""
    context = site.settings.context_from(request)
    device = site.settings.device_from(request) if who.device is None else who.device

    def begun(pair: TokenPair) -> Answer:
        holds = who.holds
        if holds is None:
            return tokens_reply(site, pair, transport)
        return call(lambda _: holds(), lambda still: confirmed(pair, still=bool(still)), refuse)

    def confirmed(pair: TokenPair, *, still: bool) -> Answer:
        if still:
            return tokens_reply(site, pair, transport)
        return call(
            lambda backend: backend.manager.revoke(pair.session_id),
            lambda _: refuse(invalid_credentials()),
            refuse,
        )

    return call(
        lambda backend: backend.manager.issue(who.user_id, claims=who.claims, device=device, context=context),
        begun,
        refuse,
    )


def refresh(site: Site, request: HttpRequest) -> Answer:
    """`POST /auth/refresh`: a refused token's cookie goes; not so for an outage or a race."""
    token, transport = read_refresh_token(site, request)
    if token is None:
        raise no_credentials()
    context = site.settings.context_from(request)

    def refused(error: KeyturnError) -> HttpReply:
        over = isinstance(error, RefreshError) and not isinstance(error, InvalidProof | RefreshConflict)
        return refuse(error, *cleared(site, when=over and transport == "cookie"))

    return call(
        lambda backend: backend.manager.refresh(token, context=context),
        lambda pair: tokens_reply(site, pair, transport),
        refused,
    )


def read_refresh_token(site: Site, request: HttpRequest) -> tuple[str | None, Transport]:
    """Find the refresh token; where it is in a cookie, only a page of ours may have sent it.

    Raises:
        Refusal: It is ambiguous, malformed, or another site's page may have sent it.
    """
    cookie = read_cookie(request, site.settings)
    if cookie is not None:
        check_origin(request, site.settings)
    fields = read_fields(request, frozenset({"refresh_token"}))
    if "refresh_token" not in fields:
        return cookie, "cookie"
    if cookie is not None:
        raise invalid_request("The refresh token was sent both in the cookie and in the body.")
    return read_text(fields, "refresh_token", MAX_REFRESH_TOKEN), "body"


def _transport(fields: Mapping[str, Any]) -> Transport:
    match fields.get("transport", "cookie"):
        case "cookie":
            return "cookie"
        case "body":
            return "body"
        case _:
            raise invalid_request('transport must be "cookie" or "body".')
