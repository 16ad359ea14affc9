"""Counts and explains the statements that each database really runs for each operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

import pytest
from sqlalchemy import Engine

from keyturn._core.commands import Check, Confirm, Deny, Follow, Lookup, Purge, Revoke, RevokeUser, Where
from keyturn._core.records import Session
from keyturn._core.trail import TrailEntry
from keyturn.stores._sql.following import Beginning
from keyturn.stores._sql.keeping import WINDOW
from keyturn.stores._sql.tables import sessions
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from keyturn.testing.samples import DAY, OTHER_BRANCH, T0, numbered, refresh_of, sign_in
from tests.support.explaining import heard, listening, tables_read_whole
from tests.support.filling import fill
from tests.support.sql import EVERY_SQL, SqlName, prepared

ROWS: Final = 3000
USERS: Final = 300
NOW: Final = T0 + DAY
CHOSEN: Final = numbered(1500, user_id="user-0")
BEGINNING: Final = Beginning(ROWS, NOW + 1, 0)
PLACES: Final = WeakKeyDictionary[SQLAlchemyStore, object]()
NOTE: Final = TrailEntry(id=numbered(1).sid, sid=CHOSEN.sid, at=NOW, kind="sign_in")

Operation: TypeAlias = Callable[[SQLAlchemyStore], object]


@dataclass(frozen=True)
class Many:
    """A store with many rows."""

    on: SqlName
    store: SQLAlchemyStore

    @property
    def engine(self) -> Engine:
        """Its engine, with one connection."""
        return self.store._engine


def one(number: int) -> Session:
    """Make one of the many sessions."""
    return numbered(number, user_id=f"user-{number % USERS}")


@pytest.fixture(scope="module", params=EVERY_SQL)
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    """A store with a hundred thousand sessions on each engine."""
    on: SqlName = request.param
    with ExitStack() as stack:
        url = stack.enter_context(prepared(request, on, tmp_path_factory.mktemp("sql")))
        store = SQLAlchemyStore.from_url(url, pool_size=1, answer_timeout=20)
        stack.callback(store.close)
        fill(store._engine, on, [one(number) for number in range(1, ROWS + 1)], until=100_000, now=NOW)
        yield Many(on, store)


def refresh(number: int, *, after: int = 0) -> Operation:
    """Refresh a session with its first token, at NOW or some milliseconds later."""
    return lambda store: store.rotate(refresh_of(one(number), NOW + after))


def steal(number: int, *, whole_user: bool = True) -> Operation:
    """Present a session's first token on a branch that was not redeemed."""
    command = replace(refresh_of(one(number), NOW + 1), branch=OTHER_BRANCH, whole_user=whole_user)
    return lambda store: store.rotate(command)


def revoke(number: int) -> Operation:
    """End a session."""
    return lambda store: store.revoke(Revoke(one(number).sid, f"user-{number % USERS}", None, "user", NOW))


def sign_in_new(number: int, user_id: str, limit: int | None) -> Operation:
    """Add a session that is not among the many."""
    return lambda store: store.create(sign_in(numbered(ROWS + number, user_id=user_id), limit=limit))


def follow(store: SQLAlchemyStore) -> None:
    """Read on in the log, to its end."""
    more = True
    while more:
        command = Follow(PLACES.get(store), NOW - DAY, NOW, limit=50_000)
        page = store.follow(command)
        PLACES[store], more = page.cursor, page.more


def follow_a_while(store: SQLAlchemyStore) -> None:
    """Read on, also where there is something new."""
    follow(store)
    revoke(34)(store)
    follow(store)


def begin_to_follow(store: SQLAlchemyStore) -> None:
    """Read the first page of the log."""
    store.follow(Follow(None, NOW - DAY, NOW, limit=10))


def nothing(_: SQLAlchemyStore) -> None:
    """Prepare nothing."""


def everywhere(words: str, *, sqlite: str | None = None) -> dict[SqlName, str]:
    """Say what an operation is on each engine; on SQLite, the lock is on the whole database."""
    return {"sqlite": sqlite or words, "postgres": words, "mariadb": words}


def returning(words: str, *, mariadb: str) -> dict[SqlName, str]:
    """Say what it is where a statement returns the rows that it changes, and where it does not."""
    return {"sqlite": words, "postgres": words, "mariadb": mariadb}


def written(postgres: str, *, sqlite: str, mariadb: str) -> dict[SqlName, str]:
    """Say what it is where it ends with a line of the log: one statement can be both on PostgreSQL alone."""
    return {"sqlite": sqlite, "postgres": postgres, "mariadb": mariadb}


_UPDATES = 6 * " UPDATE"

