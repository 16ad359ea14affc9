"""Where the endpoints are: `path("", include("keyturn.django.urls"))`. They know no endpoint.

Everything below `KEYTURN["PREFIX"]` is served, and the public keys, whatever the method: what there is of it
is not decided here. Include them at the root, because the prefix is the whole path.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from django.db import connections, transaction
from django.urls import URLPattern
from django.urls.resolvers import RegexPattern
from django.views.decorators.csrf import csrf_exempt

from keyturn.django.conf import get_http_settings, get_settings
from keyturn.django.views import aserve, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.checks import CheckMessage
    from django.urls import ResolverMatch


class EndpointPaths(RegexPattern):
    """The paths of the endpoints: a pattern that a setting makes, whenever it is asked for."""

    def __init__(self) -> None:
        """Read no setting yet."""
        super().__init__("")

    def check(self) -> list[CheckMessage]:
        """Have nothing to be checked: the setting is checked where it is read."""
        return []

    def match(self, path: str) -> tuple[str, tuple[()], dict[str, Any]] | None:
        """Match all of them."""
        return ("", (), {}) if get_settings().places.hold(f"/{path}") else None

    def __str__(self) -> str:
        """Give the prefix."""
        return f"{get_http_settings().prefix.lstrip('/')}/"


class EndpointPattern(URLPattern):
    """One pattern for all endpoints, whose view is a coroutine where Django runs on an event loop."""

    def resolve(self, path: str) -> ResolverMatch | None:
        """Match a path."""
        found = super().resolve(path)
        if found is not None and _is_awaited():
            found.func = _ASERVE
        return found


def _is_awaited() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _prepared(view: Callable[..., Any]) -> Callable[..., Any]:
    """Keep Django's own ways out: the endpoints check origins, and a refresh joins no transaction."""
    view = csrf_exempt(view)
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


_SERVE, _ASERVE = _prepared(serve), _prepared(aserve)

urlpatterns = [EndpointPattern(EndpointPaths(), _SERVE)]
