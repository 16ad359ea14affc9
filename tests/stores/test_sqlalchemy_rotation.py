"""Holds the SQL refresh to the transition table, on every engine, alone and in races."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, delete, event, insert, make_url, select

from keyturn._core.commands import Lookup, RevokeUser, Rotate, Where
from keyturn._core.decide import decide
from keyturn._core.outcomes import Converged, Created, Found, Reused, Rotated
from keyturn._core.records import Session
from keyturn.stores._sql import operations, statements
from keyturn.stores._sql.queries import Reply
from keyturn.stores._sql.quick import case_8
from keyturn.stores._sql.running import _send
from keyturn.stores._sql.tables import sessions, to_row, to_session
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.testing.colours import together
from keyturn.testing.samples import (
    BRANCH,
    DAY,
    DIGEST,
    OTHER_BRANCH,
    REDEEM,
    ROW,
    T0,
    numbered,
    refresh_of,
    sign_in,
)
from tests.support.sql import EVERY_SQL, SERVERS, SqlName, empty, opened, prepared

T = TypeVar("T")

# So few values that every two of them meet, before and behind each other, in every field.
moments = st.integers(0, 12)
spans = st.integers(0, 6)
branches = st.sampled_from([BRANCH, OTHER_BRANCH])


def mostly(usual: T, *others: T) -> st.SearchStrategy[T]:
    """Draw one value more often than all others together."""
    return st.sampled_from([usual] * (len(others) + 2) + list(others))


def vary(**values: Any) -> Session:
    """Make a session that differs from the sample."""
    return replace(ROW, **values)


rows = st.builds(
    vary,
    gen=st.integers(0, 3),
    parent_branch=branches,
    confirmed=st.booleans(),
    created_at=moments,
    rotated_at=moments,
    handed_at=moments,
    last_seen_at=moments,
    idle_ttl=st.none() | spans,
    idle_expires_at=st.none() | st.integers(4, 16),
    expires_at=st.integers(4, 16),
    revoked_at=mostly(None, 3),
    revoked_reason=st.just("admin"),
    jkt=mostly(None, "", "a key", "another key"),
)


@st.composite
def meetings(draw: st.DrawFn) -> tuple[Session, Rotate]:
    """A session, and a refresh that more often than not has its secret, its key and its generation."""
    row = draw(rows)
    command = replace(
        REDEEM,
        digest=draw(mostly(DIGEST, b"x" * 32)),
        gen=max(0, row.gen + draw(mostly(0, -2, -1, 1, 2, 3))),
        branch=draw(branches),
        jkt=draw(mostly(row.jkt, None, "", "a key")),
        now=draw(moments),
        race_window=draw(spans),
        recovery_window=draw(spans),
        rotation=draw(st.booleans()),
        converge=draw(st.booleans()),
    )
    return row, command


@pytest.fixture(scope="module", params=EVERY_SQL)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the tables, on each engine."""
    with prepared(request, request.param, tmp_path_factory.mktemp("sql")) as url:
        yield url


@pytest.fixture(scope="module")
def engine(url: str) -> Iterator[Engine]:
    """An engine on it."""
    with opened(url) as engine:
        yield engine


@pytest.fixture
def store(url: str, engine: Engine) -> Iterator[SQLAlchemyStore]:
    """A store on it, without a row."""
    empty(engine)
    store = SQLAlchemyStore.from_url(url)
    yield store
    store.close()


def keep_only(engine: Engine, row: Session) -> None:
    """Make one row all that the database holds."""
    with engine.begin() as connection:
        connection.execute(delete(sessions))
        connection.execute(insert(sessions), to_row(row))


@settings(max_examples=300, deadline=None)
@given(meeting=meetings())
def test_the_single_statement_is_case_8_and_nothing_else(
    engine: Engine, meeting: tuple[Session, Rotate]
) -> None:
    """The statement matches a row if and only if `decide` says case 8, and writes what `decide` writes.

    On MariaDB it is never used, but its writes would be the same: there, assignments see those before them.
    """
    row, command = meeting
    keep_only(engine, row)
    asked = replace(command, rotation=True)
    returning = engine.dialect.update_returning
    with engine.begin() as connection:
        result = connection.execute(
            statements.ROTATE_RETURNING if returning else statements.ROTATE, case_8(asked)
        )
        found = result if returning else connection.execute(select(sessions))
        moved = [to_session(each) for each in found] if returning or result.rowcount else []
    decision = decide(row, asked)
    assert moved == ([decision.write] if decision.case == "8" else [])


