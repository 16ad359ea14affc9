"""Who sends each request of a project, under WSGI and ASGI. It decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from keyturn.django.asking import acheck, admit, check, was_taken_for_endpoint
from keyturn.django.wire import add_headers, write
from keyturn.errors import StoreError
from keyturn.http import HttpReply, refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from keyturn.http import Verdict


class KeyturnMiddleware:
    """Sets `request.keyturn`: a `keyturn.Principal`, or None. To be put after `AuthenticationMiddleware`.

    A request with an access token also has that token's user as `request.user`, which is loaded when somebody
    looks; one without keeps the user whom Django's own session has. A token that is not acceptable is
    refused, but on the paths of the endpoints and of `KEYTURN["EXEMPT"]`, where nobody looks at it. With that
    key or `KEYTURN["REQUIRE"]`, all other paths need a token.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        """Wrap what Django has further in."""
        self._get_response = get_response
        # Only Python 3.12 has its heir.
        self._awaits = iscoroutinefunction(get_response)  # pyright: ignore[reportDeprecated]
        if self._awaits:
            markcoroutinefunction(self)
        # Of the mode that Django calls it in: to adapt the other would take a thread for every request.
        self.process_view = self._alook_again if self._awaits else self._look_again

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Let a request pass, or answer it."""
        if self._awaits:
            return self._acall(request)
        verdict = check(request)
        if isinstance(verdict, HttpReply):
            return write(verdict)
        admit(request, verdict)
        return add_headers(self._get_response(request), verdict.headers)

    def process_exception(self, _: HttpRequest, error: Exception) -> HttpResponseBase | None:
        """Answer a view that the store could not be asked for: 503, and nothing about any token."""
        return write(refuse(error)) if isinstance(error, StoreError) else None

    def _look_again(self, request: HttpRequest, view: object, *_: object) -> HttpResponseBase | None:
        """Guard a view that was not the one to be expected."""
        return (
            _answered(request, check(request, view=view)) if was_taken_for_endpoint(request, view) else None
        )

    async def _alook_again(self, request: HttpRequest, view: object, *_: object) -> HttpResponseBase | None:
        if not was_taken_for_endpoint(request, view):
            return None
        return _answered(request, await acheck(request, view=view))

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        verdict = await acheck(request)
        if isinstance(verdict, HttpReply):
            return write(verdict)
        admit(request, verdict)
        return add_headers(await self._get_response(request), verdict.headers)


def _answered(request: HttpRequest, verdict: Verdict) -> HttpResponseBase | None:
    """Let a request go on to its view, or give what to answer it."""
    if isinstance(verdict, HttpReply):
        return write(verdict)
    admit(request, verdict)
    return None
