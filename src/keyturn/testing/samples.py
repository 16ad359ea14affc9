"""A session and a refresh of it, to be varied with `dataclasses.replace`. They know no store and no rule."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final
from uuid import UUID

from keyturn._core.commands import Create, Rotate
from keyturn._core.ids import UUID7_BYTES, bucket_of_user, uuid7
from keyturn._core.records import EndReason, Session
from keyturn._core.trail import TrailEntry

SECOND: Final = 1000
DAY: Final = 86_400 * SECOND
T0: Final = 1_800_000_000_123
"""When the sample session last rotated: milliseconds, and odd ones, so that lost precision shows."""

RACE: Final = 10 * SECOND
RECOVERY: Final = DAY
IDLE: Final = 7 * DAY


def digest_of(secret: bytes) -> bytes:
    """Give a secret's digest as a row holds it."""
    return hashlib.sha256(secret).digest()


def _sid(number: int, user_id: str) -> UUID:
    """Make a session id as the engine does: sorted by its number, with its user's bucket."""
    head = ((0x01A0A0A0 << 16) + number) << 80
    return UUID(int=head | (7 << 76) | (bucket_of_user(user_id) << 64) | (2 << 62) | (number & 0xFFFF))


DIGEST: Final = digest_of(b"the secret of a session")
BRANCH: Final = b"the one "
OTHER_BRANCH: Final = b"another "

ROW: Final = Session(
    sid=_sid(0, "user-1"),
    user_id="user-1",
    secret_digest=DIGEST,
    gen=5,
    parent_branch=BRANCH,
    confirmed=False,
    created_at=T0 - 3 * DAY - 1,
    rotated_at=T0,
    handed_at=T0,
    last_seen_at=T0,
    idle_ttl=IDLE,
    idle_expires_at=T0 + IDLE,
    expires_at=T0 + 87 * DAY - 1,
    access_ttl=900 * SECOND,
    claims={"roles": ["member"]},
    device={"name": "Firefox on Linux"},
)
"""A session in the middle of its life, just rotated, its successor not seen yet."""

REDEEM: Final = Rotate(
    sid=ROW.sid,
    digest=DIGEST,
    gen=ROW.gen,
    branch=BRANCH,
    jkt=None,
    now=T0 + RACE,
    race_window=RACE,
    recovery_window=RECOVERY,
    rotation=True,
    converge=True,
    whole_user=False,
)
"""A refresh of `ROW` with its current generation, at the first moment at which it rotates."""


def numbered(number: int, *, user_id: str = ROW.user_id) -> Session:
    """Give a fresh session whose id sorts by its number, signed in that many milliseconds after `T0`."""
    at = T0 + number
    return replace(
        ROW,
        sid=_sid(number, user_id),
        user_id=user_id,
        gen=0,
        parent_branch=b"",
        created_at=at,
        rotated_at=at,
        handed_at=at,
        last_seen_at=at,
        idle_expires_at=at + IDLE,
        expires_at=at + 90 * DAY,
    )


def marked(session: Session, reason: EndReason, at: int) -> Session:
    """Give a session as it is after its end."""
    return replace(session, revoked_at=at, revoked_reason=reason)


def sign_in(session: Session, *, limit: int | None = None, evict: bool = True) -> Create:
    """Give the command that stores a session at the moment it was made."""
    return Create(session, limit=limit, evict=evict, now=session.created_at)


def refresh_of(session: Session, now: int) -> Rotate:
    """Give the refresh that redeems a session's current generation."""
    return replace(REDEEM, sid=session.sid, digest=session.secret_digest, gen=session.gen, now=now)


def line_of(session: Session, number: int) -> TrailEntry:
    """Give a line of a session's audit trail; it happened that many milliseconds after `T0`."""
    at = T0 + number
    entropy = (session.sid.int + number).to_bytes(32, "big")[-UUID7_BYTES:]
    return TrailEntry(uuid7(at, entropy), session.sid, at, "rotation", gen=number, device=session.device)
