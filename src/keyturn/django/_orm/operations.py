"""The operations on sessions, each once, on one connection. They know no colour and no transaction's end.

What reads before it writes locks the rows first (`select_for_update`; on SQLite a transaction has the whole
database). What changes a session because of a refresh is decided by `decide`, and here is only written.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from django.db.models import BigIntegerField, Case, Exists, F, Q, Value, When

from keyturn._core.decide import end
from keyturn._core.outcomes import Rotated
from keyturn.django._orm import rotating
from keyturn.django._orm.rows import changes, chunks, to_row, to_session, to_sessions
from keyturn.django._orm.transactions import writing
from keyturn.django.models import STRIPES, AbstractSession, Denial, UserLock
from keyturn.stores.protocol import (
    Created,
    Denied,
    Ended,
    Forged,
    Found,
    LimitReached,
    Live,
    Reused,
    Revocation,
    Unknown,
    bucket_of_user,
    decide,
    ending,
)

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import QuerySet

    from keyturn._core.records import EndReason, Millis
    from keyturn.stores.protocol import (
        Check,
        CheckOutcome,
        Confirm,
        Create,
        CreateOutcome,
        Deny,
        Lookup,
        LookupOutcome,
        Revoke,
        RevokeUser,
        Rotate,
        RotateOutcome,
        Session,
    )

UNENDED: Final = Q(revoked_at__isnull=True)


def lives(at: Millis) -> Q:
    """Say what `ending(session, at) is None` says."""
    unused_for_long = Q(idle_expires_at__isnull=False, idle_expires_at__lte=at)
    return UNENDED & Q(expires_at__gt=at) & ~unused_for_long


def one(rows: QuerySet[AbstractSession]) -> AbstractSession | None:
    """Give the row of a query by its key. `first()` would sort."""
    return next(iter(rows), None)


class Operations:
    """The operations on one connection."""

    def __init__(self, connection: BaseDatabaseWrapper, model: type[AbstractSession]) -> None:
        """Work on a connection of this thread."""
        self._connection = connection
        self._model = model

    @property
    def sessions(self) -> QuerySet[AbstractSession]:
        """All rows of the session model."""
        return self._model._base_manager.using(self._connection.alias)  # noqa: SLF001  (none is hidden)

    def create(self, command: Create) -> CreateOutcome:
        """See `Store.create`."""
        if command.limit is None:
            self._insert(command.session)
            return Created(command.session)
        with writing(self._connection):
            self._lock_user(command.session.user_id)
            mine = self.sessions.filter(lives(command.now), user_id=command.session.user_id)
            live = to_sessions(mine.select_for_update().order_by("created_at", "sid"))
            surplus = max(0, len(live) - command.limit + 1)
            if surplus and not command.evict:
                return LimitReached(len(live))
            evicted = self._end(live[:surplus], "limit", command.now)
            self._insert(command.session)
        return Created(command.session, evicted)

    def rotate(self, command: Rotate) -> RotateOutcome:
        """See `Store.rotate`."""
        if command.rotation and rotating.is_possible(self._connection):
            moved = rotating.move(self._connection, self._model, command)
            if moved is not None:
                return Rotated(moved)
        with writing(self._connection, durable=True):
            row = one(self.sessions.select_for_update().filter(sid=command.sid))
            session = None if row is None else to_session(row)
            decision = decide(session, command)
            if session is not None and decision.write is not None:
                self.sessions.filter(sid=session.sid).update(**changes(session, decision.write))
            outcome = decision.outcome
            if isinstance(outcome, Reused) and decision.end_user:
                theirs = self.sessions.filter(user_id=outcome.session.user_id)
                outcome = replace(outcome, others=self._end_all(theirs, "reuse", command.now))
        return outcome

    def lookup(self, command: Lookup) -> LookupOutcome:
        """See `Store.lookup`."""
        row = one(self.sessions.filter(sid=command.sid))
        if row is None:
            return Unknown()
        session = to_session(row)
        if command.digest is not None and not hmac.compare_digest(session.secret_digest, command.digest):
            return Forged(session)
        return Found(session)

    def check(self, command: Check) -> CheckOutcome:
        """See `Store.check`: one statement, but for a session that is not there."""
        denials = Denial._base_manager.using(self._connection.alias).filter(  # noqa: SLF001
            token_id=command.token_id, expires_at__gt=command.now
        )
        row: Any = None
        if command.sid is not None:
            row = one(self.sessions.filter(sid=command.sid).annotate(is_denied=Exists(denials)))
        if row.is_denied if row is not None else denials.exists():
            return Denied()
        if row is None:
            return Live(None) if command.sid is None else Unknown()
        session = to_session(row)
        return Live(session) if ending(session, command.now) is None else Ended(session, first=False)

    def confirm(self, command: Confirm) -> None:
        """See `Store.confirm`."""
        # So the row is left alone where nothing would change: no lock and no write for nothing.
        news = Q(last_seen_at__lt=command.now) | Q(gen=command.gen, confirmed=False)
        self.sessions.filter(UNENDED, news, sid=command.sid).update(
            confirmed=Case(When(gen=command.gen, then=Value(value=True)), default=F("confirmed")),
            last_seen_at=Case(
                When(last_seen_at__lt=command.now, then=Value(command.now)),
                default=F("last_seen_at"),
                output_field=BigIntegerField(),
            ),
        )

    def revoke(self, command: Revoke) -> Revocation:
        """See `Store.revoke`."""
        with writing(self._connection):
            row = one(self.sessions.select_for_update().filter(sid=command.sid))
            if row is None or command.user_id not in {None, row.user_id}:
                return Revocation(found=False, ended=())
            session = to_session(row)
            if command.digest is not None and not hmac.compare_digest(session.secret_digest, command.digest):
                return Revocation(found=False, ended=())
            going = () if session.revoked_at is not None else (session,)
            return Revocation(found=True, ended=self._end(going, command.reason, command.now))

    def revoke_user(self, command: RevokeUser) -> Revocation:
        """See `Store.revoke_user`."""
        theirs = self.sessions.filter(user_id=command.user_id)
        if command.keep is not None:
            theirs = theirs.exclude(sid=command.keep)
        with writing(self._connection):
            ended = self._end_all(theirs, command.reason, command.now)
        return Revocation(found=bool(ended), ended=ended)

    def deny(self, command: Deny) -> None:
        """See `Store.deny`."""
        values = {"expires_at": command.expires_at, "reason": command.reason, "denied_at": command.now}
        denials = Denial._base_manager.using(self._connection.alias)  # noqa: SLF001
        _, added = denials.get_or_create(token_id=command.token_id, defaults=values)
        if not added:
            denials.filter(token_id=command.token_id, expires_at__lt=command.expires_at).update(**values)

    def _insert(self, session: Session) -> None:
        self._model(**to_row(session)).save(force_insert=True, using=self._connection.alias)

    def _end_all(
        self, which: QuerySet[AbstractSession], reason: EndReason, now: Millis
    ) -> tuple[Session, ...]:
        """End those that have not ended, by key: who signs in meanwhile is not ended unsaid."""
        going = to_sessions(which.filter(UNENDED).select_for_update().order_by("sid"))
        return self._end(going, reason, now)

    def _end(self, going: tuple[Session, ...], reason: EndReason, now: Millis) -> tuple[Session, ...]:
        """End sessions that are locked and have not ended."""
        for chunk in chunks([session.sid for session in going]):
            self.sessions.filter(sid__in=chunk).update(revoked_at=now, revoked_reason=reason)
        return tuple(end(session, reason, now) for session in going)

    def _lock_user(self, user_id: str) -> None:
        """Let sign-ins of a user come one after the other.

        By a write rather than a lock: whoever waited for it with an old snapshot of the data
        (REPEATABLE READ) then fails, and is repeated, instead of counting what was there before.
        """
        stripe = bucket_of_user(user_id) % STRIPES
        locks = UserLock._base_manager.using(self._connection.alias)  # noqa: SLF001
        if not locks.filter(stripe=stripe).update(stripe=stripe):
            locks.get_or_create(stripe=stripe)
            locks.filter(stripe=stripe).update(stripe=stripe)
