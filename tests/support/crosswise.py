"""Lets a store and another transaction lock two rows crosswise, and tells which one the server ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, NamedTuple, TypeVar

from sqlalchemy import Engine, Executable
from sqlalchemy.exc import OperationalError

from tests.support.processes import wait_until

T = TypeVar("T")

ATTEMPTS: Final = 5
"""How often to try until the server ends the store's transaction: on a calm machine the first time."""

_WAITING: Final = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock'",
    "mysql": "SELECT variable_value + 0 FROM information_schema.global_status "
    "WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'",
}


class Crossed(NamedTuple, Generic[T]):
    """What came of it.

    Attributes:
        proves: The server ended the store's transaction, not the other one.
        answer: What the store said in the end.
    """

    proves: bool
    answer: T


def crosswise(
    engine: Engine, held: Iterable[Executable], wanted: Executable, work: Callable[[], T]
) -> Crossed[T]:
    """Let a store's work wait for another transaction, and that one for the work: one of them must go.

    MariaDB spares who has changed more. PostgreSQL ends who looks first, a second after it began to wait:
    mostly the work, which waits first; but on a busy machine the other may come later than that second and be
    ended itself, which proves nothing and must be tried again.

    Args:
        engine: The database's.
        held: What the other does first; the last of it locks a row that the work needs late.
        wanted: Locks a row that the work has locked by then.
        work: Begins to wait for the other, in a thread of its own.
    """
    with engine.connect() as other, ThreadPoolExecutor(1) as pool:
        other.exec_driver_sql("BEGIN")
        for statement in held:
            other.execute(statement)
        working = pool.submit(work)
        wait_until(lambda: is_waiting(engine), what="the work to wait for the other's row")
        try:
            other.execute(wanted)
            proves = True
            other.exec_driver_sql("COMMIT")
        except OperationalError:
            proves = False
            other.exec_driver_sql("ROLLBACK")
        return Crossed(proves, working.result(timeout=30))


def is_waiting(engine: Engine) -> bool:
    """Tell whether somebody waits for another's lock."""
    with engine.connect() as watcher:
        return bool(watcher.exec_driver_sql(_WAITING[engine.dialect.name]).scalar_one())
