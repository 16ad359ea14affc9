"""What a type checker must infer of Django's guards and views. Not meant to be run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, assert_type

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.permissions import IsAdminUser
from rest_framework.views import APIView

from keyturn import AsyncTokenManager, Principal, TokenManager
from keyturn.django import get_async_manager, get_manager
from keyturn.django.decorators import find_principal, principal, require
from keyturn.django.rest import KeyturnAuthentication, Requires
from keyturn.django.views import asign_in, astep_up, sign_in, step_up


@dataclass(frozen=True)
class Claims:
    """An application's claims."""

    roles: list[str]


@require("orders:read", roles=("clerk",), fresh="5m")
def orders(request: HttpRequest, number: int) -> JsonResponse:
    """Know who asks, with the claims of the application."""
    assert_type(principal(request), Principal[Any])
    assert_type(principal(request, Claims), Principal[Claims])
    assert_type(principal(request, Claims).claims.roles, list[str])
    assert_type(find_principal(request), Principal[Any] | None)
    return JsonResponse({"number": number})


@require(optional=True)
async def shop(request: HttpRequest) -> HttpResponse:
    """Know who asks, if anybody."""
    found = find_principal(request)
    return HttpResponse(found.user_id if found else "")


view: Callable[[HttpRequest, int], JsonResponse] = orders
awaited: Callable[[HttpRequest], Coroutine[Any, Any, HttpResponse]] = shop
assert_type(get_manager(), TokenManager[Any])
assert_type(get_async_manager(), AsyncTokenManager[Any])


class Orders(APIView):
    """A view of Django REST framework, whose permissions are composed."""

    authentication_classes = (KeyturnAuthentication,)
    permission_classes = (Requires("orders:read") | IsAdminUser, ~Requires(roles=("guest",)), Requires())


def accept(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    """Sign somebody in."""
    assert_type(step_up(request), HttpResponse)
    return sign_in(request, user, claims={"by": "passkey"}, transport="body")


async def aaccept(request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
    """Sign somebody in, in a coroutine."""
    assert_type(await astep_up(request), HttpResponse)
    return await asign_in(request, user)
