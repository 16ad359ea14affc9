"""Which failures of an operation are followed by another try. It knows no operation and no driver."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

from keyturn.errors import StoreUnavailable
from keyturn.stores._sql.codes import LOST, ROLLED_BACK

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_PAUSES: Final = (0.0, 0.02, 0.05, 0.1)  # seconds; together shorter than anybody's patience
_LOST_AT_MOST: Final = 1  # a new connection either works, or the server is away


class Tries:
    """The tries of one operation.

    What the database rolled back did not happen: it is tried again, a few times. After a lost connection
    nobody knows what happened: then only what is safe to repeat is, once.
    """

    def __init__(self, *, safe: bool) -> None:
        """Begin with none.

        Args:
            safe: Doing it twice is as good as once.
        """
        self._safe = safe
        self._rolled_back = 0
        self._lost = 0
        self.pause = 0.0

    def allow_another(self, error: StoreUnavailable) -> bool:
        """Tell whether to try again after an error, `pause` seconds later."""
        if error.detail == ROLLED_BACK.detail and self._rolled_back < len(_PAUSES):
            self.pause = _PAUSES[self._rolled_back]
            self._rolled_back += 1
            return True
        if error.detail == LOST.detail and self._safe and self._lost < _LOST_AT_MOST:
            self.pause = 0.0
            self._lost += 1
            return True
        return False


def tried(once: Callable[[], T], *, safe: bool) -> T:
    """Try an operation, and again where that is allowed.

    Args:
        once: Does it.
        safe: Doing it twice is as good as once.
    """
    tries = Tries(safe=safe)
    while True:
        try:
            return once()
        except StoreUnavailable as error:
            if not tries.allow_another(error):
                raise
        time.sleep(tries.pause)


async def async_tried(once: Callable[[], Awaitable[T]], *, safe: bool) -> T:
    """Try an operation, and again where that is allowed: see `tried`."""
    tries = Tries(safe=safe)
    while True:
        try:
            return await once()
        except StoreUnavailable as error:
            if not tries.allow_another(error):
                raise
        await asyncio.sleep(tries.pause)
