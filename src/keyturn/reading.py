"""How far a revocation log was read, and what becomes of a page of it. It knows no thread, loop or store."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keyturn._core.commands import Follow
from keyturn.errors import StoreError
from keyturn.revocation import SLACK, RevocationView
from keyturn.stores.protocol import PAGE

if TYPE_CHECKING:
    from keyturn._core.outcomes import Followed

_LOG: Final = logging.getLogger("keyturn")
_LONGEST_REST: Final = 1.0  # seconds
_POLLS: Final = 4  # within the staleness that is allowed, so that one that fails costs nothing


def rest_of(max_staleness: float) -> float:
    """Give how many seconds there are between two polls.

    Examples:
        >>> rest_of(5), rest_of(1)
        (1.0, 0.25)
    """
    return min(_LONGEST_REST, max_staleness / _POLLS)


@dataclass(frozen=True, slots=True)
class Question:
    """A page that was asked for.

    Attributes:
        command: What the store was asked.
        round: How often the view was doubted before that.
    """

    command: Follow
    round: int


class Reading:
    """How far a log was read, and what becomes of a page. It waits for nothing."""

    def __init__(
        self, view: RevocationView, clock: Callable[[], float], told: Callable[[StoreError], object]
    ) -> None:
        """Begin before the first line.

        Args:
            view: What learns of revocations.
            clock: Gives POSIX seconds.
            told: Called where the log cannot be read, once until it can be again.
        """
        self.view = view
        self.cursor: object | None = None
        self._clock = clock
        self._told = told
        self._latest = 0.0
        self._round = 0
        self._failing = False
        self._silent = False

    def ask(self) -> Question:
        """Give what reads on."""
        now = self._clock()
        if now < self._latest - SLACK:  # the clock was set back: what the view has let go of may count again
            self._latest = now
            self.start_afresh()
        self._latest = max(self._latest, now)
        since = now - self.view.looks_back - SLACK
        return Question(Follow(self.cursor, round(since * 1000), round(now * 1000), PAGE), self._round)

    def take(self, asked: Question, page: Followed) -> bool:
        """Take a page in, and tell whether to read on at once."""
        now = asked.command.now / 1000
        self.view.learn(page.entries, now)
        if asked.round != self._round:  # it says nothing about what is doubted since
            return True
        self.cursor = page.cursor
        if not page.more:
            self.view.forget(now)
            self.view.became_current(now)
            self._failing = False
        return page.more

    def failed(self, error: Exception) -> None:
        """Note that the log cannot be read right now."""
        if self._failing:
            return
        self._failing = True
        if isinstance(error, StoreError):
            _LOG.warning("keyturn: the revocation log cannot be read (%s): the store is asked instead", error)
            self._told(error)
        else:
            _LOG.error("keyturn: following the revocation log failed", exc_info=error)

    def heard(self, failure: Exception | None) -> None:
        """Note what became of waiting for the bell; that it does not work is said once, until it does."""
        if failure is not None and not self._silent:
            _LOG.warning("keyturn: revocations are polled for, because the store's push failed: %s", failure)
        self._silent = failure is not None

    def doubt(self) -> None:
        """Let the view accept nothing until a page says that all is known which was asked for from now on."""
        self._round += 1
        self.view.start_afresh()

    def start_afresh(self) -> None:
        """Read everything again, and let the view accept nothing until then."""
        self._round += 1
        self.cursor = None
        self._failing = self._silent = False
        self.view.start_afresh()
