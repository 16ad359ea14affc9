"""The port to a store: one method per command, in both colours. It knows no engine.

The six duties of a store:

1. Each method is one atomic operation. `rotate` answers what `decide` says for the row
   as it is at that moment, and nothing else writes in between.
2. A revocation marks its row even where a limit has passed (a clock may go back), and is durable before the
   method returns. A rotation that runs beside it happened before it or sees it. Whole rows are never written
   back from an earlier read.
3. A reuse ends its session in a transaction of its own, which nothing rolls back.
4. What the engine raises becomes `StoreUnavailable` (from the cause), or `SchemaError` where the schema is at
   fault, or `InvalidInput` where a value cannot be stored at all. Nothing else leaves a method.
5. It has no clock: every moment is in the command. It keeps times exactly, to the millisecond.
6. It keeps one row per session however often it refreshes, and `Session` values compare equal after a round
   trip.

It may rely on this: a session's id carries its user's bucket (`bucket_of_session(sid)` equals
`bucket_of_user(user_id)`), and `Deny` names the same session as the `Check` of that token. So a sharded store
finds everything of a user in one place.

A store may also keep the audit trail: `Trail` and `AsyncTrail` are what it then offers besides. And it may
keep a revocation log, which processes follow so as not to ask it about every access token: `RevocationLog`
and `AsyncRevocationLog`. Whoever keeps one has a seventh duty:

7. Whatever ends a session (a revocation, a limit on sign-ins, reuse) or removes one before its absolute end,
   and each denial, is in the log when the method returns, and nothing else is. What expires is not.

`keyturn.testing.conformance` holds a store to all of this. Everything that a store of your own needs is
exported here: the commands, the outcomes, `decide` and `ending`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable
from uuid import UUID

from keyturn._core.commands import (
    Check,
    Confirm,
    Create,
    Deny,
    Follow,
    Lookup,
    Purge,
    Revoke,
    RevokeUser,
    Rotate,
    Where,
)
from keyturn._core.decide import Decision, decide
from keyturn._core.ids import bucket_of_session, bucket_of_user
from keyturn._core.outcomes import (
    CheckOutcome,
    Created,
    CreateOutcome,
    Denied,
    Ended,
    Followed,
    Forged,
    Found,
    LimitReached,
    Live,
    LookupOutcome,
    Reused,
    Revocation,
    RotateOutcome,
    Unknown,
)
from keyturn._core.records import Millis, Session, ending
from keyturn._core.revocations import RETENTION, LogEntry, RevocationKind
from keyturn._core.trail import TrailEntry, TrailKind

__all__ = [
    "EVERY",
    "PAGE",
    "RETENTION",
    "AsyncBell",
    "AsyncRevocationLog",
    "AsyncStore",
    "AsyncTrail",
    "Bell",
    "Check",
    "CheckOutcome",
    "Confirm",
    "Create",
    "CreateOutcome",
    "Created",
    "Decision",
    "Denied",
    "Deny",
    "Ended",
    "Follow",
    "Followed",
    "Forged",
    "Found",
    "LimitReached",
    "Live",
    "LogEntry",
    "Lookup",
    "LookupOutcome",
    "Purge",
    "Reused",
    "Revocation",
    "RevocationKind",
    "RevocationLog",
    "Revoke",
    "RevokeUser",
    "Rotate",
    "RotateOutcome",
    "Session",
    "Store",
    "Trail",
    "TrailEntry",
    "TrailKind",
    "Unknown",
    "Where",
    "bucket_of_session",
    "bucket_of_user",
    "decide",
    "ending",
]

EVERY: Final = Where()
"""Every session there is."""

PAGE: Final = 1000
"""Rows in one answer at most, unless asked otherwise."""


class Store(Protocol):
    """A store for threads. Every method may be called from several threads and processes at once."""

    def create(self, command: Create, /) -> CreateOutcome:
        """Add a session, within its user's limit: counting, evicting and adding are one operation."""
        ...

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Redeem a refresh token as `decide` says."""
        ...

    def lookup(self, command: Lookup, /) -> LookupOutcome:
        """Read one session; `Forged` where a secret is asked for and differs."""
        ...

    def check(self, command: Check, /) -> CheckOutcome:
        """Say whether an access token counts: `Denied`, `Ended` or `Unknown` by its session, or `Live`."""
        ...

    def confirm(self, command: Confirm, /) -> None:
        """Mark a generation as seen in use. An ended session, and one that is gone, is left alone."""
        ...

    def revoke(self, command: Revoke, /) -> Revocation:
        """End one session. One that has ended already is found, and keeps its first end."""
        ...

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """End all sessions of a user that have not been ended, at one moment."""
        ...

    def deny(self, command: Deny, /) -> None:
        """Refuse one access token; denying it again keeps the later expiry."""
        ...

    def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """Read sessions, by id; give the last one's id as `after` to read on."""
        ...

    def count(self, where: Where = EVERY, /) -> int:
        """Count sessions."""
        ...

    def delete(self, sids: Sequence[UUID], /) -> int:
        """Remove rows for good, tombstones too (for erasure requests); return how many there were."""
        ...

    def purge(self, command: Purge, /) -> int:
        """Remove one batch of what no late replay needs; return how many rows went."""
        ...

    def close(self) -> None:
        """Give back what the store holds open. Closing twice does no harm."""
        ...


