"""Who asks, in Django's views: the middleware and the decorator, beside Django's own sessions and CSRF."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import wraps
from typing import Any

import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncRequestFactory, Client, RequestFactory, override_settings
from django.urls import include, path
from django.utils.decorators import sync_and_async_middleware

from keyturn.django import get_manager
from keyturn.django.asking import admit
from keyturn.django.decorators import find_principal, principal, require
from keyturn.django.users import user_id_of
from keyturn.django.views import serve
from keyturn.errors import ConfigurationError
from keyturn.http import Admitted, needs
from tests.django.project.accounts.models import User
from tests.django.project.pages import awho, who
from tests.django.test_views import BASE
from tests.support import django_site
from tests.support.django_asking import PASSWORD, Protocol, ask, log_in, token_of
from tests.support.sources import ROOT

pytestmark = pytest.mark.usefixtures("project")
OVER = pytest.mark.parametrize("over", ["wsgi", "asgi"])

DJANGOS = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
OURS = "keyturn.django.middleware.KeyturnMiddleware"


@pytest.fixture(autouse=True)
def site() -> Iterator[None]:
    """Serve the pages."""
    with override_settings(ROOT_URLCONF="tests.django.project.pages"), with_keyturn():
        yield


def with_keyturn(*middleware: str, **changes: Any) -> override_settings:
    """Change some keys of the dict, and the middleware."""
    names = [*DJANGOS, *middleware]
    return override_settings(KEYTURN={**BASE, "LOGIN_RATE": None, **changes}, MIDDLEWARE=names)


def ann(**fields: Any) -> User:
    """Make a user."""
    return User.objects.create_user("ann", password=PASSWORD, **fields)


@OVER
@pytest.mark.parametrize("page", ["/private", "/aprivate"])
def test_a_guarded_view_knows_the_token_and_the_user(over: Protocol, page: str) -> None:
    """Plain or a coroutine, under WSGI and ASGI, without the middleware and with it."""
    user = ann()
    token = token_of(over, "ann")
    for middleware in ((), (OURS,)):
        with with_keyturn(*middleware):
            answer = ask(over, "GET", page, bearer=token)
            assert answer.json() == {"principal": str(user.pk), "user": "ann"}
            refused = ask(over, "GET", page)
            assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert refused.json()["error"] == "invalid_request"


@OVER
@pytest.mark.parametrize("page", ["/who", "/awho"])
def test_the_middleware_says_who_asks_anywhere(over: Protocol, page: str) -> None:
    """On every path; a token that is not acceptable is refused there, too."""
    user = ann()
    token = token_of(over, "ann")
    with with_keyturn(OURS):
        assert ask(over, "GET", page, bearer=token).json() == {"principal": str(user.pk), "user": "ann"}
        assert ask(over, "GET", page).json() == {"principal": None, "user": ""}
        assert ask(over, "GET", page, bearer="garbage").status_code == 401
        get_manager().revoke_user(user_id_of(user))
        assert ask(over, "GET", page, bearer=token).status_code == 401


@OVER
@pytest.mark.parametrize("page", ["/who", "/awho", "/private", "/aprivate"])
@pytest.mark.parametrize("end", ["gone", "disabled"])
def test_a_user_who_may_not_go_on_is_nobody(over: Protocol, page: str, end: str) -> None:
    """`request.user` is anonymous, so Django's own guards shut, while the token speaks until its end."""
    user = ann()
    token = token_of(over, "ann")
    if end == "gone":
        User.objects.all().delete()
    else:
        User.objects.update(is_active=False)
    with with_keyturn(OURS):
        assert ask(over, "GET", page, bearer=token).json() == {"principal": str(user.pk), "user": ""}
        assert ask(over, "GET", "/django-only", bearer=token).status_code == 302


def test_the_user_is_loaded_when_somebody_looks() -> None:
    """And only then; what the middleware has found out is not asked again."""
    ann()
    token = token_of("wsgi", "ann")

    def tables(page: str) -> list[str]:
        with django_site.statements("default") as sent:
            assert ask("wsgi", "GET", page, bearer=token).status_code == 200
        return [("accounts_user" if "accounts_user" in each else "keyturn") for each in sent]

    for middleware in ((), (OURS,)):
        with with_keyturn(*middleware):
            assert tables("/token") == ["keyturn"]
            assert tables("/private") == ["keyturn", "accounts_user"]


