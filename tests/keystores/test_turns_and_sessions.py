"""Sessions live through any turns of the keys, to their own limits and no further: the drain, end to end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn._core.schedule import PUBLISH_FOR, least_drain_of
from keyturn.errors import ConfigurationError
from keyturn.keystores import KeyKeeper, SharedKeyRing, TurnPlan
from keyturn.keystores.files import FileKeyStore
from keyturn.manager import TokenManager
from keyturn.policy import Policy
from keyturn.stores.memory import MemoryStore

HOUR, DAY = 3600.0, 86_400.0
POLICY = Policy(access_ttl="1h", idle_ttl="2d", absolute_ttl="10d", recovery_window="24h")

gaps = st.floats(20, 2 * DAY) | st.floats(PUBLISH_FOR, PUBLISH_FOR + HOUR) | st.floats(20, 10 * DAY)
actions = st.sampled_from(["rotate", "rotate", "refresh", "lose an answer"])


class Story:
    """One user, one session after the other, under keys that turn."""

    def __init__(self, folder: str, *, rests: bool, policy: Policy = POLICY) -> None:
        store = FileKeyStore(Path(folder) / "keys.json")
        self.now = 1_000_000.0
        self.rests = rests
        self.keeper = KeyKeeper(store, clock=lambda: self.now)
        self.keeper.create("HS256")
        self.ring = SharedKeyRing(store, refresh_every="1m", clock=lambda: self.now)
        self.manager = TokenManager(
            store=MemoryStore(),
            keys=self.ring,
            policy=policy,
            issuer="https://auth.example.com",
            audience="api",
            clock=lambda: self.now,
        )
        self.sign_in()

    def sign_in(self) -> None:
        self.pair = self.manager.issue("alice", idle_ttl=None if self.rests else "2d")
        self.began = self.used = self.now

    @property
    def lives(self) -> bool:
        rested = not self.rests and self.now >= self.used + 2 * DAY
        return self.now < self.began + 10 * DAY and not rested

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.ring.refresh()

    def rotate(self) -> None:
        with suppress(ConfigurationError):  # a turn is under way
            self.keeper.rotate(TurnPlan.of(POLICY))
        self.ring.refresh()

    def refresh(self) -> None:
        if not self.lives:
            self.sign_in()
        self.pair = self.manager.refresh(self.pair.refresh_token)
        self.used = self.now
        assert self.manager.authenticate(self.pair.access_token).user_id == "alice"

    def lose_an_answer(self) -> None:
        if not self.lives:
            self.sign_in()
        self.manager.refresh(self.pair.refresh_token)
        self.used = self.now
        self.wait(DAY - 1)  # nearly as late as it can be made up for
        if self.lives:
            self.pair = self.manager.refresh(self.pair.refresh_token)
        else:
            self.sign_in()

    def close(self) -> None:
        self.manager.close()
        self.ring.close()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(gaps, actions), max_size=12), st.booleans())
def test_no_turn_ends_a_session(taken: list[tuple[float, str]], rests: bool) -> None:  # noqa: FBT001
    """A session is refused by its limits, whichever they are, and by no key; a lost answer is made up for."""
    with TemporaryDirectory() as folder:
        story = Story(folder, rests=rests)
        for seconds, action in taken:
            story.wait(seconds)
            match action:
                case "rotate":
                    story.rotate()
                case "refresh":
                    story.refresh()
                case _:
                    story.lose_an_answer()
        story.close()


def test_the_least_drain_covers_answers_that_are_lost_twice(tmp_path: Path) -> None:
    """At the idle limit, at the end of the recovery window, and of the race window after that: one token."""
    policy = Policy(
        access_ttl="1h", idle_ttl="2d", absolute_ttl="10d", recovery_window="24h", race_window="30m"
    )
    story = Story(str(tmp_path), rests=False, policy=policy)
    story.keeper.rotate(TurnPlan(drain=least_drain_of(policy)))
    story.wait(PUBLISH_FOR - 1)
    story.sign_in()  # the last token under the old key
    for pause in (2 * DAY - 1, DAY - 1, HOUR / 2 - 1):
        story.wait(pause)
        pair = story.manager.refresh(story.pair.refresh_token)
    assert pair.session_id == story.pair.session_id
    story.close()
