"""Model fields that keep exactly what they are given, on every engine. They know no table.

MariaDB and MySQL are why text needs one: their usual collations take "A" for "a" and "a " for "a", and so one
user for another. PostgreSQL is why JSON needs one: `jsonb` writes numbers anew and refuses U+0000.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.expressions import Expression

    CharField = models.CharField[Any, Any]
    TextField = models.TextField[Any, Any]
else:
    CharField, TextField = models.CharField, models.TextField


class ExactCharField(CharField):
    """Text that is compared code point by code point, trailing spaces included."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """Give the column's type."""
        plain = super().db_type(connection)
        if connection.vendor != "mysql":
            return plain
        # Neither server has the other's; both have utf8mb4_bin, which does not count trailing spaces.
        is_mariadb = getattr(connection, "mysql_is_mariadb", False)
        collation = "utf8mb4_nopad_bin" if is_mariadb else "utf8mb4_0900_bin"
        return f"{plain} CHARACTER SET utf8mb4 COLLATE {collation}"


class JsonTextField(TextField):
    """A JSON object as the text that it was, its members in their order, its numbers as they were written."""

    def get_prep_value(self, value: Any) -> Any:  # noqa: ANN401  (as Django has it)
        """Give the text."""
        return None if value is None else json.dumps(value)

    def from_db_value(
        self,
        value: str | None,
        expression: Expression,  # noqa: ARG002  (Django's signature)
        connection: BaseDatabaseWrapper,  # noqa: ARG002
    ) -> Any:  # noqa: ANN401  (JSON)
        """Give the value."""
        return None if value is None else json.loads(value)

    def to_python(self, value: Any) -> Any:  # noqa: ANN401  (as Django has it)
        """Read what a fixture holds."""
        return json.loads(value) if isinstance(value, str) else value

    def value_to_string(self, obj: models.Model) -> str:
        """Write what a fixture holds."""
        return json.dumps(self.value_from_object(obj))
