"""Counts and explains the statements that SQLite really runs for each operation."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import pytest
from sqlalchemy import Engine, create_engine, event, insert

from keyturn._core.commands import Check, Confirm, Deny, Lookup, Purge, Revoke, RevokeUser, Where
from keyturn._core.records import Session
from keyturn.stores._sql.tables import sessions, to_row
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from keyturn.testing.samples import DAY, OTHER_BRANCH, T0, numbered, refresh_of, sign_in

ROWS: Final = 3000
USERS: Final = 300
NOW: Final = T0 + DAY
CHOSEN: Final = numbered(1500, user_id="user-0")

Operation: TypeAlias = Callable[[SQLAlchemyStore], object]


def one(number: int) -> Session:
    """Make one of the many sessions."""
    return numbered(number, user_id=f"user-{number % USERS}")


def many() -> list[Session]:
    """Make ten sessions for each of many users."""
    return [one(number) for number in range(1, ROWS + 1)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine on a file with thousands of sessions."""
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('sql')}/keyturn.db")
    store = SQLAlchemyStore(engine)
    store.create_schema()
    with engine.begin() as connection:
        connection.execute(insert(sessions), [to_row(session) for session in many()])
    yield engine
    engine.dispose()


@pytest.fixture
def ran(engine: Engine) -> Iterator[list[str]]:
    """What SQLite itself says that it ran, its parameters filled in."""
    seen: list[str] = []
    engine.dispose()  # a connection is traced from its start

    def trace(connection: sqlite3.Connection, _: object) -> None:
        connection.set_trace_callback(seen.append)

    event.listen(engine, "connect", trace)
    with engine.connect():
        seen.clear()  # what SQLAlchemy asks a new connection for
    yield seen
    event.remove(engine, "connect", trace)


def kinds(statements: list[str]) -> list[str]:
    """Name each statement by its first word, the pragmas of SQLAlchemy's isolation levels left out."""
    words = [statement.split()[0] for statement in statements]
    return [word for word in words if word != "PRAGMA"]


def refresh(number: int, *, after: int = 0) -> Operation:
    """Refresh a session with its first token, at NOW or some milliseconds later."""
    return lambda store: store.rotate(refresh_of(one(number), NOW + after))


def steal(number: int) -> Operation:
    """Present a session's first token on a branch that was not redeemed."""
    command = replace(refresh_of(one(number), NOW + 1), branch=OTHER_BRANCH, whole_user=True)
    return lambda store: store.rotate(command)


def revoke(number: int) -> Operation:
    """End a session."""
    return lambda store: store.revoke(Revoke(one(number).sid, f"user-{number}", None, "user", NOW))


def sign_in_new(number: int, user_id: str, limit: int | None) -> Operation:
    """Add a session that is not among the many."""
    return lambda store: store.create(sign_in(numbered(ROWS + number, user_id=user_id), limit=limit))


def nothing(_: SQLAlchemyStore) -> None:
    """Prepare nothing."""