@pytest.mark.parametrize("returning", [True, False], ids=["with RETURNING", "without RETURNING"])
def test_every_refresh_is_as_decided(engine: Engine, returning: bool) -> None:  # noqa: FBT001
    """Answer and row are those of `decide`, also where the dialect has no UPDATE … RETURNING."""
    if returning and not engine.dialect.update_returning:
        pytest.skip(f"{engine.dialect.name} has no UPDATE … RETURNING")
    store = SQLAlchemyStore(engine)
    store._flavour = replace(store._flavour, returning=returning)

    @settings(max_examples=200, deadline=None)
    @given(meeting=meetings())
    def as_decided(meeting: tuple[Session, Rotate]) -> None:
        row, command = meeting
        keep_only(engine, row)
        decision = decide(row, command)
        assert store.rotate(command) == decision.outcome
        assert store.lookup(Lookup(row.sid)) == Found(row if decision.write is None else decision.write)

    as_decided()


def test_what_changes_between_reading_and_writing_is_not_overwritten(engine: Engine) -> None:
    """Without RETURNING, a row that is no more as it was read is locked and decided again."""
    flavour = replace(SQLAlchemyStore(engine)._flavour, returning=False)
    fresh = replace(ROW, handed_at=ROW.handed_at - DAY, rotated_at=ROW.rotated_at - DAY)
    for change in (
        {"gen": ROW.gen + 1},
        {"parent_branch": OTHER_BRANCH},
        {"confirmed": True},
        {"rotated_at": ROW.rotated_at + 1},
        {"handed_at": REDEEM.now},
        {"last_seen_at": ROW.last_seen_at + 1},
        {"idle_expires_at": None},
        {"revoked_at": REDEEM.now, "revoked_reason": "admin"},
    ):
        keep_only(engine, fresh)
        changed = replace(fresh, **change)
        with engine.connect() as connection:
            operation = operations.rotate(flavour, REDEEM)
            (reading,) = next(operation)
            row = _send(connection, reading).rows
            (writing,) = operation.send([Reply(row)])
            keep_only(engine, changed)  # somebody else, in the middle
            swapped = _send(connection, writing)
            assert swapped.count == 0, change
            batch = operation.send([swapped])
            assert [str(query.statement).split()[0] for query in batch][-2:] == ["BEGIN", "SELECT"]
            operation.throw(LookupError())  # enough seen
            with pytest.raises(LookupError):
                operation.send([Reply()])
        assert SQLAlchemyStore(engine).lookup(Lookup(ROW.sid)) == Found(changed)


def test_fifty_threads_redeem_one_token(store: SQLAlchemyStore) -> None:
    """One rotates, and every other one is handed the same successor."""
    for number in range(1, 5):
        session = numbered(number)
        store.create(sign_in(session))
        refresh = refresh_of(session, session.created_at + 1)
        outcomes = together([partial(store.rotate, refresh)] * 50)
        assert Counter(map(type, outcomes)) == {Rotated: 1, Converged: 49}
        assert {outcome.session.gen for outcome in outcomes if isinstance(outcome, Converged | Rotated)} == {
            1
        }
    assert store.count() == 4


def test_a_limit_holds_when_fifty_sign_in_at_once(store: SQLAlchemyStore) -> None:
    """Whoever counts holds the lock: nobody is let in beside the limit, and nobody fails for a late lock."""
    newcomers = [replace(numbered(1), sid=numbered(number).sid) for number in range(1, 51)]
    outcomes = together([partial(store.create, sign_in(session, limit=5)) for session in newcomers])
    assert Counter(map(type, outcomes)) == {Created: 50}
    assert store.count(Where(live_at=numbered(1).created_at)) == 5
    assert store.count() == 50


