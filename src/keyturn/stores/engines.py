"""SQLAlchemy engines by URL, opened as the stores open theirs, for other tables. It knows no table."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from keyturn.stores._sql import missing_extra

try:
    from keyturn.stores._sql import engines
except ModuleNotFoundError as error:
    raise missing_extra(error) from error

from keyturn.stores.urls import kind_of

if TYPE_CHECKING:
    from sqlalchemy import Engine


def engine_from_url(url: str) -> Engine:
    """Open an SQL database for threads, each statement committed by itself.

    Args:
        url: As a store of sessions takes it.

    Raises:
        ConfigurationError: The URL cannot be used.
        ImportError: The driver is not installed.
    """
    if kind_of(url).name == "PostgreSQL":
        # It takes what the store's URL takes. Loaded here only, because it needs the driver.
        return cast("Engine", import_module("keyturn.stores._postgres.engines").open_engine(url))
    return engines.open_engine(url, engines.Settings())
