"""Keys in an SQL database, such as that of the sessions, for several machines. It knows no key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from keyturn.stores._sql import missing_extra

try:
    from sqlalchemy import bindparam, select, update

    from keyturn.stores import schema
    from keyturn.stores._sql.connected import Connected
    from keyturn.stores._sql.retries import tried
    from keyturn.stores._sql.statements import unless_there
    from keyturn.stores._sql.tables import rings
    from keyturn.stores.engines import engine_from_url
except ModuleNotFoundError as error:
    if (error.name or "").startswith("keyturn"):
        raise
    raise missing_extra(error) from error

from keyturn.keystores.protocol import Document
from keyturn.stores.urls import masked

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine, Executable

__all__ = ["SQLKeyStore"]

T = TypeVar("T")

_NAME: Final = "ring"
_READ: Final = select(rings.c.document, rings.c.version).where(rings.c.name == _NAME)
_SWAP: Final = (
    update(rings)
    .where(rings.c.name == _NAME, rings.c.version == bindparam("was"))
    .values(version=bindparam("new_version"), document=bindparam("new_document"))
)


class SQLKeyStore(Connected):
    """A key store in the table `keyturn_keys`."""

    def __init__(self, engine: Engine) -> None:
        """Use an engine of the application's, which stays its own: see `SQLAlchemyStore`.

        Raises:
            ConfigurationError: No store can be on this engine.
        """
        super().__init__(engine)
        self._where = masked(engine.url.render_as_string())

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Open a database.

        Args:
            url: As the sessions' store takes it: `sqlite:///keyturn.db`, `postgresql://…`, `mysql://…`.

        Returns:
            A store that owns its connections: `close()` closes them.

        Raises:
            ConfigurationError: The URL cannot be used.
            ImportError: The driver is not installed; the message is the command that brings it.
        """
        store = cls(engine_from_url(url))
        store._owned = True
        store._where = masked(url)
        return store

    @property
    def where(self) -> str:
        """See `KeyStore.where`."""
        return self._where

    def prepare(self) -> None:
        """See `KeyStore.prepare`: it brings the tables to this version."""
        self._run(schema.upgrade_on, safe=True)

    def read(self) -> Document | None:
        """See `KeyStore.read`."""
        row: Any = self._run(lambda connection: connection.execute(_READ).one_or_none(), safe=True)
        return None if row is None else Document.kept(row[0].encode(), row[1], self._where)

    def replace(self, data: bytes, /, *, version: str | None) -> bool:
        """See `KeyStore.replace`."""
        new = Document.of(data)
        if version is None:
            row = {"name": _NAME, "version": new.version, "document": data.decode()}
            insert = unless_there(rings, rings.c.name, self._engine.dialect.name)
            return self._changed(insert, row)
        values = {"was": version, "new_version": new.version, "new_document": data.decode()}
        return self._changed(_SWAP, values)

    def _changed(self, statement: Executable, values: dict[str, str]) -> bool:
        def change(connection: Connection) -> bool:
            done = connection.execute(statement, values, execution_options={"preserve_rowcount": True})
            return done.rowcount == 1

        return self._run(change, safe=False)

    def _run(self, work: Callable[[Connection], T], *, safe: bool) -> T:
        return tried(partial(self._on_connection, work), safe=safe)
