"""Django's own sign-in as Keyturn's: its backends, its signals, its users. It knows no token."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.views.decorators.debug import sensitive_variables

from keyturn._core.claims import given_claims
from keyturn.django.claims import claims_of
from keyturn.django.conf import get_settings
from keyturn.django.rates import Rate
from keyturn.django.throttle import CacheThrottle
from keyturn.django.users import find_user, user_id_of
from keyturn.django.wire import read
from keyturn.http import Accepted, SignIn, is_awaited
from keyturn.http.replies import slow_down

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest


@sensitive_variables("password")
def check(request: HttpRequest, username: str, password: str) -> Accepted:
    """Say who a user name and a password belong to, as `KEYTURN["LOGIN"]` or Django's backends say.

    Raises:
        Refusal: There were too many attempts.
        StoreUnavailable: The cache that counts them cannot be asked.
    """
    settings = get_settings()
    rate = Rate.read(settings.login_rate)
    if rate is not None:
        wait = CacheThrottle(rate).take(read(request), username)
        if wait is not None:
            raise slow_down(wait)
    own: Any = settings.login
    if not own:
        found: Any = authenticate(request, username=username, password=password)
    else:
        found = (async_to_sync(own) if is_awaited(own) else own)(request, username, password)
    if found is None or isinstance(found, SignIn | str):
        return found
    return accept(request, found, password=password)


async def acheck(request: HttpRequest, username: str, password: str) -> Accepted:
    """Say who a user name and a password belong to: see `check`."""
    who = await sync_to_async(check)(request, username, password)
    return awaited(who) if isinstance(who, SignIn) else who


def accept(
    request: HttpRequest,
    user: AbstractBaseUser,
    claims: Any = None,  # noqa: ANN401  (the application's)
    device: dict[str, Any] | None = None,
    *,
    password: str | None = None,
) -> SignIn | None:
    """Write down that a user has signed in; None where they may not go on.

    Args:
        request: Django's signal `user_logged_in` is sent with it, when the session has begun.
        user: Who it is.
        claims: For the access tokens; None: those that `KEYTURN["LOAD_CLAIMS"]` gives.
        device: What people shall recognise the session by.
        password: The password that was checked, if any.
    """
    settings = get_settings()
    if not settings.allows(user):
        return None
    if claims is None:
        claims = given_claims(claims_of(user, settings))
    holds = partial(_holds, request, user, password)
    return SignIn(user_id_of(user), claims=claims, device=device, holds=holds)


def awaited(who: SignIn) -> SignIn:
    """Have what still holds be asked with `await`."""
    if who.holds is None or is_awaited(who.holds):
        return who
    return replace(who, holds=sync_to_async(who.holds))


@sensitive_variables("password")
def _holds(request: HttpRequest, user: AbstractBaseUser, password: str | None) -> bool:
    """Look again, now that a session is there to be ended, whether its user may have it; then tell Django."""
    now = find_user(user_id_of(user))
    if now is None or not get_settings().allows(now):
        return False
    # Django may have renewed the hash of the same password at another sign-in.
    if now.password != user.password and (password is None or not now.check_password(password)):
        return False
    if not request.path_info.endswith("/step-up"):  # that begins no session
        user_logged_in.send(sender=type(user), request=request, user=user)
    return True