# What is done before, the operation, and what is sent for it: each is one round trip.
OPERATIONS: Final[dict[str, tuple[Operation, Operation, dict[SqlName, str]]]] = {
    "create": (nothing, sign_in_new(1, "user-1", None), everywhere("INSERT")),
    "create within a limit": (
        nothing,
        sign_in_new(2, "new", 5),
        everywhere("BEGIN SELECT SELECT INSERT COMMIT", sqlite="BEGIN SELECT INSERT COMMIT"),
    ),
    "create over a limit": (
        nothing,
        sign_in_new(3, "user-3", 5),
        written(
            f"BEGIN SELECT SELECT{6 * ' WITH'} INSERT COMMIT",
            sqlite=f"BEGIN SELECT{_UPDATES} INSERT INSERT COMMIT",
            mariadb=f"BEGIN SELECT SELECT{_UPDATES} INSERT INSERT COMMIT",
        ),
    ),
    "refresh": (nothing, refresh(21), returning("UPDATE", mariadb="SELECT UPDATE")),
    "converged refresh": (
        refresh(22),
        refresh(22, after=1),
        returning("UPDATE BEGIN SELECT UPDATE COMMIT", mariadb="SELECT UPDATE"),
    ),
    "reuse": (
        refresh(20),
        steal(20, whole_user=False),
        returning(
            "UPDATE BEGIN SELECT UPDATE INSERT COMMIT", mariadb="SELECT BEGIN SELECT UPDATE INSERT COMMIT"
        ),
    ),
    "reuse that ends all of a user": (
        refresh(23),
        steal(23),
        written(
            "UPDATE BEGIN SELECT UPDATE WITH INSERT COMMIT",
            sqlite="UPDATE BEGIN SELECT UPDATE UPDATE INSERT INSERT COMMIT",
            mariadb="SELECT BEGIN SELECT UPDATE SELECT UPDATE INSERT INSERT COMMIT",
        ),
    ),
    "lookup": (nothing, lambda s: s.lookup(Lookup(CHOSEN.sid)), everywhere("SELECT")),
    "check": (nothing, lambda s: s.check(Check(CHOSEN.sid, "t", NOW)), everywhere("SELECT")),
    "check without a session": (nothing, lambda s: s.check(Check(None, "t", NOW)), everywhere("SELECT")),
    "check of a session that is gone": (
        nothing,
        lambda s: s.check(Check(numbered(90_000).sid, "t", NOW)),
        everywhere("SELECT SELECT"),
    ),
    "confirm": (nothing, lambda s: s.confirm(Confirm(CHOSEN.sid, 1, NOW)), everywhere("UPDATE")),
    "deny": (
        nothing,
        lambda s: s.deny(Deny("x", NOW + 1, "", NOW)),
        written("WITH", sqlite="BEGIN INSERT INSERT COMMIT", mariadb="BEGIN INSERT INSERT COMMIT"),
    ),
    "revoke": (
        nothing,
        revoke(24),
        written("WITH", sqlite="BEGIN UPDATE INSERT COMMIT", mariadb="SELECT BEGIN UPDATE INSERT COMMIT"),
    ),
    "revoke again": (
        revoke(25),
        revoke(25),
        written("WITH SELECT", sqlite="BEGIN UPDATE COMMIT SELECT", mariadb="SELECT"),
    ),
    "revoke_user": (
        nothing,
        lambda s: s.revoke_user(RevokeUser("user-26", None, "user", NOW)),
        written("WITH", sqlite="BEGIN UPDATE INSERT COMMIT", mariadb="BEGIN SELECT UPDATE INSERT COMMIT"),
    ),
    "find": (nothing, lambda s: s.find(Where(user_id="user-9", live_at=NOW)), everywhere("SELECT")),
    "count": (nothing, lambda s: s.count(Where(user_id="user-9", live_at=NOW)), everywhere("SELECT")),
    "delete": (
        nothing,
        lambda s: s.delete([one(27).sid]),
        written(
            "SELECT WITH",
            sqlite="SELECT BEGIN SELECT DELETE INSERT COMMIT",
            mariadb="SELECT BEGIN SELECT DELETE INSERT COMMIT",
        ),
    ),
    "purge": (nothing, lambda s: s.purge(Purge(T0, NOW, 10)), everywhere("SELECT SELECT SELECT")),
    "note": (nothing, lambda s: s.note([NOTE]), everywhere("INSERT")),
    "history": (nothing, lambda s: s.history(CHOSEN.sid), everywhere("SELECT")),
    "forget": (nothing, lambda s: s.forget(T0, 10), everywhere("SELECT")),
    "follow": (follow, follow, everywhere("SELECT")),
    "follow from the beginning": (nothing, begin_to_follow, everywhere("SELECT SELECT")),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_sends_these_statements(many: Many, name: str) -> None:
    """As few round trips as the engine allows, a lock only where something is read before it is written.

    Nothing goes over the line that is not in this list: no driver begins, commits or rolls back unasked.
    """
    prepare, operation, expected = OPERATIONS[name]
    prepare(many.store)
    with listening(many.engine) as sent, heard(many.engine) as count:
        sent.clear()
        operation(many.store)
        kinds = [each.kind for each in sent]
        begins = {each.statement for each in sent if each.kind == "BEGIN"}
        on_the_line = count()
    assert kinds == expected[many.on].split()
    # SQLite has no line: it runs one statement for each row, where servers get all rows with it.
    assert on_the_line == (sum(each.rows for each in sent) if many.on == "sqlite" else len(kinds))
    assert begins <= {"BEGIN IMMEDIATE", "BEGIN ISOLATION LEVEL READ COMMITTED", "BEGIN"}


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
        pytest.param(
            lambda s: s.find(Where(after=CHOSEN.sid, newest_first=True), limit=10), id="page before of all"
        ),
        pytest.param(lambda s: s.count(Where(user_id="user-15", live_at=NOW)), id="count of a user"),
        pytest.param(lambda s: s.delete([one(n).sid for n in range(1000, 1010)]), id="delete"),
        pytest.param(lambda s: s.purge(Purge(T0 + 90 * DAY + 9, NOW, 5)), id="purge"),
        pytest.param(lambda s: s.history(CHOSEN.sid, after=NOTE.id), id="history"),
        pytest.param(lambda s: s.forget(NOW + 9, 5), id="forget"),
        pytest.param(follow_a_while, id="follow"),
        pytest.param(lambda s: s.follow(Follow(BEGINNING, 0, NOW, limit=10)), id="follow from the beginning"),
    ],
)
def test_no_operation_reads_a_whole_table(many: Many, operation: Operation) -> None:
    """The engine's own plans: every table of ours is searched by a key, whatever its size.

    But for who begins to follow the log, who reads all that is young: here nearly all, so that comes first.
    """
    follow(many.store)
    with listening(many.engine) as sent:
        operation(many.store)
    explained = [each for each in sent if each.kind in {"SELECT", "UPDATE", "DELETE", "WITH"}]
    assert explained
    with many.engine.connect() as connection:
        whole = {table for each in explained for table in tables_read_whole(connection, each)}
    assert whole <= {"keyturn_stripes"}, "so few rows that no index is shorter"


