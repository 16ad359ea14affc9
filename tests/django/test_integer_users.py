"""A project whose users have integers as keys, as most have: from the sign-in to the sign-out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.sources import ROOT

SCRIPT = """
import django
from django.test.utils import override_settings

django.setup()
from django.core.checks import run_checks
from django.core.management import call_command

call_command("migrate", verbosity=0)
from django.contrib.auth import get_user_model

from tests.support.django_asking import PASSWORD, ask, log_in

user = get_user_model().objects.create_user("ann", password=PASSWORD)
assert (type(user.pk), type(user).__name__) == (int, "User")
with override_settings(ROOT_URLCONF="tests.django.project.pages"):
    for over in ("wsgi", "asgi"):
        answer = log_in(over, "ann").json()
        answer = ask(over, "POST", "/auth/refresh", {"refresh_token": answer["refresh_token"]}).json()
        token = answer["access_token"]
        assert ask(over, "GET", "/auth/me", bearer=token).json()["user_id"] == str(user.pk)
        for page in ("/private", "/aprivate"):
            assert ask(over, "GET", page, bearer=token).json() == {"principal": str(user.pk), "user": "ann"}
        user.set_password(PASSWORD)
        user.save()
        assert ask(over, "GET", "/private", bearer=token).status_code == 401
    assert not [each for each in run_checks() if each.id.startswith("keyturn.")]
"""


def test_integers_are_user_ids(tmp_path: Path) -> None:
    """In a process of its own: a project's user model is one for the process."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.django.project.settings",
        "KEYTURN_TEST_FOLDER": str(tmp_path),
        "KEYTURN_TEST_USER_MODEL": "auth.User",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    }
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
