"""Tokens are fresh when they are needed: before they expire, after a 401, by the client's own clock."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse

from keyturn import AsyncTokenManager, KeyRing
from keyturn.client import KeyturnAuth, LoginRefused, MemoryTokens, SignedOut, UnexpectedAnswer
from keyturn.errors import UserInactive
from keyturn.starlette import Keyturn
from keyturn.stores.memory import AsyncMemoryStore
from keyturn.testing._http.world import PASSWORD
from keyturn.testing.clock import ManualClock
from keyturn.testing.http_suite import check_password
from tests.client.served import (
    ACCESS_TTL,
    LOGIN,
    LOGOUT,
    OVER,
    REFRESH,
    Api,
    Colour,
    is_signed_out,
    tokens_in,
)

LONG_AGO = 1_000_000_000.0


def bearer_of(answer: httpx.Response) -> str:
    """Give what a request was signed with."""
    value: str = answer.request.headers["Authorization"]
    return value


def test_a_request_is_signed(api: Api, colour: Colour) -> None:
    """A signed-in client asks as its user, and refreshes nothing while the access token is good."""
    auth = api.auth()
    assert colour.request(auth, "GET", f"{api.url}/private").json() == {"user_id": "ann"}
    assert api.refreshes == 0


def test_sign_in_and_out_work_in_both_colours(api: Api, colour: Colour) -> None:
    """After a sign-out the session is over at the server, the store is empty, and requests say so."""
    store = MemoryTokens()
    auth = api.auth(store)
    held = tokens_in(store)
    colour.logout(auth)
    assert store.load() is None
    assert is_signed_out(colour, auth, f"{api.url}/private")
    stolen = httpx.post(f"{api.url}{REFRESH}", json={"refresh_token": held.refresh_token}, trust_env=False)
    assert stolen.json()["error"] == "invalid_grant"
    colour.logout(auth)  # nobody is signed in: nothing to do
    assert api.gateway.count(LOGOUT) == 1


@pytest.mark.parametrize(
    ("username", "password"),
    [("", PASSWORD), ("ann", ""), ("a" * 256, PASSWORD), ("ann", "x" * 70_000), ("\ud800", PASSWORD)],
)
def test_what_can_be_no_name_or_password_is_refused(api: Api, username: str, password: str) -> None:
    """As a wrong one is: whoever shows people a form has one error to catch."""
    with pytest.raises(LoginRefused):
        api.signed_out().login(username, password)


async def test_a_task_signs_in(api: Api) -> None:
    """The asynchronous twin of `login` does the same."""
    store = MemoryTokens()
    await api.signed_out(store).login_async("ann", PASSWORD)
    assert store.load() is not None


def test_it_refreshes_before_the_end(api: Api, colour: Colour) -> None:
    """With the default of thirty seconds: not a moment earlier, and then before the request is sent."""
    auth = api.auth()
    api.world.clock.advance(ACCESS_TTL - 31)
    colour.request(auth, "GET", f"{api.url}/private")
    assert api.refreshes == 0
    api.world.clock.advance(1)
    answer = colour.request(auth, "GET", f"{api.url}/private")
    assert (answer.status_code, api.refreshes, answer.history) == (200, 1, [])


def test_it_refreshes_as_early_as_it_is_told(api: Api, colour: Colour) -> None:
    """`refresh_before` is a setting, and never more than half of a token's life."""
    early, greedy = api.auth(refresh_before="5m"), api.auth(refresh_before="1h")
    api.world.clock.advance(ACCESS_TTL / 2 - 1)
    for auth in (early, greedy):
        colour.request(auth, "GET", f"{api.url}/private")
    assert api.refreshes == 0
    api.world.clock.advance(1)
    colour.request(greedy, "GET", f"{api.url}/private")
    assert api.refreshes == 1
    api.world.clock.advance(ACCESS_TTL / 2 - 5 * 60)
    colour.request(early, "GET", f"{api.url}/private")
    assert api.refreshes == 2


