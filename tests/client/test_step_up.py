"""A recent sign-in for what needs one: within the session, whose refresh token stays what it is."""

from __future__ import annotations

import pytest

from keyturn.client import (
    KeyturnAuth,
    LoginRefused,
    MemoryTokens,
    SignedOut,
    TemporarilyUnavailable,
    UnexpectedAnswer,
)
from keyturn.testing._http.world import PASSWORD
from tests.client.served import OVER, STEP_UP, Api, Colour, tokens_in


def ask(api: Api, colour: Colour, auth: KeyturnAuth) -> int:
    """Ask for what needs a recent sign-in."""
    return colour.request(auth, "GET", f"{api.url}/fresh").status_code


def test_a_step_up_opens_what_needs_a_recent_sign_in(api: Api, colour: Colour) -> None:
    """It is kept where the tokens are, and the next refresh has the moment of the first sign-in again."""
    store = MemoryTokens()
    auth = api.auth(store)
    before = tokens_in(store)
    api.world.clock.advance(600)
    assert ask(api, colour, auth) == 401
    assert api.refreshes == 0  # a fresh access token would not help
    colour.step_up(auth, "ann", PASSWORD)
    assert ask(api, colour, auth) == 200
    after = tokens_in(store)
    assert (after.refresh_token, after.session_id) == (before.refresh_token, before.session_id)
    assert after.access_token != before.access_token
    assert (after.asked_at, after.url) == (before.asked_at + 600, f"{api.url}/auth")
    api.world.clock.advance(OVER)
    assert ask(api, colour, auth) == 401
    assert api.refreshes == 1


@pytest.mark.parametrize(
    ("username", "password", "detail"),
    [
        ("ann", "wrong", "invalid_credentials"),
        ("bob", PASSWORD, "invalid_credentials"),
        ("", "", "invalid_request"),
    ],
)
def test_another_password_or_another_user_steps_nothing_up(
    api: Api, colour: Colour, username: str, password: str, detail: str
) -> None:
    """The session goes on as it was, and nothing is refreshed or tried again for it."""
    store = MemoryTokens()
    auth = api.auth(store)
    before = tokens_in(store)
    with pytest.raises(LoginRefused) as refused:
        colour.step_up(auth, username, password)
    assert refused.value.detail == detail
    assert tokens_in(store) == before
    assert (api.refreshes, api.gateway.count(STEP_UP)) == (0, 1 if username else 0)


def test_an_access_token_that_is_over_or_refused_is_refreshed_first(api: Api, colour: Colour) -> None:
    """Once; by this machine's clock, or because the server says so."""
    store = MemoryTokens()
    auth = api.auth(store)
    api.world.clock.advance(OVER)
    colour.step_up(auth, "ann", PASSWORD)
    assert (api.refreshes, api.gateway.count(STEP_UP)) == (1, 1)
    standing = api.signed_out(store, clock=lambda: tokens_in(store).asked_at)
    api.world.clock.advance(OVER)
    colour.step_up(standing, "ann", PASSWORD)
    assert (api.refreshes, api.gateway.count(STEP_UP)) == (2, 3)
    assert ask(api, colour, standing) == 200


def test_tokens_that_another_has_stored_are_refreshed_where_refused(api: Api, colour: Colour) -> None:
    """What was refused is what the store had, and not what this client has seen last."""
    store = MemoryTokens()
    standing = api.world.clock()
    first, second = api.auth(store), api.signed_out(store, clock=lambda: standing)
    assert ask(api, colour, second) == 200
    api.world.clock.advance(OVER)
    assert ask(api, colour, first) == 401  # it has refreshed, and the sign-in is not recent
    api.world.clock.advance(OVER)
    colour.step_up(second, "ann", PASSWORD)
    assert ask(api, colour, second) == 200


def test_a_session_that_is_over_is_not_stepped_up(api: Api, colour: Colour) -> None:
    """Whoever is signed out signs in anew."""
    store = MemoryTokens()
    auth = api.auth(store)
    thief = api.signed_out(MemoryTokens())
    held = tokens_in(store)
    thief.adopt(held.access_token, held.refresh_token, 900)
    thief.logout()
    with pytest.raises(SignedOut):
        colour.step_up(auth, "ann", PASSWORD)
    assert store.load() is None
    with pytest.raises(SignedOut):
        colour.step_up(auth, "ann", PASSWORD)


def test_another_process_that_signs_out_signs_out_here(api: Api, colour: Colour) -> None:
    """An empty store is not made up for by what this client remembers."""
    store = MemoryTokens()
    auth = api.auth(store)
    store.clear()
    with pytest.raises(SignedOut):
        colour.step_up(auth, "ann", PASSWORD)
    with pytest.raises(SignedOut):
        ask(api, colour, auth)


def test_a_server_that_refuses_its_own_fresh_tokens_signs_in_nobody(api: Api, colour: Colour) -> None:
    """Another audience's endpoint, say: that is said, and not tried for ever."""
    auth = api.auth()
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    api.gateway.next(STEP_UP, 401, 401, headers=challenge)
    with pytest.raises(SignedOut):
        colour.step_up(auth, "ann", PASSWORD)
    assert (api.refreshes, api.gateway.count(STEP_UP)) == (1, 2)


@pytest.mark.parametrize(("status", "error"), [(503, TemporarilyUnavailable), (404, UnexpectedAnswer)])
def test_trouble_is_told_and_loses_nothing(
    api: Api, colour: Colour, status: int, error: type[Exception]
) -> None:
    """As at a sign-in, which is tried once."""
    store = MemoryTokens()
    auth = api.auth(store)
    before = tokens_in(store)
    api.gateway.next(STEP_UP, status)
    with pytest.raises(error):
        colour.step_up(auth, "ann", PASSWORD)
    assert tokens_in(store) == before
    assert api.gateway.count(STEP_UP) == 1
