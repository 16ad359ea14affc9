"""The migrations are whole: in projects of every kind, and in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sources import ROOT

AUTO_FIELDS = (
    "django.db.models.AutoField",
    "django.db.models.BigAutoField",
    "django.db.models.SmallAutoField",
)
INTEGERS = """
from tests.django.project.settings import *
AUTH_USER_MODEL = "auth.User"
INSTALLED_APPS = [app for app in INSTALLED_APPS if "accounts" not in app]
"""
SWAPPED = """
from tests.django.project.settings import *
KEYTURN_SESSION_MODEL = "accounts.TenantSession"
"""


def manage(
    folder: Path, *arguments: str, settings: str = "", auto_field: str = "", succeeds: bool = True
) -> str:
    """Run `manage.py` in a process of its own; give what it says."""
    (folder / "their_settings.py").write_text(settings or "from tests.django.project.settings import *\n")
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "their_settings",
        "KEYTURN_TEST_FOLDER": str(folder),
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), str(ROOT / "src")]),
        **({"KEYTURN_TEST_AUTO_FIELD": auto_field} if auto_field else {}),
    }
    run = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-m", "django", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=120,
    )
    assert (run.returncode == 0) == succeeds, run.stdout + run.stderr
    return run.stdout if succeeds else run.stderr


def test_a_session_model_that_is_none_is_told_by_the_check(tmp_path: Path) -> None:
    """Also where the admin is installed, which asks for the model while it is loaded."""
    wrong = 'from tests.django.project.settings import *\nKEYTURN_SESSION_MODEL = "nowhere.Session"\n'
    said = manage(tmp_path, "check", settings=wrong, succeeds=False)
    assert "keyturn.E006" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("auto_field", AUTO_FIELDS)
def test_no_migration_is_missing(tmp_path: Path, auto_field: str) -> None:
    """`makemigrations --check` is clean, whatever a project's DEFAULT_AUTO_FIELD is."""
    said = manage(tmp_path, "makemigrations", "--check", "--dry-run", "keyturn", auto_field=auto_field)
    assert "No changes" in said


USE = """
import django
django.setup()
from django.contrib.auth import get_user_model
from keyturn.django import get_manager
from keyturn.django.sessions import get_session_model
from keyturn.django.users import user_id_of
user = get_user_model().objects.create_user("ann")
manager = get_manager()
pair = manager.refresh(manager.issue(user_id_of(user)).refresh_token)
manager.flush()
row = get_session_model().objects.get()
print(user_id_of(user), row.user_id, row.gen, get_session_model().__name__, getattr(row, "tenant", ""))
manager.close()
"""


def test_a_project_with_integer_keys(tmp_path: Path) -> None:
    """The users of a plain project have numbers as keys: migrate, check, sign in, refresh."""
    manage(tmp_path, "makemigrations", "--check", "--dry-run", settings=INTEGERS)
    manage(tmp_path, "migrate", settings=INTEGERS)
    manage(tmp_path, "check", "--fail-level", "WARNING", settings=INTEGERS)
    assert manage(tmp_path, "shell", "-v", "0", "-c", USE, settings=INTEGERS).split() == [
        "1",
        "1",
        "1",
        "Session",
    ]


def test_a_project_with_a_session_model_of_its_own(tmp_path: Path) -> None:
    """Keyturn's own table is not made then; the project's is used, with its columns' defaults."""
    manage(tmp_path, "makemigrations", "--check", "--dry-run", "keyturn", settings=SWAPPED)
    manage(tmp_path, "migrate", settings=SWAPPED)
    manage(tmp_path, "check", "--fail-level", "WARNING", settings=SWAPPED)
    said = manage(tmp_path, "shell", "-v", "0", "-c", USE, settings=SWAPPED).split()
    assert said[0] == said[1]
    assert said[2:] == ["1", "TenantSession", "main"]
    tables = manage(tmp_path, "inspectdb", "--database", "default", settings=SWAPPED)
    assert "accounts_tenantsession" in tables
    assert "'keyturn_session'" not in tables


def test_missing_tables_are_said_to_be_missing(tmp_path: Path) -> None:
    """Before `migrate`, the error is the command to run, and no 500 of the database's."""
    script = """
import django
django.setup()
from keyturn.django import get_manager
from keyturn.errors import SchemaError
try:
    get_manager().issue("u")
except SchemaError as error:
    print(error)
"""
    assert "manage.py migrate" in manage(tmp_path, "shell", "-v", "0", "-c", script)


def test_migrations_go_backwards(tmp_path: Path) -> None:
    """`migrate keyturn zero` removes the tables again."""
    manage(tmp_path, "migrate")
    manage(tmp_path, "migrate", "keyturn", "zero")
    assert "keyturn_" not in manage(tmp_path, "inspectdb", "--database", "default")
