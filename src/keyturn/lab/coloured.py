"""The lab for tests with `await`: `keyturn.lab.plain`, in the test's own event loop. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, TypeAlias, cast

from keyturn.lab import deeds
from keyturn.lab.common import THIEF, Common
from keyturn.lab.deeds import Race
from keyturn.lab.held import Held
from keyturn.results import SessionInfo, TokenPair


class AsyncSignedIn(Held):
    """A client with a session: `SignedIn` with `await`."""

    async def refresh(self) -> None:
        """Redeem the refresh token, and hold the answer from now on.

        See `SignedIn.refresh`.
        """
        await deeds.refresh(self._bench, self)

    async def step_up(self) -> None:
        """Let the user have signed in again within the session, as the endpoint `/step-up` does (RFC 9470).

        See `SignedIn.step_up`.
        """
        await deeds.step_up(self._bench, self)

    async def sign_out(self) -> bool:
        """End the session, and say whether there was one."""
        return await deeds.sign_out(self._bench, self)

    @property
    async def lives(self) -> bool:
        """Whether the session lives now: `assert await ann.lives`."""
        info = await self.info()
        return info is not None and info.active

    async def info(self) -> SessionInfo | None:
        """Describe the session; None: it is gone."""
        return await deeds.look(self._bench, self)

    async def assert_lives(self) -> None:
        """Fail unless the session lives, and tell what happened."""
        __tracebackhide__ = True  # the test's own line is shown instead
        self.must_live(await self.info())

    async def assert_ended(self, reason: str | None = None) -> None:
        """Fail unless the session is over, and tell what happened.

        See `SignedIn.assert_ended`.
        """
        __tracebackhide__ = True  # as above
        self.must_have_ended(await self.info(), reason)


Raised: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Away(AbstractContextManager[None], AbstractAsyncContextManager[None]):
    """A block without the store; there is nothing to await, and who writes `async with` is right too."""

    def __init__(self, away: AbstractContextManager[None]) -> None:
        """Take the store away when the block begins."""
        self._away = away

    def __enter__(self) -> None:
        """Take it away."""
        self._away.__enter__()

    def __exit__(self, *raised: object) -> None:
        """Bring it back."""
        self._away.__exit__(*cast("Raised", raised))

    async def __aenter__(self) -> None:
        """Take it away."""
        self.__enter__()

    async def __aexit__(self, *raised: object) -> None:
        """Bring it back."""
        self.__exit__(*raised)


class AsyncLab(Common):
    """What a test with `await` does to an application's sessions: the fixture `async_keyturn`.

    It is for managers of either colour; a `TokenManager` holds the loop up as long as it takes.
    """

    async def login_as(
        self,
        user_id: str,
        *,
        claims: object = None,
        device: Mapping[str, Any] | None = None,
        context: str = "",
    ) -> AsyncSignedIn:
        """Begin a session, as the application does when somebody has signed in.

        See `Lab.login_as`.
        """
        return AsyncSignedIn(self._bench, await deeds.sign_in(self._bench, user_id, claims, device, context))

    def steal(self, victim: AsyncSignedIn | str, *, context: str = THIEF) -> AsyncSignedIn:
        """Give a copy of what a client holds to another one, who may use it. The victim notices nothing.

        See `Lab.steal`; there is nothing to await.
        """
        return AsyncSignedIn(self._bench, self._copy(victim, context))

    async def simulate_race(self, session: AsyncSignedIn, *, tabs: int = 5) -> Race:
        """Let several tabs of one browser refresh at one moment, and go on with the successor.

        See `Lab.simulate_race`.
        """
        return await deeds.race(self._bench, session, tabs)

    async def simulate_lost_response(self, session: AsyncSignedIn) -> TokenPair:
        """Refresh, and let the answer never arrive: the client still holds the token that it has sent.

        See `Lab.simulate_lost_response`.
        """
        return await deeds.lose_answer(self._bench, session)

    def store_away(self) -> Away:
        """Let the manager's store be unreachable until the block ends, of `with` or of `async with`.

        See `Lab.store_away`.
        """
        return Away(super().store_away())

    async def flush(self) -> bool:
        """Wait for what the manager does off the critical path: see `TokenManager.flush`."""
        return await deeds.flush(self._bench)
