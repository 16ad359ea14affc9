"""Holds what only Flask has: configuration, several applications, its own limits, asynchronous views."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, cast

import pytest
from flask import Blueprint, Flask, Response, redirect
from flask.typing import ResponseReturnValue
from flask.views import MethodView

from keyturn import ConfigurationError, TokenManager
from keyturn.flask import Keyturn, auth_required, current_principal, sign_in
from keyturn.http import HttpSettings, SignIn
from keyturn.testing._http.world import DEFAULTS
from keyturn.testing.faults import BEFORE
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


def test_a_guard_without_its_application_lets_nobody_in() -> None:
    """Where `init_app` was forgotten, the error says so, whoever asks."""
    app = Flask(__name__)
    app.testing = True  # so that the error is not turned into a page
    app.add_url_rule("/private", view_func=auth_required()(lambda: "secret"))
    with pytest.raises(ConfigurationError, match="init_app"):
        app.test_client().get("/private")


def test_an_application_in_the_managers_place_is_told() -> None:
    """Many extensions take the application there."""
    app: Any = Flask(__name__)
    for mistake in (lambda: Keyturn(app), lambda: Keyturn().init_app(Flask(__name__), app)):
        with pytest.raises(ConfigurationError, match=r"manager comes first.*init_app"):
            mistake()
    manager: Any = World().async_manager()
    with pytest.raises(ConfigurationError, match="threads"):
        Keyturn(manager)


def test_an_application_is_set_up_once() -> None:
    """A second time would leave the guards of the first one standing with the endpoints of the other."""
    app = Flask(__name__)
    Keyturn(World().manager()).init_app(app)
    with pytest.raises(ConfigurationError, match="before: once is enough"):
        Keyturn(World().manager()).init_app(app)


def test_the_application_knows_its_manager_and_settings() -> None:
    """Those of the current one, and they cannot be set."""
    auth, managers = Keyturn[Any](), [World().manager() for _ in range(2)]
    for prefix, manager in zip(("/one", "/two"), managers, strict=True):
        app = Flask(__name__)
        app.config.update(KEYTURN_PREFIX=prefix, KEYTURN_COOKIE_PATH=prefix)
        auth.init_app(app, manager)
        with app.app_context():
            assert (auth.manager, auth.settings.prefix) == (manager, prefix)
    with Flask(__name__).app_context(), pytest.raises(ConfigurationError, match="init_app"):
        _ = auth.manager


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("KEYTURN_COOKIE_SECUR", "KEYTURN_COOKIE_SECURE"),
        ("KEYTURN_COOKIE_SAME_SITE", "KEYTURN_COOKIE_SAMESITE"),
        ("KEYTURN_ALLOW_ORIGINS", "KEYTURN_ALLOWED_ORIGINS"),
    ],
)
def test_a_misspelt_setting_is_refused(key: str, meant: str) -> None:
    """It would count for nothing; the error has the right name."""
    app = Flask(__name__)
    app.config[key] = False
    with pytest.raises(ConfigurationError, match=f"no setting {key}: write {meant}$"):
        Keyturn(World().manager()).init_app(app)


@pytest.mark.parametrize("key", ["KEYTURN_STORE", "KEYTURN_ISSUER", "KEYTURN_DATABASE_URL", "KEYTURN_SECRET"])
def test_an_applications_own_keys_pass(key: str) -> None:
    """Names that resemble no setting are its own, whatever they begin with."""
    app = Flask(__name__)
    app.config[key] = "own"
    Keyturn(World().manager()).init_app(app)
    assert app.config[key] == "own"


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda: cast("Any", auth_required)(lambda: "secret"), r"write @auth_required\(\)"),
        (lambda: cast("Any", auth_required)("orders:read"), r'scopes=\("orders:read",\)'),
        (lambda: auth_required(scopes=cast("Any", "a:b")), r"auth_required\(scopes=\('a:b',\)\)"),
        (
            lambda: auth_required()(cast("Any", MethodView)),
            r"decorators = \[auth.require\(\)\] in MethodView",
        ),
    ],
)
def test_a_guard_that_is_written_wrongly_says_how(mistake: Callable[[], object], said: str) -> None:
    """When the module is read, not at the first request."""
    with pytest.raises(ConfigurationError, match=said):
        mistake()


def test_a_class_of_views_is_guarded_from_within() -> None:
    """As the error says."""

    class Orders(MethodView):
        decorators: ClassVar[list[Callable[..., Any]]] = [Keyturn.require()]

        def get(self) -> str:
            return "secret"

    app = Flask(__name__)
    Keyturn(World().manager(), login=check_password).init_app(app)
    app.add_url_rule("/orders", view_func=Orders.as_view("orders"))
    bearer = {"Authorization": f"Bearer {log_in(app)}"}
    assert app.test_client().get("/orders", headers=bearer).text == "secret"
    assert app.test_client().get("/orders").status_code == 401


def test_a_blueprint_is_guarded_in_the_idiom_of_flask() -> None:
    """A guarded `before_request` that returns None lets the request go on; what it answers is the answer."""
    pages = Blueprint("pages", __name__)

    @pages.before_request
    @auth_required()
    def guard() -> str | None:
        return "not today" if current_principal.user_id == "bob" else None

    @pages.get("/page")
    def page() -> str:
        return str(current_principal.user_id)

    app = Flask(__name__)
    Keyturn(World().manager(), login=check_password).init_app(app)
    app.register_blueprint(pages)
    said = [
        app.test_client().get("/page", headers={"Authorization": f"Bearer {log_in(app, name)}"}).text
        for name in ("ann", "bob")
    ]
    assert said == ["ann", "not today"]
    assert app.test_client().get("/page").status_code == 401


def test_who_asks_is_not_known_where_nothing_guards() -> None:
    """The error says that a guard is missing; whether somebody is there may be asked, also in no request."""
    app = Flask(__name__)
    app.testing = True
    Keyturn(World().manager(), login=check_password).init_app(app)
    app.add_url_rule("/open", view_func=lambda: str(current_principal.user_id), endpoint="open")
    app.add_url_rule("/asks", view_func=lambda: str(bool(current_principal)), endpoint="asks")
    bearer = {"Authorization": f"Bearer {log_in(app)}"}
    with pytest.raises(AttributeError, match="guard the view"):
        app.test_client().get("/open", headers=bearer)
    assert app.test_client().get("/asks", headers=bearer).text == "False"
    assert bool(current_principal) is False
    assert not hasattr(current_principal, "__wrapped__")  # doctest asks this of all that a module names


def test_a_guarded_view_that_returns_nothing_is_a_mistake() -> None:
    """Flask itself says so, as of any view."""
    app = Flask(__name__)
    app.testing = True
    Keyturn(World().manager(), login=check_password).init_app(app)
    app.add_url_rule("/nothing", view_func=auth_required()(lambda: None), endpoint="nothing")
    bearer = {"Authorization": f"Bearer {log_in(app)}"}
    with pytest.raises(TypeError, match="did not return a valid response"):
        app.test_client().get("/nothing", headers=bearer)


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
    assert app.extensions["keyturn"].settings == HttpSettings(
        cookie_name="mine", cookie_secure=False, renew_within="2m"
    )


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


def test_a_view_of_the_applications_own_is_guarded_wherever_it_is() -> None:
    """The endpoints are exempt, and no view of another's that has the path of one."""
    app = Flask(__name__)
    Keyturn(World().manager(), login=check_password, exempt=()).init_app(app)
    app.add_url_rule("/auth/me", "own", lambda: {"user": current_principal.user_id})
    assert app.test_client().get("/auth/me").status_code == 401
    headers = {"Authorization": f"Bearer {log_in(app)}"}
    assert app.test_client().get("/auth/me", headers=headers).json == {"user": "ann"}


