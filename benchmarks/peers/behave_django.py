"""What djangorestframework-simplejwt and django-oauth-toolkit do in each situation. It knows these alone."""

from __future__ import annotations

import json

from _serve import sure
from _situations import REFRESHES, again, at_once, in_step, out, races, spent, tell
from django_peers import PASSWORD  # it configures Django, which the rest needs

# isort: split
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.http import HttpRequest
from django.test import RequestFactory, override_settings
from oauth2_provider.models import AccessToken, RefreshToken, get_application_model
from oauth2_provider.oauth2_backends import get_oauthlib_core
from oauth2_provider.views import RevokeTokenView, TokenView
from rest_framework.exceptions import APIException
from rest_framework.test import APIRequestFactory
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.serializers import TokenBlacklistSerializer, TokenRefreshSerializer
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

NAMES = ("django", "djangorestframework-simplejwt", "django-oauth-toolkit")
ROTATES = settings.OAUTH2_PROVIDER


def simplejwt() -> dict[str, str]:
    """Rotation and the blacklist are on, as its documentation says."""
    user = User.objects.create_user("simplejwt")

    def begin() -> str:
        return str(tokens.RefreshToken.for_user(user))

    def refresh(token: str) -> tuple[str, str] | None:
        serializer = TokenRefreshSerializer(data={"refresh": token})
        try:
            serializer.is_valid(raise_exception=True)
        except (TokenError, APIException):
            return None
        finally:
            connection.close()  # of this thread
        return serializer.validated_data["refresh"], serializer.validated_data["access"]

    def accepts(access: str) -> bool:
        request = APIRequestFactory().get("/", headers={"Authorization": f"Bearer {access}"})
        try:
            return JWTAuthentication().authenticate(request) is not None
        except APIException:
            return False

    def sign_out(token: str) -> None:
        TokenBlacklistSerializer(data={"refresh": token}).is_valid(raise_exception=True)

    def rows() -> int:
        return int(OutstandingToken.objects.count() + BlacklistedToken.objects.count())

    return _situations(begin, refresh, accepts, sign_out, rows)


def toolkit() -> dict[str, str]:
    """Its token endpoint, called without HTTP."""
    user, _ = User.objects.get_or_create(username="toolkit")
    user.set_password(PASSWORD)
    user.save()
    application = get_application_model().objects.create(
        user=user, client_type="public", authorization_grant_type="password", name="behaviour"
    )
    requests = RequestFactory()

    def ask(**form: str) -> tuple[str, str] | None:
        body = {"client_id": application.client_id, **form}
        answer = json.loads(TokenView.as_view()(requests.post("/token", body)).content)
        connection.close()
        return (answer["refresh_token"], answer["access_token"]) if "refresh_token" in answer else None

    def begin() -> str:
        begun = ask(grant_type="password", username=user.username, password=PASSWORD)
        if begun is None:
            raise RuntimeError("it signs nobody in")
        return begun[0]

    def refresh(token: str) -> tuple[str, str] | None:
        return ask(grant_type="refresh_token", refresh_token=token)

    def accepts(access: str) -> bool:
        request: HttpRequest = requests.get("/", headers={"Authorization": f"Bearer {access}"})
        accepted, _ = get_oauthlib_core().verify_request(request, scopes=[])
        return bool(accepted)

    def sign_out(token: str) -> None:
        RevokeTokenView.as_view()(
            requests.post("/revoke", {"client_id": application.client_id, "token": token})
        )

    def rows() -> int:
        return int(AccessToken.objects.count() + RefreshToken.objects.count())

    return _situations(begin, refresh, accepts, sign_out, rows)


def _situations(begin, refresh, accepts, sign_out, rows) -> dict[str, str]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    def token_of(answer: tuple[str, str] | None) -> str | None:
        return None if answer is None else answer[0]

    told = {"race": races(begin, lambda token: token_of(refresh(token)))}

    shared = begin()
    one, other, *_ = at_once(lambda: token_of(refresh(shared)))
    first, second = token_of(refresh(one)), token_of(refresh(other))
    goes_on = first is not None and refresh(first) is not None
    told["step"] = in_step(first, second, goes_on=goes_on)

    lost = begin()
    first = refresh(lost)
    told["lost"] = again(token_of(refresh(lost)), first[0])

    old = begin()
    successor, access = refresh(old)
    sure(accepts(access), "a good token was refused")
    successor, access = refresh(successor)
    told["spent"] = spent(accepted=refresh(old) is not None, goes_on=refresh(successor) is not None)

    successor, access = refresh(begin())
    sign_out(successor)
    sure(refresh(successor) is None, "the sign-out did nothing")
    told["out"] = out(accepted=accepts(access))

    token = begin()
    before = rows()
    for _ in range(REFRESHES):
        token, _ = refresh(token)
    told["rows"] = f"{rows() - before} more"
    return told


if __name__ == "__main__":
    call_command("migrate", verbosity=0, interactive=False)
    careful = {**ROTATES, "REFRESH_TOKEN_REUSE_PROTECTION": True, "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 10}
    findings = {"djangorestframework-simplejwt": simplejwt(), "django-oauth-toolkit": toolkit()}
    with override_settings(OAUTH2_PROVIDER=careful):
        findings["django-oauth-toolkit, with reuse protection and 10 s of grace"] = toolkit()
    tell(NAMES, findings)