def test_a_session_of_djangos_goes_on_beside_it() -> None:
    """Without a token, Django's user counts; with one, the token's does, whoever else is signed in."""
    client, user = Client(), ann()
    client.force_login(User.objects.create_user("bob"))
    token = token_of("wsgi", "ann")
    with with_keyturn(OURS):
        assert ask("wsgi", "GET", "/who", client=client).json() == {"principal": None, "user": "bob"}
        both = ask("wsgi", "GET", "/who", client=client, bearer=token).json()
        assert both == {"principal": str(user.pk), "user": "ann"}
        assert ask("wsgi", "GET", "/django-only", client=client).status_code == 200
        assert ask("wsgi", "GET", "/django-only", client=client, bearer=token).json()["user"] == "ann"


@OVER
def test_paths_are_guarded_by_the_settings(over: Protocol) -> None:
    """Everything but what is exempt; the endpoints see to themselves."""
    user = ann()
    with with_keyturn(OURS, EXEMPT=["/who"], REQUIRE={"/awho": needs("orders:read"), "/maybe": {}}):
        token = token_of(over, "ann")
        assert ask(over, "GET", "/who").json() == {"principal": None, "user": ""}
        assert ask(over, "GET", "/who", bearer="garbage").status_code == 200
        assert ask(over, "GET", "/maybe").status_code == 401
        assert ask(over, "GET", "/maybe", bearer=token).json()["principal"] == str(user.pk)
        assert ask(over, "GET", "/awho", bearer=token).status_code == 403
        assert ask(over, "GET", "/nothing").status_code == 401
        assert ask(over, "GET", "/nothing", bearer=token).status_code == 404


@wraps(serve)
def wrapped(request: HttpRequest) -> HttpResponse:
    """Serve the endpoints behind something of the project's own."""
    return serve(request)


OWN_PATHS = (path("auth/me", who), path("auth/login", wrapped))


@OVER
def test_a_view_of_the_projects_own_is_guarded_wherever_it_is(over: Protocol) -> None:
    """The endpoints are exempt where they are, whatever wraps them, and no other view with such a path."""
    user = ann()

    with with_keyturn(OURS, EXEMPT=[]):
        token = token_of(over, "ann")
        with override_settings(ROOT_URLCONF=OWN_PATHS):
            for asked in ("/auth/me", "/auth/refresh", "/.well-known/jwks.json"):
                assert ask(over, "GET", asked).status_code == 401
            assert ask(over, "GET", "/auth/me", bearer=token).json()["principal"] == str(user.pk)
            assert ask(over, "POST", "/auth/login", {}).status_code == 400


def tenant(get_response: Any) -> Any:
    """Choose another URLconf, as middleware of projects with many hosts does."""

    def choose(request: Any) -> Any:
        request.urlconf = OWN_PATHS
        return get_response(request)

    return choose


@sync_and_async_middleware
def atenant(get_response: Any) -> Any:
    """The same where nothing need be adapted to asyncio."""
    if not iscoroutinefunction(get_response):
        return tenant(get_response)

    async def choose(request: Any) -> Any:
        request.urlconf = OWN_PATHS
        return await get_response(request)

    return choose


@OVER
@pytest.mark.parametrize("middleware", ["tenant", "atenant"])
def test_another_urlconf_that_is_chosen_further_in_opens_nothing(over: Protocol, middleware: str) -> None:
    """What was expected to be an endpoint is guarded when it turns out to be another view."""
    user = ann()
    ours = [DJANGOS[3], OURS, f"{__name__}.{middleware}"]  # no others, which run in threads
    with with_keyturn(EXEMPT=[]), override_settings(MIDDLEWARE=[DJANGOS[0], *ours]):
        assert ask(over, "GET", "/auth/me").status_code == 401
        assert ask(over, "GET", "/auth/me").json()["error"] == "invalid_request"
        token = str(get_manager().issue(user_id_of(user)).access_token)
        assert ask(over, "GET", "/auth/me", bearer=token).json()["principal"] == str(user.pk)
        assert ask(over, "POST", "/auth/login", {}).status_code == 400


