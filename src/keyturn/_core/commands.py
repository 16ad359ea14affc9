"""What the core asks of a store: one frozen command per operation. They know no store and no outcome.

Every command carries the moment it happens at, so that a store needs no clock. One command is one
atomic operation of the store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keyturn._core.frozen import quickly_made

if TYPE_CHECKING:
    from uuid import UUID

    from keyturn._core.records import EndReason, Millis, Session


@dataclass(frozen=True, slots=True)
class Create:
    """Add a session, within its user's limit.

    Attributes:
        session: The new row.
        limit: How many live sessions the user may have with this one; None: any number.
        evict: At the limit, end the oldest live sessions (by `created_at`, then `sid`) instead of refusing.
        now: The moment.
    """

    session: Session
    limit: int | None
    evict: bool
    now: Millis


@quickly_made
@dataclass(frozen=True, slots=True)
class Rotate:
    """Redeem a refresh token whose tag has been verified: `decide` says what happens.

    Attributes:
        sid: The token's session.
        digest: SHA-256 of the token's secret.
        gen: The token's generation.
        branch: The token's branch, 8 bytes.
        jkt: The thumbprint of the key whose possession was proven, if any (RFC 9449).
        now: The moment.
        race_window: In milliseconds.
        recovery_window: In milliseconds.
        rotation: False: the token stays, only the idle limit moves.
        converge: False: answer a race with a conflict, and leave the row alone.
        whole_user: Reuse ends all sessions of the user.
    """

    sid: UUID
    digest: bytes = field(repr=False)
    gen: int
    branch: bytes = field(repr=False)
    jkt: str | None
    now: Millis
    race_window: Millis
    recovery_window: Millis
    rotation: bool
    converge: bool
    whole_user: bool


@dataclass(frozen=True, slots=True)
class Lookup:
    """Read one session.

    Attributes:
        sid: Which.
        digest: SHA-256 of the secret that the asker must know; None: no secret is asked for.
    """

    sid: UUID
    digest: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Check:
    """Ask whether an access token whose signature was verified still counts.

    Attributes:
        sid: Its session; None for a token without one.
        token_id: Its `jti`.
        now: The moment.
    """

    sid: UUID | None
    token_id: str
    now: Millis


@dataclass(frozen=True, slots=True)
class Confirm:
    """Note that an access token of a generation was accepted: the successor reached its client.

    Attributes:
        sid: Its session. A session that is gone or ended is left alone.
        gen: The token's generation; only the current one becomes confirmed.
        now: The moment; `last_seen_at` moves there, never backwards.
    """

    sid: UUID
    gen: int
    now: Millis


@dataclass(frozen=True, slots=True)
class Revoke:
    """End one session.

    Attributes:
        sid: Which.
        user_id: Whose it must be; None: anyone's.
        digest: SHA-256 of the secret that the asker must know; None: no secret is asked for.
        reason: Why.
        now: The moment.
    """

    sid: UUID
    user_id: str | None
    digest: bytes | None = field(repr=False)
    reason: EndReason
    now: Millis


@dataclass(frozen=True, slots=True)
class RevokeUser:
    """End all sessions of a user that have not been ended.

    Attributes:
        user_id: Whose.
        keep: A session to leave alone, if any.
        reason: Why.
        now: The moment.
    """

    user_id: str
    keep: UUID | None
    reason: EndReason
    now: Millis


@dataclass(frozen=True, slots=True)
class Deny:
    """Refuse one access token from now on.

    Attributes:
        token_id: Its `jti`; never the token itself, which has twins (CWE-347: malleable signatures).
        expires_at: When the refusal may be forgotten, because the token has expired by then.
        reason: Why, for people.
        now: The moment.
        sid: The token's session, as the `Check` of the same token names it; None for a token without one. A
            sharded store keeps the denial beside the session, so that a check asks one shard.
    """

    token_id: str
    expires_at: Millis
    reason: str
    now: Millis
    sid: UUID | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """Which sessions to find, count or delete. All conditions must hold; none means all sessions.

    Attributes:
        user_id: Only this user's.
        live_at: Only those that live at this moment.
        after: Only those that come later in the order: the id of the last one of the page before.
        newest_first: By descending id instead of ascending; ids sort by the moment of sign-in.
    """

    user_id: str | None = None
    live_at: Millis | None = None
    after: UUID | None = None
    newest_first: bool = False


@dataclass(frozen=True, slots=True)
class Purge:
    """Remove what no late replay needs any more, one batch at a time.

    Attributes:
        before: Sessions whose absolute end is earlier than this go, and so do denials that expired before
            `now`.
        now: The moment.
        limit: How many rows of a kind to remove at most.
    """

    before: Millis
    now: Millis
    limit: int


@dataclass(frozen=True, slots=True)
class History:
    """Read a session's audit trail.

    Attributes:
        sid: Which session's.
        user_id: Whose it must be; None: anyone's.
        limit: How many lines at most, from the first.
    """

    sid: UUID
    user_id: str | None
    limit: int


@dataclass(frozen=True, slots=True)
class Forget:
    """Remove old lines of the audit trail, one batch at a time.

    Attributes:
        before: Lines from before this moment go; None: all are kept.
        limit: How many to remove at most.
    """

    before: Millis | None
    limit: int


@dataclass(frozen=True, slots=True)
class Follow:
    """Read on in the revocation log, a page at a time.

    Attributes:
        cursor: Where the page before it ended, as the store gave it; None: begin, with everything that was
            logged at `since` or later.
        since: How far back to begin: at most `LONGEST_MEMORY` before `now`, and somewhat more for clocks.
        now: The moment.
        limit: How many lines at most; a page may have fewer and still not be the last.
    """

    cursor: object | None
    since: Millis
    now: Millis
    limit: int
