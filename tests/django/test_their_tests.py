"""A project's own tests, run by `manage.py test`: both kinds of test case, databases made and dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.django.test_migrations import manage
from tests.support import django_site

SETTINGS = """
from tests.django.project.settings import *
DATABASES = {"default": json.loads(%r)}
"""
THEIRS = '''
"""Tests as an application has them."""
from django.db import connection
from django.test import TestCase, TransactionTestCase
from keyturn.django import get_async_manager, get_manager
from keyturn.django.models import Session
from keyturn.django.users import user_id_of
from tests.django.project.accounts.models import User


class Signing:
    def test_sign_in_use_and_refresh(self):
        user, manager = User.objects.create_user("ann", password="one"), get_manager()
        pair = manager.issue(user_id_of(user))
        assert manager.authenticate(pair.access_token).user_id == user_id_of(user)
        manager.flush()
        pair = manager.refresh(pair.refresh_token)
        assert manager.authenticate(pair.access_token).generation == 1
        assert manager.flush()
        user.set_password("two")
        user.save()
        assert Session.objects.get().revoked_reason == "user"

    async def test_in_a_coroutine(self):
        user, manager = await User.objects.acreate_user("ann"), get_async_manager()
        pair = await manager.refresh((await manager.issue(user_id_of(user))).refresh_token)
        assert (await manager.authenticate(pair.access_token)).user_id == user_id_of(user)
        assert await manager.flush()
        assert await Session.objects.acount() == 1


class InTransactions(Signing, TestCase):
    pass


class Committed(Signing, TransactionTestCase):
    def test_a_confirmation_arrives(self):
        manager = get_manager()
        pair = manager.issue("u")
        manager.authenticate(pair.access_token)
        assert manager.flush()
        # While a TestCase is at work, SQLite's memory is locked for other threads; confirmations then pause.
        assert Session.objects.get().confirmed or connection.vendor == "sqlite"
'''


@pytest.mark.parametrize("engine", ["sqlite", "postgres", pytest.param("mariadb", marks=pytest.mark.slow)])
def test_a_project_can_test_with_us(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> None:
    """Both kinds of test case pass, in both colours, and the test database can be dropped afterwards.

    A connection left open in a thread of Keyturn's own would be in the way on PostgreSQL.
    """
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    if engine != "sqlite":
        database = django_site.options(request.getfixturevalue(f"{engine}_url"))
    settings = "import json\n" + SETTINGS % json.dumps(database)
    if engine == "mariadb":
        settings = "import pymysql\npymysql.install_as_MySQLdb()\n" + settings
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "tests.py").write_text(THEIRS)
    manage(tmp_path, "test", "theirs", "--noinput", settings=settings)
