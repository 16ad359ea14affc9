"""Django's sign-in behind the endpoints: its backends, users, signals, settings and transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.core.checks import run_checks
from django.core.handlers.wsgi import WSGIRequest
from django.core.management import call_command
from django.dispatch import Signal
from django.http import HttpRequest
from django.test import Client, RequestFactory, override_settings

from keyturn import KEEP_CLAIMS
from keyturn.django import get_async_manager, get_manager
from keyturn.django.conf import get_settings
from keyturn.django.users import user_id_of
from keyturn.django.views import serve
from keyturn.errors import ConfigurationError
from keyturn.http import SignIn
from tests.django.project.accounts.models import User
from tests.support import django_site
from tests.support.django_asking import PASSWORD, Protocol, ask, log_in, token_of

pytestmark = [pytest.mark.usefixtures("project"), pytest.mark.parametrize("over", ["wsgi", "asgi"])]

BASE: dict[str, Any] = {"ISSUER": "https://auth.example.com", "AUDIENCE": "api"}


@pytest.fixture(autouse=True)
def site() -> Iterator[None]:
    """Serve the pages."""
    with override_settings(ROOT_URLCONF="tests.django.project.pages"), with_keyturn():
        yield


def with_keyturn(**changes: Any) -> override_settings:
    """Change some keys of the dict."""
    return override_settings(KEYTURN={**BASE, "LOGIN_RATE": None, **changes})


@contextmanager
def heard(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    """Collect what a signal sends."""
    sent: list[dict[str, Any]] = []

    def note(**said: Any) -> None:
        sent.append(said)

    signal.connect(note)
    try:
        yield sent
    finally:
        signal.disconnect(note)


def ann(**fields: Any) -> User:
    """Make a user."""
    return User.objects.create_user("ann", password=PASSWORD, **fields)


def refreshed(over: Protocol, answer: Any) -> Any:
    """Refresh with the token of an answer."""
    return ask(over, "POST", "/auth/refresh", {"refresh_token": answer.json()["refresh_token"]})


def test_a_user_signs_in_goes_on_and_signs_out(over: Protocol) -> None:
    """The token speaks for the primary key, a UUID; Django is told, and no session of Django's begins."""
    user = ann()
    with heard(user_logged_in) as told:
        answer = log_in(over, "ann")
    assert answer.status_code == 200
    assert "sessionid" not in answer.cookies
    (said,) = told
    assert (said["user"], said["sender"]) == (user, User)
    assert isinstance(said["request"], HttpRequest)
    assert User.objects.get().last_login is not None
    token = refreshed(over, answer).json()["access_token"]
    me = ask(over, "GET", "/auth/me", bearer=token)
    assert me.json()["user_id"] == str(user.pk)
    assert ask(over, "POST", "/auth/logout", {}, bearer=token).status_code == 204
    assert ask(over, "GET", "/auth/me", bearer=token).status_code == 401


def test_a_wrong_sign_in_is_refused_and_told(over: Protocol) -> None:
    """By Django's own signal, with Django's request: what counts failures elsewhere goes on counting."""
    ann()
    with heard(user_login_failed) as told, heard(user_logged_in) as accepted:
        answers = [log_in(over, "ann", "wrong"), log_in(over, "bob")]
    assert [each.status_code for each in answers] == [401, 401]
    assert answers[0].content == answers[1].content
    assert [each["credentials"]["username"] for each in told] == ["ann", "bob"]
    assert all(isinstance(each["request"], HttpRequest) for each in told)
    assert accepted == []


@override_settings(AUTHENTICATION_BACKENDS=["django.contrib.auth.backends.AllowAllUsersModelBackend"])
def test_a_user_who_may_not_go_on_does_not_begin(over: Protocol) -> None:
    """Whatever a backend says: the same question as at each refresh."""
    ann(is_active=False)
    assert log_in(over, "ann").status_code == 401
    assert get_manager().sessions(str(User.objects.get().pk), active=False) == []
    with with_keyturn(USER_IS_ALLOWED=None):
        assert log_in(over, "ann").status_code == 200


