"""A whole project behind real servers: the ORM's sessions, Django's users, many requests at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from django.core.wsgi import get_wsgi_application
from django.test import override_settings

from keyturn.django.asgi import get_asgi_application
from tests.django.project.accounts.models import User
from tests.django.test_guarding import OURS, with_keyturn
from tests.http.flask_app import serve_threads
from tests.http.starlette_app import serve
from tests.support.django_asking import PASSWORD, Protocol

pytestmark = pytest.mark.usefixtures("project")

AT_ONCE = 8


@contextmanager
def served(over: Protocol, **changes: Any) -> Iterator[httpx.Client]:
    """Serve the pages, and give a client."""
    pages = override_settings(ROOT_URLCONF="tests.django.project.pages")
    with pages, with_keyturn(OURS, **changes):
        server = serve_threads(get_wsgi_application()) if over == "wsgi" else serve(get_asgi_application())
        with server as url, httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
            yield client


def log_in(client: httpx.Client, password: str = PASSWORD) -> httpx.Response:
    """Sign in."""
    return client.post("/auth/login", json={"username": "ann", "password": password, "transport": "body"})


@pytest.mark.parametrize("over", ["wsgi", "asgi"])
def test_many_refreshes_at_once_have_one_successor(over: Protocol) -> None:
    """All get the same token, whoever was first; the session lives, and Django's user is there."""
    user = User.objects.create_user("ann", password=PASSWORD)
    with served(over) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        first = log_in(client).json()
        body = {"refresh_token": first["refresh_token"]}
        answers = list(pool.map(lambda _: client.post("/auth/refresh", json=body), range(AT_ONCE)))
        assert {each.status_code for each in answers} == {200}
        assert len({each.json()["refresh_token"] for each in answers}) == 1
        bearer = {"Authorization": f"Bearer {answers[0].json()['access_token']}"}
        for page in ("/private", "/aprivate", "/who", "/awho"):
            asked = list(pool.map(lambda _, page=page: client.get(page, headers=bearer), range(AT_ONCE)))
            assert {each.text for each in asked} == {asked[0].text}
            assert asked[0].json() == {"principal": str(user.pk), "user": "ann"}
        user.set_password("another")
        user.save()
        assert client.get("/private", headers=bearer).status_code == 401
        assert log_in(client).status_code == 401
        assert log_in(client, "another").status_code == 200


@pytest.mark.parametrize("over", ["wsgi", "asgi"])
def test_many_sign_ins_at_once_are_counted_together(over: Protocol) -> None:
    """As many as the rate says are let through, however many come at once."""
    from django.core.cache import cache  # noqa: PLC0415  (it is emptied here)

    cache.clear()
    User.objects.create_user("ann", password=PASSWORD)
    with served(over, LOGIN_RATE="5/d") as client, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: log_in(client, "wrong"), range(3 * AT_ONCE)))
    statuses = [each.status_code for each in answers]
    assert (statuses.count(401), statuses.count(429)) == (5, 3 * AT_ONCE - 5)
    cache.clear()
