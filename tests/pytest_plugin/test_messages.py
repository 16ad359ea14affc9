"""What a developer reads where a test fails: what happened, in plain words, and no inside of the plugin."""

from __future__ import annotations

from typing import Any

import pytest

from keyturn import Issued, StoreUnavailable, events
from keyturn.events import Event
from keyturn.lab import Recorder
from keyturn.lab.words import words
from tests.support.suites import MANAGER, run

pytest_plugins = ["pytester"]

SID = "01983e2c-0000-7000-8000-0123456789ab"

FAILING = """
from keyturn import Issued, ReuseDetected


def test_missing(keyturn):
    keyturn.login_as("ann")
    keyturn.clock.advance("1h")
    keyturn.login_as("bob")
    keyturn.assert_event(ReuseDetected, kind="fork")


def test_nearly(keyturn):
    keyturn.login_as("ann")
    keyturn.assert_event(Issued, user_id="bob")


def test_too_much(keyturn):
    keyturn.login_as("ann")
    keyturn.login_as("bob")
    keyturn.assert_no_event(Issued, user_id="bob")


def test_misspelt(keyturn):
    keyturn.assert_no_event(Issued, user="bob")


def test_ended(keyturn):
    ann = keyturn.login_as("ann")
    ann.sign_out()
    ann.assert_lives()


def test_wrong_end(keyturn):
    ann = keyturn.login_as("ann")
    ann.sign_out()
    ann.assert_ended("reuse")


def test_living(keyturn):
    keyturn.login_as("ann").assert_ended()
"""


def test_a_failure_tells_the_story(pytester: pytest.Pytester) -> None:
    """Each assertion says what was expected, how near it came, and what happened, at the test's own line."""
    result = run(pytester, conftest=MANAGER, test_app=FAILING)
    result.assert_outcomes(failed=7)
    result.stdout.re_match_lines(
        [
            r"E +AssertionError: No ReuseDetected\(kind='fork'\) was published\.",
            r"E +What happened:",
            r"E +\+0s +Issued: ann signed in: session ….{8}",
            r"E +\+1h +Issued: bob signed in: session ….{8}",
            r"E +AssertionError: No Issued\(user_id='bob'\) was published\.",
            r"E +There was an Issued, but with user_id='ann'\.",
            r"E +AssertionError: Issued\(user_id='bob'\) was published, and none was expected\.",
            r"E +\+0s  Issued: ann .*",
            r"E +> \+0s  Issued: bob .*",
            r"E +TypeError: Issued has no field user; it has at, user_id, session_id, device",
            r"E +AssertionError: <SignedIn ann, session [0-9a-f-]{36}> is over: logout\.",
            r"E +\+0s  Revoked: session ….{8} of ann was ended: logout",
            r"E +AssertionError: <SignedIn ann, .*> is over: logout, not reuse\.",
            r"E +AssertionError: <SignedIn ann, .*> lives, at generation 0\.",
        ]
    )
    result.stdout.no_fnmatch_line("*lab/*.py:*Error*")  # the test's own line is what is shown


def test_a_coroutines_failure_tells_it_too(pytester: pytest.Pytester) -> None:
    """The same with `await`."""
    suite = """
        import pytest

        @pytest.mark.asyncio
        async def test_ended(async_keyturn):
            ann = await async_keyturn.login_as("ann")
            await ann.sign_out()
            await ann.assert_lives()
        """
    result = run(pytester, conftest=MANAGER, test_app=suite)
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([r"E +AssertionError: <AsyncSignedIn ann, .*> is over: logout\."])


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (events.Issued(0, "ann", SID), "ann signed in: session …456789ab"),
        (events.Refreshed(0, "ann", SID, 2), "session …456789ab of ann rotated to generation 2"),
        (events.Refreshed(0, "ann", SID, 2, rotated=False), "its refresh token stayed"),
        (
            events.RefreshConverged(0, "ann", SID, 2, "race"),
            "its successor, generation 2, once more: in a race",
        ),
        (events.RefreshConverged(0, "ann", SID, 2, "recovered"), "because its answer was lost"),
        (events.RefreshRejected(0, "revoked", SID), "a refresh of session …456789ab was refused: revoked"),
        (events.RefreshRejected(0, "invalid"), "a refresh was refused: invalid"),
        (events.RefreshForged(0, "ann", SID, "k1"), "forged under key k1"),
        (events.ReuseDetected(0, "ann", SID, 2, "stale", 3), "(stale), and 3 more of the user's with it"),
        (events.SessionExpired(0, "ann", SID, "idle"), "session …456789ab of ann is past its idle limit"),
        (events.Revoked(0, "ann", SID, "logout"), "session …456789ab of ann was ended: logout"),
        (events.Denied(0, "ann", "t", "lost phone"), "an access token of ann was denied: lost phone"),
        (events.StoreRolledBack(0, "ann", SID, 1, recovered=True), "has lost 1 of its writes"),
        (events.StoreUnavailable(0, "rotate"), "the store could not be asked: rotate"),
        (events.AuditLost(0, 4, 9), "4 lines of the audit trail were lost"),
        (events.AuditLost(0, 1, 9), "1 line of the audit trail was lost"),
    ],
)
def test_every_event_has_words(event: Event, said: str) -> None:
    """Whatever happens can be told, and the recorder tells it."""
    assert said in words(event)
    recorder = Recorder(began=0)
    recorder.note(event)
    assert said in repr(recorder)


def test_a_recorder_tells_types_and_fields_apart() -> None:
    """It gives the events of a type, the latest that fits, and forgets when it is told to."""
    recorder = Recorder(began=0)
    assert "Nothing happened" in repr(recorder)
    told: list[Any] = [
        Issued(0, "ann", SID),
        Issued(1, "bob", SID),
        Issued(2, "ann", SID),
        events.StoreUnavailable(3, "check"),
    ]
    for event in told:
        recorder.note(event)
    assert list(recorder) == told
    assert recorder.of(Issued) == tuple(told[:3])
    assert recorder.assert_event(Issued, user_id="ann").at == 2
    assert recorder.of(StoreUnavailable) == (told[3],), "the error stands for the event of its name"
    assert recorder.assert_event(StoreUnavailable).operation == "check"
    recorder.assert_no_event(Issued, user_id="eve")
    with pytest.raises(AssertionError, match="none was expected"):
        recorder.assert_no_event(StoreUnavailable)
    recorder.clear()
    recorder.assert_no_event(Issued)
    assert len(recorder) == 0