@pytest.mark.parametrize("start", [LONG_AGO, 4 * LONG_AGO])
def test_a_wrong_clock_does_no_harm(api: Api, colour: Colour, start: float) -> None:
    """The client's clock may be decades off in either direction: it is compared with itself alone."""
    clock = ManualClock(start)
    auth = api.auth(clock=clock)
    for _ in range(3):
        for each in (clock, api.world.clock):
            each.advance(ACCESS_TTL - 31)
        answers = [colour.request(auth, "GET", f"{api.url}/private") for _ in range(2)]
        assert [(one.status_code, one.history) for one in answers] == [(200, [])] * 2
        for each in (clock, api.world.clock):
            each.advance(31)
        answer = colour.request(auth, "GET", f"{api.url}/private")
        assert (answer.status_code, answer.history) == (200, [])
    assert api.refreshes == 3


def test_a_clock_that_stands_still_is_made_up_for(api: Api, colour: Colour) -> None:
    """Where the client does not notice that its token has expired, a 401 says so, which no caller sees."""
    auth = api.auth(clock=ManualClock())
    api.world.clock.advance(OVER)
    answer = colour.request(auth, "GET", f"{api.url}/private")
    assert (answer.status_code, api.refreshes) == (200, 1)
    assert [each.status_code for each in answer.history] == [401]


def test_a_second_401_is_the_callers(api: Api, colour: Colour) -> None:
    """A request is sent twice at most: what is refused with fresh tokens, too, is refused."""
    auth = api.auth()
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    api.gateway.next("/private", 401, 401, headers=challenge)
    answer = colour.request(auth, "GET", f"{api.url}/private")
    assert (answer.status_code, api.refreshes, api.gateway.count("/private")) == (401, 1, 2)
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200


@pytest.mark.parametrize("challenge", ["Basic", 'Bearer error="insufficient_user_authentication"'])
def test_a_401_that_means_something_else_is_the_callers(api: Api, colour: Colour, challenge: str) -> None:
    """Where fresh tokens would not help, none are fetched."""
    auth = api.auth()
    api.gateway.next("/private", 401, headers={"WWW-Authenticate": challenge})
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 401
    assert api.refreshes == 0


def test_a_403_refreshes_nothing(api: Api, colour: Colour) -> None:
    """A token that does not reach far enough is not refreshed: it would reach no farther."""
    auth = api.auth()
    api.gateway.next("/private", 403, headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'})
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 403
    assert api.refreshes == 0


def test_what_somebody_else_refreshed_is_used(api: Api, colour: Colour) -> None:
    """A 401 for a token that another client of the store has replaced meanwhile only leads to the new one."""
    store = MemoryTokens()
    first = api.auth(store, clock=ManualClock())
    second = api.signed_out(store)
    old = bearer_of(colour.request(first, "GET", f"{api.url}/private"))
    api.world.clock.advance(OVER)
    fresh = bearer_of(colour.request(second, "GET", f"{api.url}/private"))
    assert (api.refreshes, fresh != old) == (1, True)
    answer = colour.request(first, "GET", f"{api.url}/private")
    assert (answer.status_code, api.refreshes, bearer_of(answer)) == (200, 1, fresh)


def test_a_refused_refresh_token_signs_out(api: Api, colour: Colour) -> None:
    """A revoked session ends in `SignedOut`, the store is cleared, and the server is not asked again."""
    store = MemoryTokens()
    auth = api.auth(store)
    held = tokens_in(store)
    httpx.post(f"{api.url}{LOGOUT}", json={"refresh_token": held.refresh_token}, trust_env=False)
    with pytest.raises(SignedOut) as caught:
        colour.request(auth, "GET", f"{api.url}/private")
    assert (caught.value.http_status, caught.value.code) == (401, "signed_out")
    assert store.load() is None
    assert is_signed_out(colour, auth, f"{api.url}/private")
    assert api.refreshes == 1


async def test_a_user_who_may_not_sign_in_any_more_is_signed_out() -> None:
    """The server ends such a user's sessions at the refresh: to the client that is a sign-out, no login."""

    def load_claims(_: str) -> dict[str, object]:
        raise UserInactive

    manager = AsyncTokenManager(
        store=AsyncMemoryStore(), keys=KeyRing.generate(), issuer="i", audience="a", load_claims=load_claims
    )
    server = Keyturn(manager, login=check_password)
    transport = httpx.ASGITransport(Starlette(routes=server.routes))
    store = MemoryTokens()
    auth = KeyturnAuth("https://api.example.com/auth", async_transport=transport, store=store)
    await auth.login_async("ann", PASSWORD)
    held = tokens_in(store)
    await auth.adopt_async(held.access_token, held.refresh_token, 0)
    async with httpx.AsyncClient(auth=auth, transport=transport) as client:
        with pytest.raises(SignedOut):
            await client.get("https://api.example.com/auth/me")
    assert store.load() is None


def test_an_errors_code_is_shown(api: Api) -> None:
    """What Keyturn answers is named by its code: it is no mistake in the URL."""
    api.gateway.planned.append((LOGIN, JSONResponse({"error": "csrf_failed"}, 403)))
    with pytest.raises(UnexpectedAnswer, match=r"^The server answered 403 csrf_failed\.$"):
        api.signed_out().login("ann", PASSWORD)
    with pytest.raises(UnexpectedAnswer, match="is the URL right"):
        KeyturnAuth(f"{api.url}/wrong").login("ann", PASSWORD)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": "invalid_request"}),
        (401, {}),
        (400, {"error": "invalid_request"}),
        (403, {"error": "csrf_failed"}),
        (404, {}),
        (200, {}),
        (200, {"access_token": "a\r\nX: y", "refresh_token": "r", "expires_in": 900}),
        (200, {"access_token": "a", "refresh_token": "r", "expires_in": "900"}),
        (200, {"access_token": "a", "expires_in": 900}),
        (200, {"access_token": "a", "refresh_token": "r", "expires_in": 900, "token_type": "DPoP"}),
        (307, {}),
    ],
)
def test_no_other_answer_signs_out(api: Api, colour: Colour, status: int, body: dict[str, object]) -> None:
    """Whatever else answers is an error that says so, and the tokens are kept."""
    store = MemoryTokens()
    auth = api.auth(store)
    before = store.load()
    api.world.clock.advance(OVER)
    headers = {"Location": f"{api.url}/elsewhere"}
    api.gateway.planned.append((REFRESH, JSONResponse(body, status, headers)))
    with pytest.raises(UnexpectedAnswer):
        colour.request(auth, "GET", f"{api.url}/private")
    assert store.load() == before
    assert api.gateway.count("/elsewhere") == 0
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200