async def test_fifty_tasks_redeem_one_token(url: str, engine: Engine) -> None:
    """The same for the tasks of one event loop."""
    empty(engine)
    store = AsyncSQLAlchemyStore.from_url(url)
    session = numbered(1)
    await store.create(sign_in(session))
    refresh = refresh_of(session, session.created_at + 1)
    outcomes = await asyncio.gather(*(store.rotate(refresh) for _ in range(50)))
    assert Counter(map(type, outcomes)) == {Rotated: 1, Converged: 49}
    await store.close()


def storm(url: str, refresh: Rotate, times: int) -> list[str]:
    """Redeem one token again and again from a process of its own."""
    store = SQLAlchemyStore.from_url(url)
    try:
        return [type(store.rotate(refresh)).__name__ for _ in range(times)]
    finally:
        store.close()


def test_several_processes_redeem_one_token(tmp_path: Path) -> None:
    """Processes that share nothing but a file see one rotation too; tests/races does it with servers."""
    url = f"sqlite:///{tmp_path}/keyturn.db"
    store = SQLAlchemyStore.from_url(url)
    store.create_schema()
    session = numbered(1)
    store.create(sign_in(session))
    refresh = refresh_of(session, session.created_at + 1)
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as pool:
        answers = [pool.submit(storm, url, refresh, 30) for _ in range(3)]
        names = Counter(name for answer in answers for name in answer.result())
    assert names == {"Rotated": 1, "Converged": 89}
    store.close()


def test_reuse_ends_the_users_other_sessions_with_it(store: SQLAlchemyStore) -> None:
    """All that ends with a reuse is in the answer, and is ended in the database."""
    mine, other, foreign = numbered(1), numbered(2), numbered(3, user_id="user-2")
    for session in (mine, other, foreign):
        store.create(sign_in(session))
    first = refresh_of(mine, mine.created_at + 1)
    store.rotate(first)
    stolen = replace(first, branch=OTHER_BRANCH, now=first.now + 1, whole_user=True)
    outcome = store.rotate(stolen)
    assert isinstance(outcome, Reused)
    assert outcome.others == (replace(other, revoked_at=stolen.now, revoked_reason="reuse"),)
    assert store.lookup(Lookup(other.sid)) == Found(outcome.others[0])
    assert store.lookup(Lookup(mine.sid)) == Found(outcome.session)
    assert store.lookup(Lookup(foreign.sid)) == Found(foreign)


LEVELS: Final = {
    "postgres": ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"),
    "mariadb": ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"),
}
ON_CONNECT: Final = {
    "postgres": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL {}",
    "mariadb": "SET SESSION TRANSACTION ISOLATION LEVEL {}",
}


@pytest.mark.parametrize(("on", "level"), [(on, level) for on in SERVERS for level in LEVELS[on]])
def test_races_end_alike_at_every_isolation_level(
    request: pytest.FixtureRequest, tmp_path: Path, on: SqlName, level: str
) -> None:
    """On an application's engine, whatever its sessions are set to: one rotation, and a limit that holds."""

    def set_level(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        cursor.execute(ON_CONNECT[on].format(level))
        cursor.close()
        connection.commit()

    with prepared(request, on, tmp_path) as url:
        driver = {"postgres": "postgresql+psycopg", "mariadb": "mysql+pymysql"}[on]
        engine = create_engine(make_url(url).set(drivername=driver), pool_size=8, max_overflow=0)
        event.listen(engine, "connect", set_level)
        store = SQLAlchemyStore(engine)
        session = numbered(1)
        store.create(sign_in(session))
        refresh = refresh_of(session, session.created_at + 1)
        outcomes = together([partial(store.rotate, refresh)] * 16)
        assert Counter(map(type, outcomes)) == {Rotated: 1, Converged: 15}
        newcomers = [
            numbered(10 * user + number, user_id=f"user-{user}") for user in (2, 3, 4) for number in range(8)
        ]
        together([partial(store.create, sign_in(newcomer, limit=3)) for newcomer in newcomers])
        for user in (2, 3, 4):
            assert store.count(Where(user_id=f"user-{user}", live_at=newcomers[-1].created_at)) == 3
        ended = together([partial(store.revoke_user, RevokeUser("user-2", None, "user", T0 + DAY))] * 8)
        assert sum(len(each.ended) for each in ended) == 8 - 5
        engine.dispose()
