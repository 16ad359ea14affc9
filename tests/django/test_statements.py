"""How many statements each operation takes, on each engine: counted, so that none is added unnoticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from typing import Any, Final

import pytest
from django.core import serializers
from django.test import override_settings

from keyturn._core.outcomes import Converged, Rotated
from keyturn.django import get_manager
from keyturn.django.models import Session
from keyturn.django.store import DjangoStore
from keyturn.django.users import user_id_of
from keyturn.stores.protocol import (
    Check,
    Confirm,
    Deny,
    Lookup,
    Reused,
    Revoke,
    RevokeUser,
    Where,
)
from keyturn.testing.samples import T0, line_of, numbered, refresh_of, sign_in
from tests.django.project.accounts.models import User
from tests.support import django_site
from tests.support.sql import EVERY_SQL, SqlName

ROW: Final = numbered(0)
NEXT: Final = refresh_of(ROW, T0 + 60_000)

# What is sent, but for BEGIN and COMMIT. MariaDB has no UPDATE … RETURNING: it locks, decides and writes.
COUNTS: Final[dict[str, tuple[Callable[[DjangoStore], Any], int]]] = {
    "sign-in": (lambda s: s.create(sign_in(numbered(1))), 1),
    "sign-in within a limit": (lambda s: s.create(sign_in(numbered(1), limit=5)), 3),
    "lookup": (lambda s: s.lookup(Lookup(ROW.sid)), 1),
    "check": (lambda s: s.check(Check(ROW.sid, "jti", T0)), 1),
    "check without a session": (lambda s: s.check(Check(None, "jti", T0)), 1),
    "confirm": (lambda s: s.confirm(Confirm(ROW.sid, 0, T0 + 1)), 1),
    "revoke": (lambda s: s.revoke(Revoke(ROW.sid, None, None, "admin", T0)), 2),
    "revoke again": (lambda s: s.revoke(Revoke(numbered(9).sid, None, None, "admin", T0)), 1),
    "revoke a user": (lambda s: s.revoke_user(RevokeUser(ROW.user_id, None, "user", T0)), 2),
    "deny": (lambda s: s.deny(Deny("jti", T0, "", T0)), 2),
    "list": (lambda s: s.find(Where(user_id=ROW.user_id)), 1),
    "count": (lambda s: s.count(), 1),
    "note 100 lines": (lambda s: s.note([line_of(ROW, n) for n in range(100)]), 1),
    "read the trail": (lambda s: s.history(ROW.sid), 1),
}


@pytest.fixture(scope="module")
def places(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[SqlName], str]]:
    """Make the tables once on each engine that is asked for."""
    with ExitStack() as stack:
        yield cache(
            lambda on: stack.enter_context(django_site.on_engine(request, on, tmp_path_factory.mktemp("sql")))
        )


@pytest.fixture(params=EVERY_SQL)
def alias(request: pytest.FixtureRequest, places: Callable[[SqlName], str]) -> str:
    """Give an empty database on each engine."""
    alias = places(request.param)
    django_site.empty(alias)
    return alias


@pytest.fixture
def store(alias: str) -> DjangoStore:
    """Give a store with one session and its user's lock."""
    store = DjangoStore(using=alias)
    store.create(sign_in(ROW, limit=10))
    return store


@pytest.mark.parametrize("name", COUNTS)
def test_an_operation_takes_no_more_statements_than_it_must(
    store: DjangoStore, alias: str, name: str
) -> None:
    """Each operation, as many statements as are written down above."""
    operation, expected = COUNTS[name]
    with django_site.statements(alias) as sent:
        operation(store)
    if name == "note 100 lines" and alias == "sqlite":
        expected = len(sent)  # SQLite takes fewer values in one; they are in one transaction
        assert expected <= 2
    assert len(sent) == expected, sent


