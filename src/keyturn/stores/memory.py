"""Sessions in this process's memory: the executable specification of a store.

It knows no engine and no clock.

For tests, demonstrations and single-process programs that may forget everything when they end.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from keyturn._core.decide import decide, end
from keyturn._core.endings import revoked_by
from keyturn._core.outcomes import (
    Created,
    Denied,
    Ended,
    Followed,
    Forged,
    Found,
    LimitReached,
    Live,
    Reused,
    Revocation,
    Unknown,
)
from keyturn._core.records import ending
from keyturn._core.revocations import RETENTION, entries_of, entry_of_denial
from keyturn.errors import StoreUnavailable
from keyturn.stores.protocol import EVERY, PAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
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
    from keyturn._core.outcomes import CheckOutcome, CreateOutcome, LookupOutcome, RotateOutcome
    from keyturn._core.records import EndReason, Millis, Session
    from keyturn._core.revocations import LogEntry
    from keyturn._core.trail import TrailEntry


class MemoryStore:
    """A store in memory, safe for threads.

    Its revocation log is for those who want to see how one behaves: managers ask the store itself.

    Examples:
        >>> MemoryStore().count()
        0
    """

    at_hand = True

    def __init__(self) -> None:
        """Start empty."""
        self._lock = Lock()
        self._sessions: dict[UUID, Session] = {}
        self._denied: dict[str, Millis] = {}
        self._trail: dict[UUID, dict[UUID, TrailEntry]] = {}
        self._log: list[tuple[Millis, LogEntry]] = []
        self._forgotten = 0  # lines that the log has had before those

    def create_schema(self) -> None:
        """Do nothing: there is nothing to make. So that code which changes its store stays the same."""

    def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        with self._lock:
            surplus: list[Session] = []
            if command.limit is not None:
                live = [s for s in self._of_user(command.session.user_id) if ending(s, command.now) is None]
                oldest_first = sorted(live, key=lambda s: (s.created_at, s.sid))
                surplus = oldest_first[: max(0, len(live) - command.limit + 1)]
                if surplus and not command.evict:
                    return LimitReached(len(live))
            if command.session.sid in self._sessions:  # as a database's primary key has it
                raise StoreUnavailable("This session id is taken.")
            self._sessions[command.session.sid] = command.session
            outcome = Created(command.session, self._end(surplus, "limit", command.now))
            self._write_down(revoked_by(outcome), command.now)
            return outcome

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        with self._lock:
            decision = decide(self._sessions.get(command.sid), command)
            if decision.write is not None:
                self._sessions[command.sid] = decision.write
            outcome = decision.outcome
            if isinstance(outcome, Reused) and decision.end_user:
                others = self._end_user(outcome.session.user_id, "reuse", command.now)
                outcome = replace(outcome, others=others)
            self._write_down(revoked_by(outcome), command.now)
            return outcome

    def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        session = self._sessions.get(command.sid)
        if session is None:
            return Unknown()
        if command.digest is not None and not hmac.compare_digest(session.secret_digest, command.digest):
            return Forged(session)
        return Found(session)

    def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        with self._lock:
            until = self._denied.get(command.token_id)
            if until is not None and until > command.now:
                return Denied()
            if command.sid is None:
                return Live(None)
            session = self._sessions.get(command.sid)
            if session is None:
                return Unknown()
            return Live(session) if ending(session, command.now) is None else Ended(session, first=False)

    def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        with self._lock:
            session = self._sessions.get(command.sid)
            if session is not None and session.revoked_at is None:
                self._sessions[session.sid] = replace(
                    session,
                    confirmed=session.confirmed or session.gen == command.gen,
                    last_seen_at=max(session.last_seen_at, command.now),
                )

    def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        with self._lock:
            session = self._sessions.get(command.sid)
            if session is None or (command.user_id is not None and session.user_id != command.user_id):
                return Revocation(found=False, ended=())
            if command.digest is not None and not hmac.compare_digest(session.secret_digest, command.digest):
                return Revocation(found=False, ended=())
            outcome = Revocation(found=True, ended=self._end([session], command.reason, command.now))
            self._write_down(revoked_by(outcome), command.now)
            return outcome

    def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        with self._lock:
            ended = self._end_user(command.user_id, command.reason, command.now, keep=command.keep)
            outcome = Revocation(found=bool(ended), ended=ended)
            self._write_down(revoked_by(outcome), command.now)
            return outcome

    def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        with self._lock:
            self._denied[command.token_id] = max(self._denied.get(command.token_id, 0), command.expires_at)
            self._write_down([entry_of_denial(command.token_id)], command.now)

    def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`."""
        with self._lock:
            return sorted(self._matching(where), key=lambda s: s.sid, reverse=where.newest_first)[:limit]

    def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`."""
        with self._lock:
            return sum(1 for _ in self._matching(where))

    def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        with self._lock:
            for sid in sids:
                self._trail.pop(sid, None)
            gone = [session for sid in sids if (session := self._sessions.pop(sid, None)) is not None]
            for session in gone:  # nobody says when, so it stays as long as an access token may live
                self._log += [(session.expires_at, entry) for entry in entries_of([session.sid])]
            return len(gone)

    def purge(self, command: Purge, /) -> int:
        """See `Store.purge`."""
        with self._lock:
            sids = [s.sid for s in self._sessions.values() if s.expires_at < command.before][: command.limit]
            tokens = [t for t, until in self._denied.items() if until <= command.now][: command.limit]
            for sid in sids:
                del self._sessions[sid]
            for token in tokens:
                del self._denied[token]
            return len(sids) + len(tokens)

    def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`."""
        with self._lock:
            for entry in entries:
                self._trail.setdefault(entry.sid, {}).setdefault(entry.id, entry)

    def history(self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        with self._lock:
            lines = self._trail.get(sid, {})
            return [lines[key] for key in sorted(lines) if after is None or key > after][:limit]

    def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`."""
        with self._lock:
            old = [e for lines in self._trail.values() for e in lines.values() if e.at < before][:limit]
            for entry in old:
                del self._trail[entry.sid][entry.id]
                if not self._trail[entry.sid]:
                    del self._trail[entry.sid]
            return len(old)

    def follow(self, command: Follow, /) -> Followed:
        """See `RevocationLog.follow`."""
        with self._lock:
            if isinstance(command.cursor, int):  # the number of the first line that was not read
                first = command.cursor - self._forgotten
                if not 0 <= first <= len(self._log):
                    return Followed((), None, more=True)
            else:
                recent = (place for place, (at, _) in enumerate(self._log) if at >= command.since)
                first = next(recent, len(self._log))
            page = self._log[first : first + command.limit]
            last = first + len(page)
            entries = tuple(entry for _, entry in page)
            return Followed(entries, self._forgotten + last, more=last < len(self._log))

    def bell(self) -> None:
        """See `RevocationLog.bell`."""

    def close(self) -> None:
        """See `Store.close`."""

    def _write_down(self, entries: Iterable[LogEntry], now: Millis) -> None:
        self._log += [(now, entry) for entry in entries]
        while self._log and self._log[0][0] < now - RETENTION:
            del self._log[0]
            self._forgotten += 1

    def _of_user(self, user_id: str) -> list[Session]:
        return [s for s in self._sessions.values() if s.user_id == user_id]

    def _matching(self, where: Where) -> Iterable[Session]:
        for session in self._sessions.values():
            if where.user_id is not None and session.user_id != where.user_id:
                continue
            if where.live_at is not None and ending(session, where.live_at) is not None:
                continue
            later = where.after is None or (
                session.sid < where.after if where.newest_first else session.sid > where.after
            )
            if later:
                yield session

    def _end_user(
        self, user_id: str, reason: EndReason, now: Millis, keep: UUID | None = None
    ) -> tuple[Session, ...]:
        return self._end([s for s in self._of_user(user_id) if s.sid != keep], reason, now)

    def _end(self, sessions: Iterable[Session], reason: EndReason, now: Millis) -> tuple[Session, ...]:
        ended = tuple(end(s, reason, now) for s in sessions if s.revoked_at is None)
        self._sessions.update((s.sid, s) for s in ended)
        return ended


