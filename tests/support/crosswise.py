"""Lets a store and another transaction lock two rows crosswise until the server ends the store's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from sqlalchemy import Engine, Executable, Row
from sqlalchemy.exc import OperationalError

from tests.support.processes import wait_until

T = TypeVar("T")

_ATTEMPTS: Final = 5  # on a calm machine the first is enough

_WAITING: Final = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock'",
    "mysql": "SELECT variable_value + 0 FROM information_schema.global_status "
    "WHERE variable_name = 'INNODB_ROW_LOCK_CURRENT_WAITS'",
}


def crosswise(
    engine: Engine,
    *,
    prepare: Callable[[], object],
    held: Sequence[Executable],
    wanted: Executable,
    work: Callable[[], T],
) -> tuple[Sequence[Row[Any]], T]:
    """Let a store's work wait for another transaction, and that one for the work, until the work has to go.

    MariaDB spares who has changed more. PostgreSQL ends who looks first, a second after it began to wait:
    mostly the work, which waits first; but on a busy machine the other may come later than that second and be
    ended itself, which proves nothing: then all is prepared and done again.

    Args:
        engine: The database's.
        prepare: Makes the rows, also where there are some of an earlier attempt.
        held: What the other does first; the last of it locks a row that the work needs late.
        wanted: Locks a row that the work has locked by then.
        work: Begins to wait for the other, in a thread of its own.

    Returns:
        What the other saw of the row it wanted, and what the work gave in the end.

    Raises:
        AssertionError: However often it was tried, the server ended the other.
    """
    for _ in range(_ATTEMPTS):
        prepare()
        with engine.connect() as other, ThreadPoolExecutor(1) as pool:
            other.exec_driver_sql("BEGIN")
            for statement in held:
                other.execute(statement)
            working = pool.submit(work)
            wait_until(lambda: _is_waiting(engine), what="the work to wait for the other's row")
            try:
                seen = other.execute(wanted).all()
                other.exec_driver_sql("COMMIT")
            except OperationalError:
                other.exec_driver_sql("ROLLBACK")
                working.result(timeout=30)
            else:
                return seen, working.result(timeout=30)
    raise AssertionError(f"in {_ATTEMPTS} attempts the server never ended the store's transaction")


def _is_waiting(engine: Engine) -> bool:
    with engine.connect() as watcher:
        return bool(watcher.exec_driver_sql(_WAITING[engine.dialect.name]).scalar_one())
