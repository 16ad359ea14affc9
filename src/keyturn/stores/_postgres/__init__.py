"""The parts of the PostgreSQL store on psycopg: settings, pools, wires. They know no token and no outcome."""

from __future__ import annotations


def missing_extra(error: ModuleNotFoundError) -> ImportError:
    """Return what to raise where a package of the `postgres` extra is not installed."""
    return ImportError(f"The PostgreSQL store needs {error.name}: pip install 'keyturn[postgres]'")
