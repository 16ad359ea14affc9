"""Django REST framework's views: authenticated, permitted, throttled, described, in the framework's way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.test import override_settings
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from rest_framework.test import APIClient

from keyturn import KeyRing, TokenManager
from keyturn.django import get_manager
from keyturn.django.users import user_id_of
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.testing.clock import ManualClock
from keyturn.testing.faults import BEFORE, Fault, FaultPlan, FaultyStore
from tests.django.project.accounts.models import User
from tests.django.test_views import BASE
from tests.support import django_site
from tests.support.django_asking import PASSWORD, ask, log_in

pytestmark = pytest.mark.usefixtures("project")

STORE = AsyncMemoryStore()  # one for the loops of all requests


@pytest.fixture(autouse=True)
def site() -> Iterator[None]:
    """Serve the API."""
    with override_settings(ROOT_URLCONF="tests.django.project.api"), with_keyturn():
        yield
    cache.clear()


def with_keyturn(**changes: Any) -> override_settings:
    """Change some keys of the dict."""
    return override_settings(KEYTURN={**BASE, "LOGIN_RATE": None, **changes})


def ann(**fields: Any) -> User:
    """Make a user."""
    return User.objects.create_user("ann", password=PASSWORD, **fields)


def client_of(user: User, **claims: Any) -> APIClient:
    """Give a client with an access token."""
    client = APIClient()
    token = get_manager().issue(user_id_of(user), claims=claims).access_token
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_a_token_authenticates() -> None:
    """`request.auth` is the principal; without a token, the framework says so in its own words."""
    user = ann()
    assert client_of(user).get("/user").json() == {"user_id": str(user.pk)}
    assert client_of(user).post("/user").status_code == 200  # no CSRF
    nobody = APIClient().get("/user")
    assert (nobody.status_code, nobody.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert nobody.json() == {"detail": "Authentication credentials were not provided."}
    assert APIClient().get("/open").json() == {"user_id": None}


def test_a_token_that_is_not_acceptable_is_refused_in_the_frameworks_shape() -> None:
    """With a stable code, and the challenge of RFC 6750; also where nobody need be signed in."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer garbage")
    for page in ("/user", "/open", "/orders"):
        answer = client.get(page)
        assert answer.status_code == 401
        assert answer.json() == {"detail": "The access token is not acceptable.", "code": "invalid_token"}
        assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    user = ann()
    revoked = client_of(user)
    get_manager().revoke_user(user_id_of(user))
    assert revoked.get("/user").status_code == 401
    client.credentials(HTTP_AUTHORIZATION="Bearer a, Bearer b")
    assert (client.get("/user").status_code, client.get("/user").json()["code"]) == (400, "invalid_request")


def test_the_endpoints_keep_their_own_shape() -> None:
    """That of OAuth, which clients of Keyturn read."""
    answer = APIClient().get("/auth/me")
    assert answer.json().keys() == {"error", "error_description"}


@pytest.mark.parametrize("end", ["gone", "disabled"])
def test_a_user_who_may_not_go_on_is_refused_where_somebody_looks(end: str) -> None:
    """401 with a code of its own; a view that asks for the token alone reads no user."""
    user = ann()
    client = client_of(user)
    if end == "gone":
        User.objects.all().delete()
    else:
        User.objects.update(is_active=False)
    answer = client.get("/user")
    assert (answer.status_code, answer.json()["code"]) == (401, "user_inactive")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert client.get("/token").status_code == 200


def test_a_permission_asks_the_store_once_and_for_no_user() -> None:
    """What authentication has found out is not asked again, unless revocation is to be checked strictly."""
    client = client_of(ann(), scope="orders:read")
    for page, statements in (("/orders", 1), ("/user", 2), ("/strict", 2)):
        with django_site.statements("default") as sent:
            assert client.get(page).status_code == 200
        assert len(sent) == statements, sent


def test_a_scope_that_is_missing_is_named() -> None:
    """403, in the framework's shape, with the challenge of RFC 6750."""
    answer = client_of(ann()).get("/orders")
    assert answer.status_code == 403
    assert answer.json() == {
        "detail": "The access token does not allow this.",
        "code": "insufficient_scope",
    }
    assert 'scope="orders:read"' in answer.headers["WWW-Authenticate"]
    assert APIClient().get("/orders").status_code == 401


def test_permissions_are_composed() -> None:
    """With &, | and ~, as the framework's own are."""
    user = ann()
    plain, buyer = client_of(user), client_of(user, scope="orders:read")
    admin, both = client_of(user, roles=["admin"]), client_of(user, roles=["admin"], scope="orders:read")

    def statuses(page: str) -> list[int]:
        return [client.get(page).status_code for client in (plain, buyer, admin, both, APIClient())]

    assert statuses("/either") == [403, 200, 200, 200, 401]
    assert statuses("/both") == [403, 403, 403, 200, 401]
    assert statuses("/not") == [200, 200, 403, 403, 401]
    assert statuses("/maybe") == [403, 200, 403, 200, 200]