class AsyncStore(Protocol):
    """A store for asyncio: `Store` with `await`."""

    async def create(self, command: Create, /) -> CreateOutcome:
        """Add a session, within its user's limit: counting, evicting and adding are one operation."""
        ...

    async def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Redeem a refresh token as `decide` says."""
        ...

    async def lookup(self, command: Lookup, /) -> LookupOutcome:
        """Read one session; `Forged` where a secret is asked for and differs."""
        ...

    async def check(self, command: Check, /) -> CheckOutcome:
        """Say whether an access token counts: `Denied`, `Ended` or `Unknown` by its session, or `Live`."""
        ...

    async def confirm(self, command: Confirm, /) -> None:
        """Mark a generation as seen in use. An ended session, and one that is gone, is left alone."""
        ...

    async def revoke(self, command: Revoke, /) -> Revocation:
        """End one session. One that has ended already is found, and keeps its first end."""
        ...

    async def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """End all sessions of a user that have not been ended, at one moment."""
        ...

    async def deny(self, command: Deny, /) -> None:
        """Refuse one access token; denying it again keeps the later expiry."""
        ...

    async def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """Read sessions, by id; give the last one's id as `after` to read on."""
        ...

    async def count(self, where: Where = EVERY, /) -> int:
        """Count sessions."""
        ...

    async def delete(self, sids: Sequence[UUID], /) -> int:
        """Remove rows for good, tombstones too (for erasure requests); return how many there were."""
        ...

    async def purge(self, command: Purge, /) -> int:
        """Remove one batch of what no late replay needs; return how many rows went."""
        ...

    async def close(self) -> None:
        """Give back what the store holds open. Closing twice does no harm."""
        ...


@runtime_checkable
class Trail(Protocol):
    """Where the audit trail is kept, for threads: append-only, apart from forgetting what is old.

    Its methods raise `StoreUnavailable` and `SchemaError` as a store's do. `Store.delete` of the same store
    removes the lines of the sessions that it names, also of those that are gone already; `Store.purge` leaves
    them alone, because a trail has a retention of its own.
    """

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """Add lines, in one operation for up to 500 of them. A line whose id is there already is left alone.

        So a batch whose answer was lost may be written again.
        """
        ...

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """Read the lines of a session, by time; give the last one's id as `after` to read on."""
        ...

    def forget(self, before: Millis, limit: int, /) -> int:
        """Remove one batch of lines that are older than a moment; return how many went."""
        ...


@runtime_checkable
class AsyncTrail(Protocol):
    """The audit trail for asyncio: `Trail` with `await`."""

    async def note(self, entries: Sequence[TrailEntry], /) -> None:
        """Add lines, in one operation for up to 500 of them. A line whose id is there already is left alone.

        So a batch whose answer was lost may be written again.
        """
        ...

    async def history(
        self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE
    ) -> Sequence[TrailEntry]:
        """Read the lines of a session, by time; give the last one's id as `after` to read on."""
        ...

    async def forget(self, before: Millis, limit: int, /) -> int:
        """Remove one batch of lines that are older than a moment; return how many went."""
        ...


class Bell(Protocol):
    """What wakes one follower of a revocation log up, for threads: a connection of its own.

    It is a matter of speed alone: a ring that is lost costs until the next poll, and nothing else. In a
    forked child it belongs to the parent; it is left alone there.
    """

    def wait(self, cursor: object | None, seconds: float, /) -> None:
        """Wait until something may have been logged after a cursor, or for so long.

        Raises:
            StoreUnavailable: The engine cannot be reached, or the bell was closed; another one may work.
        """
        ...

    def close(self) -> None:
        """Give the connection back, and end a wait. Any thread may do so, and twice does no harm."""
        ...


@runtime_checkable
class RevocationLog(Protocol):
    """The log of what was revoked, for threads. Its methods raise `StoreUnavailable` as a store's do.

    Each line is kept for `RETENTION` at least.
    """

    @property
    def at_hand(self) -> bool:
        """Whether the store is in this very process, so that managers ask it rather than follow it."""
        ...

    def follow(self, command: Follow, /) -> Followed:
        """Read a page of the log. No line is ever passed over, however many processes write at once."""
        ...

    def bell(self) -> Bell | None:
        """Make what wakes a follower up; None: the engine has nothing of the kind, and followers poll."""
        ...


class AsyncBell(Protocol):
    """What wakes one follower of a revocation log up, for asyncio: `Bell` with `await`."""

    async def wait(self, cursor: object | None, seconds: float, /) -> None:
        """Wait until something may have been logged after a cursor, or for so long.

        Raises:
            StoreUnavailable: The engine cannot be reached, or the bell was closed; another one may work.
        """
        ...

    async def close(self) -> None:
        """Give the connection back, and end a wait. Twice does no harm."""
        ...


@runtime_checkable
class AsyncRevocationLog(Protocol):
    """The log of what was revoked, for asyncio: `RevocationLog` with `await`."""

    @property
    def at_hand(self) -> bool:
        """Whether the store is in this very process, so that managers ask it rather than follow it."""
        ...

    async def follow(self, command: Follow, /) -> Followed:
        """Read a page of the log. No line is ever passed over, however many processes write at once."""
        ...

    def bell(self) -> AsyncBell | None:
        """Make what wakes a follower up; None: the engine has nothing of the kind, and followers poll."""
        ...
