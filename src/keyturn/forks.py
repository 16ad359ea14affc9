"""What happens when a process forks, and in the child. It knows no store and no token."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Condition
from typing import Final, TypeVar
from weakref import ref

T = TypeVar("T")

PATIENCE: Final = 5.0  # seconds a fork waits for others: as long as a writer may for SQLite's lock


def in_forked_children(target: T, action: Callable[[T], object]) -> None:
    """Do something with an object in each child process that is forked while the object is in use.

    The interpreter keeps the hook for ever, but the hook does not keep the object.
    """
    if not hasattr(os, "register_at_fork"):  # no forks, no children
        return
    known = ref(target)
    os.register_at_fork(after_in_child=lambda: _if_used(known, action))


class Whole:
    """Work of threads that no fork cuts in two: a fork waits for its end, and new work for the fork.

    A library written in C (SQLite is one) has locks of its own. A child that is forked while another thread
    holds one has the lock, but not the thread: it waits for ever.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        """Start with nothing at work.

        Args:
            patience: Seconds that a fork waits at most, and new work for a fork.
        """
        self._patience = patience
        self._start()
        in_forked_children(self, Whole._start)
        if hasattr(os, "register_at_fork"):
            known = ref(self)
            os.register_at_fork(
                before=lambda: _if_used(known, Whole._hold),
                after_in_parent=lambda: _if_used(known, Whole._let_go),
            )

    @contextmanager
    def work(self) -> Generator[None]:
        """Do in the block what must not be cut in two."""
        change = self._change  # a child that was forked in the block has another one
        with change:
            change.wait_for(lambda: not self._forks, self._patience)
            self._working += 1
        try:
            yield
        finally:
            with change:
                if change is self._change:
                    self._working -= 1
                change.notify_all()

    def _start(self) -> None:
        self._change = Condition()  # the parent's may be held by a thread that is not here
        self._working = 0
        self._forks = 0

    def _hold(self) -> None:
        with self._change:
            self._forks += 1
            self._change.wait_for(lambda: not self._working, self._patience)

    def _let_go(self) -> None:
        with self._change:
            self._forks = max(0, self._forks - 1)  # it may have come into being after the fork had begun
            self._change.notify_all()


def _if_used(known: ref[T], action: Callable[[T], object]) -> None:
    still_used = known()
    if still_used is not None:
        action(still_used)
