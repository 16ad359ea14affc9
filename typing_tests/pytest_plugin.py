"""What a type checker must infer in the tests of an application. Not meant to be run."""

from __future__ import annotations

from typing import Any, assert_type

from anyio.from_thread import BlockingPortal

from keyturn import AsyncTokenManager, KeyturnError, ReuseDetected, SessionInfo, TokenManager, TokenPair
from keyturn import StoreUnavailable as OutageError
from keyturn.events import Event, Refreshed, StoreUnavailable
from keyturn.lab import AsyncLab, AsyncSignedIn, Lab, ManualClock, OwnLoop, Portal, SignedIn


def test_plain(keyturn: Lab) -> None:
    """Without `await`."""
    ann = keyturn.login_as("ann", claims={"roles": ["member"]}, device={"name": "Firefox"}, context="Firefox")
    assert_type(ann, SignedIn)
    assert_type(ann.access_token, str)
    assert_type(ann.user_id, str | None)
    assert_type(ann.headers, dict[str, str])
    assert_type(ann.lives, bool)
    assert_type(ann.info(), SessionInfo | None)
    assert_type(keyturn.steal(ann), SignedIn)
    assert_type(keyturn.steal("token"), SignedIn)
    race = keyturn.simulate_race(ann, tabs=3)
    assert_type(race.pairs, tuple[TokenPair, ...])
    assert_type(race.errors, tuple[KeyturnError, ...])
    assert_type(keyturn.simulate_lost_response(ann), TokenPair)
    assert_type(keyturn.clock, ManualClock)
    keyturn.clock.advance("1h")
    assert_type(keyturn.assert_event(ReuseDetected, kind="fork").user_id, str)
    assert_type(keyturn.assert_event(OutageError), StoreUnavailable)
    assert_type(keyturn.events.of(Refreshed), tuple[Refreshed, ...])
    assert_type(keyturn.events.of(OutageError), tuple[StoreUnavailable, ...])
    assert_type(keyturn.events.all, tuple[Event, ...])
    assert_type(keyturn.manager, TokenManager[Any] | AsyncTokenManager[Any])
    with keyturn.store_away():
        pass


async def test_awaited(async_keyturn: AsyncLab) -> None:
    """With `await`."""
    ann = await async_keyturn.login_as("ann")
    assert_type(ann, AsyncSignedIn)
    assert_type(await ann.lives, bool)
    assert_type(await ann.info(), SessionInfo | None)
    assert_type(async_keyturn.steal(ann), AsyncSignedIn)
    assert_type((await async_keyturn.simulate_race(ann)).converged, bool)
    assert_type(await async_keyturn.simulate_lost_response(ann), TokenPair)
    assert_type(async_keyturn.assert_event(Refreshed), Refreshed)


def portals(portal: BlockingPortal, manager: AsyncTokenManager) -> None:
    """What test clients have is a way into their loop."""
    named: Portal = portal
    named.call(manager.close)
    assert_type(OwnLoop().call(manager.flush), bool)
