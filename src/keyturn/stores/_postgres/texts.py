"""Statements of SQLAlchemy Core as text for psycopg, each made once. They know no connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

if TYPE_CHECKING:
    from sqlalchemy import Dialect, Executable

# `$1` is PostgreSQL's own form: psycopg then has nothing to look for in the text.
_DIALECT: Final[Dialect] = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Text:
    """A statement as it is sent.

    Attributes:
        sql: With `$1`, `$2` … for its values.
        names: What each of these is.
        values: What the statement brings itself.
    """

    sql: bytes
    names: tuple[str, ...]
    values: Mapping[str, Any]

    def filled(self, given: Mapping[str, Any] | None = None) -> list[Any]:
        """Give the values in their order."""
        values = self.values if given is None else {**self.values, **given}
        return [values[name] for name in self.names]


def whole(statement: Executable, given: Mapping[str, Any] | None) -> tuple[bytes, list[Any]]:
    """Compile a statement that brings values itself, such as a list of ids; it is needed only once.

    Returns:
        The text, and the values in their order.
    """
    compiled = _compiled(statement)
    state = compiled.construct_expanded_state(given)
    return state.statement.encode(), list(state.positional_parameters)


@lru_cache(maxsize=256)  # more than there are; statements are compared by identity
def kept(statement: Executable) -> Text | None:
    """Compile a statement whose values come separately; None where its text depends on them."""
    compiled = _compiled(statement)
    if compiled.post_compile_params:
        return None
    return Text(str(compiled).encode(), tuple(compiled.positiontup or ()), dict(compiled.params))


def _compiled(statement: Executable) -> Any:  # noqa: ANN401  (SQLAlchemy's compiler of SQL)
    if not isinstance(statement, ClauseElement):
        raise TypeError(statement)
    return statement.compile(dialect=_DIALECT)
