"""The lab for tests without `await`, over a manager of either colour. It decides nothing: `deeds` does."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from keyturn.lab import deeds
from keyturn.lab.bench import Bench
from keyturn.lab.common import THIEF, Common
from keyturn.lab.deeds import Race
from keyturn.lab.held import Held, Holding
from keyturn.lab.loops import OwnLoop
from keyturn.lab.running import Portal, Runner, runner_of
from keyturn.manager import AsyncTokenManager
from keyturn.results import SessionInfo, TokenPair


class SignedIn(Held):
    """A client with a session: what `login_as` and `steal` give to a test."""

    def __init__(self, bench: Bench, holding: Holding, runner: Runner) -> None:
        """Hold tokens, and ask the manager through a runner."""
        super().__init__(bench, holding)
        self._runner = runner

    def refresh(self) -> None:
        """Redeem the refresh token, and hold the answer from now on.

        Raises:
            RefreshError: It was refused; the client still holds what it held.
            StoreUnavailable: The store is away.
        """
        self._runner.run(deeds.refresh(self._bench, self))

    def step_up(self) -> None:
        """Let the user have signed in again within the session, as the endpoint `/step-up` does (RFC 9470).

        Raises:
            AccessTokenError: The access token is not acceptable, or the session is over.
            StoreUnavailable: The store is away.
        """
        self._runner.run(deeds.step_up(self._bench, self))

    def sign_out(self) -> bool:
        """End the session, and say whether there was one."""
        return self._runner.run(deeds.sign_out(self._bench, self))

    @property
    def lives(self) -> bool:
        """Whether the session lives now."""
        info = self.info()
        return info is not None and info.active

    def info(self) -> SessionInfo | None:
        """Describe the session; None: it is gone."""
        return self._runner.run(deeds.look(self._bench, self))

    def assert_lives(self) -> None:
        """Fail unless the session lives, and tell what happened."""
        __tracebackhide__ = True  # the test's own line is shown instead
        self.must_live(self.info())

    def assert_ended(self, reason: str | None = None) -> None:
        """Fail unless the session is over, and tell what happened.

        Args:
            reason: Why it must be over, such as "reuse", "logout", "idle"; None: whatever the reason.
        """
        __tracebackhide__ = True  # as above
        self.must_have_ended(self.info(), reason)


class Lab(Common):
    """What a test without `await` does to an application's sessions: the fixture `keyturn`.

    Examples:
        >>> from keyturn import KeyRing, ReusedToken, TokenManager
        >>> from keyturn.lab import opened
        >>> from keyturn.stores.memory import MemoryStore
        >>> manager = TokenManager(keys=KeyRing.generate(), store=MemoryStore(), issuer="i", audience="a")
        >>> with opened(manager) as bench, lab_on(bench) as keyturn:
        ...     ann = keyturn.login_as("ann")
        ...     thief = keyturn.steal(ann)
        ...     ann.refresh()
        ...     keyturn.clock.advance("25h")
        ...     try:
        ...         thief.refresh()
        ...     except ReusedToken:
        ...         ann.assert_ended("reuse")
        >>> manager.close()
    """

    def __init__(self, bench: Bench, runner: Runner) -> None:
        """Work on a bench."""
        super().__init__(bench)
        self._runner = runner

    def login_as(
        self,
        user_id: str,
        *,
        claims: object = None,
        device: Mapping[str, Any] | None = None,
        context: str = "",
    ) -> SignedIn:
        """Begin a session, as the application does when somebody has signed in.

        Args:
            user_id: Who signed in.
            claims: The application's claims for the access tokens: a mapping, or its model.
            device: What people recognise the session by.
            context: What tells this client apart from others.
        """
        begun = self._runner.run(deeds.sign_in(self._bench, user_id, claims, device, context))
        return SignedIn(self._bench, begun, self._runner)

    def steal(self, victim: SignedIn | str, *, context: str = THIEF) -> SignedIn:
        """Give a copy of what a client holds to another one, who may use it. The victim notices nothing.

        Args:
            victim: A client, or a refresh token alone.
            context: What tells the thief apart from the victim.
        """
        return SignedIn(self._bench, self._copy(victim, context), self._runner)

    def simulate_race(self, session: SignedIn, *, tabs: int = 5) -> Race:
        """Let several tabs of one browser refresh at one moment, and go on with the successor.

        Args:
            session: Whose token all of them send.
            tabs: How many.

        Returns:
            What each of them got.

        Raises:
            LabError: There are fewer than two, or the session has rotated so recently that nothing rotates.
        """
        return self._runner.run(deeds.race(self._bench, session, tabs))

    def simulate_lost_response(self, session: SignedIn) -> TokenPair:
        """Refresh, and let the answer never arrive: the client still holds the token that it has sent.

        Args:
            session: Whose answer is lost.

        Returns:
            The answer that nobody got.

        Raises:
            LabError: The session has rotated so recently that nothing rotates, and so nothing is lost.
            RefreshError: The refresh was refused.
        """
        return self._runner.run(deeds.lose_answer(self._bench, session))

    def flush(self) -> bool:
        """Wait for what the manager does off the critical path: see `TokenManager.flush`."""
        return self._runner.run(deeds.flush(self._bench))


@contextmanager
def lab_on(
    bench: Bench, portal: Portal | None = None, beside: Callable[[], Iterable[object]] = tuple
) -> Generator[Lab]:
    """Give a lab until the block ends.

    Args:
        bench: What it works with.
        portal: The way into the application's event loop, where it is named; an `OwnLoop` where it is to be
            found out, and None for one that ends with the block.
        beside: Gives what the test works with, to look for the loop there.
    """
    with ExitStack() as stack:
        if portal is None:
            portal = OwnLoop()
            stack.callback(portal.close)
        runner = runner_of(bench, portal, beside)
        if isinstance(bench.manager, AsyncTokenManager):
            stack.enter_context(bench.gate.placed())  # which sees the loop
        stack.callback(runner.end)
        yield Lab(bench, runner)