def test_the_admin_goes_on_beside_guarded_paths() -> None:
    """Where it is exempt: it signs people in by Django's own session."""
    User.objects.create_superuser("root", password=PASSWORD)
    client = Client(enforce_csrf_checks=True)
    with with_keyturn(OURS, EXEMPT=["/admin/*"]):
        page = client.get("/admin/login/").content.decode()
        hidden = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert hidden is not None
        form = {"username": "root", "password": PASSWORD, "csrfmiddlewaretoken": hidden[1], "next": "/admin/"}
        assert client.post("/admin/login/", form).status_code == 302
        assert client.get("/admin/keyturn/session/").status_code == 200
        assert ask("wsgi", "GET", "/who", client=client).status_code == 401
    with with_keyturn(OURS, EXEMPT=[]):
        assert Client().get("/admin/").status_code == 401


def test_an_access_token_needs_no_token_of_djangos() -> None:
    """No other site's page can have a browser send one; where none is sent, Django's rule stands."""
    ann()
    token = token_of("wsgi", "ann")
    strict = Client(enforce_csrf_checks=True)
    assert ask("wsgi", "POST", "/private", client=strict, bearer=token).status_code == 200
    assert ask("wsgi", "POST", "/private", client=strict).status_code == 401
    assert ask("wsgi", "POST", "/maybe", client=strict, bearer=token).status_code == 403
    assert ask("wsgi", "POST", "/who", client=strict, bearer=token).status_code == 403
    strict = Client(enforce_csrf_checks=True)  # a client keeps its middleware
    with with_keyturn(OURS):
        for page in ("/maybe", "/who"):
            assert ask("wsgi", "POST", page, client=strict, bearer=token).status_code == 200
            answer = ask("wsgi", "POST", page, client=strict)
            assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (403, "text/html")


@OVER
def test_a_class_based_view_is_guarded_by_its_dispatch(over: Protocol) -> None:
    """With Django's `method_decorator`; its arguments arrive, and CSRF is none of its business."""
    user = ann()
    with with_keyturn(LOAD_CLAIMS=lambda _: {"scope": "orders:read"}):
        token = token_of(over, "ann")
        answer = ask(over, "GET", "/orders/7", bearer=token)
        assert answer.json() == {"number": 7, "user": str(user.pk)}
        strict = Client(enforce_csrf_checks=True)
        assert ask("wsgi", "POST", "/orders/7", client=strict, bearer=token).status_code == 200
    with with_keyturn():
        refused = ask(over, "GET", "/orders/7", bearer=token_of(over, "ann"))
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")


@OVER
@pytest.mark.parametrize("middleware", [(), (OURS,)])
def test_a_fresh_token_comes_along(over: Protocol, middleware: tuple[str, ...]) -> None:
    """Once, whatever the view answers; a header that is a list keeps what the view said."""
    ann()
    with with_keyturn(*middleware, RENEW_WITHIN="1h"):
        token = token_of(over, "ann")
        for page in ("/private", "/aprivate", "/stream"):
            answer = ask(over, "GET", page, bearer=token)
            assert answer.status_code == 200
            assert answer.headers["Authorization-Refreshed"] not in {"", token}
            exposed = answer.headers["Access-Control-Expose-Headers"]
            own = "X-Own, " if page == "/stream" else ""
            assert exposed == f"{own}Authorization-Refreshed"


SHARED = HttpResponse("page", headers={"X-Own": "1"})
SHARED.set_cookie("own", "1")
SHARED_PAGES = (
    path("", include("keyturn.django.urls")),
    path("open", lambda _: SHARED),
    path("own", require()(lambda _: SHARED)),
)


@OVER
@pytest.mark.parametrize("middleware", [(), (OURS,)])
def test_an_answer_that_many_are_given_keeps_nobodys_token(
    over: Protocol, middleware: tuple[str, ...]
) -> None:
    """A response that the project has made once is copied before anything is added to it."""
    ann()
    names = ["django.contrib.sessions.middleware.SessionMiddleware", DJANGOS[3], *middleware]
    with (
        with_keyturn(RENEW_WITHIN="1d"),
        override_settings(ROOT_URLCONF=SHARED_PAGES, MIDDLEWARE=names),
    ):
        answer = ask(over, "GET", "/own", bearer=token_of(over, "ann"))
        assert "Authorization-Refreshed" in answer
        assert (answer.content, answer["X-Own"], answer.cookies["own"].value) == (b"page", "1", "1")
        assert answer["Cache-Control"] == "no-store"
        again = ask(over, "GET", "/open")
        assert again.content == b"page"
        assert not {"Authorization-Refreshed", "Cache-Control"} & set(again.headers)


