"""The plugin in the suites of Django projects, which pytest-django runs: it finds the project by itself."""

from __future__ import annotations

import subprocess

import pytest

from tests.pytest_plugin.test_frameworks import OVER_HTTP, TESTS
from tests.pytest_plugin.test_plugin import pytest_of
from tests.support import django_site

pytest_plugins = ["pytester"]

SETTINGS = """
SECRET_KEY = "the secret of tests, which is as long as those that startproject makes"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "keyturn.django"]
MIDDLEWARE = ["keyturn.django.middleware.KeyturnMiddleware"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "urls"
AUTH_PASSWORD_VALIDATORS = [{{"NAME": "keyturn.django.validators.EndSessions"}}]
DATABASES = {{"default": {database!r}}}
KEYTURN = {{"ISSUER": "https://auth.example.com", "AUDIENCE": "my-api", {more}}}
"""

URLS = """
from django.http import JsonResponse
from django.urls import include, path
from keyturn.django.decorators import principal, require


@require()
def me(request):
    return JsonResponse({"user": principal(request).user_id})


urlpatterns = [path("", include("keyturn.django.urls")), path("me", me)]
"""

INI = """
[pytest]
DJANGO_SETTINGS_MODULE = settings
filterwarnings = error
asyncio_default_fixture_loop_scope = function
"""

POST = """
def post(client, path, body):
    return client.post(path, body, content_type="application/json")


pytestmark = pytest.mark.django_db(transaction=True)
"""

IN_MEMORY = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
ANYBODY = '"USER_IS_ALLOWED": None'


def run(
    pytester: pytest.Pytester,
    *,
    more: str,
    database: object = None,
    **tests: str,
) -> subprocess.CompletedProcess[str]:
    """Run a project's suite, which has no conftest."""
    pytester.makefile(".ini", pytest=INI)
    settings = SETTINGS.format(database=database or IN_MEMORY, more=more)
    pytester.makepyfile(settings=settings, urls=URLS, **tests)
    return pytest_of(pytester, "", "-p", "no:cacheprovider")


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_project_needs_no_conftest(
    pytester: pytest.Pytester,
    request: pytest.FixtureRequest,
    engine: str,
) -> None:
    """Its own manager, on the ORM, passes what other applications' does: races are real, in threads.

    No connection of theirs is left open: PostgreSQL would not drop the database.
    """
    database = None if engine == "sqlite" else django_site.options(request.getfixturevalue("postgres_url"))
    done = run(pytester, more=ANYBODY, database=database, test_app=OVER_HTTP + POST)
    assert f"{TESTS} passed" in done.stdout, done.stdout + done.stderr
    assert "warning" not in done.stdout, done.stdout


IN_A_TRANSACTION = """
import pytest
from keyturn import ReusedToken
from keyturn.django.models import Session
from keyturn.django.users import user_id_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("time", range(2))
def test_what_is_done_is_taken_back(client, keyturn, django_user_model, time):
    ann = keyturn.login_as(user_id_of(django_user_model.objects.create_user("ann")))
    assert list(ann.cookies) == ["rt"]
    assert client.get("/me", headers=ann.headers).status_code == 200
    thief = keyturn.steal(ann)
    ann.refresh()
    keyturn.clock.advance("25h")
    with pytest.raises(ReusedToken):
        thief.refresh()
    assert client.get("/me", headers=ann.headers).status_code == 401
    assert Session.objects.get().revoked_reason == "reuse"


def test_the_client_refreshes_by_cookie(client, keyturn, django_user_model):
    ann = keyturn.login_as(user_id_of(django_user_model.objects.create_user("ann")))
    keyturn.clock.advance("1h")
    answer = client.post("/auth/refresh", content_type="application/json", headers=ann.cookie_headers)
    ann.take(answer.json() | {"refresh_token": answer.cookies["rt"].value})
    assert client.get("/me", headers=ann.headers).status_code == 200
"""


def test_inside_the_transactions_of_pytest_django(pytester: pytest.Pytester) -> None:
    """Signing in, refreshing and theft work where nothing is ever committed; settings are the project's."""
    done = run(pytester, more='"COOKIE_NAME": "rt", "COOKIE_SECURE": False', test_app=IN_A_TRANSACTION)
    assert "3 passed" in done.stdout, done.stdout + done.stderr


