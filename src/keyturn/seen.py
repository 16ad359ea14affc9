"""Which generations this process has told the store about. It knows no store, no token and no clock."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from keyturn._core.commands import Confirm

_MOST: Final = 100_000  # about 20 MB; beyond it the store is told of the oldest once more, harmlessly


class Seen:
    """The newest generation of each session that the store was told about, bounded. Safe for threads."""

    def __init__(self, most: int = _MOST) -> None:
        """Start empty."""
        self._lock = Lock()
        self._most = most
        self._newest: OrderedDict[UUID, int] = OrderedDict()
        self._on_its_way: set[UUID] = set()

    def is_due(self, confirm: Confirm, *, confirmed: bool) -> bool:
        """Tell whether the store must be told now, and take it as being on its way.

        Args:
            confirm: What would be told.
            confirmed: Whether the row says so already. Where it does not, telling it before was in vain: the
                store was out, or has lost the write.
        """
        with self._lock:
            known = self._newest.get(confirm.sid)
            is_news = known is None or known < confirm.gen
            if confirm.sid in self._on_its_way or (confirmed and not is_news):
                return False
            self._on_its_way.add(confirm.sid)
            self._newest[confirm.sid] = confirm.gen
            self._newest.move_to_end(confirm.sid)
            if len(self._newest) > self._most:
                self._newest.popitem(last=False)
            return True

    def knows(self, sid: UUID, gen: int) -> bool:
        """Tell whether the store was told of a generation and has answered."""
        with self._lock:
            known = self._newest.get(sid)
            return known is not None and known >= gen and sid not in self._on_its_way

    def arrived(self, confirm: Confirm) -> None:
        """Note that the store was told."""
        with self._lock:
            self._on_its_way.discard(confirm.sid)

    def failed(self, confirm: Confirm) -> None:
        """Note that the store could not be told: the next accepted token tries again."""
        with self._lock:
            self._on_its_way.discard(confirm.sid)
            if self._newest.get(confirm.sid) == confirm.gen:
                del self._newest[confirm.sid]
