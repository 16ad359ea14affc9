"""What happens in a forked child process. It knows no store, no thread and no token."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar
from weakref import ref

T = TypeVar("T")


def in_forked_children(target: T, action: Callable[[T], object]) -> None:
    """Do something with an object in each child process that is forked while the object is in use.

    The interpreter keeps the hook for ever, but the hook does not keep the object.
    """
    if not hasattr(os, "register_at_fork"):  # no forks, no children
        return
    known = ref(target)

    def act() -> None:
        still_used = known()
        if still_used is not None:
            action(still_used)

    os.register_at_fork(after_in_child=act)
