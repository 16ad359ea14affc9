"""A token travels where the user said: no redirect and no client for several hosts takes it elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from keyturn.client import FileTokens, KeyturnAuth, MemoryTokens
from keyturn.errors import ConfigurationError
from keyturn.testing._http.world import PASSWORD
from tests.client.served import OVER, Api, Colour, Gateway, running, tokens_in

URL = "https://api.example.com/auth"


@pytest.fixture
def other() -> Iterator[Api]:
    """A server of somebody else's."""
    with running() as api:
        yield api


def carried(gateway: Gateway, path: str) -> list[bool]:
    """Tell which requests to a path carried credentials."""
    return ["authorization" in each.headers for each in gateway.seen if each.path == path]


def test_another_host_gets_nothing(api: Api, other: Api, colour: Colour) -> None:
    """One client for several hosts signs what goes to its own; for others it does not even refresh."""
    auth = api.auth()
    api.world.clock.advance(OVER)
    assert colour.request(auth, "GET", f"{other.url}/private").status_code == 401
    assert carried(other.gateway, "/private") == [False]
    assert (api.refreshes, other.refreshes) == (0, 0)


def test_another_host_may_be_named(api: Api, other: Api, colour: Colour) -> None:
    """What `origins` holds is signed."""
    auth = api.auth(origins=[other.url])
    colour.request(auth, "GET", f"{other.url}/private")
    assert carried(other.gateway, "/private")[0]


def test_credentials_of_the_callers_own_are_left_alone(api: Api, other: Api, colour: Colour) -> None:
    """A header for another host is neither replaced nor removed."""
    auth = api.auth()
    colour.request(auth, "GET", f"{other.url}/private", headers={"Authorization": "Basic eDp5"})
    assert other.gateway.seen[-1].headers["authorization"] == "Basic eDp5"


def test_a_redirect_takes_no_token_along(api: Api, other: Api, colour: Colour) -> None:
    """Another host to which our own sends us gets no token, and its 401 refreshes nothing."""
    auth = api.auth()
    answer = colour.request(auth, "GET", f"{api.url}/away", params={"to": f"{other.url}/private"})
    assert answer.status_code == 401
    assert carried(api.gateway, "/away") == [True]
    assert carried(other.gateway, "/private") == [False]
    assert (api.refreshes, other.refreshes) == (0, 0)


def test_a_redirect_at_home_keeps_the_token(api: Api, colour: Colour) -> None:
    """Within the origin a redirect is followed with it, and a 401 at its end is one of ours."""
    auth = api.auth(clock=lambda: 0.0)
    api.world.clock.advance(OVER)
    answer = colour.request(auth, "GET", f"{api.url}/away", params={"to": "/private"})
    assert (answer.json(), api.refreshes) == ({"user_id": "ann"}, 1)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/x",
        "https://api.example.com:8443/x",
        "https://example.com/x",
        "https://api.example.com.evil.example/x",
        "https://evil.example/https://api.example.com/x",
        "https://api.example.com@evil.example/x",
        "https://evil.example#@api.example.com/x",
    ],
)
def test_what_only_looks_alike_gets_nothing(url: str) -> None:
    """Scheme, host and port must all be the same, as httpx reads them, which also sends them."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    auth = KeyturnAuth(URL)
    auth.adopt("access", "refresh", 900)
    with httpx.Client(auth=auth, transport=httpx.MockTransport(answer)) as client:
        try:
            client.get(url)
        except httpx.InvalidURL:
            return
    assert ["authorization" in each.headers for each in seen] == [False]


@pytest.mark.parametrize("url", ["https://API.example.com/x", "https://api.example.com:443/x"])
def test_another_spelling_of_the_origin_is_the_origin(url: str) -> None:
    """Case and a default port make no difference (RFC 6454, section 4)."""
    auth = KeyturnAuth(URL)
    auth.adopt("access", "refresh", 900)
    with httpx.Client(auth=auth, transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client:
        assert client.get(url).request.headers["Authorization"] == "Bearer access"


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/auth",
        "http://10.0.0.1/auth",
        "http://localhost.example.com/auth",
        "http://127.0.0.1.example.com/auth",
    ],
)
def test_plain_http_is_refused(url: str) -> None:
    """It shows tokens to everybody on the way, so it must be asked for by name."""
    with pytest.raises(ConfigurationError, match="insecure=True"):
        KeyturnAuth(url)
    with pytest.raises(ConfigurationError, match="insecure=True"):
        KeyturnAuth(URL, origins=[url.removesuffix("/auth")])
    KeyturnAuth(url, insecure=True)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "127.9.9.9", "[::1]:8000", "localhost", "api.localhost:80"]
)
def test_plain_http_to_this_machine_is_not(host: str) -> None:
    """What does not leave the machine is not seen by anybody on the way."""
    KeyturnAuth(f"http://{host}/auth")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com/auth",
        "ftp://api.example.com/auth",
        "https://ann:x@api.example.com",
        f"{URL}?a=b",
        f"{URL}#a",
    ],
)
def test_what_is_no_base_is_refused(url: str) -> None:
    """The base of endpoints is scheme, host and path."""
    with pytest.raises(ConfigurationError, match="URL"):
        KeyturnAuth(url)


@pytest.mark.parametrize(
    "origins", ["https://api.example.com", ["https://api.example.com/path"], ["*"], ["null"]]
)
def test_what_is_no_origin_is_refused(origins: list[str]) -> None:
    """An origin is allowed by its name, or not at all; text is not taken for a list of letters."""
    with pytest.raises(ConfigurationError):
        KeyturnAuth(URL, origins=origins)


def test_nothing_shows_a_token(api: Api, colour: Colour, caplog: pytest.LogCaptureFixture) -> None:
    """Neither logs at their most talkative nor reprs nor the answer's history hold one; nor does a URL."""
    caplog.set_level(logging.DEBUG)
    store = MemoryTokens()
    auth = api.auth(store, clock=lambda: 0.0)
    old = tokens_in(store)
    api.world.clock.advance(OVER)
    answer = colour.request(auth, "GET", f"{api.url}/private")
    new = tokens_in(store)
    assert old != new
    shown = [caplog.text, repr(auth), repr(store), repr(old), str(vars(auth)), repr(answer.history)]
    shown += [each.text for each in answer.history] + [each.path for each in api.gateway.seen]
    secrets = [old.access_token, old.refresh_token, new.access_token, new.refresh_token]
    assert [secret for secret in secrets for text in shown if secret in text] == []
    assert "HTTP Request: POST" in caplog.text  # there was something to look at


def test_kept_tokens_go_to_no_other_server(api: Api, other: Api, colour: Colour, tmp_path: Path) -> None:
    """A file of another server's, picked up by mistake, is neither sent nor thrown away."""
    file = FileTokens(tmp_path / "tokens.json")
    theirs = api.auth(store=file)
    kept = tokens_in(file)
    ours = KeyturnAuth(f"{other.url}/auth", store=FileTokens(tmp_path / "tokens.json"))
    with pytest.raises(ConfigurationError, match="are for") as refused:
        colour.request(ours, "GET", f"{other.url}/private")
    assert kept.refresh_token not in str(refused.value)
    with pytest.raises(ConfigurationError, match="are for"):
        ours.logout()
    assert other.gateway.seen == []
    assert tokens_in(file) == kept
    assert colour.request(theirs, "GET", f"{api.url}/private").status_code == 200
    ours.login("ann", PASSWORD)  # a new session in place of the other
    assert colour.request(ours, "GET", f"{other.url}/private").status_code == 200
