"""The refresh of the common case as one statement, for engines with `UPDATE … RETURNING`. It knows no other.

It is case 8 of `decide`, whole: what that asks of the row and what it writes. A row that it does not match is
decided by `decide` itself, behind a lock. Digests and branches are compared by the database, not in constant
time: the token's tag has been verified before, and the digest is SHA-256 of a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from keyturn.django._orm.rows import NAMES, to_session
from keyturn.stores._sql.quick import case_8

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import Field

    from keyturn.django.models import AbstractSession
    from keyturn.stores.protocol import Rotate, Session

_RETURNING: Final = frozenset({"sqlite", "postgresql"})

# Without an idle limit a side of the comparison is NULL, so that it does not hold: the column stays.
_STATEMENT: Final = """\
UPDATE {table} SET
 {gen} = %(generation)s + 1,
 {parent_branch} = %(branch)s,
 {confirmed} = %(no)s,
 {rotated_at} = CASE WHEN {rotated_at} < %(now)s THEN %(now)s ELSE {rotated_at} END,
 {handed_at} = CASE WHEN {handed_at} < {rotated_at} AND {rotated_at} > %(now)s THEN {rotated_at}
  WHEN {handed_at} < %(now)s THEN %(now)s ELSE {handed_at} END,
 {last_seen_at} = CASE WHEN {last_seen_at} < %(now)s THEN %(now)s ELSE {last_seen_at} END,
 {idle_expires_at} = CASE WHEN {idle_expires_at} < {idle_end} THEN {idle_end} ELSE {idle_expires_at} END
WHERE {sid} = %(id)s AND {gen} = %(generation)s AND {secret_digest} = %(digest)s
 AND ({jkt} IS NULL OR {jkt} = %(proven)s)
 AND {revoked_at} IS NULL AND {expires_at} > %(now)s
 AND ({idle_expires_at} IS NULL OR {idle_expires_at} > %(now)s)
 AND {handed_at} <= %(handed_by)s
RETURNING {columns}"""
_IDLE_END: Final = (
    "CASE WHEN {expires_at} < %(now)s + {idle_ttl} THEN {expires_at} ELSE %(now)s + {idle_ttl} END"
)


def is_possible(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the engine can: SQLite since 3.35, and PostgreSQL. MariaDB has it for INSERT alone."""
    return connection.vendor in _RETURNING and connection.features.can_return_columns_from_insert


def move(connection: BaseDatabaseWrapper, model: type[AbstractSession], command: Rotate) -> Session | None:
    """Rotate a session, if its row is as in the common case; None: nothing was written."""
    columns = _columns(model)
    fields = {"id": "sid", "generation": "gen", "digest": "secret_digest", "branch": "parent_branch"}
    values = case_8(command) | {"no": False}
    prepared = {
        name: columns[fields[name]].get_db_prep_value(value, connection) if name in fields else value
        for name, value in values.items()
    }
    rows = model._base_manager.using(connection.alias).raw(_text(connection, model), prepared)  # noqa: SLF001
    return next((to_session(row) for row in list(rows)), None)


def _text(connection: BaseDatabaseWrapper, model: type[AbstractSession]) -> str:
    quote, table = connection.ops.quote_name, model._meta.db_table  # noqa: SLF001
    names = {name: quote(str(field.column)) for name, field in _columns(model).items()}
    columns, idle_end = ", ".join(names[name] for name in NAMES), _IDLE_END.format(**names)
    return _STATEMENT.format(**names, table=quote(table), columns=columns, idle_end=idle_end)


def _columns(model: type[AbstractSession]) -> dict[str, Field[Any, Any]]:
    return {field.name: field for field in model._meta.concrete_fields if field.name in NAMES}  # noqa: SLF001
