"""Column types that keep exactly what they are given, on every engine. They know no table.

MariaDB and MySQL are why they exist: there, what a text column does depends on the server's settings. Its
usual collations take "A" for "a" and "a " for "a"; its character set may have no room for a name; MySQL's own
JSON sorts the members of an object; and what SQLAlchemy makes of a UUID depends on how the URL begins.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import JSON, BigInteger, Integer, LargeBinary, String, Uuid
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.sql.compiler import DDLCompiler
    from sqlalchemy.types import TypeEngine

_MYSQL: Final = ("mysql", "mariadb")  # SQLAlchemy's two names: the URL says which, whatever the server is


class _ExactVarchar(mysql.VARCHAR):
    """Text that is compared code point by code point, trailing spaces included."""

    __visit_name__ = "exact_varchar"


@compiles(_ExactVarchar, *_MYSQL)
def _exact_varchar(kind: _ExactVarchar, compiler: DDLCompiler, **_: Any) -> str:  # noqa: ANN401
    # Neither server has the other's collation; both have utf8mb4_bin, which does not count trailing spaces.
    is_mariadb = getattr(compiler.dialect, "is_mariadb", False)
    collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
    return f"VARCHAR({kind.length}) CHARACTER SET utf8mb4 COLLATE {collation}"


class _BinaryUuid(TypeDecorator[UUID]):
    """A UUID as its 16 bytes, which sort as the UUID does."""

    impl = mysql.BINARY
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(16)

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Give the bytes."""
        return None if value is None else value.bytes

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> UUID | None:  # noqa: ARG002
        """Give the UUID."""
        return None if value is None else UUID(bytes=value)


class _JsonText(TypeDecorator[Any]):
    """JSON as the text that it was."""

    impl = mysql.MEDIUMTEXT
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(charset="utf8mb4", collation="utf8mb4_bin")

    def process_bind_param(self, value: object, dialect: Dialect) -> str:  # noqa: ARG002
        """Give the text."""
        return json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ANN401, ARG002
        """Give the value."""
        return None if value is None else json.loads(value)


def text(length: int) -> TypeEngine[str]:
    """Text of so many characters at most, compared exactly."""
    return String(length).with_variant(_ExactVarchar(length), *_MYSQL)


def octets(length: int) -> TypeEngine[bytes]:
    """So many bytes at most."""
    return LargeBinary(length).with_variant(mysql.VARBINARY(length), *_MYSQL)


def uuid() -> TypeEngine[UUID]:
    """A UUID; on each engine, UUIDs sort as in Python."""
    return Uuid().with_variant(_BinaryUuid(), *_MYSQL)


def json_object() -> TypeEngine[Any]:
    """A JSON object, its members in their order, its numbers as they were written."""
    return JSON().with_variant(_JsonText(), *_MYSQL)


def counter() -> TypeEngine[int]:
    """A number that the database itself gives to each row; SQLite does so for this type alone."""
    return BigInteger().with_variant(Integer(), "sqlite")


INNODB: Final[dict[str, Any]] = {
    f"{dialect}_{option}": value
    for dialect in _MYSQL
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}
"""What a table says on MariaDB and MySQL: the engine that has transactions, and room for any text."""

HOT: Final[dict[str, Any]] = {"postgresql_with": {"fillfactor": "90"}}
"""What a table of changing rows says on PostgreSQL: a tenth of each page is kept for their new versions."""

NEVER_AGAIN: Final[dict[str, Any]] = {"sqlite_autoincrement": True}
"""What a table says on SQLite so that the number of a row that was removed is not given again."""
