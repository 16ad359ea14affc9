"""The endpoints by which users see and end their sessions, and the public keys. They know no framework.

What asks the store anyway asks it about the access token too: `strict`, whatever the policy says.
"""

from __future__ import annotations

from typing import Any

from keyturn._core.encoding import dump_json
from keyturn._core.schedule import JWKS_MAX_AGE
from keyturn.http.calls import call
from keyturn.http.messages import HttpReply, HttpRequest
from keyturn.http.replies import JSON, cacheable_reply, empty_reply, json_reply, not_found, refuse
from keyturn.http.site import Answer, Site, authenticated, check_cookie_agrees, cleared
from keyturn.results import Principal, SessionInfo


def sessions(site: Site, request: HttpRequest) -> Answer:
    """`GET /auth/sessions`: the live ones."""

    def go_on(principal: Principal[Any]) -> Answer:
        return call(
            lambda backend: backend.manager.sessions(principal.user_id, current=principal.session_id),
            lambda found: json_reply({"sessions": [_shown(session) for session in found]}),
            refuse,
        )

    return authenticated(site, request, go_on, "strict")


def end_session(site: Site, request: HttpRequest, session_id: str) -> Answer:
    """`DELETE /auth/sessions/{id}`: one answer for what is another user's, unknown or malformed."""

    def go_on(principal: Principal[Any]) -> Answer:
        def reply(found: bool) -> HttpReply:  # noqa: FBT001 - it is a result, no option
            if not found:
                raise not_found()
            return empty_reply(*cleared(site, when=session_id == principal.session_id))

        check_cookie_agrees(site, request, principal)

        return call(
            lambda backend: backend.manager.revoke(session_id, user_id=principal.user_id), reply, refuse
        )

    return authenticated(site, request, go_on, "strict")


def me(site: Site, request: HttpRequest) -> Answer:
    """`GET /auth/me`: who the access token speaks for."""
    return authenticated(
        site,
        request,
        lambda principal: json_reply(
            {
                "user_id": principal.user_id,
                "session_id": principal.session_id,
                "claims": site.manager.dump_claims(principal.claims),
                "expires_at": principal.expires_at,
            }
        ),
    )


def jwks(site: Site, request: HttpRequest) -> Answer:
    """`GET /.well-known/jwks.json`: the public keys."""
    content = dump_json(site.manager.jwks())
    return cacheable_reply(content, JSON, JWKS_MAX_AGE, request.values("if-none-match"))


def _shown(session: SessionInfo) -> dict[str, Any]:
    return {
        "id": session.id,
        "device": session.device,
        "created_at": session.created_at,
        "last_seen_at": session.last_seen_at,
        "expires_at": session.expires_at,
        "current": session.current,
    }
