"""Holds the transition table to the documentation, row by row, and its rules to every input."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyturn._core.commands import Rotate
from keyturn._core.decide import RULES, Case, Decision, as_first_told, converges, decide, end
from keyturn._core.outcomes import (
    Ahead,
    Conflicted,
    Converged,
    Ended,
    Forged,
    Kept,
    Reused,
    Rotated,
    Unknown,
    Unproven,
)
from keyturn._core.records import EndReason, Session, ending
from keyturn.testing.rotation_cases import CASES, RotationCase
from keyturn.testing.samples import BRANCH, DAY, DIGEST, IDLE, OTHER_BRANCH, RACE, RECOVERY, REDEEM, ROW, T0

LARGEST_GENERATION: Final = 2**32 - 1

# Moments around every boundary that a rule has, from before the rotation to past the absolute end.
BOUNDARIES: Final = (-DAY, 0, RACE, 2 * RACE, RECOVERY, IDLE, ROW.expires_at - T0)
moments = st.builds(
    lambda base, off: T0 + base + off, st.sampled_from(BOUNDARIES), st.integers(-2, 2) | st.integers(0, RACE)
)
windows = st.sampled_from([0, 1, RACE]), st.sampled_from([0, RACE, RECOVERY])
branches = st.sampled_from([BRANCH, OTHER_BRANCH, b""])
keys = st.sampled_from([None, "a key", "another key"])

rows = st.builds(
    lambda gen, handed, idle, revoked, **rest: replace(
        ROW,
        gen=gen,
        handed_at=T0 + handed,
        idle_ttl=IDLE if idle else None,
        idle_expires_at=T0 + IDLE if idle else None,
        revoked_at=T0 + 1 if revoked else None,
        revoked_reason="admin" if revoked else None,
        **rest,
    ),
    gen=st.integers(0, 4),
    handed=st.sampled_from([0, 1, RACE]),
    idle=st.booleans(),
    revoked=st.sampled_from([False, False, False, True]),
    confirmed=st.booleans(),
    parent_branch=branches,
    jkt=keys,
)
refreshes = st.builds(
    replace,
    st.just(REDEEM),
    gen=st.integers(0, 8) | st.just(LARGEST_GENERATION),
    digest=st.sampled_from([DIGEST, DIGEST, DIGEST, b"", b"x" * 32]),
    branch=branches,
    jkt=keys,
    now=moments,
    race_window=windows[0],
    recovery_window=windows[1],
    rotation=st.booleans(),
    converge=st.booleans(),
    whole_user=st.booleans(),
)


def stored(row: Session | None, decision: Decision) -> Session | None:
    """Return the row as it is after a decision."""
    return row if decision.write is None else decision.write


def case_of(row: Session | None, command: Rotate) -> Case:
    """Return the row of the table that applies, read from the documentation and not from the code."""
    if row is None:
        return "4"
    if row.jkt is not None and row.jkt != command.jkt:
        return "3"
    if row.secret_digest != command.digest:
        return "5"
    if row.revoked_at is not None:
        return "6"
    if command.now >= row.expires_at or (
        row.idle_expires_at is not None and command.now >= row.idle_expires_at
    ):
        return "7"
    handed_out_lately = row.gen > 0 and max(0, command.now - row.handed_at) < command.race_window
    if command.gen == row.gen:
        return "8b" if handed_out_lately and command.rotation else "8"
    if command.gen == row.gen - 1:
        if command.branch != row.parent_branch:
            return "9"
        if handed_out_lately:
            return "10"
        rotated_lately = max(0, command.now - row.rotated_at) < command.recovery_window
        return "11" if not row.confirmed and rotated_lately else "12"
    if command.gen < row.gen:
        return "13"
    return "14" if command.gen <= row.gen + 2 else "15"


@pytest.mark.parametrize("example", CASES, ids=str)
def test_each_row_of_the_table(example: RotationCase) -> None:
    """Case, answer and effect of every worked example are those of the table."""
    decision = decide(example.row, example.command)
    assert decision.case == example.case
    assert decision.outcome == example.outcome
    assert stored(example.row, decision) == example.after


def test_every_case_has_an_example_and_a_rule() -> None:
    """No row of the table is left without an example, and no rule without a row."""
    every = set(get_args(Case))
    assert {example.case for example in CASES} == every
    assert {rule.case for rule in RULES} | {"4"} == every


def test_no_two_examples_are_the_same() -> None:
    """Each example shows something of its own."""
    assert len({str(example) for example in CASES}) == len(CASES)
    inputs = [(example.row, example.command) for example in CASES]
    assert all(one not in inputs[:position] for position, one in enumerate(inputs))


@pytest.mark.parametrize("example", [c for c in CASES if c.after == c.row], ids=str)
def test_where_nothing_changes_only_a_harmless_write_is_asked_for(example: RotationCase) -> None:
    """A refusal that leaves the row alone writes nothing, not even the same values."""
    decision = decide(example.row, example.command)
    if not isinstance(decision.outcome, Kept | Converged):
        assert decision.write is None


def test_a_hammering_client_causes_reads_only() -> None:
    """After the first repetition within a race window, further ones write nothing (8b)."""
    command = replace(REDEEM, now=T0 + 1)
    first = decide(ROW, command)
    assert first.write is not None
    assert decide(first.write, replace(command, now=T0 + 2)).write is None


@pytest.mark.parametrize("case", ["9", "12", "13"])
def test_reuse_ends_the_user_only_where_the_policy_says_so(case: Case) -> None:
    """`whole_user` asks the store to end the user's other sessions with a reuse, and with nothing else."""
    for example in CASES:
        whole = decide(example.row, replace(example.command, whole_user=True))
        plain = decide(example.row, replace(example.command, whole_user=False))
        assert not plain.end_user
        assert whole == replace(plain, end_user=isinstance(plain.outcome, Reused))
    assert any(example.case == case for example in CASES)


