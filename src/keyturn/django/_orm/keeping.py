"""The operations on many rows, in bounded steps, and those of the audit trail. They know no rule.

Keys are read first, and rows are removed by key, chunk by chunk, so that others get their turn between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from keyturn.django._orm.operations import lives
from keyturn.django._orm.rows import CHUNK, chunks, from_entry, to_entry, to_sessions
from keyturn.django.models import Denial, TrailLine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from django.db.models import Model, QuerySet

    from keyturn._core.records import Millis
    from keyturn.django.models import AbstractSession
    from keyturn.stores.protocol import Purge, Session, TrailEntry, Where

ModelT = TypeVar("ModelT", bound="Model")


def find(sessions: QuerySet[AbstractSession], where: Where, limit: int) -> Sequence[Session]:
    """See `Store.find`."""
    return to_sessions(_matching(sessions, where).order_by("-sid" if where.newest_first else "sid")[:limit])


def count(sessions: QuerySet[AbstractSession], where: Where) -> int:
    """See `Store.count`."""
    return _matching(sessions, where).count()


def _matching(sessions: QuerySet[AbstractSession], where: Where) -> QuerySet[AbstractSession]:
    if where.user_id is not None:
        sessions = sessions.filter(user_id=where.user_id)
    if where.live_at is not None:
        sessions = sessions.filter(lives(where.live_at))
    if where.after is not None:
        later = {"sid__lt" if where.newest_first else "sid__gt": where.after}
        sessions = sessions.filter(**later)
    return sessions


def delete(sessions: QuerySet[AbstractSession], sids: Sequence[UUID]) -> int:
    """See `Store.delete`: the lines of the trail first, which nobody could find afterwards."""
    lines = _all(TrailLine, sessions)
    for chunk in chunks(sids):
        while ids := list(lines.filter(sid__in=chunk).values_list("id", flat=True)[:CHUNK]):
            _remove(lines.filter(id__in=ids))
    return sum(_remove(sessions.filter(sid__in=chunk)) for chunk in chunks(sids))


def purge(sessions: QuerySet[AbstractSession], command: Purge) -> int:
    """See `Store.purge`: what is old stays old, so the keys are read first."""
    old = sessions.filter(expires_at__lt=command.before).order_by("expires_at", "sid")
    sids = list(old.values_list("sid", flat=True)[: command.limit])
    gone = sum(_remove(sessions.filter(sid__in=chunk)) for chunk in chunks(sids))
    denials = _all(Denial, sessions)
    stale = denials.filter(expires_at__lte=command.now).order_by("expires_at", "token_id")
    tokens = list(stale.values_list("token_id", flat=True)[: command.limit])
    # Not those that were prolonged meanwhile.
    return gone + sum(
        _remove(denials.filter(token_id__in=chunk, expires_at__lte=command.now)) for chunk in chunks(tokens)
    )


def note(sessions: QuerySet[AbstractSession], entries: Sequence[TrailEntry]) -> None:
    """See `Trail.note`."""
    lines = [TrailLine(**from_entry(entry)) for entry in entries]
    _all(TrailLine, sessions).bulk_create(lines, ignore_conflicts=True)


def history(
    sessions: QuerySet[AbstractSession], sid: UUID, after: UUID | None, limit: int
) -> Sequence[TrailEntry]:
    """See `Trail.history`."""
    lines = _all(TrailLine, sessions).filter(sid=sid, **({} if after is None else {"id__gt": after}))
    return tuple(map(to_entry, lines.order_by("id")[:limit]))


def forget(sessions: QuerySet[AbstractSession], before: Millis, limit: int) -> int:
    """See `Trail.forget`."""
    lines = _all(TrailLine, sessions)
    ids = list(lines.filter(at__lt=before).order_by("at", "id").values_list("id", flat=True)[:limit])
    return sum(_remove(lines.filter(id__in=chunk)) for chunk in chunks(ids))


def _all(model: type[ModelT], sessions: QuerySet[AbstractSession]) -> QuerySet[ModelT]:
    """Give all rows of another table, in the database of the sessions."""
    return model._base_manager.using(sessions.db)  # noqa: SLF001


def _remove(rows: QuerySet[Any]) -> int:
    """Remove rows, and what an application has hung on them; count the rows alone."""
    _, by_model = rows.delete()
    return by_model.get(rows.model._meta.label, 0)  # noqa: SLF001
