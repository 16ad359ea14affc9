"""The embeddable server: settings, users, sign-in, page, logs. It knows no command line."""

from __future__ import annotations


def missing_extra(error: ModuleNotFoundError) -> ImportError:
    """Return what to raise where a package of the `server` extra is not installed."""
    return ImportError(f"The server needs {error.name}: pip install 'keyturn[server]'")


try:
    from keyturn.server.app import create_app
    from keyturn.server.settings import Settings
except ModuleNotFoundError as error:
    raise missing_extra(error) from error

__all__ = ["Settings", "create_app"]