class Slow(ModelBackend):
    """A backend beside which something happens meanwhile."""

    def authenticate(self, request: HttpRequest | None, *args: Any, **credentials: Any) -> Any:
        user = super().authenticate(request, *args, **credentials)
        if user is not None:
            self.meanwhile(User.objects.get(pk=user.pk), credentials["password"])
        return user

    def meanwhile(self, user: User, password: str, /) -> None:
        raise NotImplementedError


class Racing(Slow):
    """Somebody changes the password."""

    def meanwhile(self, user: User, _: str, /) -> None:
        user.set_password("another password")
        user.save()


@override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.Racing"])
def test_a_password_that_changes_meanwhile_leaves_no_session(over: Protocol) -> None:
    """The change could not have ended it: it was not there yet."""
    user = ann()
    with heard(user_logged_in) as told:
        assert log_in(over, "ann").status_code == 401
    assert told == []
    (session,) = get_manager().sessions(user_id_of(user), active=False)
    assert not session.active


class Renewing(Slow):
    """Another sign-in has the hash of the same password renewed."""

    def meanwhile(self, user: User, password: str, /) -> None:
        User.objects.filter(pk=user.pk).update(password=make_password(password))


@override_settings(AUTHENTICATION_BACKENDS=[f"{__name__}.Renewing"])
def test_a_hash_that_is_renewed_meanwhile_is_no_new_password(over: Protocol) -> None:
    """Django does so at the first of several sign-ins at once."""
    ann()
    assert log_in(over, "ann").status_code == 200


