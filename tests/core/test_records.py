"""Holds what the core passes around: frozen, comparable by value, and silent about secrets."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any, get_args

import pytest

from keyturn._core import commands, outcomes, records
from keyturn._core.commands import Create, Lookup, Revoke
from keyturn._core.outcomes import Converged, Found, Reused, Rotated
from keyturn.results import describe, rests_until
from keyturn.testing.samples import DAY, DIGEST, IDLE, REDEEM, ROW, T0, marked

PLAIN = [
    value
    for module in (records, commands, outcomes)
    for _, value in inspect.getmembers(module, inspect.isclass)
    if is_dataclass(value) and value.__module__ == module.__name__
]

SECRETS = replace(
    ROW,
    secret_digest=b"secret-secret-secret-secret-secr",
    parent_branch=b"branchxx",
    claims={"claim": "confidential"},
)


@pytest.mark.parametrize("kind", PLAIN)
def test_values_are_frozen_and_slotted(kind: type[Any]) -> None:
    """No record, command or outcome can change after it was made, nor grow attributes."""
    assert kind.__dataclass_params__.frozen
    assert "__slots__" in vars(kind)


def test_a_session_cannot_be_changed_in_place() -> None:
    """A changed session is another session."""
    with pytest.raises(FrozenInstanceError):
        ROW.gen = 6  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # that is the point
    assert replace(ROW, gen=6) != ROW
    assert replace(ROW, gen=5) == ROW


@pytest.mark.parametrize(
    "value",
    [
        SECRETS,
        Create(SECRETS, limit=None, evict=True, now=T0),
        replace(REDEEM, digest=SECRETS.secret_digest, branch=SECRETS.parent_branch),
        Lookup(ROW.sid, SECRETS.secret_digest),
        Revoke(ROW.sid, None, SECRETS.secret_digest, "logout", T0),
        Found(SECRETS),
        Rotated(SECRETS),
        Converged(SECRETS, "race"),
        Reused(SECRETS, "fork", others=(SECRETS,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_repr_holds_a_secret(value: object) -> None:
    """Digests, branches and claims are not in a repr, and so not in a traceback or a log."""
    text = repr(value)
    assert "secret" not in text
    assert "branchxx" not in text
    assert "confidential" not in text


def test_every_outcome_belongs_to_a_command() -> None:
    """The unions name every outcome that there is, so that an exhaustive `match` forgets none."""
    unions = (
        *(outcomes.CreateOutcome, outcomes.RotateOutcome, outcomes.LookupOutcome, outcomes.CheckOutcome),
        *(outcomes.RefreshOutcome, outcomes.Revocation, outcomes.Followed),
    )
    named = {member for union in unions for member in (get_args(union) or (union,))}
    single = {kind for kind in PLAIN if kind.__module__ == outcomes.__name__}
    assert named == single


def test_every_end_has_a_name() -> None:
    """The reasons for which a session ends are the documented ones."""
    reasons = {reason for kinds in get_args(records.EndReason) for reason in get_args(kinds) or (kinds,)}
    assert reasons == {
        *("logout", "revoked", "user", "admin", "reuse", "limit", "inactive", "idle", "absolute")
    }


def test_a_session_is_described_without_what_could_be_used() -> None:
    """What a person sees has seconds, limits and the reason of the end, and neither digest nor branch."""
    info = describe(ROW, now=T0, current=str(ROW.sid))
    assert {field.name for field in fields(info)} & {"secret_digest", "parent_branch", "jkt"} == set()
    assert (info.id, info.user_id, info.current, info.active) == (str(ROW.sid), "user-1", True, True)
    assert (info.created_at, info.last_seen_at) == (ROW.created_at / 1000, T0 / 1000)
    assert (info.expires_at, info.absolute_expires_at) == ((T0 + IDLE) / 1000, ROW.expires_at / 1000)
    assert (info.ended_at, info.end_reason) == (None, None)
    over = describe(marked(ROW, "admin", T0 + 5), now=T0 + 5)
    assert (over.active, over.current, over.ended_at, over.end_reason) == (
        False,
        False,
        (T0 + 5) / 1000,
        "admin",
    )
    unseen = describe(ROW, now=T0 + IDLE)
    assert (unseen.active, unseen.ended_at, unseen.end_reason) == (False, None, "idle")
    assert DIGEST.hex() not in repr(info)


def test_a_session_rests_until_its_nearer_limit() -> None:
    """Idle where it is nearer, else absolute; without an idle limit, absolute."""
    assert rests_until(ROW) == T0 + IDLE
    assert rests_until(replace(ROW, idle_expires_at=None)) == ROW.expires_at
    assert rests_until(replace(ROW, idle_expires_at=ROW.expires_at + DAY)) == ROW.expires_at
