"""The endpoints that end sessions for good: logout and logout-all. They know no framework."""

from __future__ import annotations

from typing import Any

from keyturn.errors import AccessTokenError
from keyturn.http.bodies import read_fields, read_switch
from keyturn.http.calls import call
from keyturn.http.credentials import read_bearer
from keyturn.http.messages import HttpReply, HttpRequest
from keyturn.http.origins import check_origin
from keyturn.http.replies import empty_reply, invalid_request, json_reply, refuse
from keyturn.http.signing_in import read_refresh_token
from keyturn.http.site import (
    Answer,
    Site,
    authenticated,
    bearer_only,
    check_cookie_agrees,
    cleared,
    session_of,
)
from keyturn.results import Principal


def logout(site: Site, request: HttpRequest) -> Answer:
    """`POST /auth/logout`: done also where there was nothing to end (RFC 7009, section 2.2)."""
    token, transport = read_refresh_token(site, request)
    bearer = read_bearer(request, site.settings)
    if token is None and bearer is None:
        check_origin(request, site.settings)  # the answer clears a cookie that the browser may have withheld
    done = empty_reply(*cleared(site, when=transport == "cookie"))
    session_id = None if token is None else session_of(site, token)
    principal = None if bearer is None else _principal_of(site, bearer, strict=token is None)
    if session_id and principal and principal.session_id not in {None, session_id}:
        raise invalid_request("The tokens name different sessions.")
    if token is not None and session_id:
        return call(lambda backend: backend.manager.revoke_token(token), lambda _: done, refuse)
    if bearer is not None and principal:
        return _end(bearer, principal, done)
    return done


def logout_all(site: Site, request: HttpRequest) -> Answer:
    """`POST /auth/logout-all`: the user's sessions end, with `keep_current` all but this one."""
    keep_current = read_switch(read_fields(request, frozenset({"keep_current"})), "keep_current")

    def go_on(principal: Principal[Any]) -> Answer:
        check_cookie_agrees(site, request, principal)
        keep = principal.session_id if keep_current else None
        return call(
            lambda backend: backend.manager.revoke_user(principal.user_id, keep=keep),
            lambda revoked: json_reply({"revoked": revoked}, *cleared(site, when=keep is None)),
            refuse,
        )

    return authenticated(site, request, go_on, "strict")  # it asks the store anyway


def _principal_of(site: Site, bearer: str, *, strict: bool) -> Principal[Any] | None:
    """Read the access token of a logout: its session may be over, but it must be ours.

    Raises:
        AccessTokenError: It is not, and nothing else says what to end (`strict`): a logout that did not
            happen must not be taken for done.
    """
    try:
        return bearer_only(site.manager.verify_access(bearer))
    except AccessTokenError:
        if strict:
            raise
        return None


def _end(bearer: str, principal: Principal[Any], done: HttpReply) -> Answer:
    session_id = principal.session_id
    if session_id is None:  # no session to end: the token itself is
        return call(lambda backend: backend.manager.deny(bearer, reason="logout"), lambda _: done, refuse)
    return call(
        lambda backend: backend.manager.revoke(session_id, user_id=principal.user_id, reason="logout"),
        lambda _: done,
        refuse,
    )
