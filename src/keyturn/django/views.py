"""The endpoints as Django's views, and sign-ins of the application's own. They decide nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from asgiref.sync import async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIRequest
from typing_extensions import Unpack

from keyturn.django import login
from keyturn.django.asking import SERVES
from keyturn.django.conf import get_async_serving, get_serving
from keyturn.django.wire import read, read_body, write
from keyturn.http import Transport, unreadable_body
from keyturn.http.replies import invalid_credentials, refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest, HttpResponse


ViewT = TypeVar("ViewT", bound="Callable[..., Any]")


def _serves(view: ViewT) -> ViewT:
    setattr(view, SERVES, True)
    return view


@_serves
def serve(request: HttpRequest) -> HttpResponse:
    """Answer a request to any endpoint."""
    body = read_body(request)
    if body is None:
        return write(unreadable_body())
    return write(get_serving().endpoints.handle(read(request, body), login=partial(login.check, request)))


@_serves
async def aserve(request: HttpRequest) -> HttpResponse:
    """Answer a request to any endpoint: see `serve`."""
    body = read_body(request)
    if body is None:
        return write(unreadable_body())
    endpoints = get_async_serving().endpoints
    return write(await endpoints.handle(read(request, body), login=partial(login.acheck, request)))


class SignInOptions(TypedDict, total=False):
    """What may be said of a sign-in: the keyword arguments of `sign_in` and `asign_in`."""

    claims: Any
    """For the access tokens; None: those that `KEYTURN["LOAD_CLAIMS"]` gives."""
    device: dict[str, Any] | None
    """What people shall recognise the session by; None: what the request says."""
    transport: Transport
    """How the refresh token travels: "cookie", which is the default, or "body"."""


def sign_in(request: HttpRequest, user: AbstractBaseUser, **options: Unpack[SignInOptions]) -> HttpResponse:
    """Begin a session for a user whom the application has accepted in its own way, and answer tokens.

    As Django's `login()` does, it sends `user_logged_in`; it touches no session of Django's.

    Args:
        request: The request.
        user: Who it is. The answer is 401 where they may not go on, or their password has changed meanwhile.
        options: See `SignInOptions`.
    """
    if isinstance(request, ASGIRequest):
        return async_to_sync(asign_in)(request, user, **options)
    who = login.accept(request, user, options.get("claims"), options.get("device"))
    if who is None:
        return write(refuse(invalid_credentials()))
    transport = options.get("transport", "cookie")
    return write(get_serving().endpoints.sign_in(read(request), who, transport=transport))


async def asign_in(
    request: HttpRequest, user: AbstractBaseUser, **options: Unpack[SignInOptions]
) -> HttpResponse:
    """Begin a session for a user whom the application has accepted: see `sign_in`."""
    if not isinstance(request, ASGIRequest):
        return await sync_to_async(sign_in)(request, user, **options)
    who = await sync_to_async(login.accept)(request, user, options.get("claims"), options.get("device"))
    if who is None:
        return write(refuse(invalid_credentials()))
    endpoints, transport = get_async_serving().endpoints, options.get("transport", "cookie")
    return write(await endpoints.sign_in(read(request), login.awaited(who), transport=transport))


def step_up(request: HttpRequest) -> HttpResponse:
    """Answer an access token whose user has just signed in again, as the application has checked."""
    if isinstance(request, ASGIRequest):
        return async_to_sync(astep_up)(request)
    return write(get_serving().endpoints.step_up(read(request)))


async def astep_up(request: HttpRequest) -> HttpResponse:
    """Answer an access token whose user has just signed in again: see `step_up`."""
    if not isinstance(request, ASGIRequest):
        return await sync_to_async(step_up)(request)
    return write(await get_async_serving().endpoints.step_up(read(request)))
