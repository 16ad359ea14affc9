"""The history checker of the test kit: it lets an honest history pass, and catches each planted lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from keyturn import KeyRing, Policy, TokenManager
from keyturn._core.commands import Create, Lookup
from keyturn._core.outcomes import Found
from keyturn._core.records import Session
from keyturn.errors import InvalidToken, RevokedToken, StoreUnavailable
from keyturn.stores.memory import MemoryStore
from keyturn.testing.faults import AFTER, BEFORE, FaultyStore
from keyturn.testing.history import Client, History
from keyturn.testing.ledger import Violation


class Scene:
    """A client that signed in and refreshed three times, on a store that can be tampered with."""

    def __init__(self) -> None:
        self.rows = MemoryStore()
        self.store = FaultyStore(self.rows)
        self.manager = TokenManager(
            store=self.store,
            keys=KeyRing.generate("HS256"),
            policy=Policy(race_window=0),
            issuer="i",
            audience="a",
        )
        self.history = History()
        self.client = Client(self.manager, self.history, "user-1")
        assert self.client.sign_in()
        assert all(self.client.refresh() for _ in range(3))
        assert self.client.pair is not None
        self.sid = UUID(self.client.pair.session_id)

    def tamper(self, **changes: Any) -> None:
        """Change the row behind everybody's back."""
        found = self.rows.lookup(Lookup(self.sid))
        assert isinstance(found, Found)
        self.put(replace(found.session, **changes))

    def put(self, row: Session) -> None:
        """Put a row in the place of the one that is there."""
        self.rows.delete([self.sid])
        self.rows.create(Create(row, limit=None, evict=False, now=row.created_at))

    def check(self, **options: int) -> None:
        """Hold the rows against the history."""
        self.history.check(self.rows, **options)


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A scene of one test."""
    scene = Scene()
    yield scene
    scene.manager.close()


@contextmanager
def violation(number: int) -> Iterator[None]:
    """Expect that one of the six properties is seen not to hold."""
    with pytest.raises(Violation) as caught:
        yield
    assert caught.value.number == number, caught.value


def test_an_honest_history_passes(scene: Scene) -> None:
    """Outages before and after the commit, convergence, use, the end and what follows it are all right."""
    for fault in (BEFORE, AFTER):
        scene.store.plan.next(fault, fault, method="rotate")
        assert [scene.client.refresh() for _ in range(3)] == [False, False, True]
        scene.store.plan.next(fault, method="check")
        assert [scene.client.use() for _ in range(2)] == [False, True]
    scene.check()
    scene.store.plan.next(AFTER, method="revoke")
    assert [scene.client.sign_out() for _ in range(2)] == [False, True]
    assert not scene.client.refresh()
    assert not scene.client.use()
    scene.store.plan.next(AFTER, BEFORE, method="create")
    assert [scene.client.sign_in() for _ in range(3)] == [False, False, True]
    scene.check()
    assert scene.history.unanswered() == 9


def test_a_lost_sign_in_is_caught(scene: Scene) -> None:
    """A session whose sign-in was acknowledged is there."""
    scene.rows.delete([scene.sid])
    with violation(2):
        scene.check()


def test_a_lost_rotation_is_caught(scene: Scene) -> None:
    """A row that is older than what was handed out is allowed only where losses are expected."""
    scene.tamper(gen=1)
    with violation(1):
        scene.check()
    with violation(6):
        scene.check(lost_writes=1)
    scene.check(lost_writes=2)


def test_a_rotation_of_nobodys_is_caught(scene: Scene) -> None:
    """A row may be ahead of its client only by one answer that was lost."""
    scene.tamper(gen=4)
    with violation(1):
        scene.check()
    scene.tamper(gen=3)
    scene.store.plan.next(AFTER, method="rotate")
    scene.client.refresh()
    scene.check()
    scene.tamper(gen=5)
    with violation(1):
        scene.check()


def test_an_end_of_nobodys_is_caught(scene: Scene) -> None:
    """A session that its client did not end lives."""
    scene.tamper(revoked_at=1, revoked_reason="reuse")
    with violation(2):
        scene.check()


def test_a_lost_revocation_is_caught(scene: Scene) -> None:
    """What was acknowledged as ended has ended in the store."""
    assert scene.client.sign_out()
    scene.check()
    scene.tamper(revoked_at=None, revoked_reason=None)
    with violation(4):
        scene.check()


@pytest.mark.parametrize("deed", [Client.refresh, Client.use])
def test_tokens_after_the_end_are_caught(scene: Scene, deed: Callable[[Client], bool]) -> None:
    """A session that came back for a moment is seen in what its client was told, if not in the row."""
    assert scene.client.sign_out()
    found = scene.rows.lookup(Lookup(scene.sid))
    assert isinstance(found, Found)
    scene.tamper(revoked_at=None, revoked_reason=None)
    assert deed(scene.client)
    scene.put(replace(found.session, gen=scene.client.generation))
    with violation(4):
        scene.check()


@pytest.mark.parametrize("error", [RevokedToken, InvalidToken, RuntimeError])
def test_an_outage_that_is_an_answer_is_caught(
    scene: Scene, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that cannot answer says so, and says nothing else."""

    def fail(command: object) -> None:
        raise StoreUnavailable if fine else error

    monkeypatch.setattr(scene.store, "rotate", fail)
    fine = True
    scene.client.refresh()
    scene.check()
    fine = False
    scene.client.refresh()
    with violation(2):
        scene.check()


def test_a_second_row_is_caught(scene: Scene) -> None:
    """A session takes one row; one more is allowed for a sign-in that was not answered."""
    other = TokenManager(store=scene.rows, keys=KeyRing.generate("HS256"), issuer="i", audience="a")
    other.issue("user-2")
    with violation(5):
        scene.check()
    scene.store.plan.next(BEFORE, method="create")
    scene.client.sign_in()
    scene.check()
