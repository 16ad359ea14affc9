"""The endpoints that give tokens: login, step-up and refresh. They know no framework and no user table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from keyturn.errors import (
    ConfigurationError,
    InvalidInput,
    InvalidProof,
    KeyturnError,
    RefreshConflict,
    RefreshError,
)
from keyturn.http.bodies import (
    MAX_PASSWORD,
    MAX_REFRESH_TOKEN,
    MAX_USERNAME,
    is_form,
    read_fields,
    read_form,
    read_text,
)
from keyturn.http.calls import Accepted, SignIn, call
from keyturn.http.cookies import read_cookie
from keyturn.http.credentials import read_bearer
from keyturn.http.messages import Headers, HttpReply, HttpRequest
from keyturn.http.origins import check_origin
from keyturn.http.replies import (
    access_body,
    invalid_credentials,
    invalid_request,
    json_reply,
    no_credentials,
    refuse,
    slow_down,
)
from keyturn.http.site import (
    Answer,
    Site,
    Transport,
    authenticated,
    check_cookie_agrees,
    cleared,
    tokens_reply,
)
from keyturn.results import AccessToken, Principal, TokenPair

_CREDENTIALS: Final = frozenset({"username", "password"})
_GRANT: Final = frozenset({"grant_type", "scope", "client_id", "client_secret"})


def login(site: Site, request: HttpRequest) -> Answer:
    """`POST /auth/login`: what it is given is bounded before anybody hashes it."""
    form = is_form(request)
    check_origin(request, site.settings, simple=form)
    fields = _grant(request) if form else read_fields(request, _CREDENTIALS | {"transport"})
    transport = _transport(fields)
    return checked(site, request, fields, lambda who: sign_in(site, request, who, transport))


def step_up(site: Site, request: HttpRequest) -> Answer:
    """`POST /auth/step-up`: the user of an access token signs in again within the same session (RFC 9470)."""
    fields = read_fields(request, _CREDENTIALS)

    def go_on(principal: Principal[Any]) -> Answer:
        check_cookie_agrees(site, request, principal)

        def accepted(who: SignIn) -> Answer:
            if who.user_id != principal.user_id:
                raise invalid_credentials()
            return _step_up(site, request, principal, who.holds)

        return checked(site, request, fields, accepted)

    return authenticated(site, request, go_on, "strict")


def stepped_up(site: Site, request: HttpRequest) -> Answer:
    """Answer an access token whose user has just signed in again, as the application has checked."""
    return authenticated(site, request, lambda principal: _step_up(site, request, principal))


def _step_up(
    site: Site, request: HttpRequest, principal: Principal[Any], holds: Callable[[], Any] | None = None
) -> Answer:
    token = read_bearer(request, site.settings)
    if token is None:
        raise no_credentials()

    def stepped(fresh: AccessToken) -> Answer:
        reply = json_reply(access_body(fresh, principal.session_id))
        still_holds = holds
        if still_holds is None:
            return reply
        return call(
            lambda _: still_holds(), lambda still: reply if still else refuse(invalid_credentials()), refuse
        )

    return call(lambda backend: backend.manager.step_up(token), stepped, refuse)


def sign_in(site: Site, request: HttpRequest, who: SignIn, transport: Transport) -> Answer:
    """Begin a session for a user whom the application has accepted, and answer tokens.

    Its answer may be a `ConfigurationError`: claims that no token can hold are a mistake of the application.
    """
    return begin_session(site, request, who, begun=lambda pair: tokens_reply(site, pair, transport))


def begin_session(
    site: Site,
    request: HttpRequest,
    who: SignIn,
    *,
    begun: Callable[[TokenPair], HttpReply],
    refused: Callable[[KeyturnError], HttpReply] = refuse,
) -> Answer:
    """Begin a session for a user whom the application has accepted: see `sign_in`.

    Args:
        site: What the endpoints work with.
        request: Who signs in.
        who: Whom it was found to be.
        begun: Answers it.
        refused: Answers why there is none.
    """
    context = site.settings.context_from(request)
    device = site.settings.device_from(request) if who.device is None else who.device

    def issued(pair: TokenPair) -> Answer:
        holds = who.holds
        if holds is None:
            return begun(pair)
        return call(lambda _: holds(), lambda still: confirmed(pair, still=bool(still)), refused)

    def confirmed(pair: TokenPair, *, still: bool) -> Answer:
        if still:
            return begun(pair)
        return call(
            lambda backend: backend.manager.revoke(pair.session_id),
            lambda _: refused(invalid_credentials()),
            refused,
        )

    def failed(error: KeyturnError) -> HttpReply:
        # A user id may be the client's mistake; claims are the application's, and somebody must see it.
        if isinstance(error, InvalidInput) and error.detail == "claims":
            raise ConfigurationError(f"sign-in: {error}") from error
        return refused(error)

    return call(
        lambda backend: backend.manager.issue(who.user_id, claims=who.claims, device=device, context=context),
        issued,
        failed,
    )


def refresh(site: Site, request: HttpRequest) -> Answer:
    """`POST /auth/refresh`: a fresh access token, and the next refresh token."""
    token, transport = read_refresh_token(site, request)
    if token is None:
        raise no_credentials()
    return redeem(
        site,
        request,
        token,
        transport,
        go_on=lambda pair: tokens_reply(site, pair, transport),
        refused=lambda error, cookies: refuse(error, *cookies),
    )


def redeem(
    site: Site,
    request: HttpRequest,
    token: str,
    transport: Transport,
    *,
    go_on: Callable[[TokenPair], Answer],
    refused: Callable[[KeyturnError, Headers], Answer],
) -> Answer:
    """Redeem a refresh token.

    Args:
        site: What the endpoints work with.
        request: Who sent it.
        token: The token.
        transport: How it came.
        go_on: What follows.
        refused: What follows where it is refused, with what must become of the cookie: one whose token is
            over goes; not so for an outage or a race.
    """
    context = site.settings.context_from(request)

    def failed(error: KeyturnError) -> Answer:
        over = isinstance(error, RefreshError) and not isinstance(error, InvalidProof | RefreshConflict)
        return refused(error, cleared(site, when=over and transport == "cookie"))

    return call(lambda backend: backend.manager.refresh(token, context=context), go_on, failed)


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


def checked(
    site: Site,
    request: HttpRequest,
    fields: Mapping[str, Any],
    go_on: Callable[[SignIn], Answer],
    refused: Callable[[KeyturnError], HttpReply] = refuse,
) -> Answer:
    """Have the application check a user name and a password, then go on with whom it has accepted.

    Args:
        site: What the endpoints work with.
        request: Who signs in.
        fields: The user name and the password, among others.
        go_on: What follows.
        refused: Answers that they are wrong, or cannot be checked.

    Raises:
        Refusal: They are missing or malformed, or this attempt comes too early.
    """
    username = read_text(fields, "username", MAX_USERNAME)
    password = read_text(fields, "password", MAX_PASSWORD)
    wait = site.throttle.take(request, username) if site.throttle else None
    if wait is not None:
        raise slow_down(wait)

    def found(accepted: Accepted) -> Answer:
        match accepted:
            case None:
                raise invalid_credentials()
            case SignIn():
                return go_on(accepted)
            case str():
                return go_on(SignIn(accepted))
            case _:  # whatever it is, it must not be taken for somebody's id
                raise ConfigurationError("login must give a user id (a str), a SignIn, or None")

    return call(lambda backend: backend.login(username, password), found, refused)


def _grant(request: HttpRequest) -> Mapping[str, Any]:
    """Read the form that consoles of APIs send (RFC 6749, section 4.3.2).

    There are no clients here to be told apart, and nobody asks for a scope: what it says of these is ignored.

    Raises:
        Refusal: It is another form.
    """
    fields = read_form(request, _CREDENTIALS | _GRANT)
    if fields.get("grant_type") != "password":
        raise invalid_request("grant_type must be password.")
    return {name: fields[name] for name in _CREDENTIALS if name in fields}


def _transport(fields: Mapping[str, Any]) -> Transport:
    match fields.get("transport", "cookie"):
        case "cookie":
            return "cookie"
        case "body":
            return "body"
        case _:
            raise invalid_request('transport must be "cookie" or "body".')
