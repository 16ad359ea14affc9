"""Holds what only Flask has: configuration, several applications, its own limits, asynchronous views."""

from __future__ import annotations

import json

import pytest
from flask import Flask, redirect
from flask.typing import ResponseReturnValue

from keyturn import ConfigurationError
from keyturn.flask import Keyturn, auth_required, current_principal, sign_in
from keyturn.http import HttpSettings, SignIn
from keyturn.testing.http_suite import World, check_password

PASSWORD = "correct horse battery staple"


def log_in(app: Flask, username: str = "ann") -> str:
    """Sign in and give the access token."""
    body = {"username": username, "password": PASSWORD, "transport": "body"}
    answer = app.test_client().post("/auth/login", json=body)
    return str(json.loads(answer.data)["access_token"])


def test_an_extension_needs_a_manager() -> None:
    """At once, not at the first request."""
    with pytest.raises(ConfigurationError, match="TokenManager"):
        Keyturn().init_app(Flask(__name__))


def test_the_configuration_of_the_application_counts() -> None:
    """Each setting has a key; what is not set there is filled in from `settings`."""
    app = Flask(__name__)
    app.config["KEYTURN_COOKIE_NAME"] = "mine"
    settings = HttpSettings(cookie_secure=False, renew_within="2m")
    Keyturn(World().manager(), login=check_password, settings=settings).init_app(app)
    answer = app.test_client().post("/auth/login", json={"username": "ann", "password": PASSWORD})
    assert answer.headers["Set-Cookie"].startswith("mine=ktr_")
    assert app.config["KEYTURN_COOKIE_PATH"] == "/auth"
    assert app.config["KEYTURN_RENEW_WITHIN"] == 120


def test_a_wrong_configuration_is_refused_at_the_start() -> None:
    """By the same checks as everywhere."""
    app = Flask(__name__)
    app.config["KEYTURN_COOKIE_SAMESITE"] = "sometimes"
    with pytest.raises(ConfigurationError, match="cookie_samesite"):
        Keyturn(World().manager()).init_app(app)


def test_one_extension_serves_several_applications() -> None:
    """What belongs to one is kept in that one."""
    auth = Keyturn(login=check_password)
    apps = [Flask(name) for name in ("one", "two")]
    for app in apps:
        auth.init_app(app, World().manager())
    token = log_in(apps[0])
    answers = [
        app.test_client().get("/auth/me", headers={"Authorization": f"Bearer {token}"}) for app in apps
    ]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert apps[0].extensions["keyturn"] is not apps[1].extensions["keyturn"]


def test_an_application_may_sign_people_in_itself() -> None:
    """Its own view answers what `/auth/login` would."""
    app = Flask(__name__)
    Keyturn(World().manager()).init_app(app)
    app.add_url_rule("/callback", view_func=lambda: sign_in(SignIn("ann")), endpoint="callback")
    answer = app.test_client().get("/callback")
    assert answer.status_code == 200
    assert answer.headers["Set-Cookie"].startswith("__Secure-keyturn=ktr_")
    assert app.test_client().post("/auth/login", json={}).status_code == 404


def test_an_applications_own_limit_does_not_answer_for_us() -> None:
    """A body above Flask's limit, and below ours, is read and answered in JSON."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 10
    Keyturn(World().manager(), login=check_password).init_app(app)
    assert log_in(app)


def test_a_view_may_answer_anything() -> None:
    """A guarded view returns what any view returns, and takes its arguments."""
    app = Flask(__name__)
    Keyturn(World().manager(), login=check_password).init_app(app)

    @app.get("/items/<int:item>")
    @auth_required()
    def items(item: int) -> tuple[dict[str, object], int]:
        return {"item": item, "user": current_principal.user_id}, 201

    @app.get("/away")
    @auth_required()
    def away() -> ResponseReturnValue:
        return redirect("/elsewhere")

    bearer = {"Authorization": f"Bearer {log_in(app)}"}
    client = app.test_client()
    assert client.get("/items/7", headers=bearer).json == {"item": 7, "user": "ann"}
    assert client.get("/items/7", headers=bearer).status_code == 201
    assert client.get("/away", headers=bearer).status_code == 302
    assert client.get("/away").status_code == 401


def test_nobody_is_signed_in_outside_a_guarded_view() -> None:
    """`current_principal` is false there."""
    app = Flask(__name__)
    with app.app_context():
        assert not bool(current_principal)


class BrokenBody:
    """A body whose reading fails as gunicorn's does: with an exception of no common class."""

    def read(self, _: int = -1) -> bytes:
        raise Exception("invalid chunk size")  # noqa: TRY002  (that is what servers raise)


def test_a_body_that_the_server_cannot_parse_is_a_bad_request() -> None:
    """Whatever a server's parser raises while a body is read, the answer is 400 and JSON, never a 500."""
    app = Flask(__name__)
    Keyturn(World().manager(), login=check_password).init_app(app)
    environ = {"wsgi.input": BrokenBody(), "wsgi.input_terminated": True, "CONTENT_LENGTH": "9"}
    answer = app.test_client().post("/auth/refresh", environ_overrides=environ)
    assert (answer.status_code, json.loads(answer.data)["error"]) == (400, "invalid_request")


def test_a_view_says_how_revocation_is_checked() -> None:
    """A route that was told to trust signatures does; the others refuse what was revoked."""
    app, manager = Flask(__name__), World().manager()
    Keyturn(manager, login=check_password).init_app(app)
    guards = {"/trusting": auth_required(revocation="none"), "/strict": auth_required(revocation="strict")}
    for path, guard in guards.items():
        view = guard(lambda: {"user": current_principal.user_id})
        app.add_url_rule(path, view_func=view, endpoint=path)
    token = log_in(app)
    manager.revoke_user("ann")
    headers = {"Authorization": f"Bearer {token}"}
    answers = [app.test_client().get(path, headers=headers) for path in ("/trusting", "/strict")]
    assert [answer.status_code for answer in answers] == [200, 401]