def test_the_endpoints_are_exempt_whatever_wraps_their_view() -> None:
    """As limiters and profilers of applications do."""
    app = Flask(__name__)
    Keyturn(World().manager(), login=check_password, exempt=()).init_app(app)
    plain: Any = app.view_functions["keyturn.serve"]

    @wraps(plain)
    def limited(**given: Any) -> Any:
        return plain(**given)

    app.view_functions["keyturn.serve"] = limited
    assert log_in(app)


def test_an_answer_that_many_are_given_keeps_nobodys_token() -> None:
    """A response that the application has made once is copied before anything is added to it."""
    app, page = Flask(__name__), Response("page")
    settings = HttpSettings(renew_within="1d")
    Keyturn(World().manager(), login=check_password, settings=settings).init_app(app)
    app.add_url_rule("/open", "open", lambda: page)
    app.add_url_rule("/own", "own", auth_required()(lambda: page))
    headers = {"Authorization": f"Bearer {log_in(app)}"}
    assert "Authorization-Refreshed" in app.test_client().get("/own", headers=headers).headers
    assert sorted(page.headers.keys()) == ["Content-Length", "Content-Type"]
    assert "Authorization-Refreshed" not in app.test_client().get("/open").headers


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


def test_a_view_may_be_asynchronous() -> None:
    """Flask runs it as it runs any asynchronous view, and it knows who asks."""
    app = Flask(__name__)
    auth = Keyturn(World().manager(), login=check_password)
    auth.init_app(app)

    @app.get("/later/<int:number>")
    @auth.require("profile")
    async def later(number: int) -> dict[str, object]:
        await asyncio.sleep(0)
        return {"number": number, "user": auth.principal().user_id}

    client, bearer = app.test_client(), {"Authorization": f"Bearer {log_in(app)}"}
    assert client.get("/later/7", headers=bearer).json == {"number": 7, "user": "ann"}
    assert client.get("/later/7").status_code == 401


