"""The endpoints as Django's views, and sign-ins of the application's own. They decide nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIRequest

from keyturn.django import login
from keyturn.django.conf import get_async_serving, get_serving
from keyturn.django.wire import read, read_body, write
from keyturn.http import unreadable_body
from keyturn.http.replies import invalid_credentials, refuse

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest, HttpResponse

    from keyturn.http import Transport


def serve(request: HttpRequest) -> HttpResponse:
    """Answer a request to any endpoint."""
    body = read_body(request)
    if body is None:
        return write(unreadable_body())
    return write(get_serving().endpoints.handle(read(request, body), login=partial(login.check, request)))


async def aserve(request: HttpRequest) -> HttpResponse:
    """Answer a request to any endpoint: see `serve`."""
    body = read_body(request)
    if body is None:
        return write(unreadable_body())
    endpoints = get_async_serving().endpoints
    return write(await endpoints.handle(read(request, body), login=partial(login.acheck, request)))


def sign_in(
    request: HttpRequest,
    user: AbstractBaseUser,
    *,
    claims: Any = None,  # noqa: ANN401  (the application's)
    device: dict[str, Any] | None = None,
    transport: Transport = "cookie",
) -> HttpResponse:
    """Begin a session for a user whom the application has accepted in its own way, and answer tokens.

    As Django's `login()` does, it sends `user_logged_in`; it touches no session of Django's.

    Args:
        request: The request.
        user: Who it is. The answer is 401 where they may not go on, or their password has changed meanwhile.
        claims: For the access tokens; None: those that `KEYTURN["LOAD_CLAIMS"]` gives.
        device: What people shall recognise the session by; None: what the request says.
        transport: How the refresh token travels.
    """
    if isinstance(request, ASGIRequest):
        options: dict[str, Any] = {"claims": claims, "device": device, "transport": transport}
        return async_to_sync(asign_in)(request, user, **options)
    who = login.accept(request, user, claims=claims, device=device)
    if who is None:
        return write(refuse(invalid_credentials()))
    return write(get_serving().endpoints.sign_in(read(request), who, transport=transport))


async def asign_in(
    request: HttpRequest,
    user: AbstractBaseUser,
    *,
    claims: Any = None,  # noqa: ANN401  (the application's)
    device: dict[str, Any] | None = None,
    transport: Transport = "cookie",
) -> HttpResponse:
    """Begin a session for a user whom the application has accepted: see `sign_in`."""
    if not isinstance(request, ASGIRequest):
        options: dict[str, Any] = {"claims": claims, "device": device, "transport": transport}
        return await sync_to_async(sign_in)(request, user, **options)
    who = await sync_to_async(login.accept)(request, user, claims=claims, device=device)
    if who is None:
        return write(refuse(invalid_credentials()))
    endpoints = get_async_serving().endpoints
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
