"""Which refresh tokens were given and redeemed, and what must follow. It knows no store and no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from keyturn.results import TokenPair

Property: TypeAlias = Literal[1, 2, 3, 4, 5, 6]


class Violation(AssertionError):
    """One of the six properties of the rotation does not hold.

    1. At most one live generation; two different successors are never both redeemable beyond one cycle.
    2. Without a thief, no number of tabs, lost, late or repeated messages ends a session.
    3. A token used by two clients is noticed, at the latest at the next refresh of the second.
    4. A session that has ended never answers with tokens again.
    5. Storage per session is constant.
    6. Losing the last one or two writes ends no session and hides no reuse.
    """

    def __init__(self, number: Property, what: str) -> None:
        """Name the property and what happened."""
        super().__init__(f"property {number}: {what}")
        self.number = number


class Ledger:
    """The refresh tokens of one session, by the generation that each redeems."""

    def __init__(self, first: str, *, race_window: int, now: int) -> None:
        """Begin with the token of the sign-in; times are in milliseconds."""
        self._race = race_window
        self._generation = {first: 0}
        self._successor: dict[tuple[str, str], str] = {}
        self._redeemed: dict[int, str] = {}
        self._in_use: set[int] = set()
        self._handed: dict[int, int] = {}
        self._latest = now

    def used(self, generation: int) -> None:
        """Note that an access token of a generation was accepted, and that the store was told."""
        self._in_use.add(generation)

    def lost(self, generation: int) -> None:
        """Note that the store knows nothing any more of what happened from a generation on.

        What was confirmed is confirmed again when an access token of it is accepted the next time.
        """
        self._in_use.clear()
        self._redeemed = {gen: token for gen, token in self._redeemed.items() if gen < generation}

    def granted(self, token: str, context: str, pair: TokenPair, generation: int, now: int) -> None:
        """Judge an answer that gave tokens.

        Args:
            token: What was presented.
            context: By whom.
            pair: What was given.
            generation: The session's generation afterwards.
            now: The server's time, in milliseconds.

        Raises:
            Violation: A property does not hold.
        """
        presented = self._generation[token]
        if not pair.rotated:
            if pair.refresh_token != token or presented != generation:
                raise Violation(1, f"generation {presented} was kept while the session is at {generation}")
            self._in_use.add(generation)
            return
        self._follow(token, context, pair.refresh_token, presented, generation)
        if self._redeemed.setdefault(presented, token) != token:
            raise Violation(3, f"two tokens of generation {presented} were both redeemed")
        late = now - self._handed.get(generation, now) >= self._race
        if late and generation in self._in_use:
            raise Violation(3, f"generation {presented} was redeemed again while its successor was in use")
        # No moment of a row goes back: after a clock was set back, the window lasts until it has caught up.
        self._latest = max(self._latest, now)
        self._handed[generation] = self._latest

    def _follow(self, token: str, context: str, successor: str, presented: int, generation: int) -> None:
        if generation != presented + 1:
            raise Violation(1, f"generation {presented} was redeemed while the session is at {generation}")
        if self._generation.setdefault(successor, generation) != generation:
            raise Violation(1, "a token stands for two generations")
        if self._successor.setdefault((token, context), successor) != successor:
            raise Violation(1, f"one client got two different successors of generation {presented}")
