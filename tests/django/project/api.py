"""Views of Django REST framework, and the endpoints: a URLconf for the tests that ask for it."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.authentication import SessionAuthentication
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import CharField, Serializer
from rest_framework.throttling import UserRateThrottle

from keyturn.django.rest import KeyturnAuthentication, Requires


class Answer(Serializer[Any]):
    """What the views say."""

    user_id = CharField()


class Who(GenericAPIView[Any]):
    """Says who asks."""

    serializer_class = Answer

    def get(self, request: Request) -> Response:
        """Say it by the token."""
        return Response({"user_id": getattr(request.auth, "user_id", None)})

    post = get


class Never(UserRateThrottle):
    """Lets one request of a user through."""

    rate = "1/day"


def view(*permissions: Any, **options: Any) -> Any:
    """Give a view with permissions."""
    made: type[Who] = type("Who", (Who,), {"permission_classes": permissions, **options})
    return made.as_view()


ORDERS, STAFF = Requires("orders:read"), Requires(roles=("admin",))
urlpatterns = [
    path("", include("keyturn.django.urls")),
    path("schema", SpectacularAPIView.as_view(authentication_classes=[], permission_classes=[])),
    path("open", view()),
    path("user", view(IsAuthenticated)),
    path("token", view(Requires())),
    path("orders", view(ORDERS)),
    path("either", view(ORDERS | STAFF)),
    path("both", view(IsAuthenticated & ORDERS & STAFF)),
    path("not", view(IsAuthenticated & ~STAFF)),
    path("fresh", view(Requires(fresh="5m"))),
    path("maybe", view(Requires("orders:read", optional=True))),
    path("strict", view(Requires(revocation="strict"))),
    path("slow", view(IsAuthenticated, throttle_classes=[Never])),
    path("mixed", view(ORDERS, authentication_classes=[SessionAuthentication, KeyturnAuthentication])),
]
