"""The commands of `manage.py`: what they remove, end and list, and what they say."""

from __future__ import annotations

import time
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from keyturn.django import get_manager
from keyturn.django.models import Session, TrailLine
from keyturn.django.store import DjangoStore
from keyturn.django.users import user_id_of
from keyturn.testing.samples import line_of, numbered, sign_in
from tests.django.project.accounts.models import User

pytestmark = pytest.mark.usefixtures("project")

DAY = 86_400_000


def said(*arguments: str, **options: Any) -> str:
    """Run a command; give what it says."""
    output = StringIO()
    call_command(*arguments, stdout=output, **options)
    return output.getvalue()


def age(days: int) -> None:
    """Let the absolute end of all sessions be so long ago."""
    Session.objects.update(expires_at=round(time.time() * 1000) - days * DAY)


def test_a_purge_removes_what_is_old_batch_by_batch() -> None:
    """And says how many; what a late replay may still need stays."""
    store = DjangoStore()
    for number in range(5):
        store.create(sign_in(numbered(number)))
    age(61)
    get_manager().issue("u")
    assert "would remove 5 sessions" in said("keyturn_purge", "--dry-run")
    assert store.count() == 6
    told = said("keyturn_purge", "--batch", "2", verbosity=2)
    assert "2 rows removed so far" in told
    assert told.endswith("5 rows removed\n")
    assert store.count() == 1


def test_the_retention_is_counted_from_the_absolute_end() -> None:
    """As long as it says, and no shorter."""
    DjangoStore().create(sign_in(numbered(1)))
    age(10)
    assert said("keyturn_purge") == "0 rows removed\n"
    assert said("keyturn_purge", "--retention", "11d") == "0 rows removed\n"
    assert said("keyturn_purge", "--retention", "9d") == "1 rows removed\n"


def test_a_purge_forgets_the_old_lines_of_the_trail() -> None:
    """Where AUDIT_RETENTION says how long they are kept."""
    DjangoStore().note([line_of(numbered(1), 0)])
    TrailLine.objects.update(at=0)
    settings = {"ISSUER": "https://auth.example.com", "AUDIENCE": "api", "AUDIT_RETENTION": "30d"}
    with override_settings(KEYTURN=settings):
        assert said("keyturn_purge") == "1 rows removed\n"
    assert not TrailLine.objects.exists()


def test_a_retention_that_is_none_is_refused() -> None:
    """As an error of the command's, without a traceback."""
    with pytest.raises(CommandError, match="retention"):
        said("keyturn_purge", "--retention", "soon")


def test_a_users_sessions_are_listed_and_ended_by_name_or_id() -> None:
    """The name is what a person knows; the id is what stands in logs."""
    user, manager = User.objects.create_user("ann"), get_manager()
    for device in ("Firefox", "Safari"):
        manager.issue(user_id_of(user), device={"name": device})
    told = said("keyturn_sessions", "--user", "ann")
    assert "Firefox" in told
    assert told.endswith("2 sessions\n")
    first = manager.sessions(user_id_of(user))[0].id
    assert said("keyturn_revoke", "--session", first) == "The session has ended.\n"
    assert said("keyturn_revoke", "--user", user_id_of(user)) == "1 sessions ended\n"
    assert said("keyturn_sessions", "--user", "ann") == "0 sessions\n"
    assert said("keyturn_sessions", "--user", "ann", "--all").count("admin") == 2


def test_one_who_is_gone_can_still_be_signed_out() -> None:
    """By the id, as long as there are sessions."""
    user = User.objects.create_user("ann")
    gone = user_id_of(user)
    get_manager().issue(gone)
    user.delete()
    assert said("keyturn_revoke", "--user", gone) == "1 sessions ended\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("keyturn_revoke", "--user", "nobody"),
        ("keyturn_sessions", "--user", "nobody"),
        ("keyturn_revoke", "--session", "nonsense"),
        ("keyturn_revoke",),
    ],
)
def test_a_typo_does_not_look_like_success(arguments: tuple[str, ...]) -> None:
    """What is not there is said not to be there."""
    with pytest.raises(CommandError):
        said(*arguments)
