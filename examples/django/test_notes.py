"""What an application tests of its sign-ins: two lines each, with pytest-django and Keyturn's plugin."""

import pytest
from notes.models import Note

from keyturn import ReusedToken
from keyturn.django.users import user_id_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(django_user_model, keyturn):
    user = django_user_model.objects.create_user("ann")
    Note.objects.create(owner=user, text="buy milk")
    return keyturn.login_as(user_id_of(user))


def test_notes_are_their_owners(client, ann):
    assert client.get("/notes").status_code == 401
    assert client.get("/notes", headers=ann.headers).json() == ["buy milk"]


def test_only_admins_see_everything(client, keyturn, ann):
    admin = keyturn.login_as("7", claims={"roles": ["admin"]})
    assert client.get("/everything", headers=admin.headers).json() == [["ann", "buy milk"]]
    assert client.get("/everything", headers=ann.headers).status_code == 403


def test_forgetting_needs_a_recent_sign_in(client, keyturn, ann):
    assert client.delete("/notes", headers=ann.headers).status_code == 204
    keyturn.clock.advance("6m")
    assert client.delete("/notes", headers=ann.headers).status_code == 401


def test_a_thief_ends_the_session(client, keyturn, ann):
    thief = keyturn.steal(ann)
    ann.refresh()
    keyturn.clock.advance("25h")
    with pytest.raises(ReusedToken):
        thief.refresh()
    assert client.get("/notes", headers=ann.headers).status_code == 401
