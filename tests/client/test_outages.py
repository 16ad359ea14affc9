"""Trouble that passes signs nobody out: it is waited for, within bounds, and then it is called what it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from email.utils import formatdate
from urllib.parse import urlsplit

import httpx
import pytest

from keyturn.client import (
    KeyturnAuth,
    LoginRefused,
    MemoryTokens,
    TemporarilyUnavailable,
    Tokens,
)
from keyturn.errors import ConfigurationError
from keyturn.testing._http.world import PASSWORD, WAIT_SECONDS
from keyturn.testing.faults import BEFORE
from keyturn.testing.proxy import Proxy
from tests.client.served import ACCESS_TTL, LOGIN, LOGOUT, OVER, REFRESH, Api, Colour, tokens_in

BODY = b'"refresh_token"'


@pytest.fixture
def proxy(api: Api) -> Iterator[Proxy]:
    """A network before the server, which can be told to lose things."""
    with Proxy(urlsplit(api.url).port or 0) as proxy:
        yield proxy


def behind(proxy: Proxy, api: Api) -> tuple[KeyturnAuth, str, MemoryTokens, Tokens]:
    """Give an auth whose requests go through a network, the URL to ask, its store and its tokens, expired."""
    url, store = proxy.url(api.url), MemoryTokens()
    auth = KeyturnAuth(f"{url}/auth", store=store, clock=api.world.clock, sleep=lambda _: None)
    auth.login("ann", PASSWORD)
    api.world.clock.advance(OVER)
    return auth, f"{url}/private", store, tokens_in(store)


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_what_passes_is_waited_for(api: Api, colour: Colour, status: int) -> None:
    """Back-off grows, has jitter, and ends with the answer; the caller sees nothing of it."""
    slept: list[float] = []
    auth = api.auth(sleep=slept.append)
    api.world.clock.advance(OVER)
    api.gateway.next(REFRESH, status, status, status)
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert api.refreshes == 4
    assert [low <= pause <= 1.5 * low for low, pause in zip((0.5, 1, 2), slept, strict=True)] == [True] * 3


def test_a_store_outage_is_waited_for(api: Api, colour: Colour) -> None:
    """What Keyturn's own server says while its store is away is understood: 503 with `Retry-After`."""
    slept: list[float] = []
    auth = api.auth(sleep=slept.append)
    api.world.clock.advance(OVER)
    api.world.plan.next(BEFORE, method="rotate")
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert len(slept) == 1
    assert 1 <= slept[0] <= 1.5


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(api: Api, colour: Colour, form: str) -> None:
    """In both forms: never earlier than the server asks; a date counts from the server's own clock."""
    slept: list[float] = []
    auth = api.auth(sleep=slept.append)
    api.world.clock.advance(OVER)
    wanted = "7" if form == "seconds" else formatdate(time.time() + 7, usegmt=True)
    api.gateway.next(REFRESH, 429, headers={"Retry-After": wanted})
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert len(slept) == 1
    slack = 0 if form == "seconds" else 2  # a date has whole seconds, and time goes by
    assert 7 - slack <= slept[0] <= 1.5 * 7


@pytest.mark.parametrize("wanted", ["soon", "-1", "1e9", ""])
def test_a_strange_retry_after_is_passed_over(api: Api, colour: Colour, wanted: str) -> None:
    """What is no number of seconds and no date says nothing."""
    slept: list[float] = []
    auth = api.auth(sleep=slept.append)
    api.world.clock.advance(OVER)
    api.gateway.next(REFRESH, 503, headers={"Retry-After": wanted})
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert len(slept) == 1
    assert slept[0] <= 1


async def test_a_task_may_await_its_pause(api: Api) -> None:
    """With asyncio `sleep` may be a coroutine function."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)
        slept.append(seconds)

    auth = api.signed_out(sleep=sleep)
    await auth.login_async("ann", PASSWORD)
    api.world.clock.advance(OVER)
    api.gateway.next(REFRESH, 503)
    async with httpx.AsyncClient(auth=auth, trust_env=False) as client:
        assert (await client.get(f"{api.url}/private")).status_code == 200
    assert len(slept) == 1


def test_a_long_wait_is_the_callers(api: Api, colour: Colour) -> None:
    """A server that wants to be left alone for long is: the error comes at once, and says for how long."""
    slept: list[float] = []
    store = MemoryTokens()
    auth = api.auth(store, sleep=slept.append)
    before = store.load()
    api.world.clock.advance(OVER)
    api.gateway.next(REFRESH, 429, headers={"Retry-After": "60"})
    with pytest.raises(TemporarilyUnavailable) as caught:
        colour.request(auth, "GET", f"{api.url}/private")
    assert (caught.value.retry_after, caught.value.detail, slept) == (60, "429", [])
    assert (store.load(), api.refreshes) == (before, 1)


def test_an_outage_that_lasts_is_an_error_of_its_own(api: Api, colour: Colour) -> None:
    """After the last attempt: not a word of signing in, the tokens kept, and the request was never sent."""
    store = MemoryTokens()
    auth = api.auth(store)
    before = store.load()
    api.world.clock.advance(OVER)
    api.gateway.next(REFRESH, *[503] * 4)
    with pytest.raises(TemporarilyUnavailable) as caught:
        colour.request(auth, "GET", f"{api.url}/private")
    assert (caught.value.http_status, caught.value.detail) == (503, "503")
    assert "sign" not in str(caught.value)
    assert (store.load(), api.refreshes, api.gateway.count("/private")) == (before, 4, 0)
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200


def test_an_early_refresh_that_fails_costs_nothing(api: Api, colour: Colour) -> None:
    """While the old access token is good, an outage is no reason to wait, to fail or to ask all the time."""
    slept: list[float] = []
    auth = api.auth(sleep=slept.append)
    api.world.clock.advance(ACCESS_TTL - 20)
    api.gateway.next(REFRESH, 503, 404)
    for _ in range(3):
        assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert (api.refreshes, slept) == (1, [])
    api.world.clock.advance(1)
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert (api.refreshes, slept) == (2, [])
    api.world.clock.advance(1)
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert api.refreshes == 3
    api.world.clock.advance(ACCESS_TTL - 40)
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert api.refreshes == 3  # the third brought fresh ones


@pytest.mark.parametrize("loss", ["answer", "request"])
def test_what_the_network_loses_is_repeated(api: Api, colour: Colour, proxy: Proxy, loss: str) -> None:
    """A lost answer is asked for again with the same token: that leads to the same successor, to no theft."""
    auth, url, _, _ = behind(proxy, api)
    proxy.lose("answer" if loss == "answer" else "request", to=BODY)
    assert colour.request(auth, "GET", url).status_code == 200
    assert proxy.lost == 1
    for _ in range(2):
        api.world.clock.advance(OVER)
        assert colour.request(auth, "GET", url).status_code == 200


def test_a_network_that_loses_everything_is_the_callers(api: Api, colour: Colour, proxy: Proxy) -> None:
    """After the last attempt httpx's own error comes through, without the body, and the tokens are kept."""
    auth, url, store, before = behind(proxy, api)
    proxy.lose("answer", 4, to=BODY)
    with pytest.raises(httpx.TransportError) as caught:
        colour.request(auth, "GET", url)
    assert caught.value.request.url.path == REFRESH
    assert caught.value.request.read() == b""
    assert (proxy.lost, store.load()) == (4, before)
    assert colour.request(auth, "GET", url).status_code == 200


