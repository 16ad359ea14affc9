"""The endpoints as OpenAPI (3.1) describes them: plain data, for every document. It knows no request.

What the endpoints do is not decided here; a test asks a server what is said here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, cast

from keyturn.http.places import JWKS_PATH
from keyturn.http.settings import DEFAULT_ACCESS_HEADER, HttpSettings

Json: TypeAlias = dict[str, Any]
Method: TypeAlias = Literal["get", "post", "delete"]

BEARER_SCHEME: Final = "keyturnBearer"
PASSWORD_SCHEME: Final = "keyturnPassword"  # noqa: S105 - the name of a scheme
TAG: Final = "auth"
_OWN: Final = "keyturn_"

_TEXT: Final[Json] = {"type": "string"}
_SECONDS: Final[Json] = {"type": "integer", "description": "seconds"}
_MOMENT: Final[Json] = {"type": "number", "description": "POSIX seconds"}


def _object(required: Mapping[str, Json], **optional: Json) -> Json:
    wanted = {"required": list(required)} if required else {}  # version 3.0 has no list of nothing
    return {"type": "object", **wanted, "properties": {**required, **optional}}


_ACCESS: Final[Json] = {
    "access_token": _TEXT,
    "token_type": {"enum": ["Bearer"]},
    "expires_in": _SECONDS,
    "session_id": _TEXT,
}
_TOKENS: Final[Json] = _object(
    {**_ACCESS, "refresh_expires_in": _SECONDS},
    refresh_token={**_TEXT, "description": "only where the refresh token travels in bodies"},
)
_ERROR: Final[Json] = _object({"error": _TEXT, "error_description": _TEXT})
_SESSION: Final[Json] = _object(
    {
        "id": _TEXT,
        "device": {"type": "object"},
        "created_at": _MOMENT,
        "last_seen_at": _MOMENT,
        "expires_at": _MOMENT,
        "current": {"type": "boolean"},
    }
)
_NAME_AND_PASSWORD: Final[Json] = {"username": _TEXT, "password": {**_TEXT, "format": "password"}}
_REFRESH_TOKEN: Final[Json] = {"refresh_token": {**_TEXT, "description": "where there is no cookie"}}

_UNAUTHORIZED: Final = "The token is missing or not acceptable."
_OUTAGE: Final = "The store cannot be asked; try again."
_ORIGIN: Final = "Another site's page may have sent this."
_COMMON: Final = {"400": "The request is malformed.", "503": _OUTAGE}
_REFUSALS: Final = {"401": _UNAUTHORIZED, "403": "The token does not allow this.", "503": _OUTAGE}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint.

    Attributes:
        method: The method.
        path: The path, below the prefix of the endpoints or from the root.
        summary: What it does, in a line.
        body: The schema of the JSON body; None: there is none.
        status: The status of success.
        answer: The schema of the answer; None: it has no body.
        bearer: Whether it takes an access token.
        needs_login: Whether it is there only with a login check.
        errors: What else it answers, by status.
    """

    method: Method
    path: str
    summary: str
    body: Json | None = None
    status: int = 200
    answer: Json | None = None
    bearer: bool = False
    needs_login: bool = False
    errors: Mapping[str, str] = field(default_factory=dict[str, str])


_ENDPOINTS: Final = (
    Endpoint(
        "post",
        "/login",
        "Sign in with a user name and a password.",
        body=_object(_NAME_AND_PASSWORD, transport={"enum": ["cookie", "body"], "default": "cookie"}),
        answer=_TOKENS,
        needs_login=True,
        errors={
            "401": "The user name or the password is wrong.",
            "403": f"{_ORIGIN} Or the user has as many sessions as are allowed.",
            "429": "Too many attempts.",
        },
    ),
    Endpoint(
        "post",
        "/step-up",
        "Sign in again within the session, for what needs a recent sign-in.",
        body=_object(_NAME_AND_PASSWORD),
        answer=_object(_ACCESS),
        bearer=True,
        needs_login=True,
        errors={"429": "Too many attempts."},
    ),
    Endpoint(
        "post",
        "/refresh",
        "Get a fresh access token for the refresh token in the cookie or in the body.",
        body=_object({}, **_REFRESH_TOKEN),
        answer=_TOKENS,
        errors={
            "401": "The refresh token is not acceptable.",
            "403": _ORIGIN,
            "409": 'Another request was first; only with `on_race="conflict"`.',
        },
    ),
    Endpoint(
        "post",
        "/logout",
        "End this session.",
        body=_object({}, **_REFRESH_TOKEN),
        status=204,
        bearer=True,
        errors={"403": _ORIGIN},
    ),
    Endpoint(
        "post",
        "/logout-all",
        "End all sessions of the user.",
        body=_object({}, keep_current={"type": "boolean", "default": False}),
        answer=_object({"revoked": {"type": "integer"}}),
        bearer=True,
    ),
    Endpoint(
        "get",
        "/sessions",
        "List the sessions of the user.",
        answer=_object({"sessions": {"type": "array", "items": _SESSION}}),
        bearer=True,
    ),
    Endpoint(
        "delete",
        "/sessions/{session_id}",
        "End one session of the user.",
        status=204,
        bearer=True,
        errors={"404": "The user has no such session."},
    ),
    Endpoint(
        "get",
        "/me",
        "Say who the access token speaks for.",
        answer=_object(
            {"user_id": _TEXT, "session_id": _TEXT, "claims": {"type": "object"}, "expires_at": _MOMENT}
        ),
        bearer=True,
    ),
    Endpoint(
        "get",
        JWKS_PATH,
        "Get the public keys (RFC 7517).",
        answer=_object({"keys": {"type": "array", "items": {"type": "object"}}}),
    ),
)