def test_a_view_may_need_a_recent_sign_in_and_says_so_when_the_store_is_out() -> None:
    """401 with `max_age` (RFC 9470); 503 with `Retry-After`."""
    clock, plan = ManualClock(), FaultPlan()
    manager = TokenManager(
        store=FaultyStore(MemoryStore(), plan), keys=KeyRing.generate(), issuer="i", audience="a", clock=clock
    )
    with override_settings(KEYTURN={"MANAGER": manager}):
        client = client_of(ann())
        assert client.get("/fresh").status_code == 200
        clock.advance(301)
        answer = client.get("/fresh")
        assert (answer.status_code, answer.json()["code"]) == (401, "insufficient_user_authentication")
        assert answer.headers["WWW-Authenticate"].endswith('max_age="300"')
        plan.next(BEFORE, method="check")
        out = client.get("/fresh")
        assert (out.status_code, out.json()["code"]) == (503, "temporarily_unavailable")
        assert out.headers["Retry-After"] == "1"
        plan.next(Fault("never"), BEFORE, method="check")
        strict = client.get("/strict")
        assert (strict.status_code, strict.headers["Retry-After"]) == (503, "1")


def test_a_permission_is_about_the_token_that_was_authenticated_with() -> None:
    """Whoever is signed in by Django's session gains nothing by a token that came along, maybe another's."""
    user = ann()
    client = client_of(user, scope="orders:read")
    assert client.get("/mixed").status_code == 200
    client.force_login(User.objects.create_user("bob"))
    assert client.get("/mixed").status_code == 403


def test_throttles_count_by_user() -> None:
    """`UserRateThrottle` finds the user's key."""
    user = ann()
    assert [client_of(user).get("/slow").status_code for _ in range(2)] == [200, 429]
    assert client_of(User.objects.create_user("bob")).get("/slow").status_code == 200


@pytest.mark.parametrize("middleware", [[], ["keyturn.django.middleware.KeyturnMiddleware"]])
def test_a_fresh_token_comes_along(middleware: list[str]) -> None:
    """Also without the middleware; once with it."""
    with with_keyturn(RENEW_WITHIN="1h"), override_settings(MIDDLEWARE=middleware):
        answer = client_of(ann()).get("/user")
    assert answer.status_code == 200
    assert answer.headers["Authorization-Refreshed"]
    assert answer.headers["Access-Control-Expose-Headers"] == "Authorization-Refreshed"


def test_a_refusal_in_a_transaction_rolls_it_back_and_ends_nothing() -> None:
    """Reading who asks joins whatever transaction there is."""
    user = ann()
    client = client_of(user)
    with django_site.atomic_requests("default"):
        assert client.get("/user").status_code == 200
        assert client.get("/orders").status_code == 403
    assert client.get("/user").status_code == 200


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize("changes", [{}, {"LOGIN": False}, {"ACCESS_HEADER": "jwt"}])
def test_the_document_is_valid_and_has_everything(version: str, changes: dict[str, Any]) -> None:
    """The schemes on guarded views, and the endpoints with theirs; in both versions of OpenAPI."""
    from drf_spectacular.settings import patched_settings  # noqa: PLC0415  (it reads Django's settings)

    with with_keyturn(**changes), patched_settings({"OAS_VERSION": version}):
        document = APIClient().get("/schema", HTTP_ACCEPT="application/vnd.oai.openapi+json").json()
    validator = OpenAPIV31SpecValidator if version == "3.1.0" else OpenAPIV30SpecValidator
    validator(document).validate()
    assert ("/auth/login" in document["paths"]) is (changes.get("LOGIN") is not False)
    schemes = document["components"]["securitySchemes"]
    wanted = document["paths"]["/orders"]["get"]["security"]
    assert {name for each in wanted for name in each} == schemes.keys() - {"cookieAuth"}
    assert document["paths"]["/auth/me"]["get"]["security"] == wanted


def test_plain_views_under_asgi_ask_the_event_loops_manager() -> None:
    """The framework's views run in a thread, and see what the loop's own manager has revoked."""
    user = ann()
    with with_keyturn(STORE="keyturn.stores.memory.MemoryStore", ASYNC_STORE=STORE):
        answer = log_in("asgi", "ann")
        token = answer.json()["access_token"]
        assert ask("asgi", "GET", "/user", bearer=token).json() == {"user_id": str(user.pk)}
        assert ask("asgi", "GET", "/orders", bearer=token).status_code == 403
        assert ask("asgi", "POST", "/auth/logout", {}, bearer=token).status_code == 204
        assert ask("asgi", "GET", "/user", bearer=token).json()["code"] == "invalid_token"