# What is done before, the operation, and what SQLite then runs for it.
OPERATIONS: Final[dict[str, tuple[Operation, Operation, str]]] = {
    "create": (nothing, sign_in_new(1, "user-1", None), "INSERT"),
    "create within a limit": (nothing, sign_in_new(2, "new", 5), "BEGIN SELECT INSERT COMMIT"),
    "create over a limit": (
        nothing,
        sign_in_new(3, "user-3", 5),
        "BEGIN SELECT" + 6 * " UPDATE" + " INSERT COMMIT",
    ),
    "refresh": (nothing, refresh(21), "UPDATE"),
    "converged refresh": (refresh(22), refresh(22, after=1), "UPDATE BEGIN SELECT UPDATE COMMIT"),
    "reuse": (refresh(23), steal(23), "UPDATE BEGIN SELECT UPDATE UPDATE COMMIT"),
    "lookup": (nothing, lambda s: s.lookup(Lookup(CHOSEN.sid)), "SELECT"),
    "check": (nothing, lambda s: s.check(Check(CHOSEN.sid, "t", NOW)), "SELECT"),
    "check without a session": (nothing, lambda s: s.check(Check(None, "t", NOW)), "SELECT"),
    "confirm": (nothing, lambda s: s.confirm(Confirm(CHOSEN.sid, 1, NOW)), "UPDATE"),
    "deny": (nothing, lambda s: s.deny(Deny("x", NOW + 1, "", NOW)), "INSERT"),
    "revoke": (nothing, revoke(24), "UPDATE"),
    "revoke again": (revoke(25), revoke(25), "UPDATE SELECT"),
    "revoke_user": (nothing, lambda s: s.revoke_user(RevokeUser("user-26", None, "user", NOW)), "UPDATE"),
    "find": (nothing, lambda s: s.find(Where(user_id="user-9", live_at=NOW)), "SELECT"),
    "count": (nothing, lambda s: s.count(Where(user_id="user-9", live_at=NOW)), "SELECT"),
    "delete": (nothing, lambda s: s.delete([one(27).sid]), "SELECT DELETE"),
    "purge": (nothing, lambda s: s.purge(Purge(T0, NOW, 10)), "SELECT SELECT"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_runs_these_statements(engine: Engine, ran: list[str], name: str) -> None:
    """As many round trips as needed, and a lock only where something is read before it is written."""
    prepare, operation, expected = OPERATIONS[name]
    store = SQLAlchemyStore(engine)
    prepare(store)
    ran.clear()
    operation(store)
    assert kinds(ran) == expected.split()
    assert {statement for statement in ran if statement.startswith("BEGIN")} <= {"BEGIN IMMEDIATE"}


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(sign_in_new(4, "user-12", 5), id="create"),
        pytest.param(refresh(31), id="refresh"),
        pytest.param(lambda s: (refresh(32)(s), refresh(32, after=1)(s)), id="converged refresh"),
        pytest.param(lambda s: (refresh(33)(s), steal(33)(s)), id="reuse"),
        pytest.param(lambda s: s.check(Check(CHOSEN.sid, "t", NOW)), id="check"),
        pytest.param(lambda s: s.confirm(Confirm(CHOSEN.sid, 0, NOW)), id="confirm"),
        pytest.param(lambda s: s.revoke(Revoke(CHOSEN.sid, "user-0", b"", "user", NOW)), id="revoke"),
        pytest.param(
            lambda s: s.revoke_user(RevokeUser("user-14", CHOSEN.sid, "user", NOW)), id="revoke_user"
        ),
        pytest.param(lambda s: s.find(Where(user_id="user-15", live_at=NOW)), id="find of a user"),
        pytest.param(lambda s: s.find(Where(user_id="user-15", after=CHOSEN.sid)), id="next page of a user"),
        pytest.param(lambda s: s.find(Where(after=CHOSEN.sid), limit=10), id="next page of all"),
        pytest.param(lambda s: s.count(Where(user_id="user-15", live_at=NOW)), id="count of a user"),
        pytest.param(lambda s: s.delete([one(n).sid for n in range(1000, 1010)]), id="delete"),
        pytest.param(lambda s: s.purge(Purge(T0 + 95 * DAY, NOW, 10)), id="purge"),
    ],
)
def test_no_operation_reads_a_whole_table(engine: Engine, ran: list[str], operation: Operation) -> None:
    """SQLite's own plans: every table of ours is searched by a key, whatever its size."""
    operation(SQLAlchemyStore(engine))
    explained = [statement for statement in ran if re.match("SELECT|UPDATE|DELETE", statement)]
    lines = [line for statement in explained for line in plan(engine, statement)]
    assert any(line.startswith("SEARCH keyturn_") for line in lines)
    assert [line for line in lines if line.startswith("SCAN keyturn_")] == []


def plan(engine: Engine, statement: str) -> list[str]:
    """Ask SQLite how it runs a statement."""
    with engine.connect() as connection:
        return [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")]


def test_a_scan_is_found(engine: Engine) -> None:
    """The check above finds what it looks for."""
    assert plan(engine, "SELECT * FROM keyturn_sessions WHERE gen = 7") == ["SCAN keyturn_sessions"]


def test_the_first_page_of_all_reads_in_the_order_of_the_key(engine: Engine, ran: list[str]) -> None:
    """Without a condition there is nothing to search by; the page ends the reading, and nothing is sorted."""
    assert len(SQLAlchemyStore(engine).find(limit=10)) == 10
    (reading,) = [statement for statement in ran if statement.startswith("SELECT")]
    assert plan(engine, reading) == ["SCAN keyturn_sessions USING INDEX sqlite_autoindex_keyturn_sessions_1"]


def test_a_refresh_changes_no_indexed_column() -> None:
    """PostgreSQL can then rewrite the row in place; with an index on a changed column it cannot."""
    indexed = {column.name for index in sessions.indexes for column in index.columns} | {"sid"}
    changed = {
        "gen",
        "parent_branch",
        "confirmed",
        "rotated_at",
        "handed_at",
        "last_seen_at",
        "idle_expires_at",
    }
    assert indexed.isdisjoint(changed)


def test_pages_follow_the_order_of_ids(engine: Engine) -> None:
    """The database sorts ids as Python does, so reading on by id meets every row once."""
    store = SQLAlchemyStore(engine)
    pages: list[Session] = []
    while page := store.find(Where(after=pages[-1].sid if pages else None), limit=700):
        pages += page
    sids = [session.sid for session in pages]
    assert sids == sorted(set(sids))
    assert len(sids) == store.count()


def test_one_row_however_often_it_refreshes(tmp_path: Path) -> None:
    """A thousand refreshes leave one row, and hardly a larger file."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/keyturn.db")
    store.create_schema()
    session = numbered(1)
    store.create(sign_in(session))
    for generation in range(1000):
        moment = session.created_at + generation * DAY // 1000
        store.rotate(replace(refresh_of(session, moment), gen=generation, race_window=0))
    assert [each.gen for each in store.find()] == [1000]
    store.close()
    assert (tmp_path / "keyturn.db").stat().st_size < 100_000
