"""Keyturn for Flask: read, ask, write. It decides nothing.

```python
auth = Keyturn(manager, login=check_password)
auth.init_app(app)


@app.get("/orders")
@auth_required(scopes=("orders:read",))  # or, as in every framework: @auth.require("orders:read")
def orders():
    return {"user": current_principal.user_id}
```
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import fields
from typing import Any, Generic, ParamSpec, TypeAlias, cast

from typing_extensions import Unpack

try:
    from flask import Flask, Response, after_this_request, current_app, g, make_response
    from flask.typing import ResponseReturnValue
    from werkzeug.local import LocalProxy
except ImportError as error:
    raise ImportError("keyturn.flask needs its extra: pip install 'keyturn[flask]'") from error

from keyturn.errors import ConfigurationError, StoreError
from keyturn.flask.commands import commands
from keyturn.flask.endpoints import EXTENSION, Extension, blueprint, extension, read, written
from keyturn.http import (
    LIST_VALUED,
    Admitted,
    Endpoints,
    Guard,
    HttpReply,
    HttpSettings,
    Login,
    LoginThrottle,
    NeedsOptions,
    Requirements,
    SignIn,
    Transport,
    needs,
    refuse,
    signed_in,
)
from keyturn.manager import TokenManager
from keyturn.results import ClaimsT, Principal

P = ParamSpec("P")
View: TypeAlias = Callable[P, ResponseReturnValue] | Callable[P, Awaitable[ResponseReturnValue]]

current_principal = cast("Principal[Any]", LocalProxy(lambda: g.get("keyturn_principal")))
"""Who the request's access token speaks for; false where nobody is signed in."""


def auth_required(
    *, scopes: tuple[str, ...] = (), **options: Unpack[NeedsOptions]
) -> Callable[[View[P]], Callable[P, Response]]:
    """Guard a view, and let `current_principal` say who asks.

    Args:
        scopes: What the token's `scope` must hold.
        options: What else is needed, such as `roles=("admin",)` or `fresh="5m"`: see
            `keyturn.http.NeedsOptions`.
    """
    wanted = needs(*scopes, **options)

    def decorate(view: View[P]) -> Callable[P, Response]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
            refused = _admit(extension().guard.check(read(), wanted))
            return refused or make_response(current_app.ensure_sync(view)(*args, **kwargs))

        return guarded

    return decorate


def sign_in(who: SignIn, *, transport: Transport = "cookie") -> Response:
    """Begin a session for a user whom the application has accepted in its own way, and answer tokens."""
    return written(extension().endpoints.sign_in(read(), who, transport=transport))


def step_up() -> Response:
    """Answer an access token whose user has just signed in again, as the application has checked."""
    return written(extension().endpoints.step_up(read()))


class Keyturn(Generic[ClaimsT]):
    """The endpoints and the guard of applications. What belongs to one is in `app.extensions["keyturn"]`.

    Every field of `HttpSettings` may be set in the application's configuration, such as
    `app.config["KEYTURN_COOKIE_SECURE"] = False`. `flask keyturn` has the commands.
    """

    sign_in = staticmethod(sign_in)
    step_up = staticmethod(step_up)

    def __init__(
        self,
        manager: TokenManager[ClaimsT] | None = None,
        *,
        login: Login | None = None,
        settings: HttpSettings | None = None,
        throttle: LoginThrottle | None = None,
        exempt: Iterable[str] | None = None,
        require: Requirements | None = None,
    ) -> None:
        """Prepare: see `keyturn.http.Endpoints` and, for `exempt` and `require`, `keyturn.http.Guard`.

        With one of those two, all routes are guarded; without, those with `auth_required` alone.
        """
        self._manager, self._login, self._throttle = manager, login, throttle
        self._settings = settings or HttpSettings()
        self._exempt, self._require = exempt, require

    def init_app(self, app: Flask, manager: TokenManager[ClaimsT] | None = None) -> None:
        """Add the endpoints to an application, with its own manager or the one given before."""
        if (manager := manager or self._manager) is None:
            raise ConfigurationError("there is no TokenManager: Keyturn(manager), or init_app(app, manager)")
        settings = _configured(app, self._settings)
        endpoints = Endpoints(manager, login=self._login, settings=settings, throttle=self._throttle)
        guard = Guard(manager, settings=settings, exempt=self._exempt or (), require=self._require)
        app.extensions[EXTENSION] = Extension(manager, endpoints, guard)
        app.register_blueprint(blueprint(settings.prefix))
        app.cli.add_command(commands)
        app.register_error_handler(StoreError, lambda error: written(refuse(error)))  # in a view
        if not (self._exempt is None and self._require is None):
            app.before_request(lambda: _admit(guard.check_path(read())))

    @staticmethod
    def require(*scopes: str, **options: Unpack[NeedsOptions]) -> Callable[[View[P]], Callable[P, Response]]:
        """Guard a view: `auth_required` by the name that it has in every framework."""
        return auth_required(scopes=scopes, **options)

    def principal(self) -> Principal[ClaimsT]:
        """Say who asks, with the application's own type of claims.

        Raises:
            ConfigurationError: Nothing guards the view, or nobody need be signed in there and nobody is: ask
                `optional_principal` where that is right.
        """
        return signed_in(self.optional_principal())

    @staticmethod
    def optional_principal() -> Principal[ClaimsT] | None:
        """Say who asks; None where nobody is signed in."""
        return cast("Principal[ClaimsT] | None", g.get("keyturn_principal"))


def _admit(verdict: Admitted | HttpReply) -> Response | None:
    """Let a request pass, or give what to answer it."""
    if isinstance(verdict, HttpReply):
        return written(verdict)
    g.keyturn_principal = verdict.principal

    @after_this_request
    def add_headers(response: Response) -> Response:
        for name, value in verdict.headers:
            (response.headers.add if name in LIST_VALUED else response.headers.set)(name, value)
        return response

    return None


def _configured(app: Flask, settings: HttpSettings) -> HttpSettings:
    """Take the settings from the application's configuration, and fill in there what it leaves open."""
    config, names = cast("dict[str, Any]", app.config), [field.name for field in fields(settings)]
    return HttpSettings(
        **{name: config.setdefault(f"KEYTURN_{name.upper()}", getattr(settings, name)) for name in names}
    )
