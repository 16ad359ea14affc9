"""The description of the endpoints is valid OpenAPI, and says what the endpoints do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from keyturn.http import HttpReply, HttpSettings
from keyturn.http.openapi import BEARER_SCHEME, PASSWORD_SCHEME, Json, paths, security_schemes
from keyturn.testing.http_suite import World
from tests.http.neutral import PASSWORD, body_of, endpoints, login, request

ALL: dict[str, dict[str, Json]] = paths(HttpSettings(), has_login=True)
OPERATIONS = [(method, path) for path, methods in ALL.items() for method in methods]


@pytest.mark.parametrize("has_login", [True, False])
@pytest.mark.parametrize("header", ["Authorization", "jwt"])
def test_the_description_is_valid(header: str, has_login: bool) -> None:  # noqa: FBT001 - a parameter
    """As the paths and components of a document of version 3.1, whatever the settings."""
    settings = HttpSettings(access_header=header, prefix="/api/auth", cookie_path="/api/auth")
    found = paths(settings, has_login=has_login)
    document: Json = {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1"},
        "paths": found,
        "components": {"securitySchemes": security_schemes(settings, has_login=has_login)},
    }
    OpenAPIV31SpecValidator(document).validate()
    assert ("/api/auth/login" in found) is has_login
    ids = [operation["operationId"] for methods in found.values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    schemes = document["components"]["securitySchemes"]
    named = {
        name
        for methods in found.values()
        for operation in methods.values()
        for wanted in operation.get("security", ())
        for name in wanted
    }
    assert named == set(schemes)


def test_a_header_of_its_own_cannot_be_signed_in_for() -> None:
    """A console would send the token in `Authorization`; so it is asked for the token itself."""
    plain = security_schemes(HttpSettings(), has_login=True)
    assert plain.keys() == {BEARER_SCHEME, PASSWORD_SCHEME}
    assert plain[PASSWORD_SCHEME]["flows"]["password"]["tokenUrl"] == "/auth/login"
    own = security_schemes(HttpSettings(access_header="jwt"), has_login=True)
    assert own == {BEARER_SCHEME: {"type": "apiKey", "in": "header", "name": "jwt"}}


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=str)
def test_the_endpoints_answer_what_is_described(method: str, path: str) -> None:
    """Success and refusals have the described status and body; what is no path of ours is not described."""
    operation = ALL[path][method]
    world = World()
    site = endpoints(world)
    tokens = body_of(site.handle(login()))
    bearer = ("authorization", f"Bearer {tokens['access_token']}")
    bodies: dict[str, Any] = {
        "/auth/login": {"username": "ann", "password": PASSWORD, "transport": "body"},
        "/auth/step-up": {"username": "ann", "password": PASSWORD},
        "/auth/refresh": {"refresh_token": tokens["refresh_token"]},
        "/auth/logout": {"refresh_token": tokens["refresh_token"]},
        "/auth/logout-all": {"keep_current": True},
    }
    body = bodies.get(path)
    if body is not None:
        check(operation["requestBody"]["content"], body)
    real = path.replace("{session_id}", tokens["session_id"])
    headers = [bearer] if "security" in operation else []
    agrees(operation, site.handle(request(method.upper(), real, *headers, body=body)))
    refused = site.handle(request(method.upper(), real, ("authorization", "Bearer x"), body={"x": 1}))
    if path != "/.well-known/jwks.json":
        assert agrees(operation, refused) >= 400


def agrees(operation: Json, reply: HttpReply) -> int:
    """Hold a reply to what an operation's description says, and give its status."""
    described = operation["responses"][str(reply.status)]
    if "content" in described:
        check(described["content"], json.loads(reply.body))
    else:
        assert reply.body == b""
    return reply.status


def check(content: Json, value: Any) -> None:
    """Hold a value to a schema; what it says nothing about is not allowed either."""
    schema = content["application/json"]["schema"]
    Draft202012Validator({**schema, "additionalProperties": False}).validate(value)
