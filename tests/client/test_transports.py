"""Refreshes travel by the transport that the user names, also to an application in this process."""

from __future__ import annotations

import asyncio

import flask
import httpx
import pytest

from keyturn.client import KeyturnAuth
from keyturn.errors import ConfigurationError
from keyturn.flask import Keyturn, auth_required
from keyturn.testing._http.world import PASSWORD
from keyturn.testing.http_suite import World, check_password
from tests.client.served import OVER, REFRESH, Gateway, application

URL = "https://api.example.com"


async def test_an_asgi_application_in_this_process() -> None:
    """`httpx.ASGITransport` takes the refreshes, and no socket is opened."""
    world, gateway = World(), Gateway()
    transport = httpx.ASGITransport(application(world, gateway))
    auth = KeyturnAuth(f"{URL}/auth", async_transport=transport, clock=world.clock)
    await auth.login_async("ann", PASSWORD)
    async with httpx.AsyncClient(auth=auth, transport=transport, base_url=URL) as client:
        for _ in range(2):
            world.clock.advance(OVER)
            assert (await client.get("/private")).json() == {"user_id": "ann"}
    assert gateway.count(REFRESH) == 2
    await auth.logout_async()


def test_a_wsgi_application_in_this_process() -> None:
    """So does `httpx.WSGITransport`."""
    world = World()
    app = flask.Flask(__name__)
    Keyturn(world.manager(), login=check_password).init_app(app)

    @app.get("/private")
    @auth_required()
    def private() -> str:
        return "yes"

    transport = httpx.WSGITransport(app)
    auth = KeyturnAuth(f"{URL}/auth", transport=transport, clock=world.clock)
    auth.login("ann", PASSWORD)
    with httpx.Client(auth=auth, transport=transport, base_url=URL) as client:
        world.clock.advance(OVER)
        assert client.get("/private").text == "yes"
    auth.logout()


def test_a_mock_serves_both_colours() -> None:
    """A transport that is both need be given once."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == REFRESH:
            return httpx.Response(200, json={"access_token": "b", "refresh_token": "s", "expires_in": 900})
        return httpx.Response(200, text=request.headers["Authorization"])

    mock = httpx.MockTransport(answer)
    base = f"{URL}/auth"
    for auth in (KeyturnAuth(base, transport=mock), KeyturnAuth(base, async_transport=mock)):
        auth.adopt("a", "r", 0)
        with httpx.Client(auth=auth, transport=mock) as client:
            assert client.get(URL).text == "Bearer b"

        async def ask(auth: KeyturnAuth = auth) -> str:
            auth.adopt("a", "r", 0)
            async with httpx.AsyncClient(auth=auth, transport=mock) as client:
                return (await client.get(URL)).text

        assert asyncio.run(ask()) == "Bearer b"


async def test_the_other_colour_goes_no_way_of_its_own() -> None:
    """Where a transport was named for one colour, the other does not take httpx's own in silence."""
    world = World()
    asgi = KeyturnAuth(f"{URL}/auth", async_transport=httpx.ASGITransport(application(world, Gateway())))
    with pytest.raises(ConfigurationError, match="transport="):
        asgi.login("ann", PASSWORD)
    wsgi = KeyturnAuth(f"{URL}/auth", transport=httpx.WSGITransport(flask.Flask(__name__)))
    with pytest.raises(ConfigurationError, match="async_transport="):
        await wsgi.login_async("ann", PASSWORD)


def test_a_transport_is_its_owners() -> None:
    """It is not closed after a refresh."""

    class Watched(httpx.MockTransport):
        closed = False

        def close(self) -> None:
            self.closed = True

    body = {"access_token": "b", "refresh_token": "s", "expires_in": 900}
    transport = Watched(lambda _: httpx.Response(200, json=body))
    auth = KeyturnAuth(f"{URL}/auth", transport=transport)
    auth.login("ann", "x")
    auth.logout()
    assert not transport.closed


@pytest.mark.parametrize("attempts", [0, -1])
def test_at_least_one_attempt(attempts: int) -> None:
    """Fewer are a mistake."""
    with pytest.raises(ConfigurationError, match="attempts"):
        KeyturnAuth(f"{URL}/auth", attempts=attempts)