@override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True)
def test_an_unguarded_view_has_no_principal() -> None:
    """Who asks for one all the same is told what to do; so is who expects other claims."""
    with pytest.raises(ConfigurationError, match="require"):
        ask("wsgi", "GET", "/unguarded")
    request = RequestFactory().get("/")
    assert find_principal(request) is None
    admit(request, Admitted(get_manager().verify_access(get_manager().issue("u").access_token)))
    assert principal(request).user_id == "u"
    with pytest.raises(ConfigurationError, match="str"):
        principal(request, str)


def test_a_view_is_guarded_wherever_it_is_called() -> None:
    """A plain view for a request of ASGI, a coroutine for one of WSGI: the request says which manager."""
    user = ann()
    token = {"Authorization": f"Bearer {token_of('wsgi', 'ann')}"}
    plain, awaited = require()(who), require()(awho)
    of_wsgi = RequestFactory().get("/", headers=token)
    of_asgi = AsyncRequestFactory().get("/", headers=token)
    for answer in (
        plain(of_wsgi),
        plain(of_asgi),
        async_to_sync(awaited)(of_wsgi),
        async_to_sync(awaited)(of_asgi),
        async_to_sync(sync_to_async(plain))(of_asgi),
    ):
        assert isinstance(answer, JsonResponse)
        assert str(user.pk) in answer.content.decode()


def test_another_spelling_of_a_guard_is_no_guard_of_less() -> None:
    """A view's own needs count on top of its path's."""
    ann()
    with with_keyturn(OURS, EXEMPT=["/private"]):
        token = token_of("wsgi", "ann")
        assert ask("wsgi", "GET", "/private").status_code == 401
        assert ask("wsgi", "GET", "/private", bearer=token).status_code == 200


def found(**settings: Any) -> set[str]:
    """Give the ids of what the checks find."""
    with override_settings(**settings):
        every = run_checks(include_deployment_checks=True)
    return {str(each.id) for each in every if str(each.id)[8:] in {"E020", "E021", "E022", "W020", "W021"}}


below = [path("api/", include("keyturn.django.urls"))]


class BelowApi:
    """A URLconf that includes the endpoints below a path."""

    urlpatterns = below


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("keyturn.E020", {"KEYTURN": {**BASE, "EXEMPT": ["/admin/*"]}}),
        ("keyturn.E021", {"MIDDLEWARE": [OURS, *DJANGOS]}),
        ("keyturn.E022", {"ROOT_URLCONF": BelowApi}),
        ("keyturn.W020", {"KEYTURN": {**BASE, "EXEMPT": ["/admin"]}, "MIDDLEWARE": [*DJANGOS, OURS]}),
        ("keyturn.W021", {"KEYTURN": {**BASE, "LOGIN_RATE": "5/m"}}),
    ],
)
def test_what_would_guard_nothing_or_shut_people_out_is_found(name: str, settings: dict[str, Any]) -> None:
    """By a system check, which the documentation names."""
    given = {**settings, "KEYTURN": {"LOGIN_RATE": None, **settings.get("KEYTURN", BASE)}}
    assert found(**given) == {name}
    assert f"| `{name}` |" in (ROOT / "docs/how-to/django-views.md").read_text("utf-8")
    with with_keyturn(OURS, EXEMPT=["/admin/*"]):
        assert found() == set()


@OVER
def test_a_login_leaves_no_trace_of_the_password(over: Protocol, caplog: pytest.LogCaptureFixture) -> None:
    """Django logs refused requests: by their path."""
    assert log_in(over, "ann", "the secret word").status_code == 401
    assert "the secret word" not in caplog.text


def test_a_request_is_one_persons() -> None:
    """What was found out about one request is not kept for the next."""
    ann()
    token = token_of("wsgi", "ann")
    with with_keyturn(OURS):
        client = Client()
        assert ask("wsgi", "GET", "/who", client=client, bearer=token).json()["user"] == "ann"
        assert ask("wsgi", "GET", "/who", client=client).json()["user"] == ""