def test_nobody_is_signed_in_at_first(api: Api, colour: Colour) -> None:
    """Without tokens a request is not sent at all, and the error says what to do; `auth=None` sends it."""
    auth = api.signed_out()
    with pytest.raises(SignedOut, match="Nobody is signed in"):
        colour.request(auth, "GET", f"{api.url}/private")
    assert api.gateway.seen == []
    with httpx.Client(auth=auth, trust_env=False) as client:
        assert client.get(f"{api.url}/private", auth=None).status_code == 401


def test_tokens_from_elsewhere_are_adopted(api: Api, colour: Colour) -> None:
    """What was got in another way is kept and refreshed like one's own."""
    store = MemoryTokens()
    api.auth(store)
    got = tokens_in(store)
    auth = api.signed_out()
    auth.adopt(got.access_token, got.refresh_token, 0)
    assert colour.request(auth, "GET", f"{api.url}/private").status_code == 200
    assert api.refreshes == 1


async def test_a_task_adopts(api: Api) -> None:
    """The asynchronous twin of `adopt` does the same."""
    store = MemoryTokens()
    await api.signed_out(store).adopt_async("access", "refresh", 60, session_id="s")
    held = tokens_in(store)
    assert (held.access_token, held.refresh_token, held.expires_in, held.session_id) == (
        "access",
        "refresh",
        60,
        "s",
    )


def test_endpoints_are_always_asked_by_one_name(api: Api, colour: Colour) -> None:
    """The server compares clients by their user agent, so all requests of a session have the same."""
    auth = api.auth(user_agent="orders-cli/1")
    api.world.clock.advance(OVER)
    colour.request(auth, "GET", f"{api.url}/private")
    colour.logout(auth)
    asked = [each for each in api.gateway.seen if each.path.startswith("/auth/")]
    assert [each.headers["user-agent"] for each in asked] == ["orders-cli/1"] * 3
    assert not any("cookie" in each.headers for each in asked)


def test_the_url_may_end_with_a_slash(api: Api) -> None:
    """One slash more or less leads to the same endpoints."""
    auth = KeyturnAuth(f"{api.url}/auth/")
    auth.login("ann", PASSWORD)
    assert api.gateway.seen[-1].path == "/auth/login"