class AsyncMemoryStore:
    """A store in memory for asyncio. It never suspends, so each method is atomic by itself."""

    at_hand = True

    def __init__(self) -> None:
        """Start empty."""
        self._store = MemoryStore()

    async def create_schema(self) -> None:
        """Do nothing: there is nothing to make. So that code which changes its store stays the same."""

    async def create(self, command: Create, /) -> CreateOutcome:
        """See `Store.create`."""
        return self._store.create(command)

    async def rotate(self, command: Rotate, /) -> RotateOutcome:
        """See `Store.rotate`."""
        return self._store.rotate(command)

    async def lookup(self, command: Lookup, /) -> LookupOutcome:
        """See `Store.lookup`."""
        return self._store.lookup(command)

    async def check(self, command: Check, /) -> CheckOutcome:
        """See `Store.check`."""
        return self._store.check(command)

    async def confirm(self, command: Confirm, /) -> None:
        """See `Store.confirm`."""
        self._store.confirm(command)

    async def revoke(self, command: Revoke, /) -> Revocation:
        """See `Store.revoke`."""
        return self._store.revoke(command)

    async def revoke_user(self, command: RevokeUser, /) -> Revocation:
        """See `Store.revoke_user`."""
        return self._store.revoke_user(command)

    async def deny(self, command: Deny, /) -> None:
        """See `Store.deny`."""
        self._store.deny(command)

    async def find(self, where: Where = EVERY, /, *, limit: int = PAGE) -> Sequence[Session]:
        """See `Store.find`."""
        return self._store.find(where, limit=limit)

    async def count(self, where: Where = EVERY, /) -> int:
        """See `Store.count`."""
        return self._store.count(where)

    async def delete(self, sids: Sequence[UUID], /) -> int:
        """See `Store.delete`."""
        return self._store.delete(sids)

    async def purge(self, command: Purge, /) -> int:
        """See `Store.purge`."""
        return self._store.purge(command)

    async def note(self, entries: Sequence[TrailEntry], /) -> None:
        """See `Trail.note`."""
        self._store.note(entries)

    async def history(
        self, sid: UUID, /, *, after: UUID | None = None, limit: int = PAGE
    ) -> Sequence[TrailEntry]:
        """See `Trail.history`."""
        return self._store.history(sid, after=after, limit=limit)

    async def forget(self, before: Millis, limit: int, /) -> int:
        """See `Trail.forget`."""
        return self._store.forget(before, limit)

    async def follow(self, command: Follow, /) -> Followed:
        """See `RevocationLog.follow`."""
        return self._store.follow(command)

    def bell(self) -> None:
        """See `RevocationLog.bell`."""

    async def close(self) -> None:
        """See `Store.close`."""
