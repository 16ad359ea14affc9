"""Holds the revocation view to its two rules: what is known stays; what is not known needs a fresh view."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn import Policy
from keyturn._core.revocations import LONGEST_MEMORY, LogEntry
from keyturn.revocation import SLACK, RevocationView

NOW = 1_800_000_000.0


def fresh(*, looks_back: float = 900, max_staleness: float = 5, at: float = NOW) -> RevocationView:
    """Give a view that has just been read."""
    view = RevocationView(looks_back=looks_back, max_staleness=max_staleness)
    view.became_current(at)
    return view


def test_a_view_that_was_never_read_clears_nothing() -> None:
    """An empty view is no reason to accept anything."""
    view = RevocationView(looks_back=900, max_staleness=5)
    assert view.standing("session", "token", NOW, NOW) == "unknown"
    assert view.staleness(NOW) is None
    assert repr(view) == "RevocationView(0 revocations, not read yet)"


def test_sessions_and_tokens_are_told_apart() -> None:
    """A session's id is no token's id, even where they are spelt alike."""
    view = fresh()
    view.learn([LogEntry("session", "a"), LogEntry("token", "b")], NOW)
    assert view.standing("a", "x", NOW, NOW) == "revoked"
    assert view.standing("x", "b", NOW, NOW) == "revoked"
    assert view.standing("b", "a", NOW, NOW) == "clear"
    assert view.standing(None, "x", NOW, NOW) == "clear"
    assert len(view) == 2
    assert repr(view) == f"RevocationView(2 revocations, as of {NOW:.3f})"


def test_what_is_known_to_be_revoked_stays_so() -> None:
    """However old the view is, and whether it must be read again."""
    view = fresh()
    view.learn([LogEntry("session", "a")], NOW)
    assert view.standing("a", "x", NOW, NOW + 3600) == "revoked"
    view.start_afresh()
    assert view.standing("a", "x", NOW, NOW) == "revoked"
    assert view.standing("b", "x", NOW, NOW) == "unknown"


def test_freshness_has_two_ends() -> None:
    """Too old is not fresh, and neither is a view from the future: a clock was set back."""
    view = fresh(max_staleness=5)
    for offset, standing in ((5, "clear"), (5.001, "unknown"), (-5, "clear"), (-5.001, "unknown")):
        assert view.standing("a", "x", NOW, NOW + offset) == standing
    view.became_current(NOW - 100)  # a late answer of an earlier question
    assert view.staleness(NOW + 1) == 1


def test_tokens_from_before_its_memory_are_not_cleared() -> None:
    """Their revocation may have been let go of, or was never read."""
    view = fresh(looks_back=900)
    assert view.standing("a", "x", NOW - 900, NOW) == "clear"
    assert view.standing("a", "x", NOW - 901, NOW) == "unknown"


def test_revocations_are_let_go_of_when_no_token_needs_them() -> None:
    """Memory holds what is younger than access tokens live, and no more."""
    view = fresh(looks_back=900)
    for second in range(3000):
        view.learn([LogEntry("session", str(second)), LogEntry("token", str(second))], NOW + second)
        assert len(view) <= 2 * (900 + SLACK + 2)
    assert view.standing("2999", "x", NOW, NOW + 2999) == "revoked"


def test_what_is_heard_again_is_not_kept_longer() -> None:
    """A line that is read twice does not stay for ever."""
    view = fresh(looks_back=900)
    for second in range(0, 2000, 100):
        view.learn([LogEntry("session", "a")], NOW + second)
    view.learn([], NOW + 2000 + 900 + SLACK + 200)
    assert len(view) == 0


def test_a_view_looks_back_as_long_as_access_tokens_live() -> None:
    """With the leeway, and a day at most."""
    assert RevocationView.of(Policy(access_ttl="15m", leeway="5s")).looks_back == 900 + 5 + 1
    assert RevocationView.of(Policy(access_ttl="3d")).looks_back == LONGEST_MEMORY / 1000
    assert RevocationView.of(Policy(max_staleness="2s")).max_staleness == 2


moments = st.integers(0, 4000)


@settings(max_examples=300, deadline=None)
@given(
    issued=moments,
    revoked=moments,
    polls=st.lists(moments, max_size=8),
    checks=st.lists(moments, min_size=1, max_size=8),
    skew=st.integers(-60, 60),
)
def test_nothing_revoked_is_cleared_beyond_the_bound(
    issued: int, revoked: int, polls: list[int], checks: list[int], skew: int
) -> None:
    """For any times, and clocks a minute apart: what was revoked over five seconds ago is not cleared.

    A poll brings what its `since` covers, by the moment that the revoking server's clock showed.
    """
    view = RevocationView(looks_back=900, max_staleness=5)
    session, token_lives, read = "a", 900, False
    for moment, is_check in sorted([(at, False) for at in polls] + [(at, True) for at in checks]):
        if is_check:
            counts = issued <= moment < issued + token_lives
            if counts and revoked >= issued and moment - revoked > 5:
                assert view.standing(session, "x", issued, moment) != "clear"
            continue
        known = revoked <= moment and (read or revoked + skew >= moment - 900 - SLACK)
        view.learn([LogEntry("session", session)] if known else [], moment)
        view.became_current(moment)
        read = True
