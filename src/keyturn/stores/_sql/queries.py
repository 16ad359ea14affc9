"""How an operation speaks to a database: it yields statements and receives rows. It knows no driver.

An operation is a generator, so that it is written once and driven by every driver in both colours. Its only
effect is a batch of queries: they are sent in order, together where the driver can (one round trip), and an
error in one of them is thrown into the operation.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import Executable

T = TypeVar("T")

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Query:
    """One statement.

    Attributes:
        statement: What to run: an expression of SQLAlchemy Core, or text that is sent as it is.
        parameters: Its values; a sequence runs it once for each.
    """

    statement: Executable | str
    parameters: Parameters | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a query brought.

    Attributes:
        rows: The rows that it returned; empty for a statement that returns none.
        count: How many rows it changed.
    """

    rows: Sequence[Sequence[Any]] = ()
    count: int = 0


Batch: TypeAlias = tuple[Query, ...]
Replies: TypeAlias = Sequence[Reply]
Operation: TypeAlias = Generator[Batch, Replies, T]


def ask(statement: Executable | str, parameters: Parameters | None = None) -> Operation[Reply]:
    """Run one statement: one round trip."""
    (reply,) = yield (Query(statement, parameters),)
    return reply


CHUNK: Final = (
    500  # keys in one statement: SQLite takes 32,766 parameters, and a short statement is soon over
)


def chunks(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut keys into as many as one statement takes."""
    return (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))


@dataclass(frozen=True, slots=True)
class Flavour:
    """What operations must know of a database engine.

    Attributes:
        name: SQLAlchemy's name of its dialect.
        returning: Whether it has `UPDATE … RETURNING`.
        along: Whether one statement can change rows of one table and write about them into another.
        begin: What opens a transaction that reads before it writes, statement by statement.
        stripes: Whether sign-ins under a limit must take their user's lock: not where a transaction has the
            whole database.
    """

    name: str
    returning: bool
    along: bool
    begin: tuple[str, ...]
    stripes: bool


_BEGIN: Final = {
    # SQLAlchemy's own begin() would let SQLite's driver begin late and without the write lock, and could then
    # fail at the first write however long the busy timeout is.
    "sqlite": ("BEGIN IMMEDIATE",),
    # Whatever the server's default: each statement must see what was committed before it, behind the lock.
    "postgresql": ("BEGIN ISOLATION LEVEL READ COMMITTED",),
}
_MYSQL_BEGIN: Final = ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN")


def flavour(name: str, *, returning: bool, read_committed: bool = False) -> Flavour:
    """Give the flavour of a dialect.

    Args:
        name: SQLAlchemy's name of it.
        returning: Whether it has `UPDATE … RETURNING`.
        read_committed: Whether its connections have that isolation level without being asked for it.
    """
    begin = _BEGIN.get(name, ("BEGIN",) if read_committed else _MYSQL_BEGIN)
    return Flavour(name, returning, name == "postgresql", begin, stripes=name != "sqlite")