def test_a_principal_is_somebody() -> None:
    """Asking for one where nobody is signed in is the application's mistake; `current_principal` is false."""
    app = Flask(__name__)
    auth = Keyturn(World().manager(), login=check_password)
    auth.init_app(app)

    @app.get("/maybe")
    @auth.require(optional=True)
    def maybe() -> dict[str, bool]:
        with pytest.raises(ConfigurationError, match="nobody is signed in"):
            auth.principal()
        return {"somebody": bool(current_principal)}

    assert app.test_client().get("/maybe").json == {"somebody": False}


def command_of(app: Flask, *words: str) -> tuple[int, str]:
    """Run `flask keyturn …`, and give the exit status and what it says."""
    done = app.test_cli_runner().invoke(args=["keyturn", *words])
    return done.exit_code, done.output


def application_with(world: World) -> tuple[Flask, TokenManager]:
    """Make an application, and give its manager too."""
    app, manager = Flask(__name__), world.manager()
    Keyturn(manager).init_app(app)
    return app, manager


def test_commands_list_and_end_sessions() -> None:
    """Of the application's own manager; ended ones are listed on demand, with why they ended."""
    app, manager = application_with(World())
    one, two = (manager.issue("ann", device={"name": f"\x1b[31m{number}"}) for number in range(2))
    status, output = command_of(app, "sessions", "ann")
    listed = [json.loads(line) for line in output.splitlines()]
    assert (status, {each["id"] for each in listed}) == (0, {one.session_id, two.session_id})
    assert listed[0]["signed_in"] == "2027-01-15T08:00:00+00:00"
    assert "\x1b" not in output  # what a client calls itself steers no terminal
    assert command_of(app, "revoke", one.session_id) == (0, "1 session ended.\n")
    assert command_of(app, "revoke", "--user", "ann") == (0, "1 session ended.\n")
    assert command_of(app, "sessions", "ann") == (0, "")
    _, output = command_of(app, "sessions", "ann", "--all")
    assert {json.loads(line)["state"] for line in output.splitlines()} == {"ended (admin)"}


def test_commands_remove_what_is_old() -> None:
    """After the retention, not before."""
    world = World()
    app, manager = application_with(world)
    manager.issue("ann")
    world.clock.advance(DEFAULTS.absolute_ttl + 86_400)
    assert command_of(app, "purge", "--retention", "2d") == (0, "0 rows removed.\n")
    assert command_of(app, "purge", "--retention", "0s") == (0, "1 rows removed.\n")


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("revoke", "nonsense"), 1, "no such session"),
        (("revoke", "--user", "nobody"), 1, "no such session"),
        (("revoke",), 2, "either a session or --user"),
        (("revoke", "x", "--user", "y"), 2, "either a session or --user"),
        (("purge", "--retention", "soon"), 1, "retention"),
    ],
    ids=str,
)
def test_a_command_that_does_nothing_does_not_look_like_success(
    words: tuple[str, ...], status: int, said: str
) -> None:
    """A typo is one sentence and an exit status."""
    found, output = command_of(application_with(World())[0], *words)
    assert found == status
    assert said in output
    assert "Traceback" not in output


def test_the_commands_introduce_themselves() -> None:
    """Each in a line that is not cut off."""
    status, output = command_of(application_with(World())[0], "--help")
    listed = output.partition("Commands:\n")[2].split()
    assert (status, {"purge", "revoke", "sessions"} <= set(listed)) == (0, True)
    assert "..." not in output.partition("Commands:\n")[2]


def test_a_command_tells_an_outage_in_one_sentence() -> None:
    """The store's own words stay away."""
    world = World()
    app, _ = application_with(world)
    world.plan.next(BEFORE)
    status, output = command_of(app, "sessions", "ann")
    assert (status, output.count("\n")) == (1, 1)
    assert "try again" in output


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


def test_who_asks_is_of_the_request_and_not_of_the_context() -> None:
    """An application's context that somebody has pushed is that of many requests."""
    app = Flask(__name__)
    auth = Keyturn(World().manager(), login=check_password)
    auth.init_app(app)
    app.add_url_rule("/in", "in", auth.require()(lambda: {"user": auth.principal().user_id}))
    app.add_url_rule("/open", "open", lambda: {"signed in": auth.optional_principal() is not None})
    with app.app_context():
        client = app.test_client()
        assert client.get("/in", headers={"Authorization": f"Bearer {log_in(app)}"}).json == {"user": "ann"}
        assert client.get("/open").json == {"signed in": False}