@given(row=st.none() | rows, command=refreshes)
@settings(max_examples=500, deadline=None)
def test_the_rules_cover_every_input(row: Session | None, command: Rotate) -> None:
    """Every input has a decision, and it is the one that the documentation's table gives."""
    assert decide(row, command).case == case_of(row, command)


@given(row=rows, command=refreshes)
@settings(max_examples=200, deadline=None)
def test_what_changes_nothing_writes_nothing(row: Session, command: Rotate) -> None:
    """Refusals write nothing; every other answer carries the row as it is stored afterwards."""
    decision = decide(row, command)
    match decision.outcome:
        case Unproven() | Forged() | Ended(first=False) | Conflicted() | Ahead() as refused:
            assert decision.write is None
            assert refused.session == row
        case Rotated() | Reused() | Ended():
            assert decision.write is not None
            assert decision.outcome.session == decision.write != row
        case Kept() | Converged():
            assert decision.outcome.session == stored(row, decision)
        case Unknown():
            pytest.fail("there is a row")


@given(row=rows, command=refreshes)
@settings(max_examples=200, deadline=None)
def test_no_refresh_moves_a_moment_or_a_generation_back(row: Session, command: Rotate) -> None:
    """Whatever the clock does, no time in the row goes back, and what was fixed at sign-in stays."""
    after = stored(row, decide(row, command))
    assert after is not None
    assert after.gen >= row.gen
    assert after.rotated_at >= row.rotated_at
    assert after.handed_at >= max(row.handed_at, after.rotated_at)
    assert after.last_seen_at >= row.last_seen_at
    if row.idle_expires_at is not None:
        assert after.idle_expires_at is not None
        assert row.idle_expires_at <= after.idle_expires_at <= row.expires_at
    moving = replace(
        row,
        gen=after.gen,
        parent_branch=after.parent_branch,
        confirmed=after.confirmed,
        rotated_at=after.rotated_at,
        handed_at=after.handed_at,
        last_seen_at=after.last_seen_at,
        idle_expires_at=after.idle_expires_at,
        revoked_at=after.revoked_at,
        revoked_reason=after.revoked_reason,
    )
    assert after == moving


