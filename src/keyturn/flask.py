"""Keyturn for Flask: read, ask, write. It decides nothing.

```python
auth = Keyturn(manager, login=check_password)
auth.init_app(app)


@app.get("/orders")
@auth_required(scopes=("orders:read",))
def orders():
    return {"user": current_principal.user_id}
```
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any, Final, ParamSpec, cast

from typing_extensions import Unpack

try:
    from flask import Blueprint, Flask, Response, after_this_request, current_app, g, make_response, request
    from flask.blueprints import BlueprintSetupState
    from flask.typing import ResponseReturnValue
    from werkzeug.local import LocalProxy
    from werkzeug.routing import BaseConverter, Rule
except ImportError as error:
    raise ImportError("keyturn.flask needs its extra: pip install 'keyturn[flask]'") from error

from keyturn.errors import ConfigurationError
from keyturn.http import (
    JWKS_PATH,
    LIST_VALUED,
    MAX_BODY,
    Admitted,
    Endpoints,
    Guard,
    HttpReply,
    HttpRequest,
    HttpSettings,
    Login,
    LoginThrottle,
    NeedsOptions,
    Requirements,
    SignIn,
    Transport,
    needs,
    unreadable_body,
)
from keyturn.manager import TokenManager
from keyturn.results import Principal

P = ParamSpec("P")

EXTENSION: Final = "keyturn"

current_principal = cast("Principal[Any]", LocalProxy(lambda: g.get("keyturn_principal")))
"""Who the request's access token speaks for; false where nobody is signed in."""


@dataclass(frozen=True, slots=True)
class Extension:
    """What Keyturn keeps for one application."""

    endpoints: Endpoints
    guard: Guard


class Keyturn:
    """The endpoints and the guard of applications. What belongs to one is in `app.extensions["keyturn"]`.

    Every field of `HttpSettings` may be set in the application's configuration, such as
    `app.config["KEYTURN_COOKIE_SECURE"] = False`.
    """

    def __init__(
        self,
        manager: TokenManager[Any] | None = None,
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

    def init_app(self, app: Flask, manager: TokenManager[Any] | None = None) -> None:
        """Add the endpoints to an application, with its own manager or the one given before."""
        if (manager := manager or self._manager) is None:
            raise ConfigurationError("there is no TokenManager: Keyturn(manager), or init_app(app, manager)")
        settings = _configured(app, self._settings)
        endpoints = Endpoints(manager, login=self._login, settings=settings, throttle=self._throttle)
        guard = Guard(manager, settings=settings, exempt=self._exempt or (), require=self._require)
        app.extensions[EXTENSION] = Extension(endpoints, guard)
        app.register_blueprint(_blueprint(settings.prefix))
        if not (self._exempt is None and self._require is None):
            app.before_request(lambda: _admit(guard.check_path(_read())))


def auth_required(
    *, scopes: tuple[str, ...] = (), **options: Unpack[NeedsOptions]
) -> Callable[[Callable[P, ResponseReturnValue]], Callable[P, Response]]:
    """Guard a view, and let `current_principal` say who asks.

    Args:
        scopes: What the token's `scope` must hold.
        options: What else is needed, such as `roles=("admin",)` or `fresh="5m"`: see
            `keyturn.http.NeedsOptions`.
    """
    wanted = needs(*scopes, **options)

    def decorate(view: Callable[P, ResponseReturnValue]) -> Callable[P, Response]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
            refused = _admit(_extension().guard.check(_read(), wanted))
            return refused or make_response(current_app.ensure_sync(view)(*args, **kwargs))

        return guarded

    return decorate


def _admit(verdict: Admitted | HttpReply) -> Response | None:
    """Let a request pass, or give what to answer it."""
    if isinstance(verdict, HttpReply):
        return _response(verdict)
    g.keyturn_principal = verdict.principal

    @after_this_request
    def add_headers(response: Response) -> Response:
        for name, value in verdict.headers:
            (response.headers.add if name in LIST_VALUED else response.headers.set)(name, value)
        return response

    return None


def sign_in(who: SignIn, *, transport: Transport = "cookie") -> Response:
    """Begin a session for a user whom the application has accepted in its own way, and answer tokens."""
    return _response(_extension().endpoints.sign_in(_read(), who, transport=transport))


def step_up() -> Response:
    """Answer an access token whose user has just signed in again, as the application has checked."""
    return _response(_extension().endpoints.step_up(_read()))


def _configured(app: Flask, settings: HttpSettings) -> HttpSettings:
    """Take the settings from the application's configuration, and fill in there what it leaves open."""
    config, names = cast("dict[str, Any]", app.config), [field.name for field in fields(settings)]
    return HttpSettings(
        **{name: config.setdefault(f"KEYTURN_{name.upper()}", getattr(settings, name)) for name in names}
    )


class _Rest(BaseConverter):
    """Whatever comes after the prefix, slashes included."""

    regex = ".*"
    part_isolating = False


def _blueprint(prefix: str) -> Blueprint:
    """Give the endpoints as a blueprint, for every method: which of them are right is not decided here."""

    def add_rules(state: BlueprintSetupState) -> None:
        endpoint = f"{state.name}.serve"
        state.app.view_functions[endpoint] = _serve
        state.app.url_map.converters[EXTENSION] = _Rest
        for path in (prefix, f"{prefix}/<{EXTENSION}:_>", JWKS_PATH):
            state.app.url_map.add(Rule(path, endpoint=endpoint, merge_slashes=False))

    blueprint = Blueprint(EXTENSION, __name__)
    blueprint.record(add_rules)
    return blueprint


def _serve(**_: object) -> Response:
    request.max_content_length = sys.maxsize  # an application's own limit would be answered in HTML
    try:
        body = request.stream.read(MAX_BODY + 1)
    except Exception:  # noqa: BLE001  (what servers raise where a body breaks off has no common class)
        return _response(unreadable_body())
    return _response(_extension().endpoints.handle(_read(body)))


def _extension() -> Extension:
    return cast("Extension", current_app.extensions[EXTENSION])


def _read(body: bytes = b"") -> HttpRequest:
    return HttpRequest(
        method=request.method,
        path=request.path,
        headers=tuple((name.lower(), value) for name, value in request.headers.items()),
        body=body,
        client=request.remote_addr,
        scheme=request.scheme,
    )


def _response(reply: HttpReply) -> Response:
    return Response(reply.body, reply.status, list(reply.headers))
