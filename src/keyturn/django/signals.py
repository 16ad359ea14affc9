"""Each of Keyturn's events as a signal of Django's. They know no operation and no store.

A receiver is called with `event`, of `keyturn.events`; the sender is its class:

```python
@receiver(reuse_detected)
def alarm(sender, event, **kwargs):
    mail_admins("A refresh token was used twice", f"user {event.user_id}")
```

A signal is sent after the store's transaction, and inside a transaction of the application's when that has
been committed. A receiver that raises is logged (`django.dispatch`), and breaks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction
from django.dispatch import Signal

from keyturn import events

if TYPE_CHECKING:
    from keyturn.django.store import DjangoStore
    from keyturn.manager_base import ManagerBase

issued: Final = Signal()
refreshed: Final = Signal()
refresh_converged: Final = Signal()
refresh_rejected: Final = Signal()
refresh_forged: Final = Signal()
reuse_detected: Final = Signal()
session_expired: Final = Signal()
revoked: Final = Signal()
denied: Final = Signal()
stepped_up: Final = Signal()
store_rolled_back: Final = Signal()
store_unavailable: Final = Signal()
audit_lost: Final = Signal()

SIGNALS: Final[Mapping[type, Signal]] = MappingProxyType(
    {
        events.Issued: issued,
        events.Refreshed: refreshed,
        events.RefreshConverged: refresh_converged,
        events.RefreshRejected: refresh_rejected,
        events.RefreshForged: refresh_forged,
        events.ReuseDetected: reuse_detected,
        events.SessionExpired: session_expired,
        events.Revoked: revoked,
        events.Denied: denied,
        events.SteppedUp: stepped_up,
        events.StoreRolledBack: store_rolled_back,
        events.StoreUnavailable: store_unavailable,
        events.AuditLost: audit_lost,
    }
)
"""The signal of each kind of event."""


def connect(manager: ManagerBase[Any], store: DjangoStore | None) -> None:
    """Have a manager for threads send its events.

    Args:
        manager: It.
        store: Its store, if that is the ORM: its transactions are waited for.
    """
    for kind in SIGNALS:
        manager.events.subscribe(kind, partial(_send_when_committed, store))


def connect_async(manager: ManagerBase[Any]) -> None:
    """Have a manager for asyncio send its events, off the critical path: receivers may use the ORM."""
    for kind in SIGNALS:
        manager.events.subscribe(kind, _asend)


def _send_when_committed(store: DjangoStore | None, event: object) -> None:
    alias = None if store is None else store.alias_of_transaction()
    if alias is None:
        _send(event)
    else:
        transaction.on_commit(partial(_send, event), using=alias)


def _send(event: object) -> None:
    SIGNALS[type(event)].send_robust(sender=type(event), event=event)


async def _asend(event: object) -> None:
    await SIGNALS[type(event)].asend_robust(sender=type(event), event=event)
