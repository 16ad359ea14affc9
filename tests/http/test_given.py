"""Holds that what is handed in by mistake is refused at once, in words that say what to write."""

from __future__ import annotations

from typing import Any, cast

import pytest

from keyturn import AsyncTokenManager, ConfigurationError, KeyRing, TokenManager
from keyturn.http import AsyncEndpoints, AsyncGuard, Endpoints, Guard
from keyturn.stores.memory import AsyncMemoryStore, MemoryStore
from keyturn.testing.http_suite import World

RING = KeyRing.generate()
NAMES: dict[str, Any] = {"issuer": "https://i.example", "audience": "api"}


@pytest.mark.parametrize("kind", [Endpoints, Guard])
def test_threads_need_a_manager_for_threads(kind: Any) -> None:
    """Of the other colour, its answers would be coroutines that nobody awaits."""
    said = "has threads: give a TokenManager, not an AsyncTokenManager"
    with pytest.raises(ConfigurationError, match=said):
        kind(World().async_manager())


@pytest.mark.parametrize("kind", [AsyncEndpoints, AsyncGuard])
def test_an_event_loop_needs_a_manager_for_it(kind: Any) -> None:
    """Of the other colour, its answers could not be awaited."""
    said = "has an event loop: give an AsyncTokenManager, not a TokenManager"
    with pytest.raises(ConfigurationError, match=said):
        kind(World().manager())


@pytest.mark.parametrize("kind", [Endpoints, Guard, AsyncEndpoints, AsyncGuard])
@pytest.mark.parametrize(
    ("manager", "said"),
    [(None, "not None"), (TokenManager, "not the class TokenManager"), ("x", "not a str")],
)
def test_what_is_no_manager_is_refused(kind: Any, manager: Any, said: str) -> None:
    """A class among it, which has the same methods."""
    with pytest.raises(ConfigurationError, match=said):
        kind(manager)


def test_a_login_that_nobody_awaits_is_refused() -> None:
    """And so is what cannot be called, in both colours."""

    async def check(username: str, password: str) -> None:
        """Accept nobody."""

    with pytest.raises(ConfigurationError, match="a plain def, not an async def"):
        Endpoints(World().manager(), login=cast("Any", check))
    AsyncEndpoints(World().async_manager(), login=check)
    wrong: Any = "check"
    with pytest.raises(ConfigurationError, match="login must be a function"):
        Endpoints(World().manager(), login=wrong)
    with pytest.raises(ConfigurationError, match="login must be a function"):
        AsyncEndpoints(World().async_manager(), login=wrong)


def test_settings_are_http_settings() -> None:
    """In each of the four; a dict of them is not taken."""
    settings: Any = {"prefix": "/auth"}
    for kind in (Endpoints, Guard):
        with pytest.raises(ConfigurationError, match="settings must be HttpSettings"):
            kind(World().manager(), settings=settings)
    for twin in (AsyncEndpoints, AsyncGuard):
        with pytest.raises(ConfigurationError, match="settings must be HttpSettings"):
            twin(World().async_manager(), settings=settings)


@pytest.mark.parametrize(
    ("kind", "store", "said"),
    [
        (TokenManager, AsyncMemoryStore(), "use AsyncTokenManager"),
        (AsyncTokenManager, MemoryStore(), "use TokenManager"),
        (TokenManager, MemoryStore, "not the class itself"),
        (AsyncTokenManager, AsyncMemoryStore, "not the class itself"),
        (TokenManager, None, "not a NoneType"),
        (AsyncTokenManager, "memory://", "not a str"),
    ],
)
def test_a_manager_takes_a_store_of_its_own_colour(kind: Any, store: Any, said: str) -> None:
    """At once: the first sign-in would else fail with an error of Python's."""
    with pytest.raises(ConfigurationError, match=said):
        kind(store=store, keys=RING, **NAMES)


@pytest.mark.parametrize("keys", ["a secret of the application", b"secret", None, KeyRing, {"kty": "oct"}])
@pytest.mark.parametrize(
    ("kind", "store"), [(TokenManager, MemoryStore), (AsyncTokenManager, AsyncMemoryStore)]
)
def test_a_manager_takes_a_key_ring(kind: Any, store: Any, keys: Any) -> None:
    """The error says what makes one of a secret, and does not hold the secret."""
    with pytest.raises(ConfigurationError, match=r"KeyRing\.from_secret") as caught:
        kind(store=store(), keys=keys, **NAMES)
    assert "secret of the application" not in str(caught.value)