def test_nobody_there_is_the_callers(api: Api, colour: Colour, proxy: Proxy) -> None:
    """So does the error of a server that does not listen; when it is back, so are we."""
    auth, url, store, before = behind(proxy, api)
    proxy.refuse()
    with pytest.raises(httpx.ConnectError):
        colour.request(auth, "GET", url)
    assert store.load() == before
    proxy.listen()
    assert colour.request(auth, "GET", url).status_code == 200


class FullDisk(MemoryTokens):
    """A store of an application that cannot write for a while."""

    full = False

    def save(self, tokens: Tokens, /) -> None:
        """See `TokenStore.save`."""
        if self.full:
            raise ConfigurationError("the disk is full")
        super().save(tokens)


def test_what_cannot_be_saved_is_not_used(api: Api, colour: Colour) -> None:
    """New tokens that would be lost in a crash are not sent, so the old ones lead to them still."""
    store = FullDisk()
    auth = api.auth(store)
    before = tokens_in(store)
    api.world.clock.advance(OVER)
    store.full = True
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="full"):
            colour.request(auth, "GET", f"{api.url}/private")
    assert (store.load(), api.gateway.count("/private")) == (before, 0)
    store.full = False
    for _ in range(2):
        assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
        api.world.clock.advance(OVER)


def test_an_outage_of_the_application_is_no_business_of_ours(api: Api, colour: Colour) -> None:
    """Answers to the requests themselves are handed on, whatever they are: nothing is repeated."""
    auth = api.auth()
    api.gateway.next("/private", 503)
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 503
    assert (api.refreshes, api.gateway.count("/private")) == (0, 1)


def test_a_wrong_password_is_said(api: Api) -> None:
    """Nothing is kept, and the error names neither the user nor the password."""
    store = MemoryTokens()
    auth = api.signed_out(store)
    with pytest.raises(LoginRefused) as caught:
        auth.login("ann", "a wrong password")
    assert str(caught.value) == "The user name or the password is wrong."
    assert store.load() is None


def test_a_sign_in_is_tried_once(api: Api) -> None:
    """A password is not sent again and again: who waits for how long is the caller's."""
    slept: list[float] = []
    auth = api.signed_out(sleep=slept.append)
    api.gateway.next(LOGIN, 429, headers={"Retry-After": f"{WAIT_SECONDS:.0f}"})
    with pytest.raises(TemporarilyUnavailable) as caught:
        auth.login("ann", PASSWORD)
    assert caught.value.retry_after == round(WAIT_SECONDS)
    assert (api.gateway.count(LOGIN), slept) == (1, [])


def test_signing_out_forgets_the_tokens_in_any_case(api: Api, colour: Colour) -> None:
    """Where the server cannot be told, that is an error; but this machine holds no tokens any more."""
    store = MemoryTokens()
    auth = api.auth(store)
    api.gateway.next(LOGOUT, *[503] * 4)
    with pytest.raises(TemporarilyUnavailable):
        colour.logout(auth)
    assert (store.load(), api.gateway.count(LOGOUT)) == (None, 4)


def test_signing_out_is_tried_again(api: Api, colour: Colour) -> None:
    """A sign-out that meets an outage is repeated: a session that lives on unnoticed is what nobody wants."""
    store = MemoryTokens()
    auth = api.auth(store)
    held = tokens_in(store)
    api.gateway.next(LOGOUT, 503)
    colour.logout(auth)
    assert api.gateway.count(LOGOUT) == 2
    answer = httpx.post(f"{api.url}{REFRESH}", json={"refresh_token": held.refresh_token}, trust_env=False)
    assert answer.json()["error"] == "invalid_grant"
