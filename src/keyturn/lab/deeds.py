"""What clients do with a session, for managers of either colour, once. It knows no test and no event loop.

Each deed is a coroutine. With a `TokenManager` it never waits, so that it can be carried out without a loop.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from keyturn.errors import InvalidToken, KeyturnError
from keyturn.lab.bench import Bench, Manager
from keyturn.lab.faults import LabError
from keyturn.lab.held import Held, Holding, held_by
from keyturn.lab.together import together
from keyturn.manager import AsyncTokenManager
from keyturn.results import SessionInfo, TokenPair

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Race:
    """What came of a race.

    Attributes:
        outcomes: What each tab got: tokens, or an error.
    """

    outcomes: tuple[TokenPair | KeyturnError, ...]

    @property
    def pairs(self) -> tuple[TokenPair, ...]:
        """The tokens of those that got some."""
        return tuple(each for each in self.outcomes if isinstance(each, TokenPair))

    @property
    def errors(self) -> tuple[KeyturnError, ...]:
        """The errors of those that did not."""
        return tuple(each for each in self.outcomes if isinstance(each, KeyturnError))

    @property
    def converged(self) -> bool:
        """Whether all got tokens, and the same refresh token."""
        return not self.errors and len({pair.refresh_token for pair in self.pairs}) == 1


async def sign_in(
    bench: Bench, user_id: str, claims: object, device: Mapping[str, Any] | None, context: str
) -> Holding:
    """Begin a session, as the application's login would."""
    begun = bench.manager.issue(user_id, claims=cast("Any", claims), device=device, context=context)
    return held_by(user_id, await _settled(begun), context)


async def refresh(bench: Bench, held: Held) -> None:
    """Redeem the refresh token that a client holds, and let it hold the answer."""
    held.take(await _refreshed(bench.manager, held))


async def step_up(bench: Bench, held: Held) -> None:
    """Sign a client's user in again within the session, and let it hold the access token that says so."""
    held.take(await _settled(bench.manager.step_up(held.access_token)))


async def race(bench: Bench, held: Held, tabs: int) -> Race:
    """Redeem one token as often as there are tabs, at one moment; the client goes on with the successor."""
    if tabs < 2:  # noqa: PLR2004 - it takes two
        raise LabError(f"a race takes at least 2 tabs, not {tabs}")
    found = Race(tuple(await _at_once(bench, held, tabs)))
    if found.pairs:
        if all(pair.refresh_token == held.refresh_token for pair in found.pairs):
            _must_rotate(bench, "was no race")
        held.take(found.pairs[0])
    return found


async def lose_answer(bench: Bench, held: Held) -> TokenPair:
    """Redeem the refresh token that a client holds, and let the client hear nothing of it."""
    lost = await _refreshed(bench.manager, held)
    if lost.refresh_token == held.refresh_token:
        _must_rotate(bench, "has lost nothing")
    return lost


async def sign_out(bench: Bench, held: Held) -> bool:
    """End the session of the refresh token that a client holds."""
    return await _settled(bench.manager.revoke_token(held.refresh_token))


async def look(bench: Bench, held: Held) -> SessionInfo | None:
    """Look at a session; None: it is gone."""
    try:
        return await _settled(bench.manager.inspect(held.refresh_token))
    except InvalidToken as error:
        if error.detail != "unknown_session":  # no token of ours says nothing about the session
            raise
        return None


async def flush(bench: Bench) -> bool:
    """Wait for what is done off the critical path."""
    return await _settled(bench.manager.flush())


async def _settled(answer: T | Awaitable[T]) -> T:
    if inspect.isawaitable(answer):
        awaited: T = await answer
        return awaited
    return answer


async def _refreshed(manager: Manager, held: Held) -> TokenPair:
    return await _settled(manager.refresh(held.refresh_token, context=held.context))


async def _at_once(bench: Bench, held: Held, tabs: int) -> list[TokenPair | KeyturnError]:
    manager, token, context = bench.manager, held.refresh_token, held.context
    if isinstance(manager, AsyncTokenManager):

        async def tell() -> TokenPair | KeyturnError:
            try:
                return await manager.refresh(token, context=context)
            except KeyturnError as error:
                return error

        return await asyncio.gather(*(tell() for _ in range(tabs)))

    def ask() -> TokenPair | KeyturnError:
        try:
            return manager.refresh(token, context=context)
        except KeyturnError as error:
            return error
        finally:
            bench.leave()

    return together([ask] * tabs)


def _must_rotate(bench: Bench, what: str) -> None:
    """Refuse a simulation that has simulated nothing: the same token came back, where tokens rotate.

    Raises:
        LabError: It is so.
    """
    policy = bench.manager.policy
    if policy.rotation:
        raise LabError(
            f"this {what}: the session has rotated less than a race window ago, so its refresh token stays. "
            f'Turn the clock first: keyturn.clock.advance("{policy.race_window:g}s")'
        )
