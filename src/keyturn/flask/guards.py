"""The guard of single views, and who asks. It decides nothing."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Any, Final, Never, ParamSpec, TypeAlias, cast

from flask import Response, after_this_request, current_app, has_request_context, make_response, request
from flask.typing import ResponseReturnValue
from typing_extensions import Unpack
from werkzeug.local import LocalProxy

from keyturn.errors import ConfigurationError
from keyturn.flask.endpoints import extension, read, written
from keyturn.http import Admitted, Headers, HttpReply, NeedsOptions, needs, put_headers
from keyturn.results import Principal

P = ParamSpec("P")
Answer: TypeAlias = ResponseReturnValue | None
View: TypeAlias = Callable[P, Answer] | Callable[P, Awaitable[Answer]]

_PRINCIPAL: Final = "keyturn.principal"


def asking() -> Principal[Any] | None:
    """Give who the current request's access token speaks for; None where nobody is signed in, or none is."""
    return request.environ.get(_PRINCIPAL) if has_request_context() else None


class _Asking(LocalProxy[Any]):
    """Who asks, which may be nobody; whoever wants to know more of nobody has forgotten the guard."""

    def __getattr__(self, name: str) -> object:
        found = self._get_current_object()
        # Tools that look into a module ask for names with an underscore.
        if found is None and not name.startswith("_"):
            raise AttributeError("nobody is signed in here: guard the view with @auth_required()")
        return getattr(found, name)


current_principal = cast("Principal[Any]", _Asking(asking))
"""Who the request's access token speaks for; false where nobody is signed in.

Raises:
    AttributeError: Something is asked of it where nothing guards the view, or nobody need be signed in and
        nobody is; `getattr(current_principal, "user_id", None)` is None there.
"""


def auth_required(
    *misplaced: Never, scopes: tuple[str, ...] = (), **options: Unpack[NeedsOptions]
) -> Callable[[View[P]], Callable[P, Response]]:
    """Guard a view, and let `current_principal` say who asks.

    What is guarded may be a function for `before_request` too, of an application or a blueprint: where it
    returns None, the request goes on.

    Args:
        misplaced: Nothing: it is there to say what to write instead.
        scopes: What the token's `scope` must hold.
        options: What else is needed, such as `roles=("admin",)` or `fresh="5m"`: see
            `keyturn.http.NeedsOptions`.

    Raises:
        ConfigurationError: What is needed can never be met; the parentheses or names are missing; or a class
            is decorated.
    """
    if misplaced:
        raise ConfigurationError(
            'write @auth_required(), with parentheses, or @auth_required(scopes=("orders:read",)), with names'
        )
    if isinstance(cast("object", scopes), str):
        raise ConfigurationError(f"scopes must be a tuple: write auth_required(scopes=({scopes!r},))")
    wanted = needs(*scopes, **options)

    def decorate(view: View[P]) -> Callable[P, Response]:
        if isinstance(view, type):
            raise ConfigurationError(
                f"a class is guarded from within: write decorators = [auth.require()] in {view.__name__}"
            )

        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
            refused = admit(extension().guard.check(read(), wanted))
            if refused is not None:
                return refused
            answer = current_app.ensure_sync(view)(*args, **kwargs)
            # None lets a request go on, in `before_request`; of a view, Flask itself complains.
            return cast("Response", None) if answer is None else make_response(answer)

        return guarded

    return decorate


def admit(verdict: Admitted | HttpReply) -> Response | None:
    """Let a request pass, or give what to answer it."""
    if isinstance(verdict, HttpReply):
        return written(verdict)
    request.environ[_PRINCIPAL] = verdict.principal  # an application's context may be that of many requests

    if verdict.headers:
        after_this_request(functools.partial(_with_headers, verdict.headers))
    return None


def _with_headers(headers: Headers, response: Response) -> Response:
    """Give a copy with more headers: the application may answer others with the same response."""
    copied = copy(response)
    copied.headers = response.headers.copy()
    put_headers(headers, copied.headers.add, copied.headers.set)
    return copied
