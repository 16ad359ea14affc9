"""What an application tests of its sign-ins: two lines each, with Keyturn's pytest plugin."""

import pytest
from app import app, manager

from keyturn import ReusedToken


@pytest.fixture
def keyturn_manager():
    return manager


@pytest.fixture
def keyturn_settings():
    return app.extensions["keyturn"].settings


@pytest.fixture
def client():
    return app.test_client()


def test_notes_are_their_owners(client, keyturn):
    assert client.get("/notes").status_code == 401
    assert client.get("/notes", headers=keyturn.login_as("ann").headers).json == ["buy milk"]


def test_only_admins_see_everything(client, keyturn):
    bob = keyturn.login_as("bob", claims={"roles": ["member"]})
    assert client.get("/everything", headers=bob.headers).status_code == 403


def test_forgetting_needs_a_recent_sign_in(client, keyturn):
    ann = keyturn.login_as("ann")
    keyturn.clock.advance("6m")
    assert client.delete("/notes", headers=ann.headers).status_code == 401


def test_a_thief_ends_the_session(client, keyturn):
    ann = keyturn.login_as("ann")
    thief = keyturn.steal(ann)
    ann.refresh()
    keyturn.clock.advance("25h")
    with pytest.raises(ReusedToken):
        thief.refresh()
    assert client.get("/notes", headers=ann.headers).status_code == 401