def test_a_refresh_is_one_statement_in_the_common_case(store: DjangoStore, alias: str) -> None:
    """On SQLite and PostgreSQL, `UPDATE … RETURNING` in autocommit; on MariaDB two, behind the row's lock."""
    with django_site.statements(alias) as sent:
        outcome = store.rotate(NEXT)
    assert outcome == Rotated(replace(ROW, gen=1, parent_branch=NEXT.branch, **_moved(NEXT.now)))
    if alias == "mariadb":
        assert [text.split()[0] for text in sent] == ["SELECT", "UPDATE"]
        assert sent[0].endswith("FOR UPDATE")
    else:
        assert len(sent) == 1
        assert sent[0].startswith("UPDATE")
        assert "RETURNING" in sent[0]


def test_every_other_refresh_is_decided_behind_a_lock(store: DjangoStore, alias: str) -> None:
    """A race and a reuse: at most one statement in vain, then the row is locked, decided and written."""
    tried = 0 if alias == "mariadb" else 1
    store.rotate(NEXT)
    with django_site.statements(alias) as sent:
        assert isinstance(store.rotate(replace(NEXT, now=NEXT.now + 1)), Converged)
    assert len(sent) == tried + 2
    with django_site.statements(alias) as sent:
        assert isinstance(store.rotate(replace(NEXT, branch=b"another ")), Reused)
    assert len(sent) == tried + 2


def test_a_refresh_opens_no_transaction_in_the_common_case(store: DjangoStore, alias: str) -> None:
    """One statement in autocommit is one round trip: no BEGIN, no COMMIT."""
    from django.db import connections  # noqa: PLC0415  (as the connection is this engine's)

    if alias == "mariadb":
        pytest.skip("MariaDB has no UPDATE … RETURNING")
    connection = connections[alias]
    connection.force_debug_cursor = True
    try:
        connection.queries_log.clear()
        store.rotate(NEXT)
        assert len(connection.queries_log) == 1
    finally:
        connection.force_debug_cursor = False


def _moved(now: int) -> dict[str, Any]:
    return {
        "rotated_at": now,
        "handed_at": now,
        "last_seen_at": now,
        "idle_expires_at": now + (ROW.idle_ttl or 0),
    }


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(("is_allowed", "expected"), [("keyturn.django.users.is_active", 3), (None, 1)])
def test_a_refresh_asks_for_its_user(is_allowed: str | None, expected: int) -> None:
    """Whether the user may go on costs the session's row and the user's; without it, one statement is all."""
    user_id = user_id_of(User.objects.create_user("ann"))
    settings = {"ISSUER": "https://auth.example.com", "AUDIENCE": "api", "USER_IS_ALLOWED": is_allowed}
    with override_settings(KEYTURN=settings):
        pair = get_manager().issue(user_id)
        with django_site.statements("default") as sent:
            get_manager().refresh(pair.refresh_token)
    assert len(sent) == expected, sent


@pytest.mark.usefixtures("project")
def test_an_access_token_costs_one_statement() -> None:
    """There is no revocation log, so the database is asked each time; `revocation="none"` asks nobody."""
    manager = get_manager()
    pair = manager.issue("u")
    manager.authenticate(pair.access_token)
    manager.flush()
    with django_site.statements("default") as sent:
        manager.authenticate(pair.access_token)
    assert len(sent) == 1
    with django_site.statements("default") as sent:
        manager.authenticate(pair.access_token, revocation="none")
    assert sent == []


@pytest.mark.usefixtures("project")
def test_rows_survive_dumpdata_and_loaddata() -> None:
    """As fixtures, byte for byte: for a project that moves to another database."""
    DjangoStore().create(sign_in(replace(ROW, claims={"n": 1.0, "a": ["\u0000", "é"]}, jkt="key")))
    before = DjangoStore().find()
    written = serializers.serialize("json", Session.objects.all())
    Session.objects.all().delete()
    for row in serializers.deserialize("json", written):
        row.save()
    assert DjangoStore().find() == before
