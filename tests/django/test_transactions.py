"""What an operation does inside a transaction of the application's, and what it never does."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, get_args

import pytest
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase

from keyturn import ReusedToken
from keyturn.django import get_manager, signals
from keyturn.django.models import Session
from keyturn.django.store import DjangoStore
from keyturn.django.users import user_id_of
from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.events import Event
from keyturn.testing.samples import numbered, sign_in
from tests.django.project.accounts.models import User

pytestmark = pytest.mark.usefixtures("project")


class Undone(Exception):
    """What rolls a transaction back."""


@contextmanager
def undone() -> Iterator[None]:
    """Run a block in a transaction that is rolled back."""
    with suppress(Undone), transaction.atomic():
        yield
        raise Undone


def test_a_password_change_and_the_end_of_the_sessions_stand_together() -> None:
    """Inside `atomic()`, both are committed, and both are there afterwards."""
    user, manager = User.objects.create_user("ann", password="one"), get_manager()
    manager.issue(user_id_of(user))
    with transaction.atomic():
        user.set_password("two")
        user.save()
    assert manager.sessions(user_id_of(user)) == []
    assert User.objects.get(pk=user.pk).check_password("two")


def test_a_password_change_and_the_end_of_the_sessions_fall_together() -> None:
    """When the transaction is rolled back, the sessions live on, as the old password does."""
    user, manager = User.objects.create_user("ann", password="one"), get_manager()
    manager.issue(user_id_of(user))
    with undone():
        user.set_password("two")
        user.save()
        assert manager.sessions(user_id_of(user)) == []
    assert len(manager.sessions(user_id_of(user))) == 1
    assert User.objects.get(pk=user.pk).check_password("one")


def test_a_refresh_inside_a_transaction_is_refused() -> None:
    """It says what to do, and nothing has changed: a reuse must not be rolled back by what comes after."""
    user, manager = User.objects.create_user("ann"), get_manager()
    pair = manager.issue(user_id_of(user))
    with transaction.atomic(), pytest.raises(ConfigurationError, match="non_atomic_requests"):
        manager.refresh(pair.refresh_token)
    assert manager.refresh(pair.refresh_token).session_id == pair.session_id


def test_reuse_stays_noticed_whatever_comes_after() -> None:
    """The end of the session is committed before `refresh` raises, so no error afterwards takes it back."""
    user, manager = User.objects.create_user("ann"), get_manager()
    pair = manager.issue(user_id_of(user))
    Session.objects.update(gen=3)
    with pytest.raises(ReusedToken):
        manager.refresh(pair.refresh_token)
    connection.close()  # as a worker that is killed then
    assert Session.objects.get().revoked_reason == "reuse"


def test_a_failing_operation_leaves_the_callers_transaction_usable() -> None:
    """It has a savepoint of its own, so who catches its error may go on and commit."""
    store = DjangoStore()
    store.create(sign_in(numbered(1)))
    with transaction.atomic():
        User.objects.create_user("ann")
        with pytest.raises(StoreUnavailable), transaction.atomic():
            store.create(sign_in(numbered(1)))  # the id is taken
    assert User.objects.filter(username="ann").exists()


def test_signals_wait_for_the_commit() -> None:
    """A receiver hears of a revocation when it is true, and never of one that was rolled back."""
    heard: list[Any] = []

    def hear(event: Any, **_: Any) -> None:
        heard.append((event.reason, connection.in_atomic_block))

    signals.revoked.connect(hear)
    try:
        user, manager = User.objects.create_user("ann"), get_manager()
        manager.issue(user_id_of(user))
        with undone():
            manager.revoke_user(user_id_of(user))
        assert heard == []
        with transaction.atomic():
            manager.revoke_user(user_id_of(user), reason="admin")
            assert heard == []
        assert heard == [("admin", False)]
    finally:
        signals.revoked.disconnect(hear)


def test_a_broken_receiver_breaks_no_refresh(caplog: pytest.LogCaptureFixture) -> None:
    """What it raises is logged, and the client has its tokens."""

    def break_down(**_: Any) -> None:
        raise Undone

    signals.refreshed.connect(break_down)
    try:
        user, manager = User.objects.create_user("ann"), get_manager()
        pair = manager.refresh(manager.issue(user_id_of(user)).refresh_token)
    finally:
        signals.refreshed.disconnect(break_down)
    assert pair.access_token
    assert "Undone" in caplog.text


def test_every_event_has_a_signal() -> None:
    """None is forgotten when there is a new one."""
    assert set(signals.SIGNALS) == set(get_args(Event))


def run_case(case: type[TransactionTestCase], name: str) -> None:
    """Run one test of a class of Django's, with its own set-up and tear-down."""
    result = unittest.TestResult()
    unittest.TestSuite([case(name)]).run(result)
    assert result.wasSuccessful(), result.errors + result.failures
    assert result.testsRun == 1


def test_an_applications_own_tests_may_refresh() -> None:
    """Django's `TestCase` wraps each test in a transaction; that is none of the application's.

    Signals are sent at once there, for nothing is ever committed.
    """
    heard: list[str] = []

    def hear(event: Any, **_: Any) -> None:
        heard.append(event.session_id)

    class Refreshing(TestCase):
        def test_it(self) -> None:
            """Refresh in a test of an application."""
            signals.refreshed.connect(hear)
            try:
                user, manager = User.objects.create_user("ann"), get_manager()
                pair = manager.refresh(manager.issue(user_id_of(user)).refresh_token)
            finally:
                signals.refreshed.disconnect(hear)
            assert heard == [pair.session_id]
            with transaction.atomic(), pytest.raises(ConfigurationError):
                manager.refresh(pair.refresh_token)

    run_case(Refreshing, "test_it")
    assert not Session.objects.exists()
