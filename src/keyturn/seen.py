"""Which generations this process has confirmed already. It knows no store, no token and no clock."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from uuid import UUID

    from keyturn._core.commands import Confirm

_MOST: Final = (
    100_000  # about 20 MB; beyond it the oldest are told to the store a second time, which is harmless
)


class Seen:
    """The newest confirmed generation of each session, bounded. Safe for threads."""

    def __init__(self, most: int = _MOST) -> None:
        """Start empty."""
        self._lock = Lock()
        self._most = most
        self._newest: OrderedDict[UUID, int] = OrderedDict()

    def is_first(self, confirm: Confirm) -> bool:
        """Tell whether a generation is news, and remember it."""
        with self._lock:
            known = self._newest.get(confirm.sid)
            if known is not None and known >= confirm.gen:
                return False
            self._newest[confirm.sid] = confirm.gen
            self._newest.move_to_end(confirm.sid)
            if len(self._newest) > self._most:
                self._newest.popitem(last=False)
            return True

    def forget(self, confirm: Confirm) -> None:
        """Take a generation for news again, because the store could not be told."""
        with self._lock:
            self._newest.pop(confirm.sid, None)
