"""The endpoints as a blueprint, and requests and answers as Flask has them. It decides nothing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Final, cast

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter, Rule

from keyturn.errors import ConfigurationError
from keyturn.http import (
    MAX_BODY,
    Endpoints,
    Guard,
    HttpReply,
    HttpRequest,
    HttpSettings,
    unreadable_body,
)
from keyturn.http.places import Places
from keyturn.manager import TokenManager

EXTENSION: Final = "keyturn"
_ENDPOINT: Final = f"{EXTENSION}.serve"


@dataclass(frozen=True, slots=True)
class Extension:
    """What Keyturn keeps for one application."""

    manager: TokenManager[Any]
    endpoints: Endpoints
    guard: Guard

    @property
    def settings(self) -> HttpSettings:
        """What came of the application's configuration."""
        return self.endpoints.settings


def extension() -> Extension:
    """Give what Keyturn keeps for the current application.

    Raises:
        ConfigurationError: `init_app` was not called with it.
    """
    found = current_app.extensions.get(EXTENSION)
    if found is None:
        raise ConfigurationError("call auth.init_app(app) once for each application that has guarded views")
    return cast("Extension", found)


def read(body: bytes = b"") -> HttpRequest:
    """Read the current request."""
    return HttpRequest(
        method=request.method,
        path=request.path,
        headers=tuple((name.lower(), value) for name, value in request.headers.items()),
        body=body,
        client=request.remote_addr,
        scheme=request.scheme,
        query=request.query_string.decode("latin-1"),
    )


def written(reply: HttpReply) -> Response:
    """Write an answer."""
    return Response(reply.body, reply.status, list(reply.headers))


class _Rest(BaseConverter):
    """Whatever comes after the prefix, slashes included."""

    regex = ".*"
    part_isolating = False


def blueprint(places: Places) -> Blueprint:
    """Give the endpoints as a blueprint, for every method: which of them are right is not decided here."""

    def add_rules(state: BlueprintSetupState) -> None:
        state.app.view_functions[_ENDPOINT] = _serve
        state.app.url_map.converters[EXTENSION] = _Rest
        for path in (places.prefix, f"{places.prefix}/<{EXTENSION}:_>", *places.outside):
            state.app.url_map.add(Rule(path, endpoint=_ENDPOINT, merge_slashes=False))

    made = Blueprint(EXTENSION, __name__)
    made.record(add_rules)
    return made


def is_served() -> bool:
    """Tell whether the endpoints answer the current request, and no view of the application's."""
    return request.endpoint == _ENDPOINT  # whatever the application has wrapped its view in


def _serve(**_: object) -> Response:
    request.max_content_length = sys.maxsize  # an application's own limit would be answered in HTML
    try:
        body = request.stream.read(MAX_BODY + 1)
    except Exception:  # noqa: BLE001  (what servers raise where a body breaks off has no common class)
        return written(unreadable_body())
    return written(extension().endpoints.handle(read(body)))
