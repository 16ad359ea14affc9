"""Holds that no line of the audit trail is lost where a process of a Flask application ends in good order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from keyturn import KeyRing, Policy, TokenManager
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from keyturn.testing.servers.programs import free_port
from tests.support.processes import wait_until

Manager = TokenManager[dict[str, object]]

APPLICATION = """
import keyturn.audit
from flask import Flask
from keyturn import KeyRing, Policy, TokenManager
from keyturn.flask import Keyturn
from keyturn.http import SignIn
from keyturn.stores.sqlalchemy import SQLAlchemyStore

keyturn.audit.GATHERING = 60  # so that no line is written in time by chance

app = Flask(__name__)
manager = TokenManager(
    store=SQLAlchemyStore.from_url("sqlite:///sessions.db"),
    keys=KeyRing.from_secret("a long secret of more than 32 bytes, for tests only"),
    policy=Policy(audit_retention="30d"),
    issuer="https://auth.example.com",
    audience="api",
)
auth = Keyturn(manager)
auth.init_app(app)


@app.get("/in")
def sign_in():
    return auth.sign_in(SignIn("ann"))
"""


@pytest.fixture
def manager(tmp_path: Path) -> Manager:
    """Write the application, and give a manager of its store that reads what it has left."""
    Path(tmp_path, "application.py").write_text(APPLICATION, "utf-8")
    Path(tmp_path, "gunicorn.conf.py").write_text("control_socket_disable = True\n", "utf-8")
    store = SQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/sessions.db")
    store.create_schema()
    return TokenManager(
        store=store,
        keys=KeyRing.from_secret("a long secret of more than 32 bytes, for tests only"),
        policy=Policy(audit_retention="30d"),
        issuer="https://auth.example.com",
        audience="api",
    )


def kinds(manager: Manager, session_id: str) -> list[str]:
    """Give what the trail says of a session."""
    return [line.kind for line in manager.history(session_id)]


def answers(port: int) -> bool:
    """Sign in, if the server is there."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/in", timeout=20) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_a_command_leaves_its_lines(tmp_path: Path, manager: Manager) -> None:
    """Who ended whose session is what the trail is for."""
    pair = manager.issue("ann")
    manager.flush()
    words = [sys.executable, "-m", "flask", "--app", "application", "keyturn", "revoke", "--user", "ann"]
    subprocess.run(words, cwd=tmp_path, check=True, timeout=60)
    assert kinds(manager, pair.session_id) == ["sign_in", "revocation"]
    manager.close()


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["loaded-in-workers", "preloaded"])
def test_a_worker_that_ends_leaves_its_lines(
    tmp_path: Path, manager: Manager, options: tuple[str, ...]
) -> None:
    """Gunicorn ends its workers at each deployment."""
    port = free_port()
    words = [sys.executable, "-m", "gunicorn", "application:app", "--bind", f"127.0.0.1:{port}", *options]
    server = subprocess.Popen(words, cwd=tmp_path)
    try:
        wait_until(lambda: answers(port), what="an answer")
        (session,) = manager.sessions("ann")
        assert kinds(manager, session.id) == []
        server.terminate()
        assert server.wait(60) == 0
    finally:
        server.kill()
        server.wait()
    assert kinds(manager, session.id) == ["sign_in"]
    manager.close()
