"""The parts of the SQL store: tables, statements, operations. They know no token and no event loop."""

from __future__ import annotations

from typing import Final

_EXTRAS: Final = {"psycopg": "postgres", "pymysql": "mysql", "asyncmy": "mysql"}


def missing_extra(error: ModuleNotFoundError) -> ImportError:
    """Return what to raise where a package of an extra is not installed."""
    package = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(package, "sql")
    return ImportError(f"SQL stores need {package}: pip install 'keyturn[{extra}]'")
