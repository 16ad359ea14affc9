"""What Litestar's guards of a route ask together. It knows no request and no manager."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from litestar.connection import ASGIConnection
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import BaseRouteHandler
from litestar.routes import ASGIRoute, BaseRoute, HTTPRoute, WebSocketRoute

from keyturn.errors import ConfigurationError
from keyturn.http import Needs
from keyturn.http.needs import all_of

EXTENSION: Final = "keyturn"
"""Where Keyturn keeps what is its own: in the scope of a connection, and in the `opt` of a route handler."""


@dataclass(frozen=True, eq=False)
class Requirement:
    """A guard for routes, controllers, routers and applications: what `Keyturn.require` gives.

    Before Litestar calls the guards of a route, the plugin's middleware has checked what all of them need.

    Attributes:
        plugin: Whose guard it is.
        needs: What it asks.
    """

    plugin: object
    needs: Needs

    async def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Let pass what the middleware has admitted.

        Raises:
            ImproperlyConfiguredException: It did not know of this guard: the plugin is missing, or another
                guard calls this one.
        """
        asked = handler.opt.get(EXTENSION)
        if not (EXTENSION in connection.scope and isinstance(asked, Asked) and self in asked.guards):
            raise ImproperlyConfiguredException(
                "what auth.require(...) gives must stand in guards=[...] itself, and auth in plugins=[...]"
            )

    def __deepcopy__(self, _: object) -> Requirement:
        """Stay the same: Litestar copies routers with all that is in them."""
        return self


@dataclass(frozen=True)
class Asked:
    """What a route handler asks.

    Attributes:
        guards: Of our guards those that stand before it.
        needs: What they need together; None: nothing.
        by_path: Whether what its path needs counts, too.
    """

    guards: tuple[Requirement, ...]
    needs: Needs | None
    by_path: bool


def asked_by(handler: BaseRouteHandler, plugin: object, *, by_path: bool, exclude_opt_key: str) -> Asked:
    """Read what a route handler asks.

    Args:
        handler: It, registered.
        plugin: Whose guards count.
        by_path: Whether paths are asked.
        exclude_opt_key: What a handler has in its `opt` that outer layers and paths ask nothing of.

    Raises:
        ConfigurationError: A guard lacks its parentheses.
    """
    before = tuple(cast("Iterable[object]", cast("Any", handler).resolve_guards()))
    if any(getattr(each, "func", each) == cast("Any", plugin).require for each in before):
        raise ConfigurationError(f"{handler}: a guard needs its parentheses, guards=[auth.require()]")
    guards = _of(plugin, before)
    excluded = bool(handler.opt.get(exclude_opt_key))
    counted = _of(plugin, cast("Iterable[object]", cast("Any", handler).guards or ())) if excluded else guards
    needs = all_of(each.needs for each in counted) if counted else None
    return Asked(guards, needs, by_path=by_path and not excluded)


def handlers_of(route: BaseRoute) -> Sequence[BaseRouteHandler]:
    """Give the handlers of a route."""
    if isinstance(route, HTTPRoute):
        return route.route_handlers
    return [route.route_handler] if isinstance(route, WebSocketRoute | ASGIRoute) else []


def _of(plugin: object, guards: Iterable[object]) -> tuple[Requirement, ...]:
    return tuple(each for each in guards if isinstance(each, Requirement) and each.plugin is plugin)
