"""A revocation on its way from one process to another, on every store and in both colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from keyturn import AccessTokenError, AsyncTokenManager, KeyRing, Policy, TokenManager, TokenPair
from keyturn.testing.colours import LoopThread
from keyturn.testing.wrappers import AsyncStoreWrapper, StoreWrapper
from tests.support.processes import wait_until
from tests.support.stores import STORES, StoreKind, async_opened, empty_place, opened

T = TypeVar("T")
RING = KeyRing.from_secret("a long secret of more than 32 bytes, for tests only")
POLICY = Policy(max_staleness="400ms")  # polls every 100 ms where nothing rings


class Counting(StoreWrapper):
    """A store whose calls are counted."""

    asked: Counter[str]

    def around(self, method: str, call: Callable[[], T]) -> T:
        """Count."""
        self.asked[method] += 1
        return call()


class AsyncCounting(AsyncStoreWrapper):
    """The same for asyncio."""

    asked: Counter[str]

    async def around(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Count."""
        self.asked[method] += 1
        return await call()


def is_refused(ask: Callable[[str], object], token: str) -> bool:
    """Tell whether a token is refused."""
    try:
        ask(token)
    except AccessTokenError:
        return True
    return False


def by_session(manager: TokenManager, pair: TokenPair, _: list[str]) -> None:
    """End a session."""
    manager.revoke(pair.session_id)


def by_user(manager: TokenManager, _: TokenPair, __: list[str]) -> None:
    """End all of a user's sessions."""
    manager.revoke_user("user-1")


def by_token(manager: TokenManager, _: TokenPair, tokens: list[str]) -> None:
    """Deny each token on its own."""
    for token in tokens:
        manager.deny(token)


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    """Run an event loop in a thread of its own."""
    with LoopThread() as running:
        yield running


@pytest.mark.parametrize("kind", STORES.values(), ids=STORES)
def test_a_revocation_reaches_the_other_process(
    kind: StoreKind, tmp_path: Path, request: pytest.FixtureRequest, loop: LoopThread
) -> None:
    """What one process revokes, another refuses soon, without having asked the store about the token."""
    with (
        empty_place(kind, request, tmp_path) as url,
        opened(kind, url) as here,
        opened(kind, url) as there,
        async_opened(kind, url, loop) as beyond,
    ):
        one = TokenManager(store=here, keys=RING, policy=POLICY, issuer="https://i", audience="api")
        counted, async_counted = Counting(there), AsyncCounting(beyond)
        counted.asked, async_counted.asked = Counter(), Counter()
        two = TokenManager(store=counted, keys=RING, policy=POLICY, issuer="https://i", audience="api")
        three = AsyncTokenManager(
            store=async_counted, keys=RING, policy=POLICY, issuer="https://i", audience="api"
        )
        for end in (by_session, by_user, by_token):
            pair = one.issue("user-1")
            tokens = [pair.access_token, one.renew(pair.access_token).access_token]
            two.start()
            loop.run(three.start())
            for token in tokens:
                two.authenticate(token)
                loop.run(three.authenticate(token))
            counted.asked.clear()
            async_counted.asked.clear()
            end(one, pair, tokens)
            for token in tokens:
                wait_until(partial(is_refused, two.authenticate, token), what="the refusal among threads")
                asked = partial(is_refused, lambda token: loop.run(three.authenticate(token)), token)
                wait_until(asked, what="the refusal in asyncio")
        assert counted.asked["check"] == async_counted.asked["check"] == 0
        one.close()
        two.close()
        loop.run(three.close())
