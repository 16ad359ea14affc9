"""What an operation does where the database is lost, busy or wrong, and whose connections it leaves open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connections, transaction
from django.test import override_settings

from keyturn.django import get_manager, signals
from keyturn.django.models import Session
from keyturn.django.store import AsyncDjangoStore, DjangoStore
from keyturn.errors import InvalidInput, StoreUnavailable
from keyturn.stores.protocol import (
    AsyncStore,
    AsyncTrail,
    Confirm,
    Deny,
    Found,
    Lookup,
    Revoke,
    RevokeUser,
    Store,
    Trail,
)
from keyturn.testing.samples import T0, numbered, refresh_of, sign_in
from tests.support import django_site

ROW = numbered(0)


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a database on a real server."""
    with django_site.on_engine(request, request.param, tmp_path_factory.mktemp("sql")) as alias:
        yield alias


@pytest.fixture
def store(server: str) -> DjangoStore:
    """Give a store with one session."""
    django_site.empty(server)
    store = DjangoStore(using=server)
    store.create(sign_in(ROW))
    return store


def kill(alias: str) -> None:
    """End this thread's connection on the server's side, as a restart or a timeout there does."""
    connection = connections[alias]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()" if alias == "postgres" else "SELECT CONNECTION_ID()")
        number = int(cursor.fetchone()[0])
    killer: Any = connection.copy()
    try:
        with killer.cursor() as cursor:
            cursor.execute(
                f"SELECT pg_terminate_backend({number})" if alias == "postgres" else f"KILL {number}"
            )
    finally:
        killer.close()


def in_a_thread(work: Callable[[], object]) -> None:
    """Do something in a thread of its own, to its end."""
    failed: list[BaseException] = []

    def whole() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  (raised below)
            failed.append(error)

    thread = threading.Thread(target=whole)
    thread.start()
    thread.join(60)
    assert failed == []


def test_a_refresh_survives_a_connection_that_died(store: DjangoStore, server: str) -> None:
    """Outside a request nobody looks after Django's connections: the store opens another, and tries again."""
    kill(server)
    assert type(store.rotate(refresh_of(ROW, T0 + 60_000))).__name__ == "Rotated"


def test_reads_and_revocations_after_a_connection_that_died(store: DjangoStore, server: str) -> None:
    """What is safe to repeat is repeated; the other fails once, and works when it is asked again."""
    kill(server)
    assert store.lookup(Lookup(ROW.sid)) == Found(ROW)
    kill(server)
    with pytest.raises(StoreUnavailable) as raised:
        store.revoke(Revoke(ROW.sid, None, None, "admin", T0))
    assert raised.value.detail == "connection_lost"
    assert store.revoke(Revoke(ROW.sid, None, None, "admin", T0)).ended


def test_a_deadlock_is_tried_again(store: DjangoStore, server: str) -> None:
    """Two transactions that lock two rows crosswise: the server rolls one back, and ours is repeated."""
    other = numbered(1)
    store.create(sign_in(other))
    locked, go = threading.Event(), threading.Event()

    def theirs() -> None:
        rows = Session.objects.using(server)
        # Either of the two may be the victim.
        with closing(connections[server]), suppress(OperationalError), transaction.atomic(using=server):
            rows.select_for_update().get(sid=other.sid)
            locked.set()
            go.wait(30)
            rows.select_for_update().get(sid=ROW.sid)

    thread = threading.Thread(target=theirs)
    thread.start()
    assert locked.wait(30)
    threading.Timer(0.3, go.set).start()  # it is the server that finds the circle, whoever comes first
    outcome = store.revoke_user(RevokeUser(ROW.user_id, None, "user", T0))
    thread.join(60)
    assert len(outcome.ended) == 2


def test_a_value_that_no_row_can_hold_is_bad_input(store: DjangoStore) -> None:
    """Neither a 500 nor an outage."""
    with pytest.raises(InvalidInput):
        store.create(sign_in(replace(numbered(2), user_id="u" * 300)))
    with pytest.raises(InvalidInput):
        store.deny(Deny("\ud800", T0, "", T0))
    assert store.count() == 1


def test_our_threads_leave_no_connection_open(store: DjangoStore, server: str) -> None:
    """Confirmations run in threads of Keyturn's own, which no request ends: so nothing stays open there.

    Else a test database could not be dropped, and each worker would hold a connection more than is counted.
    """
    seen: list[object] = []

    def confirm() -> None:
        store.confirm(Confirm(ROW.sid, 0, T0 + 1))
        seen.append(connections[server].connection)

    in_a_thread(confirm)
    assert seen == [None]


def test_a_connection_in_use_is_not_closed_under_a_request(store: DjangoStore, server: str) -> None:
    """What a request has open stays open, also where it confirms by itself."""
    store.lookup(Lookup(ROW.sid))
    before = connections[server].connection
    store.confirm(Confirm(ROW.sid, 0, T0 + 1))
    assert connections[server].connection is before


@pytest.mark.usefixtures("project")
def test_an_outage_is_told_as_a_signal(tmp_path: Path) -> None:
    """The store's error is a signal, too, for whoever watches."""
    heard: list[str] = []

    def hear(event: Any, **_: Any) -> None:
        heard.append(event.operation)

    missing = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "no" / "where.db")}
    signals.store_unavailable.connect(hear)
    try:
        with (
            django_site.database("missing", missing),
            override_settings(
                KEYTURN={"ISSUER": "https://auth.example.com", "AUDIENCE": "api", "DATABASE": "missing"}
            ),
            pytest.raises(StoreUnavailable),
        ):
            get_manager().issue("u")
    finally:
        signals.store_unavailable.disconnect(hear)
    assert heard == ["create"]


def test_both_stores_are_stores_and_keep_a_trail() -> None:
    """As the type checker says, and as a manager asks at run time."""
    plain: Store = DjangoStore()
    coloured: AsyncStore = AsyncDjangoStore()
    assert isinstance(plain, Trail)
    assert isinstance(coloured, AsyncTrail)
