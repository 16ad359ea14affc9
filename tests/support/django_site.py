"""The tiny Django project in this process, and its databases. It knows no test.

Django's settings are one for the whole process, so there is one project for all tests, set up when the first
of them asks for it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.support import sql
from tests.support.sql import SqlName

SETTINGS = "tests.django.project.settings"


@cache
def set_up() -> None:
    """Set the project up, once for the process, with the tables in its file."""
    os.environ["KEYTURN_TEST_FOLDER"] = tempfile.mkdtemp(prefix="keyturn-django-")
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    import django  # noqa: PLC0415  (needs the two lines above)

    django.setup()
    migrate("default")


def migrate(alias: str) -> None:
    """Make the tables in a database."""
    from django.core.management import call_command  # noqa: PLC0415  (needs a project)

    call_command("migrate", database=alias, verbosity=0)


def options(url: str) -> dict[str, Any]:
    """Write a server's URL as Django wants it."""
    parts = urlsplit(url)
    engine = "postgresql" if parts.scheme.startswith("postgres") else "mysql"
    if engine == "mysql":
        import pymysql  # noqa: PLC0415

        pymysql.install_as_MySQLdb()
    return {
        "ENGINE": f"django.db.backends.{engine}",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
    }


@contextmanager
def database(alias: str, settings: dict[str, Any]) -> Generator[str]:
    """Let the project have one more database for a block.

    Args:
        alias: Its name.
        settings: As in `DATABASES`.
    """
    set_up()
    from django.db import connections  # noqa: PLC0415  (needs a project)

    filled = connections.configure_settings({"default": {}, alias: settings})
    connections.settings[alias] = filled[alias]
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


@contextmanager
def on_engine(request: pytest.FixtureRequest, on: SqlName, folder: Path) -> Generator[str]:
    """Give the project an empty database on an engine, without tables, for a block."""
    with sql.database(request, on, folder) as url:
        settings = file_settings(folder) if on == "sqlite" else options(url)
        with database(on, settings) as alias:
            yield alias


def file_settings(folder: Path) -> dict[str, Any]:
    """Give the settings of an SQLite file with several writers."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / "keyturn.sqlite3"),
        "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"},
    }


def empty(alias: str) -> None:
    """Remove all of Keyturn's rows."""
    from keyturn.django.models import Denial, Session, TrailLine, UserLock  # noqa: PLC0415  (needs a project)

    for model in (Session, Denial, TrailLine, UserLock):
        model.objects.using(alias).all().delete()


def between_requests(alias: str) -> Any:
    """Give a store whose operations are requests each, after which Django closes the thread's connection."""
    from django.db import connections  # noqa: PLC0415  (needs a project)

    from keyturn.django.store import DjangoStore  # noqa: PLC0415  (the same)

    class InRequests(DjangoStore):
        def _run(self, work: Any, *, safe: bool = True) -> Any:
            try:
                return super()._run(work, safe=safe)
            finally:
                connections[alias].close()

    return InRequests(using=alias)
