"""What all endpoints of one application share, and what they all do. It knows no route."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from keyturn.errors import AccessTokenError, InvalidToken, KeyturnError
from keyturn.http.calls import Call, Step, call
from keyturn.http.cookies import clear_cookie, read_cookie, set_cookie
from keyturn.http.credentials import read_bearer
from keyturn.http.messages import Headers, HttpReply, HttpRequest
from keyturn.http.page import Page
from keyturn.http.places import Places
from keyturn.http.replies import invalid_request, json_reply, no_credentials, refuse, token_body
from keyturn.http.settings import HttpSettings
from keyturn.manager_base import ManagerBase
from keyturn.policy import RevocationCheck
from keyturn.results import Principal, TokenPair

AnswerT = TypeVar("AnswerT")

Answer: TypeAlias = Step[HttpReply]

Transport: TypeAlias = Literal["cookie", "body"]
"""How a refresh token travels; never both ways."""


class LoginThrottle(Protocol):
    """Says how long a sign-in must wait. It must not block."""

    def take(self, request: HttpRequest, username: str, /) -> float | None:
        """Count an attempt, and give the seconds to wait, or None to go on."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """What the endpoints work with.

    Attributes:
        manager: Of either colour; the rules use only what needs no I/O.
        settings: How tokens travel.
        has_login: Whether there is a login check.
        throttle: Slows sign-ins down; None: nothing does.
        places: Where the endpoints are.
        page: The page of a user's sessions; None: there is none.
    """

    manager: ManagerBase[Any]
    settings: HttpSettings
    has_login: bool
    throttle: LoginThrottle | None
    places: Places
    page: Page | None = None


def tokens_reply(site: Site, pair: TokenPair, transport: Transport) -> HttpReply:
    """Answer tokens."""
    body = token_body(pair, with_refresh_token=transport == "body")
    return json_reply(body, *kept(site, pair, transport))


def kept(site: Site, pair: TokenPair, transport: Transport) -> Headers:
    """Give the header that stores the refresh token, where it travels in a cookie.

    A cookie that the client has just sent is not set again (ROTATION, case 8b): a late answer could otherwise
    overwrite a newer one. Where nothing ever rotates there is no newer one, and the cookie must live on.
    """
    if transport == "body" or (site.manager.policy.rotation and not pair.rotated):
        return ()
    return (set_cookie(site.settings, pair.refresh_token, pair.refresh_expires_in),)


def cleared(site: Site, *, when: bool) -> Headers:
    """Give the header that removes the refresh cookie, where it is to go."""
    return (clear_cookie(site.settings),) if when else ()


def session_of(site: Site, token: str) -> str | None:
    """Give the session that a refresh token names, or None where it is none of ours."""
    try:
        return site.manager.verify_refresh(token).session_id
    except InvalidToken:
        return None


def check_cookie_agrees(site: Site, request: HttpRequest, principal: Principal[Any]) -> None:
    """Let pass where the refresh cookie, if one came along, is of the access token's session.

    Raises:
        Refusal: It is another session's, or came twice: it is not known which session is meant.
    """
    cookie = read_cookie(request, site.settings)
    session_id = None if cookie is None else session_of(site, cookie)
    if session_id is not None and session_id != principal.session_id:
        raise invalid_request("The tokens name different sessions.")


def authenticated(
    site: Site,
    request: HttpRequest,
    go_on: Callable[[Principal[Any]], Answer],
    revocation: RevocationCheck | None = None,
) -> Answer:
    """Ask who the request's access token speaks for, then go on.

    Args:
        site: What the endpoints work with.
        request: The request.
        go_on: What follows.
        revocation: How the token is checked for revocation; None: as the policy says.

    Raises:
        Refusal: The request carries none, or several.
    """
    token = read_bearer(request, site.settings)
    if token is None:
        raise no_credentials()
    return authenticate(token, go_on, refuse, revocation)


def authenticate(
    token: str,
    go_on: Callable[[Principal[Any]], Step[AnswerT]],
    failed: Callable[[KeyturnError], Step[AnswerT]],
    revocation: RevocationCheck | None = None,
) -> Call[AnswerT]:
    """Ask who an access token speaks for, then go on."""
    return call(
        lambda backend: backend.manager.authenticate(token, revocation=revocation),
        lambda principal: go_on(bearer_only(principal)),
        failed,
    )


def bearer_only(principal: Principal[Any]) -> Principal[Any]:
    """Refuse a token that is bound to a key: it is no bearer token (RFC 9449, section 7.1).

    Raises:
        AccessTokenError: It is bound.
    """
    if principal.jkt is not None:
        raise AccessTokenError(detail="bound")
    return principal
