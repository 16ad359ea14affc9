"""Who sends a request: asks the guard, for plain and asynchronous code. It decides nothing.

A request that came by ASGI is asked about with the event loop's manager, any other with the one for threads,
whoever asks: so a process sees a revocation in one way, whatever its views are.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.core.handlers.asgi import ASGIRequest
from django.urls import Resolver404, resolve
from django.utils.functional import SimpleLazyObject

from keyturn.django.conf import get_async_serving, get_serving, get_settings
from keyturn.django.users import find_user
from keyturn.django.wire import read
from keyturn.errors import ConfigurationError
from keyturn.http.routes import is_endpoint
from keyturn.results import Principal

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser
    from django.http import HttpRequest

    from keyturn.http import Admitted, Needs, Verdict

ClaimsT = TypeVar("ClaimsT")

_ADMITTED = "_keyturn_admitted"
_LET_THROUGH = "_keyturn_let_through"
SERVES: Final = "_keyturn_serves"
"""What the views of the endpoints have, whatever wraps them."""


@overload
def principal(request: HttpRequest) -> Principal[Any]: ...


@overload
def principal(request: HttpRequest, claims: type[ClaimsT]) -> Principal[ClaimsT]: ...


def principal(request: HttpRequest, claims: type[Any] = object) -> Principal[Any]:
    """Say who the access token of a guarded request speaks for.

    Args:
        request: The request, which `require` or the middleware has admitted.
        claims: The model of the claims, as in `KEYTURN["CLAIMS"]`, for whoever wants them typed.

    Raises:
        ConfigurationError: Nobody is signed in, as may be where nobody need be; or the claims are no such.
    """
    found = find_principal(request)
    if found is None:
        raise ConfigurationError("nobody is signed in: guard the view with require(), or use find_principal")
    if not isinstance(found.claims, claims):
        kind = type(found.claims).__name__
        raise ConfigurationError(f"the claims are of the type {kind}, not {claims.__name__}")
    return found


def find_principal(request: HttpRequest) -> Principal[Any] | None:
    """Say who the access token of a request speaks for; None where nobody is signed in, or nobody asked."""
    found: Principal[Any] | None = getattr(request, "keyturn", None)
    return found


def check(request: HttpRequest, wanted: Needs | None = None, *, view: object = None) -> Verdict:
    """Admit a request, or say what to answer it.

    Args:
        request: The request.
        wanted: What is needed; None: what the settings say of its path.
        view: What will answer it; None: that is not known yet, and found out if it matters.
    """
    if isinstance(request, ASGIRequest):
        return async_to_sync(acheck)(request, wanted, view=view)
    guard, asked = get_serving().guard, read(request)
    if wanted is not None:
        return guard.check(asked, wanted, known=_known(request))
    judge = guard.check_path if get_settings().guards_paths else guard.identify
    return judge(asked, endpoints=_is_served(request, asked.path, view))


async def acheck(request: HttpRequest, wanted: Needs | None = None, *, view: object = None) -> Verdict:
    """Admit a request, or say what to answer it: see `check`."""
    if not isinstance(request, ASGIRequest):
        return await sync_to_async(check)(request, wanted, view=view)
    guard, asked = get_async_serving().guard, read(request)
    if wanted is not None:
        return await guard.check(asked, wanted, known=_known(request))
    judge = guard.check_path if get_settings().guards_paths else guard.identify
    return await judge(asked, endpoints=_is_served(request, asked.path, view))


def admit(request: HttpRequest, admitted: Admitted) -> None:
    """Tell views who asks: `request.keyturn`, and with a token `request.user`."""
    target: Any = request
    setattr(target, _ADMITTED, admitted)
    target.keyturn = admitted.principal
    if admitted.principal is not None:
        load = partial(user_of, admitted.principal)
        user = SimpleLazyObject(load)

        async def auser() -> object:
            await sync_to_async(bool)(user)  # loads it, once
            return user

        target.user, target.auser = user, auser
        # No other site's page can have a browser send an access token.
        target.csrf_processing_done = True


def user_of(who: Principal[Any]) -> AbstractBaseUser | AnonymousUser:
    """Load a principal's user; one who is gone or may not go on is nobody, as in Django's own sessions."""
    user = find_user(who.user_id)
    return user if user is not None and get_settings().allows(user) else AnonymousUser()


def was_taken_for_endpoint(request: HttpRequest, view: object) -> bool:
    """Tell whether a request was let through for the sake of the endpoints, and another view will answer it.

    So it is where a middleware further in has changed `request.urlconf`.
    """
    return getattr(request, _LET_THROUGH, False) and not getattr(view, SERVES, False)


def _is_served(request: HttpRequest, path: str, view: object) -> bool:
    """Tell whether the endpoints answer a request, if it has the path of one; else it does not matter."""
    if not is_endpoint(get_settings().places, path):
        return False
    if view is None:
        try:
            view = resolve(path, getattr(request, "urlconf", None)).func
        except Resolver404:
            return False
    serves = bool(getattr(view, SERVES, False))
    setattr(request, _LET_THROUGH, serves)
    return serves


def _known(request: HttpRequest) -> Admitted | None:
    found: Admitted | None = getattr(request, _ADMITTED, None)
    return found
