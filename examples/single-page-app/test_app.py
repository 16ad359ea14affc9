"""What the application's API promises, with Keyturn's pytest plugin."""

import pytest
from app import app, auth, manager
from fastapi.testclient import TestClient


@pytest.fixture
def keyturn_manager():
    return manager


@pytest.fixture
def keyturn_settings():
    return auth.settings


@pytest.fixture
def client():
    with TestClient(app) as client:
        yield client


def test_the_page_and_its_client_are_served(client):
    assert "app.js" in client.get("/").text
    assert "createAuth" in client.get("/auth/keyturn.js").text


def test_notes_are_their_owners(client, keyturn):
    assert client.get("/api/notes").status_code == 401
    bob = keyturn.login_as("bob").headers
    assert client.post("/api/notes", headers=bob, content="tea").status_code == 201
    assert client.get("/api/notes", headers=bob).json() == ["tea"]


def test_the_devices_page_asks_who_is_there(client):
    assert "signed in" in client.get("/account/sessions").text
