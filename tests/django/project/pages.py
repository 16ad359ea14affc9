"""Views of every kind behind Keyturn's guards, and its endpoints: a URLconf for the tests that ask for it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View

from keyturn.django.decorators import find_principal, principal, require
from keyturn.django.views import asign_in, astep_up, sign_in, step_up
from tests.django.project.accounts.models import User


def who(request: HttpRequest, **_: object) -> JsonResponse:
    """Say who asks, as the token and as Django's user have it."""
    found = find_principal(request)
    user: Any = request.user
    return JsonResponse({"principal": found.user_id if found else None, "user": user.get_username()})


async def awho(request: HttpRequest) -> JsonResponse:
    """Say who asks, in a coroutine."""
    found = find_principal(request)
    user: Any = await request.auser()
    again: Any = request.user  # loaded by now
    assert again.get_username() == user.get_username()
    return JsonResponse({"principal": found.user_id if found else None, "user": user.get_username()})


def token_only(request: HttpRequest) -> JsonResponse:
    """Say who asks, and look at no user."""
    return JsonResponse({"principal": principal(request).user_id, "claims": principal(request, dict).claims})


def stream(_: HttpRequest) -> StreamingHttpResponse:
    """Answer in pieces, with a header that is a list."""
    return StreamingHttpResponse([b"a", b"b"], headers={"Access-Control-Expose-Headers": "X-Own"})


@method_decorator(require("orders:read"), name="dispatch")
class Orders(View):
    """A class-based view."""

    def get(self, request: HttpRequest, number: int) -> JsonResponse:
        """Give one."""
        return JsonResponse({"number": number, "user": principal(request).user_id})

    post = get


def accept(request: HttpRequest, name: str) -> HttpResponse:
    """Sign somebody in whom the application knows in its own way."""
    return sign_in(request, User.objects.get(username=name), claims={"by": "passkey"}, transport="body")


async def aaccept(request: HttpRequest, name: str) -> HttpResponse:
    """The same in a coroutine."""
    user = await User.objects.aget(username=name)
    return await asign_in(request, user, claims={"by": "passkey"}, transport="body")


async def astep(request: HttpRequest) -> HttpResponse:
    """Step up in a coroutine."""
    return await astep_up(request)


urlpatterns = [
    path("", include("keyturn.django.urls")),
    path("admin/", admin.site.urls),
    path("who", who),
    path("awho", awho),
    path("private", require()(who)),
    path("aprivate", require()(awho)),
    path("maybe", require(optional=True)(who)),
    path("token", require()(token_only)),
    path("unguarded", token_only),
    path("stream", require()(stream)),
    path("orders/<int:number>", Orders.as_view()),
    path("django-only", login_required(who)),
    path("accept/<name>", accept),
    path("aaccept/<name>", aaccept),
    path("step", step_up),
    path("astep", astep),
]
