"""The records that the core works on: what a session is. They know no store and no token format.

Times are whole milliseconds since the Unix epoch (UTC): integers compare alike in Python, SQL and Lua.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from uuid import UUID

from keyturn._core.frozen import quickly_made

Millis: TypeAlias = int
"""A moment, in milliseconds since the Unix epoch (UTC), or a span in milliseconds."""

Json: TypeAlias = Mapping[str, Any]
"""A JSON object. `Any`, because JSON is checked where it enters and is opaque to the core."""

RevokeReason: TypeAlias = Literal["logout", "revoked", "user", "admin", "reuse", "limit", "inactive"]
"""Why a session was ended."""

EndReason: TypeAlias = RevokeReason | Literal["idle", "absolute"]
"""Why a session is over: it was ended, or it expired."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in on one client: one row in the store for its whole life, however often it refreshes.

    Attributes:
        sid: The session's id, a UUIDv7 (RFC 9562, section 5.7).
        user_id: Whose session it is, as the application names its users.
        secret_digest: SHA-256 of the session's secret; the secret itself is only in the client's token.
        gen: The generation: how often the session has rotated; 0 at sign-in.
        parent_branch: The branch (8 bytes) of the token that was redeemed at the last rotation.
        confirmed: The current generation has been seen in use.
        created_at: When the user signed in.
        rotated_at: When the session last rotated; `created_at` until then. Never moves backwards.
        handed_at: When the current generation was last given to a client before it was confirmed.
        last_seen_at: When the session was last seen in use.
        idle_ttl: How long it may rest unused, in milliseconds; None: without limit. Fixed at sign-in.
        idle_expires_at: The end of the idle limit; None: without limit.
        expires_at: The absolute end, fixed at sign-in (RFC 9700, section 4.14.2).
        access_ttl: Lifetime of this session's access tokens in milliseconds; None: the policy's.
        revoked_at: When it ended; None while it lives.
        revoked_reason: Why it ended.
        claims: What the application put into the session's access tokens.
        device: What the application knows of the client, for people to recognise it.
        jkt: The thumbprint of the DPoP key that the session is bound to (RFC 9449), if any.
    """

    sid: UUID
    user_id: str
    secret_digest: bytes = field(repr=False)
    gen: int
    parent_branch: bytes = field(repr=False)
    confirmed: bool
    created_at: Millis
    rotated_at: Millis
    handed_at: Millis
    last_seen_at: Millis
    idle_ttl: Millis | None
    idle_expires_at: Millis | None
    expires_at: Millis
    access_ttl: Millis | None = None
    revoked_at: Millis | None = None
    revoked_reason: EndReason | None = None
    claims: Json = field(default_factory=dict[str, Any], repr=False)
    device: Json = field(default_factory=dict[str, Any])
    jkt: str | None = None


def ending(session: Session, now: Millis) -> EndReason | None:
    """Say why a session is over at a moment, or None while it lives.

    Revocation comes first, then the absolute limit, then the idle one.
    """
    if session.revoked_at is not None:
        return session.revoked_reason or "revoked"
    if now >= session.expires_at:
        return "absolute"
    if session.idle_expires_at is not None and now >= session.idle_expires_at:
        return "idle"
    return None
