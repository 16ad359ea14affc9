"""Who is to be told at once that a session is over or a token denied. They know no store and no clock.

It is a matter of speed alone: whoever watches also asks, now and then.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyturn._core.revocations import LogEntry


class Watchers:
    """Those who watch sessions and tokens in this process. Safe to share between threads."""

    def __init__(self) -> None:
        """Start with nobody watching."""
        self._lock = Lock()
        self._calls: dict[str, list[Callable[[], object]]] = {}

    def __len__(self) -> int:
        """Give how many sessions and tokens are watched."""
        return len(self._calls)

    @contextmanager
    def watching(self, subjects: Iterable[str], call: Callable[[], object]) -> Generator[None]:
        """Have something called when one of the subjects is revoked, for as long as the block lasts.

        Args:
            subjects: Ids of sessions and of tokens.
            call: Called from whatever thread learns of it, perhaps more than once; it must be quick and must
                not raise.
        """
        watched = tuple(subjects)
        with self._lock:
            for subject in watched:
                self._calls.setdefault(subject, []).append(call)
        try:
            yield
        finally:
            with self._lock:
                for subject in watched:
                    self._calls[subject].remove(call)
                    if not self._calls[subject]:
                        del self._calls[subject]

    def tell(self, entries: Iterable[LogEntry]) -> None:
        """Call those who watch what was revoked."""
        if not self._calls:
            return
        with self._lock:
            calls = [call for entry in entries for call in self._calls.get(entry.subject, ())]
        for call in calls:
            call()
