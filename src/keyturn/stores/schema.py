"""The versions of a database schema, through Alembic. It knows no table.

Each part of Keyturn that has tables has a history of its own, with a version table of its own, so that it
never meets the application's migrations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from keyturn.stores._sql import missing_extra

try:
    from alembic import command, context
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy.exc import DBAPIError
except ModuleNotFoundError as error:
    raise missing_extra(error) from error

from keyturn.errors import SchemaError
from keyturn.stores._sql.errors import is_in_the_way, translated
from keyturn.stores._sql.locking import alone

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


@dataclass(frozen=True, slots=True)
class History:
    """One line of migrations.

    Attributes:
        script_location: Where its scripts are, as `package:folder`. Its `env.py` calls `run_migrations()`.
        version_table: The table that holds the current version.
    """

    script_location: str
    version_table: str


SESSIONS: Final = History("keyturn.stores:migrations", "keyturn_alembic_version")


def upgrade(engine: Engine, history: History = SESSIONS) -> None:
    """Bring a database to the newest version. Safe when several processes start at once.

    Args:
        engine: Any engine; its settings do not matter.
        history: Whose tables.

    Raises:
        SchemaError: The schema is newer than this version of Keyturn, or there are tables without a version.
        StoreUnavailable: The database cannot answer.
    """
    with translated(), _autocommit(engine).connect() as connection:
        upgrade_on(connection, history)


def current(engine: Engine, history: History = SESSIONS) -> str | None:
    """Return a database's version, or None where it has none of these tables.

    Args:
        engine: Any engine; its settings do not matter.
        history: Whose tables.

    Raises:
        StoreUnavailable: The database cannot answer.
    """
    with translated(), _autocommit(engine).connect() as connection:
        return _current_on(connection, history)


def head(history: History = SESSIONS) -> str:
    """Return the newest version that this installation knows."""
    newest = _scripts(history).get_current_head()
    if newest is None:
        raise SchemaError(f"There are no migrations at {history.script_location}.")
    return newest


def upgrade_on(connection: Connection, history: History = SESSIONS) -> None:
    """Bring a database to the newest version through a connection in autocommit: see `upgrade`."""
    if _current_on(connection, history) == head(history):
        return  # the usual start: no lock for nothing
    with alone(connection):
        # Read again behind the lock: another process may have been here meanwhile.
        found = _current_on(connection, history)
        if found is not None and found not in {
            script.revision for script in _scripts(history).walk_revisions()
        }:
            raise SchemaError(
                f"The database's schema is at version {found}, which this version of Keyturn does not know: "
                "install the newer Keyturn that made it.",
                detail="newer_schema",
            )
        try:
            command.upgrade(_config(history, connection), "head")
        except DBAPIError as error:
            if is_in_the_way(error):
                raise SchemaError(
                    f"The tables are there, but {history.version_table} does not say of which version. "
                    "If your own migrations made them, leave the schema to those; if not, drop them.",
                    detail="no_version",
                ) from error
            raise


def run_migrations() -> None:
    """Run what Alembic was asked for on the connection that it was given: the whole of an `env.py`."""
    attributes = context.config.attributes
    context.configure(connection=attributes["connection"], version_table=attributes["version_table"])
    context.run_migrations()


def _autocommit(engine: Engine) -> Engine:
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def _config(history: History, connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection, "version_table": history.version_table})
    config.set_main_option("script_location", history.script_location)
    config.set_main_option("path_separator", "os")
    return config


def _scripts(history: History) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(history))


def _current_on(connection: Connection, history: History) -> str | None:
    options = {"version_table": history.version_table}
    return MigrationContext.configure(connection, opts=options).get_current_revision()
