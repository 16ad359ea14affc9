"""Throws anything at the endpoints and the guard: the answer is always well formed, and never a 500."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyturn.http import Admitted, Endpoints, Guard, HttpReply, HttpRequest
from keyturn.testing.http_suite import World
from tests.http.neutral import body_of, endpoints, login

COOKIE = "__Secure-keyturn"
ALLOWED_STATUS: Final = {200, 204, 400, 401, 403, 404, 405, 413, 415, 429}

LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
PATHS = st.one_of(
    st.sampled_from(
        ["/auth/login", "/auth/refresh", "/auth/logout", "/auth/logout-all", "/auth/sessions", "/auth/me"]
    ),
    st.builds("/auth/sessions/{}".format, st.text(max_size=40)),
    st.text(max_size=40),
)
METHODS = st.one_of(st.sampled_from(["GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT"]), LATIN)
NAMES = st.sampled_from(
    [
        *("authorization", "cookie", "content-type", "origin", "sec-fetch-site", "host", "x-keyturn"),
        *("user-agent", "access-control-request-method"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["username", "password", "transport", "refresh_token", "keep_current", "x"]),
            inner,
        )
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def world() -> World:
    """One world for all examples: no state that they make matters here."""
    return World()


@pytest.fixture(scope="module")
def site(world: World) -> Endpoints:
    """Its endpoints."""
    return endpoints(world)


@pytest.fixture(scope="module")
def tokens(site: Endpoints) -> dict[str, Any]:
    """A genuine pair, so that examples reach what lies behind the door."""
    return body_of(site.handle(login("fuzz")))


@st.composite
def requests(draw: st.DrawFn, tokens: dict[str, Any]) -> HttpRequest:
    """A request of any shape, often with genuine parts."""
    parts = st.sampled_from(
        [
            f"Bearer {tokens['access_token']}",
            f"{COOKIE}={tokens['refresh_token']}",
            *("same-origin", "cross-site", "application/json", "https://app.example.com", "1", "null"),
        ]
    )
    values = st.one_of(parts, LATIN, st.builds("{}{}".format, parts, LATIN))
    body = draw(
        st.one_of(st.just(b""), st.binary(max_size=80), JSON.map(lambda each: json.dumps(each).encode()))
    )
    headers = tuple(draw(st.lists(st.tuples(NAMES, values), max_size=6)))
    client = draw(st.none() | st.ip_addresses().map(str) | LATIN)
    return HttpRequest(draw(METHODS), draw(PATHS), headers, body, client)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_request_is_an_error_of_ours(site: Endpoints, tokens: dict[str, Any], data: st.DataObject) -> None:
    """Every answer has a status that clients know, headers that can be sent, and JSON where it has a body."""
    reply = site.handle(data.draw(requests(tokens)))
    assert reply.status in ALLOWED_STATUS
    for name, value in reply.headers:
        assert name.isascii()
        assert value.isprintable()
        value.encode("latin-1")
    if reply.body:
        assert isinstance(json.loads(reply.body), dict)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_request_gets_past_the_guard_without_its_token(
    world: World, tokens: dict[str, Any], data: st.DataObject
) -> None:
    """Whoever is admitted carries the one genuine token, alone, as a bearer."""
    guard = Guard(world.manager(), exempt=("/public/*",))
    asked = data.draw(requests(tokens))
    verdict = guard.check_path(asked)
    if isinstance(verdict, HttpReply):
        assert verdict.status in ALLOWED_STATUS
    else:
        assert isinstance(verdict, Admitted)
        if verdict.principal is None:
            assert asked.path.startswith(("/public", "/auth/", "/.well-known/jwks.json"))
        else:
            (value,) = asked.values("authorization")
            assert value.strip(" \t").split(" ")[-1] == tokens["access_token"]
