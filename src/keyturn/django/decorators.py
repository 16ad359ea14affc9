"""The guard of one view, with the middleware or without. It decides nothing."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from typing_extensions import Unpack

from keyturn.django.asking import acheck, admit, check, find_principal, principal
from keyturn.django.wire import add_headers, write
from keyturn.http import HttpReply, NeedsOptions, needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["find_principal", "principal", "require"]

ViewT = TypeVar("ViewT", bound="Callable[..., Any]")


def require(*scopes: str, **options: Unpack[NeedsOptions]) -> Callable[[ViewT], ViewT]:
    """Guard a view, plain or asynchronous: `@require("orders:read")`; `principal(request)` says who asks.

    Of a class-based view, `@method_decorator(require("orders:read"), name="dispatch")`. Such a view needs no
    CSRF token of Django's, because no other site's page can have a browser send an access token; with
    `optional` it does, where nobody is signed in.

    Args:
        scopes: What the token's `scope` must hold.
        options: What else is needed, such as `roles=("admin",)` or `fresh="5m"`: see
            `keyturn.http.NeedsOptions`.
    """
    wanted = needs(*scopes, **options)

    def decorate(view: ViewT) -> ViewT:
        async def aguarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            verdict = await acheck(request, wanted)
            if isinstance(verdict, HttpReply):
                return write(verdict)
            admit(request, verdict)
            return add_headers(await view(request, *args, **kwargs), verdict.headers)

        def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            verdict = check(request, wanted)
            if isinstance(verdict, HttpReply):
                return write(verdict)
            admit(request, verdict)
            return add_headers(view(request, *args, **kwargs), verdict.headers)

        # Only Python 3.12 has its heir.
        is_awaited = iscoroutinefunction(view)  # pyright: ignore[reportDeprecated]
        wrapper: Any = wraps(view)(aguarded if is_awaited else guarded)
        if not wanted.optional:
            wrapper.csrf_exempt = True
        return cast("ViewT", wrapper)

    return decorate
