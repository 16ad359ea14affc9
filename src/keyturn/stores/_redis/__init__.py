"""The parts of the Redis store: packed rows, scripts, operations. They know no token and no event loop."""

from __future__ import annotations


def missing_extra(error: ModuleNotFoundError) -> ImportError:
    """Return what to raise where a package of the `redis` extra is not installed."""
    return ImportError(f"Sessions in Redis need {error.name}: pip install 'keyturn[redis]'")
