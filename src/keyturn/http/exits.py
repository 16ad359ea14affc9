"""The end of a process in which nobody closes a manager. It knows no framework."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from keyturn.manager import TokenManager


def flush_at_exit(manager: TokenManager[Any]) -> None:
    """Have a manager do what it has deferred before the process ends, where nobody is told of its end.

    It is flushed and not closed: the store is the application's. The hook keeps no manager alive. A forked
    worker has it too, with its own copy of the manager.
    """
    found = ref(manager)

    def flush() -> None:
        alive = found()
        if alive is not None:
            alive.flush()

    atexit.register(flush)
