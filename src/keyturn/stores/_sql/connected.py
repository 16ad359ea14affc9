"""An engine, for threads, whose server is looked at before its first use. It knows no table, no operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from keyturn.forks import Whole
from keyturn.stores._sql import engines, servers
from keyturn.stores._sql.errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

T = TypeVar("T")


class Connected:
    """What is on an engine: the stores of sessions and of keys."""

    def __init__(self, engine: Engine) -> None:
        """Use an engine of the application's, which stays its own.

        Raises:
            ConfigurationError: No store could keep its promises on this engine.
        """
        engines.accept(engine)
        self._engine: Engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._owned = False
        self._checked = False
        self._whole = Whole()

    def close(self) -> None:
        """See `Store.close`. An engine of the application's stays open."""
        if self._owned:
            with self._whole.work():
                self._engine.dispose()

    def _on_connection(self, work: Callable[[Connection], T]) -> T:
        with self._whole.work(), translated(), self._engine.connect() as connection:
            if not self._checked:
                servers.check(connection, ours=self._owned)
                self._checked = True
            return work(connection)
