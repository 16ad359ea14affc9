"""The tiny Django project in this process, and its databases. It knows no test.

Django's settings are one for the whole process, so there is one project for all tests, set up when the first
of them asks for it. What needs a project is imported inside functions.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.support import sql
from tests.support.sql import SqlName

if TYPE_CHECKING:
    from keyturn.django.store import DjangoStore

SETTINGS = "tests.django.project.settings"


@cache
def configure() -> None:
    """Set the project up, once for the process, with a place for its file."""
    folder = tempfile.mkdtemp(prefix="keyturn-django-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["KEYTURN_TEST_FOLDER"] = folder
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS
    import django  # noqa: PLC0415

    django.setup()


@cache
def set_up() -> None:
    """Set the project up, once for the process, with the tables in its file."""
    configure()
    from django.db import connections  # noqa: PLC0415

    migrate("default")
    connections.close_all()


def migrate(alias: str) -> None:
    """Make the tables in a database."""
    from django.core.management import call_command  # noqa: PLC0415

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


def file_settings(folder: Path) -> dict[str, Any]:
    """Give the settings of an SQLite file with several writers."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(folder / "keyturn.sqlite3"),
        "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"},
    }


@contextmanager
def database(alias: str, settings: dict[str, Any]) -> Generator[str]:
    """Let the project have one more database for a block.

    Args:
        alias: Its name.
        settings: As in `DATABASES`.
    """
    set_up()
    from django.db import connections  # noqa: PLC0415

    filled: Any = connections.configure_settings({"default": {}, alias: settings})
    connections.settings[alias] = filled[alias]
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


@contextmanager
def on_engine(request: pytest.FixtureRequest, on: SqlName, folder: Path) -> Generator[str]:
    """Give the project a database on an engine, with its tables, for a block."""
    with sql.database(request, on, folder) as url:
        settings = file_settings(folder) if on == "sqlite" else options(url)
        with database(on, settings) as alias:
            migrate(alias)
            yield alias


def empty(alias: str) -> None:
    """Remove all of Keyturn's rows, and the users."""
    from keyturn.django.models import Denial, Session, TrailLine, UserLock  # noqa: PLC0415
    from tests.django.project.accounts.models import User  # noqa: PLC0415

    for model in (Session, Denial, TrailLine, UserLock, User):
        model._base_manager.using(alias).all().delete()


def between_requests(alias: str) -> DjangoStore:
    """Give a store that leaves no connection open in threads that end, as Django does after a request."""
    from django.db import connections  # noqa: PLC0415

    from keyturn.django.store import DjangoStore  # noqa: PLC0415

    @contextmanager
    def leaving_nothing() -> Generator[None]:
        try:
            yield
        finally:
            if threading.current_thread() is not threading.main_thread():
                connections[alias].close()

    class InRequests(DjangoStore):
        def _read(self, work: Any) -> Any:
            with leaving_nothing():
                return super()._read(work)

        def _write(self, work: Any, *, safe: bool = True) -> Any:
            with leaving_nothing():
                return super()._write(work, safe=safe)

    return InRequests(using=alias)


@contextmanager
def statements(alias: str) -> Iterator[list[str]]:
    """Collect what is sent to a database in a block, but for BEGIN, COMMIT and savepoints."""
    from django.db import connections  # noqa: PLC0415

    sent: list[str] = []

    def note(execute: Any, text: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if not text.startswith(("BEGIN", "SAVEPOINT", "RELEASE SAVEPOINT")):
            sent.append(text)
        return execute(text, params, many, context)

    with connections[alias].execute_wrapper(note):
        yield sent


@contextmanager
def atomic_requests(alias: str) -> Iterator[None]:
    """Have each view run in a transaction."""
    from django.db import connections  # noqa: PLC0415

    settings = connections.settings[alias]
    settings["ATOMIC_REQUESTS"] = True
    try:
        yield
    finally:
        settings["ATOMIC_REQUESTS"] = False