def security_schemes(settings: HttpSettings, *, has_login: bool, page: str | None = None) -> dict[str, Json]:
    """Give the security schemes: the access token itself and, with a login check, the way to get one.

    The latter lets the "Authorize" button of a document's page sign in with a user name and a password.

    Args:
        settings: How tokens travel.
        has_login: Whether there is a login check.
        page: The path of that page, where it is one page and moves with the application below another path:
            Swagger UI then finds the login from there. None: the login is looked for at the root.

    Examples:
        >>> found = security_schemes(HttpSettings(), has_login=True, page="/docs")
        >>> found[PASSWORD_SCHEME]["flows"]["password"]["tokenUrl"]
        'auth/login'
    """
    if settings.access_header.lower() != DEFAULT_ACCESS_HEADER.lower():  # consoles can send it nowhere else
        return {BEARER_SCHEME: {"type": "apiKey", "in": "header", "name": settings.access_header}}
    schemes: dict[str, Json] = {BEARER_SCHEME: {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    if has_login:
        url = f"{settings.prefix}/login"
        if page is not None:
            url = posixpath.relpath(url, posixpath.dirname(page))
        flow = {"tokenUrl": url, "scopes": dict[str, str]()}
        schemes[PASSWORD_SCHEME] = {"type": "oauth2", "flows": {"password": flow}}
    return schemes


def security(
    settings: HttpSettings, *, has_login: bool, scopes: Iterable[str] = ()
) -> list[dict[str, list[str]]]:
    """Give the security requirement of a guarded route: any one of the schemes, with the scopes it needs."""
    return [{name: list(scopes)} for name in security_schemes(settings, has_login=has_login)]


def show_refusals(document: Json) -> None:
    """Add to a document what every guarded route answers besides its own: what it says itself stays.

    Args:
        document: An OpenAPI document, whose guarded routes have one of our schemes; it is changed.

    Examples:
        >>> route = {
        ...     "security": [{BEARER_SCHEME: []}],
        ...     "responses": {"200": {}, "403": {"description": "mine"}},
        ... }
        >>> show_refusals({"paths": {"/orders": {"get": route, "summary": "Orders"}}})
        >>> sorted(route["responses"]), route["responses"]["403"]["description"]
        (['200', '401', '403', '503'], 'mine')
    """
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            if isinstance(operation, dict) and _is_guarded(cast("Json", operation)):
                responses = cast("Json", operation).setdefault("responses", {})
                for status, text in _REFUSALS.items():
                    responses.setdefault(status, _answer(text, _ERROR))


def _is_guarded(operation: Json) -> bool:
    own = str(operation.get("operationId", "")).startswith(_OWN)  # which say themselves what they answer
    return not own and any(BEARER_SCHEME in each for each in operation.get("security") or ())


def paths(settings: HttpSettings, *, has_login: bool) -> dict[str, dict[str, Json]]:
    """Give the Paths Object of the endpoints: operations by path and method.

    Args:
        settings: How tokens travel.
        has_login: Whether there is a login check.
    """
    wanted = security(settings, has_login=has_login)
    found: dict[str, dict[str, Json]] = {}
    for endpoint in _ENDPOINTS:
        if has_login or not endpoint.needs_login:
            path = endpoint.path if endpoint.path == JWKS_PATH else settings.prefix + endpoint.path
            found.setdefault(path, {})[endpoint.method] = _operation(endpoint, wanted)
    return found


def _operation(endpoint: Endpoint, wanted: list[dict[str, list[str]]]) -> Json:
    name = endpoint.path.rpartition("/{")[0] or endpoint.path.rpartition("/")[2].removesuffix(".json")
    operation: Json = {
        "tags": [TAG],
        "summary": endpoint.summary,
        "operationId": f"{_OWN}{endpoint.method}_{name.strip('/').replace('-', '_')}",
        "responses": {str(endpoint.status): _answer("Done.", endpoint.answer)},
    }
    errors = dict(endpoint.errors)
    if endpoint.path != JWKS_PATH:
        errors = {**_COMMON, **({"401": _UNAUTHORIZED} if endpoint.bearer else {}), **errors}
    operation["responses"] |= {status: _answer(text, _ERROR) for status, text in sorted(errors.items())}
    if endpoint.body is not None:
        required = "required" in endpoint.body
        content = {"application/json": {"schema": endpoint.body}}
        operation["requestBody"] = {"required": required, "content": content}
    if endpoint.bearer:
        operation["security"] = wanted
    if "{session_id}" in endpoint.path:
        operation["parameters"] = [{"name": "session_id", "in": "path", "required": True, "schema": _TEXT}]
    return operation


def _answer(description: str, schema: Json | None) -> Json:
    if schema is None:
        return {"description": description}
    return {"description": description, "content": {"application/json": {"schema": schema}}}
