"""The parts of the SQL store: tables, statements, operations. They know no token and no event loop."""

from __future__ import annotations


def missing_extra(error: ModuleNotFoundError) -> ImportError:
    """Return what to raise where a package of the `sql` extra is not installed."""
    return ImportError(f"SQL stores need {error.name}: pip install 'keyturn[sql]'")
