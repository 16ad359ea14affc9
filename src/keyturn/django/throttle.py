"""How often one may try to sign in, counted in Django's cache: per account and per address.

It knows no password and no user. Every attempt counts, also one that succeeds: whoever owns one account could
else sign in to it between guesses. Windows are fixed, so waiting as told always helps. No name and no address
is in the cache, only digests under a key from `SECRET_KEY`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final
from unicodedata import normalize

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.utils.crypto import salted_hmac

from keyturn.errors import StoreUnavailable
from keyturn.http import network_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyturn.django.rates import Rate
    from keyturn.http import HttpRequest

_SALT: Final = "keyturn.django.throttle"


class CacheThrottle:
    """Counts attempts in a cache that all workers share, if the project's is one."""

    def __init__(self, rate: Rate, *, cache: str = "default", clock: Callable[[], float] = time.time) -> None:
        """Count nothing yet.

        Args:
            rate: How many attempts are let through, for each account and for each address.
            cache: The alias of the cache.
            clock: Gives POSIX seconds.
        """
        self._rate = rate
        self._cache = cache
        self._clock = clock

    def take(self, request: HttpRequest, username: str, /) -> float | None:
        """Count an attempt: see `LoginThrottle.take`. It blocks as long as the cache does.

        Raises:
            StoreUnavailable: The cache cannot be asked. Nobody signs in uncounted.
        """
        now, period = self._clock(), self._rate.period
        window = int(now // period)
        places = [f"account\0{normalize('NFKC', username).casefold()}"]
        if request.client is not None:
            # First: who is refused there must not use up the account's attempts besides.
            places.insert(0, f"address\0{network_of(request.client)}")
        for place in places:
            if self._count(f"{window}\0{place}") > self._rate.most:
                return (window + 1) * period - now
        return None

    def _count(self, place: str) -> int:
        digest = salted_hmac(_SALT, place.encode("utf-8", "surrogatepass"), algorithm="sha256").hexdigest()
        key, cache = f"keyturn.login.{digest}", caches[self._cache]
        try:
            cache.add(key, 0, timeout=2 * self._rate.period)
            count = cache.incr(key)
            if not increments(type(cache)):
                cache.touch(key, 2 * self._rate.period)  # it was written anew, with the cache's own timeout
        except ValueError:  # it is gone again: a cache that keeps nothing counts nothing
            return 0
        except Exception as error:  # backends raise what their drivers do
            raise StoreUnavailable("the cache that counts sign-ins cannot be asked") from error
        return count


def increments(backend: type[BaseCache]) -> bool:
    """Tell whether a cache counts in one step; others read and then write, and many at once are one there."""
    return backend.incr is not BaseCache.incr
