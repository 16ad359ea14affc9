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

from collections.abc import Callable, Iterable
from typing import Generic, ParamSpec, cast

from typing_extensions import Unpack

try:
    from flask import Flask, Response
except ImportError as error:
    raise ImportError("keyturn.flask needs its extra: pip install 'keyturn[flask]'") from error

from keyturn.errors import ConfigurationError, StoreError
from keyturn.flask.commands import commands
from keyturn.flask.configuring import check_manager, configured
from keyturn.flask.endpoints import EXTENSION, Extension, blueprint, extension, is_served, read, written
from keyturn.flask.guards import View, admit, asking, auth_required, current_principal
from keyturn.http import (
    Endpoints,
    Guard,
    HttpSettings,
    Login,
    LoginThrottle,
    NeedsOptions,
    Page,
    Requirements,
    SignIn,
    Transport,
    refuse,
    signed_in,
)
from keyturn.http.exits import flush_at_exit
from keyturn.http.given import settings_of
from keyturn.manager import TokenManager
from keyturn.results import ClaimsT, Principal

__all__ = ["Keyturn", "auth_required", "current_principal", "sign_in", "step_up"]

P = ParamSpec("P")


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
        sessions_page: Page | None = None,
    ) -> None:
        """Prepare: see `keyturn.http.Endpoints` and, for `exempt` and `require`, `keyturn.http.Guard`.

        With one of those two, all routes are guarded; without, those with `auth_required` alone.
        """
        if manager is not None:
            check_manager(manager)
        self._manager, self._login, self._throttle = manager, login, throttle
        self._settings = settings_of(settings)
        self._exempt, self._require, self._page = exempt, require, sessions_page

    def init_app(self, app: Flask, manager: TokenManager[ClaimsT] | None = None) -> None:
        """Add the endpoints to an application, with its own manager or the one given before.

        When the process ends, what the manager has deferred, such as lines of the audit trail, is done first.

        Raises:
            ConfigurationError: There is no manager; a setting is not usable; or the application has them.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError(f"init_app was called with {app.name!r} before: once is enough")
        if (manager := manager or self._manager) is None:
            raise ConfigurationError("there is no TokenManager: Keyturn(manager), or init_app(app, manager)")
        check_manager(manager)
        settings = configured(app, self._settings)
        endpoints = Endpoints(
            manager,
            login=self._login,
            settings=settings,
            throttle=self._throttle,
            sessions_page=self._page,
        )
        guard = Guard(
            manager,
            settings=settings,
            exempt=self._exempt or (),
            require=self._require,
            sessions_page=self._page,
        )
        app.extensions[EXTENSION] = Extension(manager, endpoints, guard)
        app.register_blueprint(blueprint(endpoints.places))
        app.cli.add_command(commands)
        flush_at_exit(manager)
        app.register_error_handler(StoreError, lambda error: written(refuse(error)))  # in a view
        if not (self._exempt is None and self._require is None):
            app.before_request(lambda: admit(guard.check_path(read(), endpoints=is_served())))

    @property
    def manager(self) -> TokenManager[ClaimsT]:
        """The manager of the current application.

        Raises:
            ConfigurationError: `init_app` was not called with it.
        """
        return extension().manager

    @property
    def settings(self) -> HttpSettings:
        """The settings of the current application, as its configuration has them; see `manager`."""
        return extension().settings

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
        return cast("Principal[ClaimsT] | None", asking())
