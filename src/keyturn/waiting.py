"""The lines of the audit trail that wait to be written, and for how long. It knows no trail and no thread."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeAlias
from weakref import finalize

from keyturn.errors import InvalidInput, KeyturnError, StoreError
from keyturn.forks import in_forked_children

if TYPE_CHECKING:
    from keyturn._core.trail import TrailEntry

_LOG: Final = logging.getLogger("keyturn")
MOST_WAITING: Final = 10_000  # lines; at 2 KiB of device each, 20 MB
BATCH: Final = 500
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_DOUBLINGS: Final = 10  # more than it takes to get there

Told: TypeAlias = Callable[[int, int], object]
"""Called with how many lines were lost now, and how many in all."""


def back_off(failures: int) -> float:
    """Say how many seconds a trail is left alone after it failed so often in a row, at least once.

    Examples:
        >>> [back_off(failures) for failures in (1, 2, 3, 4, 5, 6, 1000)]
        [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    """
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, _DOUBLINGS))


class Lines:
    """The lines that wait to be written: bounded, and safe for threads.

    One writer at a time takes them, batch by batch, and says what became of each: its turn has a number. What
    is left of a writer whose turn is over, because it hangs, for instance, changes nothing any more.
    """

    def __init__(self, most: int = MOST_WAITING, pause: Callable[[int], float] = back_off) -> None:
        """Start empty.

        Args:
            most: How many may wait, beside one batch that is being written; those that come beyond it are
                lost.
            pause: How many seconds to wait after so many failures in a row.
        """
        self.lost, self.turn = 0, 0
        self._failures, self._has_writer, self._at_once = 0, False, BATCH
        self._most = most
        self._pause = pause
        self._waiting: deque[TrailEntry] = deque()
        self._taken: deque[TrailEntry] = deque()
        self.start_afresh()
        in_forked_children(self, Lines.start_afresh)
        finalize(self, _warn_of_the_rest, self._waiting, self._taken)

    def start_afresh(self) -> None:
        """Begin with nothing waiting: what a forked child finds, its parent writes."""
        self._lock = Lock()
        self._clear()
        self._overflowing = False
        self._untold = 0

    def add(self, entries: Sequence[TrailEntry], start: Callable[[], object]) -> bool:
        """Have lines wait.

        Args:
            entries: The lines.
            start: Has a writer begin; called where none is at work.

        Returns:
            Whether a whole batch is waiting.
        """
        with self._lock:
            room = max(0, self._most - len(self._waiting))
            self._waiting.extend(entries[:room])
            too_many = len(entries) > room
            begins = too_many and not self._overflowing
            self._overflowing = self._overflowing or too_many
            self._lose(len(entries[room:]))
            if (self._waiting or self._taken) and not self._has_writer:
                with suppress(RuntimeError):  # no thread can be started now: the next line tries again
                    start()  # within the lock, so that a flush which sees the lines comes after their writer
                    self._has_writer = True
            whole = len(self._waiting) >= BATCH
        if begins:  # a trail that never answers would keep the writer from ever telling
            _LOG.warning("keyturn: %d lines of the audit trail wait already: more are lost", self._most)
        return whole

    def take(self, turn: int) -> list[TrailEntry]:
        """Take what is to be written next; after nothing the writer is done, and the next line needs another.

        Args:
            turn: The writer's, as `turn` was when it was started.
        """
        with self._lock:
            if turn != self.turn:
                return []
            if not self._taken:
                self._taken.extend(self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting))))
                self._at_once = len(self._taken)
                self._overflowing = self._overflowing and len(self._waiting) >= self._most
            self._has_writer = bool(self._taken)
            return list(islice(self._taken, self._at_once))

    def settle(self, turn: int, batch: Sequence[TrailEntry], error: Exception | None) -> float:
        """Hear what became of a batch: an outage keeps it, any other error loses it.

        Args:
            turn: The writer's.
            batch: What it took.
            error: What the trail said; None: it is written.

        Returns:
            How many seconds to wait before the next write.
        """
        with self._lock:
            if turn != self.turn:
                return 0.0
            if isinstance(error, InvalidInput) and len(batch) > 1:
                self._at_once = 1  # one line is at fault, and need not take the others with it
                return 0.0
            # Writing a batch twice changes nothing, so one that met an outage is tried again.
            failures = self._failures = self._failures + 1 if isinstance(error, StoreError) else 0
            if not failures:
                for _ in batch:
                    self._taken.popleft()
                self._lose(len(batch) if error else 0)
        if error and failures <= 1:  # told once for each outage
            _log(error)
        return self._pause(failures) if failures else 0.0

    def leave(self, turn: int) -> None:
        """Note that the writer ended before its time: the next line, or a flush, needs another."""
        with self._lock:
            if turn == self.turn:
                self._end_turn()

    def give_up(self, turn: int | None = None) -> None:
        """Count all that still wait as lost; their writer has ended, or hangs.

        Args:
            turn: Do nothing unless it is this writer's turn; None: whosever it is.
        """
        with self._lock:
            if turn in {None, self.turn}:
                self._lose(len(self._taken) + len(self._waiting))
                self._clear()

    def tell(self, told: Told) -> None:
        """Report what was lost since the last report, if anything."""
        with self._lock:
            count, total = self._untold, self.lost
            self._untold = 0
        if count:
            _LOG.warning("keyturn: lines of the audit trail were lost: %d now, %d so far", count, total)
            told(count, total)

    def _clear(self) -> None:
        self._taken.clear()
        self._waiting.clear()
        self._failures = 0
        self._end_turn()

    def _end_turn(self) -> None:
        self.turn += 1
        self._has_writer = False
        self._at_once = BATCH  # the next writer tries what the last one held together

    def _lose(self, count: int) -> None:
        self.lost += count
        self._untold += count


def _log(error: Exception) -> None:
    if isinstance(error, StoreError):
        _LOG.warning("keyturn: the audit trail cannot be written now, so its lines wait: %s", error)
    elif isinstance(error, KeyturnError):
        _LOG.warning("keyturn: a line of the audit trail cannot be written: %s", error)
    else:
        _LOG.error("keyturn: the audit trail failed", exc_info=error)


def _warn_of_the_rest(*waiting: deque[TrailEntry]) -> None:
    """Say what a manager that was not closed leaves behind, when it goes or when the program ends."""
    left = sum(len(lines) for lines in waiting)
    if left:
        _LOG.warning("keyturn: lines of the audit trail were lost: %d; close the manager", left)
