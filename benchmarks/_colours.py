"""A store's own lines in both colours: its refresh alone, and through a manager, tokens and all.

It knows no engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from _managers import ROTATING, async_manager_on, async_refreshing, manager_on, refreshing
from _rounds import Line, Turn, in_tasks, in_threads, line
from _rows import Rows, async_rotating, rotating
from keyturn import KeyRing
from keyturn.stores.protocol import AsyncStore, Store

KEYTURN: Final = "Keyturn, threads"
ASYNC_KEYTURN: Final = "Keyturn, asyncio"


def threads(name: str, turns: Sequence[Turn]) -> Line:
    """Make a line of workers with a thread each."""
    return line(name, in_threads(turns), least=len(turns))


def on_store(
    stack: ExitStack, store: Store, crew: Sequence[Rows], name: str, *, whole: str = KEYTURN
) -> list[Line]:
    """Measure a store, and a manager on it.

    Args:
        stack: What closes the store.
        store: With the sessions of the crew.
        crew: The workers.
        name: The store's, for people.
        whole: What the manager's line is called.
    """
    manager = manager_on(store, KeyRing.generate("HS256"), ROTATING)
    stack.callback(manager.close)
    return [
        threads(f"{name}.rotate, threads", [rotating(store, rows) for rows in crew]),
        threads(whole, [refreshing(manager) for _ in crew]),
    ]


def on_async_store(
    stack: ExitStack, runner: asyncio.Runner, store: AsyncStore, crew: Sequence[Rows], name: str
) -> list[Line]:
    """`on_store` for asyncio."""
    manager = async_manager_on(store, KeyRing.generate("HS256"), ROTATING)
    stack.callback(lambda: runner.run(manager.close()))

    async def begin() -> list[Line]:
        alone = [async_rotating(store, rows) for rows in crew]
        whole = [await async_refreshing(manager) for _ in crew]
        return [
            line(f"{name}.rotate, asyncio", in_tasks(runner, alone), least=len(crew)),
            line(ASYNC_KEYTURN, in_tasks(runner, whole), least=len(crew)),
        ]

    return runner.run(begin())