def test_a_scan_is_found(many: Many) -> None:
    """The check above finds what it looks for."""
    with listening(many.engine) as sent, many.engine.connect() as connection:
        connection.exec_driver_sql("SELECT sid FROM keyturn_sessions WHERE gen = 7")
        assert tables_read_whole(connection, sent[0]) == {"keyturn_sessions"}


def test_all_sessions_are_counted_and_listed_in_bounded_steps(many: Many) -> None:
    """Where no condition bounds a statement, a range of the key does; together they give all."""
    revoke(35)(many.store)  # so that one of them has ended
    total = many.store.count()
    assert total > 90_000
    with listening(many.engine) as sent:
        living = many.store.count(Where(live_at=NOW))
    counts = [each for each in sent if "count(" in each.statement]
    assert len(counts) == total // WINDOW + 1
    assert 90_000 < living < total
    assert many.store.count(Where(live_at=NOW, newest_first=True)) == living
    newest = many.store.find(Where(live_at=NOW, newest_first=True), limit=3)
    assert [each.sid for each in newest] == sorted((each.sid for each in newest), reverse=True)
    last = many.store.find(Where(live_at=NOW, after=newest[-1].sid), limit=10)
    assert [each.sid for each in last] == [each.sid for each in reversed(newest[:-1])]


def test_pages_follow_the_order_of_ids(many: Many) -> None:
    """The database sorts ids as Python does, so reading on by id meets every row once."""
    first = numbered(0).sid
    pages: list[Session] = []
    while page := many.store.find(Where(after=pages[-1].sid if pages else first), limit=700):
        pages += page
    sids = [session.sid for session in pages]
    assert sids == sorted(set(sids))
    assert len(sids) == many.store.count(Where(after=first))


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


def test_refreshes_are_hot_on_postgresql(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """PostgreSQL's own count: a refresh touches no index, and the table does not grow."""
    with prepared(request, "postgres", tmp_path) as url:
        store = SQLAlchemyStore.from_url(url, pool_size=1)
        rows = [numbered(number) for number in range(1, 201)]
        for row in rows:
            store.create(sign_in(row))
        size = "SELECT pg_relation_size('keyturn_sessions') + pg_indexes_size('keyturn_sessions')"
        with store._engine.connect() as connection:
            before = connection.exec_driver_sql(size).scalar_one()
        for generation in range(10):
            for row in rows:
                moment = row.created_at + generation * DAY // 10
                store.rotate(replace(refresh_of(row, moment), gen=generation, race_window=0))
        with store._engine.connect() as connection:
            connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
            counted = connection.exec_driver_sql(
                "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'keyturn_sessions'"
            )
            updates, hot = counted.one()
            after = connection.exec_driver_sql(size).scalar_one()
        store.close()
    assert updates == 2000
    assert hot >= 0.98 * updates
    assert after <= 1.5 * before
