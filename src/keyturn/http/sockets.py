"""How long a WebSocket that was opened with an access token may stay open. It knows no framework.

It may outlive its token, but not the token's session: a revocation ends it at once where this process learns
of it, and after a pause at the latest. Limits of the session count, too, so a client must go on to refresh.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from keyturn.errors import StoreError
from keyturn.manager import AsyncTokenManager
from keyturn.results import Principal

_LONGEST_PAUSE: Final = 5.0  # seconds; less where a view may be less stale
_SHORTEST_PAUSE: Final = 0.5  # seconds; each socket may ask the store so often
_QUIET_ROUNDS: Final = 12  # so a limit of the session is noticed within a minute


@dataclass(frozen=True, slots=True)
class Ending:
    """How to close a WebSocket.

    Attributes:
        code: The status code (RFC 6455, section 7.4).
        reason: The reason, for people.
    """

    code: int
    reason: str


OVER: Final = Ending(3000, "the session has ended")  # "Unauthorized" in IANA's registry of close codes
AWAY: Final = Ending(1013, "try again later")  # the same registry


async def until_over(
    manager: AsyncTokenManager[Any],
    principal: Principal[Any],
    *,
    pause: float | None = None,
    rounds: int = _QUIET_ROUNDS,
) -> Ending:
    """Wait until a principal's session is over, or the token was denied, and say how to close.

    A store that cannot be asked says nothing about a token, but a socket may not stay open on nobody's word.

    Args:
        manager: What accepted the token.
        principal: Who opened the socket.
        pause: Seconds between two looks; None: as fresh as the policy wants the view.
        rounds: After how many of them to ask also where nothing was heard, for the session's own limits.
    """
    if pause is None:
        pause = max(_SHORTEST_PAUSE, min(_LONGEST_PAUSE, manager.policy.max_staleness))
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(told.set)

    quiet = rounds  # at first, too: it may have ended since it was accepted
    subjects = [each for each in (principal.session_id, principal.token_id) if each is not None]
    with manager.watchers.watching(subjects, tell):
        while not told.is_set():
            if quiet >= rounds or not _is_told(manager):
                quiet = 0
                try:
                    if not await manager.stands(principal):
                        return OVER
                except StoreError:
                    return AWAY
            quiet += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await told.wait()
    return OVER


def _is_told(manager: AsyncTokenManager[Any]) -> bool:
    """Tell whether this process hears of revocations now."""
    view = manager.revocations
    age = None if view is None else view.staleness(manager.now())
    return view is not None and age is not None and age <= view.max_staleness
