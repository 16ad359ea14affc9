"""The revocation view: what this process knows to be revoked, and how old that is. It knows no store.

Rule 1: what is known to be revoked stays so, however old the view is.
Rule 2: what is not known to be revoked is accepted only while the view is fresh, and only for tokens that are
younger than what it looks back on; for all others, the store is asked.
"""

from __future__ import annotations

from itertools import takewhile
from threading import Lock
from typing import TYPE_CHECKING, Final

from keyturn._core.revocations import LONGEST_MEMORY
from keyturn.watchers import Watchers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keyturn._core.access_engine import Standing
    from keyturn._core.revocations import LogEntry
    from keyturn.policy import Policy

SLACK: Final = 120.0
"""Seconds by which the clocks of two servers may differ: twice the largest leeway that a policy may have."""


class RevocationView:
    """What this process knows to be revoked. Safe to share between threads."""

    def __init__(self, *, looks_back: float, max_staleness: float) -> None:
        """Start with nothing known, and so with nothing accepted.

        Args:
            looks_back: Seconds: for tokens that were issued longer ago, the store is asked.
            max_staleness: Seconds: how old the view may be.
        """
        self.looks_back = looks_back
        self.max_staleness = max_staleness
        self.watchers = Watchers()
        self._as_of: float | None = None
        self._start()

    @classmethod
    def of(cls, policy: Policy) -> RevocationView:
        """Make one that looks back as long as a policy's access tokens live, a day at most."""
        longest = policy.access_ttl + policy.leeway + 1  # `iat` has whole seconds
        return cls(looks_back=min(longest, LONGEST_MEMORY / 1000), max_staleness=policy.max_staleness)

    def _start(self) -> None:
        self._lock = Lock()
        self._sessions: dict[str, float] = {}
        self._tokens: dict[str, float] = {}

    def __len__(self) -> int:
        """Give how many revocations are known."""
        return len(self._sessions) + len(self._tokens)

    def __repr__(self) -> str:
        """Show how many are known."""
        state = "not read yet" if self._as_of is None else f"as of {self._as_of:.3f}"
        return f"RevocationView({len(self)} revocations, {state})"

    def staleness(self, now: float) -> float | None:
        """Give how many seconds old the view is; None: it was never read.

        Args:
            now: POSIX seconds.
        """
        return None if self._as_of is None else abs(now - self._as_of)

    def clears(self, session_id: str | None, token_id: str, issued_at: float, now: float) -> bool:
        """Tell whether an access token is known not to be revoked.

        Args:
            session_id: Its `sid`, if it has one.
            token_id: Its `jti`.
            issued_at: Its `iat`, POSIX seconds.
            now: POSIX seconds.
        """
        as_of = self._as_of
        return (
            as_of is not None
            and abs(now - as_of) <= self.max_staleness  # a view from the future is no fresher
            and issued_at >= now - self.looks_back
            and session_id not in self._sessions
            and token_id not in self._tokens
        )

    def revoked(self, session_id: str | None, token_id: str) -> bool:
        """Tell whether an access token is known to be revoked."""
        return session_id in self._sessions or token_id in self._tokens

    def standing(self, session_id: str | None, token_id: str, issued_at: float, now: float) -> Standing:
        """Say what is known of an access token: see `clears`."""
        if self.revoked(session_id, token_id):
            return "revoked"
        return "clear" if self.clears(session_id, token_id, issued_at, now) else "unknown"

    def learn(self, entries: Iterable[LogEntry], now: float) -> None:
        """Take revocations in, and tell who watches for them.

        Args:
            entries: What was revoked.
            now: POSIX seconds.
        """
        until = now + self.looks_back + SLACK
        learned = tuple(entries)
        with self._lock:
            for entry in learned:
                known = self._sessions if entry.kind == "session" else self._tokens
                known.setdefault(entry.subject, until)
        self.watchers.tell(learned)

    def forget(self, now: float) -> None:
        """Let go of revocations that no access token outlives.

        Only whoever reads the log may do so: it notices when the clock is set back, and then reads all again.

        Args:
            now: POSIX seconds.
        """
        with self._lock:
            for known in (self._sessions, self._tokens):  # in the order in which they were learned
                gone = [subject for subject, _ in takewhile(lambda pair: pair[1] < now, known.items())]
                for subject in gone:
                    del known[subject]

    def became_current(self, now: float) -> None:
        """Note that everything was known at a moment, POSIX seconds."""
        self._as_of = now

    def start_afresh(self) -> None:
        """Accept nothing until the log was read again; what is known to be revoked stays so.

        In a forked child, nobody reads it yet. Where a clock was set back, what was let go of may count.
        """
        self._as_of = None
