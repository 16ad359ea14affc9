"""Refreshes travel by the transport that the user names, also to an application in this process."""

from __future__ import annotations

import asyncio

import flask
import httpx
import pytest

from keyturn.client import KeyturnAuth, MemoryTokens, TemporarilyUnavailable
from keyturn.client.renewing import Renewing, Terms
from keyturn.client.steps import BackOff, Join, Send, Work
from keyturn.client.tokens import Tokens
from keyturn.errors import ConfigurationError
from keyturn.flask import Keyturn, auth_required
from keyturn.testing._http.world import PASSWORD
from keyturn.testing.http_suite import World, check_password
from tests.client.served import OVER, REFRESH, Gateway, application

URL = "https://api.example.com"
TAKEN = True
TERMS = Terms(
    url=httpx.URL(f"{URL}/auth"), before=30, attempts=4, longest=10, user_agent="x", clock=lambda: 880.0
)


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


def test_who_must_have_tokens_does_not_take_a_hasty_no() -> None:
    """An early refresh gives up after one attempt; who was refused, and waited for it, then tries on."""
    stale = Tokens("a", "r", 0, 900)
    store = MemoryTokens()
    store.save(stale)
    renewing = Renewing(TERMS, store)
    hasty, other = renewing.current(), renewing.renewed(stale)
    assert isinstance(next(hasty), Work)  # loads
    assert isinstance(hasty.send(stale), Work)  # locks
    assert isinstance(next(other), Join)
    assert isinstance(hasty.send(TAKEN), Work)  # loads
    assert isinstance(hasty.send(stale), Send)
    assert isinstance(hasty.send(httpx.Response(503)), Work)  # unlocks
    with pytest.raises(StopIteration) as end:
        hasty.send(None)
    assert end.value.value == stale  # it goes on with what is good still
    assert isinstance(other.send(None), Work)  # locks
    assert isinstance(other.send(TAKEN), Work)  # loads
    assert isinstance(other.send(stale), Send)
    assert isinstance(other.throw(TemporarilyUnavailable()), BackOff)
    assert isinstance(other.send(None), Send)
    body = {"access_token": "b", "refresh_token": "s", "expires_in": 900}
    assert isinstance(other.send(httpx.Response(200, json=body)), Work)  # saves
    assert isinstance(other.send(None), Work)  # unlocks
    with pytest.raises(StopIteration) as end:
        other.send(None)
    assert end.value.value.access_token == "b"


def test_an_interrupt_between_two_steps_gives_up_the_lock() -> None:
    """Where nobody drives the steps any more, nobody else waits for them."""
    store = MemoryTokens()
    steps = Renewing(TERMS, store).adopted(Tokens("a", "r", 0, 900))
    next(steps)
    assert store.try_lock()
    assert isinstance(steps.send(TAKEN), Work)  # about to save
    steps.close()
    assert store.try_lock()