GUIDE = """
import time
import pytest
import pytest_asyncio
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from keyturn.django import conf, get_async_manager, get_manager
from keyturn.django.users import user_id_of
from keyturn.events import Revoked


MADE = []


class TestWithAwait:
    @pytest_asyncio.fixture
    async def keyturn_manager(self):
        return get_async_manager()

    @pytest.mark.asyncio
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("time", range(2))
    async def test_it(self, async_client, async_keyturn, time):
        ann = await async_keyturn.login_as(user_id_of(await User.objects.acreate_user("ann")))
        assert (await async_client.get("/me", headers=ann.headers)).status_code == 200
        async_keyturn.clock.advance("1h")
        assert (await async_client.get("/me", headers=ann.headers)).status_code == 401
        assert (await async_keyturn.simulate_race(ann)).converged
        assert (await async_client.get("/me", headers=ann.headers)).status_code == 200


    @pytest.mark.asyncio
    @pytest.mark.django_db(transaction=True)
    async def test_a_setting_is_changed_amid(self, async_client, async_keyturn, settings):
        before = async_keyturn.manager
        settings.KEYTURN = {**settings.KEYTURN, "ACCESS_TTL": "2h"}
        assert async_keyturn.manager is get_async_manager() is not before
        ann = await async_keyturn.login_as(user_id_of(await User.objects.acreate_user("ann")))
        async_keyturn.clock.advance("1h")
        assert (await async_client.get("/me", headers=ann.headers)).status_code == 200
        MADE.extend([before, async_keyturn.manager])


@pytest.fixture
def other_name(settings):
    settings.KEYTURN = {**settings.KEYTURN, "COOKIE_NAME": "another", "COOKIE_SECURE": False}


@pytest.mark.django_db
def test_a_setting_is_changed_before(other_name, keyturn, client):
    ann = keyturn.login_as("1")
    assert list(ann.cookies) == ["another"]
    keyturn.clock.advance("1h")
    assert client.get("/me", headers=ann.headers).status_code == 401


@pytest.mark.django_db
def test_a_setting_is_changed_amid(keyturn, client, settings):
    ann = keyturn.login_as("1")
    named = {"COOKIE_NAME": "another", "COOKIE_SECURE": False}
    settings.KEYTURN = {**settings.KEYTURN, **named, "ACCESS_TTL": "2h"}
    assert list(ann.cookies) == ["another"]
    keyturn.clock.advance("1h")
    assert client.get("/me", headers=ann.headers).status_code == 401
    ann.refresh()
    keyturn.clock.advance("1h")
    assert client.get("/me", headers=ann.headers).status_code == 200
    keyturn.clock.advance("1h2m")
    assert client.get("/me", headers=ann.headers).status_code == 401
    as_cookie = {"content_type": "application/json", "headers": ann.cookie_headers}
    with keyturn.store_away():
        assert client.post("/auth/refresh", **as_cookie).status_code == 503
    assert client.post("/auth/logout", **as_cookie).status_code == 204
    ann.assert_ended("logout")
    assert keyturn.assert_event(Revoked).session_id == ann.session_id


@pytest.mark.django_db
def test_the_manager_was_asked_for_before(keyturn_manager, other_name, keyturn):
    assert keyturn.manager is get_manager() is not keyturn_manager
    MADE.extend([keyturn_manager, keyturn.manager])


def sign_in(keyturn):
    return keyturn.login_as(user_id_of(User.objects.create_user("ann")))


@pytest.mark.asyncio
@pytest.mark.django_db(transaction=True)
async def test_what_async_client_asks_has_the_clock_and_the_events_too(keyturn, async_client):
    ann = await sync_to_async(sign_in)(keyturn)
    assert (await async_client.get("/me", headers=ann.headers)).status_code == 200
    keyturn.clock.advance("1h")
    assert (await async_client.get("/me", headers=ann.headers)).status_code == 401
    as_cookie = {"content_type": "application/json", "headers": ann.cookie_headers}
    MADE.extend([get_async_manager(), keyturn.manager])
    with keyturn.store_away():
        assert (await async_client.post("/auth/refresh", **as_cookie)).status_code == 503
    assert (await async_client.post("/auth/logout", **as_cookie)).status_code == 204
    assert keyturn.assert_event(Revoked).session_id == ann.session_id


@pytest.mark.django_db
def test_a_new_password_ends_the_session(keyturn):
    user = User.objects.create_user("ann", password="one")
    ann = keyturn.login_as(user_id_of(user))
    user.set_password("two")
    user.save()
    ann.assert_ended("user")


def test_everything_was_given_back():
    assert len({id(each) for each in MADE}) == 6
    assert {each._clock for each in MADE} == {time.time}
    assert [each.events._watchers for each in MADE] == [()] * 6
    assert conf._managers._watchers == ()
    assert not [name for each in MADE for name in vars(each.store) if name in {"rotate", "lookup", "check"}]


def test_a_test_without_the_mark_is_told_so(keyturn):
    with pytest.raises(RuntimeError, match="django_db"):
        keyturn.login_as("1")
"""


def test_what_the_guide_says_of_django(pytester: pytest.Pytester) -> None:
    """Coroutines with their loop's manager, settings that a fixture changes, passwords, and the mark."""
    done = run(pytester, more=ANYBODY, test_app=GUIDE)
    assert "10 passed" in done.stdout, done.stdout + done.stderr


def test_an_unusable_setting_is_named(pytester: pytest.Pytester) -> None:
    """Not the conftest that other applications need, but what is wrong."""
    done = run(pytester, more='"ACCES_TTL": 1', test_app="def test_it(keyturn): pass")
    assert "KEYTURN has no key 'ACCES_TTL'. Did you mean 'ACCESS_TTL'?" in done.stdout
    assert "conftest.py" not in done.stdout


def test_another_manager_goes_first(pytester: pytest.Pytester) -> None:
    """A project's own fixture overrides what is found."""
    conftest = """
        import pytest

        @pytest.fixture
        def keyturn_manager():
            return "mine"
        """
    suite = 'def test_it(keyturn_manager): assert keyturn_manager == "mine"'
    done = run(pytester, more=ANYBODY, conftest=conftest, test_app=suite)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_django_without_keyturn_is_no_such_project(pytester: pytest.Pytester) -> None:
    """Where "keyturn.django" is not among the applications, a manager has to be named as everywhere."""
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(settings="SECRET_KEY = 'x'", test_app="def test_it(keyturn): pass")
    done = pytest_of(pytester, "", "-p", "no:cacheprovider")
    assert "Write this in conftest.py:" in done.stdout, done.stdout + done.stderr
