"""Holds the machine to its promise: with one rule of the protocol broken, it finds a broken property."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from keyturn import Policy
from keyturn._core import decide as table
from keyturn._core.commands import Confirm, Rotate
from keyturn._core.decide import Decision, Facts, Rule
from keyturn._core.outcomes import Converged, RotateOutcome
from keyturn._core.records import Session
from keyturn.results import Principal, TokenPair
from keyturn.stores.memory import MemoryStore
from keyturn.testing.ledger import Property, Violation
from keyturn.testing.machine import POLICY, MakeRig, protocol_machine, storm
from keyturn.testing.world import Manager
from tests.machine.rigs import on_memory, rig_on

STORMS: Final = 400  # seeds tried at most; most bugs show within the first ten


def storms(make_rig: MakeRig, seeds: int = STORMS) -> Violation | None:
    """Return the first violation that a fixed row of storms finds."""
    for seed in range(seeds):
        for thief in (False, True):
            try:
                storm(make_rig, Random(seed), thief=thief)  # noqa: S311 - it chooses a history
            except Violation as violation:
                return violation
    return None


def without(*cases: str) -> tuple[Rule, ...]:
    """Give the table without some rows."""
    return tuple(rule for rule in table.RULES if rule.case not in cases)


def changed(*cases: str, matches: Callable[[Facts], bool] | None = None, **more: Any) -> tuple[Rule, ...]:
    """Give the table with other conditions or effects in some rows."""
    if matches is not None:
        more["matches"] = matches
    return tuple(replace(rule, **more) if rule.case in cases else rule for rule in table.RULES)


def hand_out_without_moving_the_window(facts: Facts) -> Decision:
    """Converge, and write nothing."""
    return Decision("11", Converged(facts.row, "recovered"))


def notice_reuse_and_go_on(facts: Facts) -> Decision:
    """Answer reuse, and write nothing."""
    return replace(table._reuse(facts, "12", "previous"), write=None)


# One row of the table, broken in each of these, and the properties of which one must then fail.
TABLES: Final[dict[str, tuple[Callable[[], tuple[Rule, ...]], set[Property]]]] = {
    "rotations may follow each other at once: no 8b": (lambda: without("8b"), {2}),
    "hand-outs do not move the window": (
        lambda: changed("10", "11", decision=hand_out_without_moving_the_window),
        {2},
    ),
    "the branch is not looked at: a thief in step is never noticed": (lambda: without("9"), {3}),
    "reuse does not end the session": (
        lambda: changed("9", "12", "13", decision=notice_reuse_and_go_on),
        {3},
    ),
    "the generation is compared off by one: too old": (
        lambda: changed("11", matches=lambda f: f.ahead in {-1, -2} and table.is_recoverable(f)),
        {1},
    ),
    "the generation is compared off by one: too new": (
        lambda: changed("14", matches=lambda f: f.ahead == 1),
        {6},
    ),
    "a lost write logs out: no 14": (lambda: without("14"), {6}),
    "recovery goes on after the successor was seen": (
        lambda: changed("11", matches=lambda f: f.ahead == -1),
        {3},
    ),
    "a race is reuse: neither 10 nor 11": (lambda: without("10", "11"), {2}),
    "an ended session goes on: neither 6 nor 7": (lambda: without("6", "7"), {4}),
    "an expired session goes on: no 7": (lambda: without("7"), {4}),
}


@pytest.mark.parametrize("bug", TABLES)
def test_a_broken_row_of_the_table_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one row of the table broken, a storm finds the property that it serves broken."""
    make_rules, properties = TABLES[bug]
    monkeypatch.setattr(table, "RULES", make_rules())
    violation = storms(on_memory)
    assert violation is not None
    assert violation.number in properties, violation


class ConfirmsNothing(MemoryStore):
    """Ignores confirmations."""

    def confirm(self, command: Confirm, /) -> None:
        """Do nothing."""


