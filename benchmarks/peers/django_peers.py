"""djangorestframework-simplejwt and django-oauth-toolkit, with rotation on. It knows these alone.

Their tables are on the server that it is told. Each thread has a connection of its own and keeps it.
"""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import django
from _serve import Turn, given, serve, sure
from django.conf import settings

GIVEN = given()

settings.configure(
    SECRET_KEY=GIVEN["secret"],
    ALLOWED_HOSTS=["*"],
    USE_TZ=True,
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],  # signing in is not measured
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": GIVEN["database"]},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework_simplejwt.token_blacklist",
        "oauth2_provider",
    ],
    SIMPLE_JWT={
        "ROTATE_REFRESH_TOKENS": True,
        "BLACKLIST_AFTER_ROTATION": True,
        "REFRESH_TOKEN_LIFETIME": timedelta(days=30),
    },
    OAUTH2_PROVIDER={"ROTATE_REFRESH_TOKEN": True, "REFRESH_TOKEN_EXPIRE_SECONDS": 30 * 86_400},
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402  (models need the settings)
from django.core.management import call_command  # noqa: E402
from django.test import RequestFactory  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402
from oauth2_provider.views import TokenView  # noqa: E402
from rest_framework.test import APIRequestFactory  # noqa: E402
from rest_framework_simplejwt.authentication import (  # noqa: E402
    JWTAuthentication,
    JWTStatelessUserAuthentication,
)
from rest_framework_simplejwt.serializers import TokenRefreshSerializer  # noqa: E402
from rest_framework_simplejwt.tokens import RefreshToken  # noqa: E402


def simplejwt(question: dict[str, Any]) -> Turn:
    """The serializer of simplejwt's refresh view."""
    user = _user(question)
    token = str(RefreshToken.for_user(user))

    def turn() -> None:
        nonlocal token
        serializer = TokenRefreshSerializer(data={"refresh": token})
        serializer.is_valid(raise_exception=True)
        found: str = serializer.validated_data["refresh"]
        sure(found != token, "it did not rotate")
        token = found

    return turn


def toolkit(question: dict[str, Any]) -> Turn:
    """The token endpoint of django-oauth-toolkit, called without HTTP."""
    user = _user(question)
    application = get_application_model().objects.create(
        user=user,
        client_type="public",  # a secret would be hashed anew at each request
        authorization_grant_type="password",
        name="benchmark",
    )
    view, requests = TokenView.as_view(), RequestFactory()

    def ask(**form: str) -> str:
        request = requests.post("/token", {"client_id": application.client_id, **form})
        response = view(request)
        sure(response.status_code == HTTPStatus.OK, f"it answers {response.content!r}")
        found: str = json.loads(response.content)["refresh_token"]
        return found

    token = ask(grant_type="password", username=user.username, password=PASSWORD)

    def turn() -> None:
        nonlocal token
        found = ask(grant_type="refresh_token", refresh_token=token)
        sure(found != token, "it did not rotate")
        token = found

    return turn


def accept(question: dict[str, Any]) -> Turn:
    """The authentication class of simplejwt, which loads the user from the database."""
    return _accepting(JWTAuthentication(), question)


def accept_stateless(question: dict[str, Any]) -> Turn:
    """The one that asks nobody, so that a revocation does not act."""
    return _accepting(JWTStatelessUserAuthentication(), question)


def _accepting(authentication: Any, question: dict[str, Any]) -> Turn:  # noqa: ANN401  (it has no types)
    token = RefreshToken.for_user(_user(question)).access_token
    request = APIRequestFactory().get("/", headers={"Authorization": f"Bearer {token}"})

    def turn() -> None:
        sure(authentication.authenticate(request) is not None, "a good token was refused")

    return turn


PASSWORD = "only in this process's database"  # noqa: S105


def _user(question: dict[str, Any]) -> User:
    name = f"{question['do']}-{question.get('at_once', 1)}-{question['number']}"
    user, _ = User.objects.get_or_create(username=name)
    user.set_password(PASSWORD)
    user.save()
    return user


if __name__ == "__main__":
    call_command("migrate", verbosity=0, interactive=False)
    makers = {
        "simplejwt": simplejwt,
        "toolkit": toolkit,
        "accept": accept,
        "accept stateless": accept_stateless,
    }
    serve(makers, ("django", "djangorestframework-simplejwt", "django-oauth-toolkit"))
