"""Holds what the leaves for asyncio have alike, whatever their framework."""

from __future__ import annotations

from typing import Any

import pytest

from keyturn import ConfigurationError, aiohttp, fastapi, litestar, starlette
from keyturn.testing.http_suite import World

LEAVES: list[Any] = [aiohttp.Keyturn, fastapi.Keyturn, litestar.Keyturn, starlette.Keyturn]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__module__)
def test_a_leaf_shows_what_it_was_made_with(leaf: Any) -> None:
    """An application that has the one has the others; they cannot be exchanged."""
    world = World()
    manager = world.async_manager()
    auth = leaf(manager, settings=world.settings)
    assert (auth.manager, auth.settings) == (manager, world.settings)
    for name in ("manager", "settings"):
        with pytest.raises(AttributeError):
            setattr(auth, name, None)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__module__)
def test_a_leaf_takes_a_manager_of_its_colour(leaf: Any) -> None:
    """At once, and not at the first request."""
    with pytest.raises(ConfigurationError, match="give an AsyncTokenManager, not a TokenManager"):
        leaf(World().manager())
