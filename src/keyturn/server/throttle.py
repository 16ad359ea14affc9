"""How often one may try to sign in: per account and per address. It knows no password and no user.

Every attempt that is let through counts, also one that succeeds. A success must not wipe the slate: whoever
owns one account could sign in to it between guesses, and guess for ever. So a correct password under the
limit resets nothing, and one above the limit is not looked at.

An attempt that is refused does not count, so that waiting as told always helps. Accounts and addresses are
kept as one of a fixed number of places, chosen by a hash under a random key: the memory is bounded whatever
is tried, nobody can aim at somebody else's place, and no name or address is kept. Two that meet in a place
share its allowance.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from hashlib import blake2b
from threading import Lock
from typing import Final

from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from keyturn.http import HttpRequest, network_of
from keyturn.server.settings import rate_of
from keyturn.server.users import LONGEST_NAME, normalised

PLACES: Final = 2**15


class Throttle:
    """Counts attempts in this process. Safe for threads."""

    def __init__(
        self,
        rate: str,
        *,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Start without attempts.

        Args:
            rate: For example `10/minute`.
            clock: Gives POSIX seconds, for the wait that is told; the counting itself is by the wall clock.
            entropy: Gives so many random bytes.

        Raises:
            ConfigurationError: It is no rate.
        """
        self._rate = rate_of(rate)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._lock = Lock()
        self._clock = clock
        self._key = entropy(32)

    def take(self, request: HttpRequest, username: str) -> float | None:
        """Count an attempt.

        Args:
            request: Where it comes from.
            username: The account that it is for.

        Returns:
            Seconds to wait before the next, or None: go on.
        """
        places = [self._place("account", normalised(username) or username[:LONGEST_NAME])]
        if request.client is not None:
            places.insert(0, self._place("address", network_of(request.client)))
        with self._lock:  # nobody may come between the look and the count
            for place in places:
                if not self._limiter.test(self._rate, place):
                    until = self._limiter.get_window_stats(self._rate, place).reset_time
                    return max(1.0, until - self._clock())
            for place in places:
                self._limiter.hit(self._rate, place)
        return None

    def _place(self, kind: str, name: str) -> str:
        digest = blake2b(f"{kind}\0{name}".encode("utf-8", "surrogatepass"), key=self._key, digest_size=8)
        return f"{kind}{int.from_bytes(digest.digest(), 'big') % PLACES}"