class CachesTheRow(MemoryStore):
    """Decides on rows from a cache that a revocation does not reach, and so undoes it."""

    def __init__(self) -> None:
        """Cache nothing yet."""
        super().__init__()
        self._cache: dict[UUID, Session] = {}

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Write a row that was read before back as a whole."""
        if command.sid in self._cache:
            self._sessions[command.sid] = self._cache[command.sid]
        outcome = super().rotate(command)
        self._cache[command.sid] = self._sessions[command.sid]
        return outcome


class KeepsEveryGeneration(MemoryStore):
    """Adds a row per rotation."""

    def rotate(self, command: Rotate, /) -> RotateOutcome:
        """Leave the row of the generation before behind."""
        before = self._sessions[command.sid]
        outcome = super().rotate(command)
        if self._sessions[command.sid].gen != before.gen:
            self._sessions[UUID(int=command.sid.int ^ before.gen + 1)] = before
        return outcome


STORES: Final[dict[str, tuple[Callable[[], MemoryStore], set[Property]]]] = {
    "confirmations are ignored: a thief who comes later is not noticed": (ConfirmsNothing, {3}),
    "a revocation is lost beside a rotation": (CachesTheRow, {4}),
    "a row per rotation": (KeepsEveryGeneration, {5}),
}


@pytest.mark.parametrize("bug", STORES)
def test_a_broken_store_is_found(bug: str) -> None:
    """With a store that breaks one duty, a storm finds the property that it serves broken."""
    make_store, properties = STORES[bug]
    violation = storms(lambda clock: rig_on(make_store(), clock))
    assert violation is not None
    assert violation.number in properties, violation


@dataclass(frozen=True, slots=True)
class Face:
    """A manager that is right; subclasses break one thing between it and its clients."""

    inner: Manager
    numbers: Iterator[int]

    def issue(self, user_id: str, /, *, context: str = "") -> TokenPair:
        """Begin a session."""
        return self.inner.issue(user_id, context=context)

    def refresh(self, token: str, /, *, context: str = "") -> TokenPair:
        """Redeem a token."""
        return self.inner.refresh(token, context=context)

    def authenticate(self, token: str, /) -> Principal[Any]:
        """Accept an access token."""
        return self.inner.authenticate(token)

    def revoke(self, session_id: str, /) -> bool:
        """End a session."""
        return self.inner.revoke(session_id)

    def flush(self) -> None:
        """Wait for confirmations."""
        self.inner.flush()


class SendsAgain(Face):
    """Sends the refresh token again where it stays (8b with a cookie)."""

    def refresh(self, token: str, /, *, context: str = "") -> TokenPair:
        """Let a late answer overwrite a newer token in the jar."""
        return replace(self.inner.refresh(token, context=context), rotated=True)


class NewSuccessorPerRace(Face):
    """Draws a new successor for each answer."""

    def refresh(self, token: str, /, *, context: str = "") -> TokenPair:
        """Take every request for another client's."""
        return self.inner.refresh(token, context=f"{context} {next(self.numbers)}")


FACES: Final[dict[str, tuple[type[Face], set[Property]]]] = {
    "8b sends the cookie again": (SendsAgain, {1, 2}),
    "a new random successor per race": (NewSuccessorPerRace, {1, 2}),
}


@pytest.mark.parametrize("bug", FACES)
def test_a_broken_answer_is_found(bug: str) -> None:
    """With answers that break one rule, a storm finds a property broken."""
    make_face, properties = FACES[bug]
    violation = storms(
        lambda clock: rig_on(MemoryStore(), clock, face=lambda inner: make_face(inner, count()))
    )
    assert violation is not None
    assert violation.number in properties, violation


def test_a_policy_without_recovery_is_found() -> None:
    """With no recovery window a lost answer logs an honest client out: what the default window is for."""
    strict = Policy(**{**POLICY.as_dict(), "recovery_window": 0})
    violation = storms(lambda clock: replace(rig_on(MemoryStore(), clock, policy=strict), policy=POLICY))
    assert violation is not None
    assert violation.number == 2


def test_without_a_bug_the_same_storms_find_nothing() -> None:
    """The counterpart: what finds the bugs above is silent on the table as it is."""
    assert storms(on_memory) is None


@pytest.mark.parametrize(
    "bug",
    ["reuse does not end the session", "a race is reuse: neither 10 nor 11", "a lost write logs out: no 14"],
)
def test_hypothesis_finds_a_broken_row(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state machine itself finds a broken property too, not only the storms of chance."""
    make_rules, _ = TABLES[bug]
    monkeypatch.setattr(table, "RULES", make_rules())
    tries = settings(
        max_examples=300,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.generate],
    )
    with pytest.raises(Violation):
        run_state_machine_as_test(protocol_machine(on_memory), settings=tries)