@given(row=rows, command=refreshes)
@settings(max_examples=200, deadline=None)
def test_only_an_authentic_spent_token_or_a_limit_ends_a_session(row: Session, command: Rotate) -> None:
    """A forged token, one without proof and one from the future never end a session; an end is final."""
    decision = decide(row, command)
    after = stored(row, decision)
    assert after is not None
    if row.revoked_at is not None:
        assert after == row
    elif after.revoked_reason == "reuse":
        assert (command.digest, row.jkt in {None, command.jkt}) == (row.secret_digest, True)
        assert command.gen < row.gen
        assert isinstance(decision.outcome, Reused)
    else:
        assert after.revoked_reason == (ending(row, command.now) if decision.case == "7" else None)


@given(row=rows, command=refreshes)
@settings(max_examples=200, deadline=None)
def test_retrying_a_refresh_is_safe(row: Session, command: Rotate) -> None:
    """A refresh that gave tokens gives the same generation again at once, where there is a race window."""
    first = decide(row, command)
    retried = decide(stored(row, first), command)
    after = stored(row, first)
    assert after is not None
    if isinstance(first.outcome, Rotated | Converged) and command.race_window and command.converge:
        assert isinstance(retried.outcome, Converged)
        again = retried.outcome.session
        assert (again.gen, again.parent_branch) == (after.gen, after.parent_branch)
    elif isinstance(first.outcome, Kept):
        assert isinstance(retried.outcome, Kept)


def test_an_end_is_kept() -> None:
    """Ending an ended session again changes neither the moment nor the reason."""
    ended = end(ROW, "admin", T0 + 1)
    assert (ended.revoked_at, ended.revoked_reason) == (T0 + 1, "admin")
    assert end(ended, "reuse", T0 + 2) is ended


def test_an_unmarked_expiry_would_still_be_named() -> None:
    """A session that is over says why: revocation first, then the absolute limit, then the idle limit."""
    over = replace(ROW, revoked_at=T0, revoked_reason="user")
    assert ending(over, ROW.expires_at) == "user"
    assert ending(replace(over, revoked_reason=None), T0) == "revoked"
    assert ending(ROW, ROW.expires_at) == "absolute"
    assert ending(ROW, T0 + IDLE) == "idle"
    assert ending(ROW, T0 + IDLE - 1) is None
    assert ending(replace(ROW, idle_expires_at=None), ROW.expires_at - 1) is None


@settings(max_examples=500)
@given(rows, refreshes)
def test_a_reuse_whose_answer_was_lost_is_told_by_its_repetition(row: Session, command: Rotate) -> None:
    """Asked again, a store finds the session ended; by this very command, so the first answer is given."""
    first = decide(row, command)
    again = decide(first.write or row, command).outcome
    told = as_first_told(command, again)
    if isinstance(first.outcome, Reused):
        assert isinstance(again, Ended)
        assert told == first.outcome
    else:
        assert told == again


def test_an_end_by_somebody_else_at_the_same_moment_stays_one() -> None:
    """A logout in the same millisecond is no theft, and a later replay finds the session ended."""
    spent = replace(REDEEM, gen=ROW.gen - 2)
    ends: list[tuple[EndReason, int]] = [("logout", spent.now), ("reuse", spent.now - 1)]
    for reason, at in ends:
        ended = Ended(replace(ROW, revoked_at=at, revoked_reason=reason), first=False)
        assert as_first_told(spent, ended) is ended


@pytest.mark.parametrize(
    ("race", "recovery", "may"), [(RACE, RECOVERY, True), (RACE, 0, True), (0, RECOVERY, True), (0, 0, False)]
)
def test_a_refresh_may_be_done_twice_where_a_window_forgives_it(
    race: int, recovery: int, *, may: bool
) -> None:
    """Any window makes a repetition end as the first time; without one it would find a spent token."""
    assert converges(replace(REDEEM, race_window=race, recovery_window=recovery)) is may