@override_settings(
    PASSWORD_HASHERS=[
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
)
def test_a_hash_that_django_renews_is_no_new_password(over: Protocol) -> None:
    """The first sign-in after a change of hashers succeeds, and ends no session."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        ann()
        token = token_of(over, "ann")
    assert log_in(over, "ann").status_code == 200
    assert User.objects.get().password.startswith("scrypt")
    assert ask(over, "GET", "/auth/me", bearer=token).status_code == 200


def test_a_disabled_user_ends_at_the_refresh_and_a_new_password_at_once(over: Protocol) -> None:
    """`is_active` is asked for at each refresh; the validator ends sessions with the password."""
    user = ann()
    first = log_in(over, "ann")
    user.set_password("another password")
    user.save()
    assert refreshed(over, first).status_code == 401
    second = log_in(over, "ann", "another password")
    User.objects.update(is_active=False)
    assert refreshed(over, second).status_code == 401
    assert ask(over, "GET", "/auth/me", bearer=second.json()["access_token"]).status_code == 401


def claims(user: Any) -> dict[str, Any]:
    """Give claims."""
    return {"name": user.username}


async def aclaims(user: Any) -> dict[str, Any]:
    """Give claims in a coroutine."""
    await asyncio.sleep(0)
    return claims(user)


@pytest.mark.parametrize("load", [claims, aclaims])
def test_claims_are_loaded_at_the_sign_in(over: Protocol, load: Any) -> None:
    """As at each refresh."""
    ann()
    with with_keyturn(LOAD_CLAIMS=load):
        me = ask(over, "GET", "/auth/me", bearer=token_of(over, "ann")).json()
    assert me["claims"] == {"name": "ann"}


def test_a_loader_that_gives_none_lets_nobody_in(over: Protocol) -> None:
    """The fault shows at the first sign-in; `KEEP_CLAIMS` says that a sign-in without claims is meant."""
    ann()
    with (
        with_keyturn(LOAD_CLAIMS=lambda _: None),
        pytest.raises(ConfigurationError, match="load_claims gave None"),
    ):
        log_in(over, "ann")
    with with_keyturn(LOAD_CLAIMS=lambda _: KEEP_CLAIMS):
        me = ask(over, "GET", "/auth/me", bearer=token_of(over, "ann")).json()
    assert me["claims"] == {}


def own(request: HttpRequest, username: str, password: str) -> Any:
    """Know people in another way."""
    if password != PASSWORD:
        return None
    assert request.path == "/auth/login"
    return {"user": User.objects.filter(username=username).first(), "id": "plain-id"}.get(
        username, SignIn("signed", claims={"own": True}) if username == "sign" else User.objects.first()
    )


async def aown(request: HttpRequest, username: str, password: str) -> Any:
    """The same in a coroutine."""
    return await sync_to_async(own)(request, username, password)


@pytest.mark.parametrize("login", [own, aown])
def test_a_login_check_of_ones_own(over: Protocol, login: Any) -> None:
    """It is given Django's request, and gives a user, an id, a `SignIn` or None."""
    user = ann()
    with with_keyturn(LOGIN=login, USER_IS_ALLOWED=None):
        found = [
            ask(over, "GET", "/auth/me", bearer=token_of(over, name)).json()["user_id"]
            for name in ("ann", "id", "sign")
        ]
        assert log_in(over, "ann", "wrong").status_code == 401
    assert found == [str(user.pk), "plain-id", "signed"]


def test_without_a_login_there_is_no_endpoint_for_one(over: Protocol) -> None:
    """`LOGIN: False`: the application signs people in itself."""
    ann()
    with with_keyturn(LOGIN=False):
        assert log_in(over, "ann").status_code == 404
        for page in ("/accept/ann", "/aaccept/ann"):
            assert ask(over, "POST", page).status_code == 200


@pytest.mark.parametrize("prefix", ["", "a"])
def test_an_application_signs_people_in_itself(over: Protocol, prefix: str) -> None:
    """Whom it has accepted; not who may not go on. What it says of claims counts."""
    user = ann()
    with heard(user_logged_in) as told:
        answer = ask(over, "POST", f"/{prefix}accept/ann")
    assert [each["user"] for each in told] == [user]
    token = answer.json()["access_token"]
    me = ask(over, "GET", "/auth/me", bearer=token).json()
    assert (me["user_id"], me["claims"]) == (str(user.pk), {"by": "passkey"})
    stepped = ask(over, "GET", f"/{prefix}step", bearer=token)
    assert stepped.json()["session_id"] == answer.json()["session_id"]
    assert ask(over, "GET", f"/{prefix}step").status_code == 401
    User.objects.update(is_active=False)
    assert ask(over, "POST", f"/{prefix}accept/ann").status_code == 401


def test_a_step_up_is_no_sign_in(over: Protocol) -> None:
    """The same session goes on: Django is told of no other."""
    ann()
    token = token_of(over, "ann")
    with heard(user_logged_in) as told:
        body = {"username": "ann", "password": PASSWORD}
        assert ask(over, "POST", "/auth/step-up", body, bearer=token).status_code == 200
        wrong = {"username": "ann", "password": "wrong"}
        assert ask(over, "POST", "/auth/step-up", wrong, bearer=token).status_code == 401
    assert told == []


def test_the_prefix_of_the_settings_is_where_the_endpoints_are(over: Protocol) -> None:
    """Also where a test changes it."""
    ann()
    body = {"username": "ann", "password": PASSWORD}
    with with_keyturn(PREFIX="/api/v1/auth", COOKIE_PATH="/api/v1/auth"):
        answer = ask(over, "POST", "/api/v1/auth/login", body)
        assert answer.status_code == 200
        assert answer.cookies["__Secure-keyturn"]["path"] == "/api/v1/auth"
        assert ask(over, "POST", "/auth/login", body).headers["Content-Type"].startswith("text/html")
    assert ask(over, "POST", "/auth/login", body).status_code == 200


@pytest.mark.parametrize(("path", "status"), [("/auth", 404), ("/auth/nothing", 404), ("/auth/login", 405)])
def test_what_there_is_not_is_said_in_json(over: Protocol, path: str, status: int) -> None:
    """Django's slash is not appended, and its pages are not shown."""
    answer = ask(over, "GET", path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")


def test_requests_in_transactions_still_refresh(over: Protocol) -> None:
    """The endpoints opt out of ATOMIC_REQUESTS: what a refresh finds out must not be rolled back."""
    ann()
    with django_site.atomic_requests("default"):
        assert refreshed(over, log_in(over, "ann")).status_code == 200
        if over == "wsgi":  # Django wraps no coroutine in a transaction
            assert ask(over, "GET", "/private", bearer=token_of(over, "ann")).status_code == 200


def test_the_endpoints_check_origins_themselves(over: Protocol) -> None:
    """A page of another site is refused, and no token of Django's is asked for."""
    ann()
    if over == "wsgi":
        client, body = Client(enforce_csrf_checks=True), {"username": "ann", "password": PASSWORD}
        assert ask(over, "POST", "/auth/login", body, client=client).status_code == 200
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = ask(over, "POST", "/auth/login", {"username": "ann", "password": PASSWORD}, headers=foreign)
    assert (answer.status_code, answer.json()["error"]) == (403, "csrf_failed")


def test_djangos_client_keeps_the_refresh_cookie(over: Protocol) -> None:
    """It is among the response's cookies, where it looks for them; as the guide says, it then refreshes."""
    ann()
    client, body = Client(), {"username": "ann", "password": PASSWORD}
    assert client.post("/auth/login", body, content_type="application/json").status_code == 200
    first = client.cookies["__Secure-keyturn"].value
    answer = client.post(
        "/auth/refresh", content_type="application/json", headers={"sec-fetch-site": "same-origin"}
    )
    assert answer.status_code == 200
    assert client.cookies["__Secure-keyturn"].value not in {first, ""}
    with with_keyturn(
        COOKIE_PARTITIONED=True, COOKIE_SAMESITE="None", COOKIE_PREFIX="__Host-", COOKIE_PATH="/"
    ):
        answer = ask(over, "POST", "/auth/login", body)
    assert str(answer.headers.get("Set-Cookie", answer.cookies)).endswith("; Partitioned")


def test_checks_find_nothing_wrong_with_the_urls(over: Protocol) -> None:
    """`manage.py check` passes with the endpoints included."""
    call_command("check", fail_level="WARNING")


def test_a_manager_of_ones_own_says_everything_itself(over: Protocol) -> None:
    """What would have no effect beside it is refused, so that nobody believes it."""
    with with_keyturn(MANAGER=get_manager()), pytest.raises(ConfigurationError, match="ISSUER"):
        get_settings()
    ignored = pytest.raises(ConfigurationError, match=r"KEYTURN\['ACCESS_TTL'\] has no effect")
    with override_settings(KEYTURN={"MANAGER": get_manager, "ACCESS_TTL": "1m"}), ignored:
        get_settings()
    with override_settings(KEYTURN={"MANAGER": get_manager}):
        assert not [each for each in run_checks() if str(each.id).startswith("keyturn.")]
    twin, manager = ("ASYNC_MANAGER", get_manager) if over == "wsgi" else ("MANAGER", get_async_manager)
    own = get_manager()
    with override_settings(KEYTURN={twin: own}), pytest.raises(ConfigurationError, match="only its twin"):
        async_to_sync(called(manager))()


def called(function: Any) -> Any:
    """Make a coroutine function of what a loop must run for."""

    async def call() -> Any:
        return function()

    return call


@pytest.mark.parametrize(
    "setting",
    [
        {"EXEMPT": ["public"]},
        {"REQUIRE": {"/a/../b": {}}},
        {"EXEMPT": ["/*"], "REQUIRE": {"/a": {}}},
        {"LOGIN": True},
    ],
)
def test_a_wrong_guard_names_its_key(over: Protocol, setting: dict[str, Any]) -> None:
    """As every other setting does."""
    key = [*setting][-1]
    with with_keyturn(**setting), pytest.raises(ConfigurationError, match=rf"KEYTURN\['{key}'\]"):
        get_settings()


def test_a_body_whose_length_nobody_knows_is_not_taken_for_empty(over: Protocol) -> None:
    """A chunked request that the server did not decode: Django would read nothing."""
    environ: dict[str, Any] = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    request: WSGIRequest = RequestFactory().post("/auth/refresh", **environ)
    assert serve(request).status_code == 400


def reading(get_response: Any) -> Any:
    """Read each body before a view may, as middleware that logs does."""

    def middleware(request: HttpRequest) -> Any:
        assert request.body is not None
        return get_response(request)

    return middleware


@override_settings(MIDDLEWARE=[f"{__name__}.reading"])
def test_a_body_that_somebody_has_read_is_read_again(over: Protocol) -> None:
    """Django keeps it."""
    ann()
    assert log_in(over, "ann").status_code == 200


def test_users_are_of_the_projects_model(over: Protocol) -> None:
    """The tiny project's have UUIDs; integers are in test_integer_users.py."""
    assert get_user_model() is User
