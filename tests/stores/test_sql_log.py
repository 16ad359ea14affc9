"""Holds the revocation log of the SQL stores against what databases do to numbers, rows and answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from typing import Final, TypeAlias

import pytest
from sqlalchemy import Engine, delete, func, insert, make_url, select

from keyturn._core.commands import Deny, Purge, Revoke, RevokeUser
from keyturn._core.outcomes import Reused
from keyturn._core.revocations import RETENTION, LogEntry, entry_of_denial
from keyturn.errors import StoreUnavailable
from keyturn.stores._sql.following import PATIENCE, Position
from keyturn.stores._sql.log import BATCHES
from keyturn.stores._sql.queries import CHUNK
from keyturn.stores._sql.tables import revocations
from keyturn.stores.protocol import Store
from keyturn.stores.urls import OwnStore, store_from_url
from keyturn.testing._duties.logs import Reader, of
from keyturn.testing.proxy import Proxy
from keyturn.testing.samples import DAY, OTHER_BRANCH, T0, numbered, refresh_of, sign_in
from tests.support.postgres import at_once
from tests.support.sql import EVERY_SQL, SERVERS, empty, opened, prepared

NOW: Final = T0 + DAY
ONE, TWO, THREE = (numbered(number) for number in (1, 2, 3))
LINE: Final = {"kind": "token", "subject": "slow", "at": NOW}
SLOW: Final = LogEntry("token", "slow")

Act: TypeAlias = Callable[[Store], object]


@pytest.fixture(scope="module", params=EVERY_SQL)
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with the tables, on each engine."""
    with prepared(request, request.param, tmp_path_factory.mktemp("sql")) as url:
        yield url


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    """Another way to it, with empty tables."""
    with opened(database) as engine:
        empty(engine)
        yield engine


@pytest.fixture
def store(database: str, engine: Engine) -> Iterator[OwnStore]:
    """The store that a URL opens, with three sessions of a user."""
    store = store_from_url(database)
    for session in (ONE, TWO, THREE):
        store.create(sign_in(session))
    yield store
    store.close()


# SQLite is left out where it cannot be: it has one writer at a time, undoes a number with its row, and nobody
# is between it and us.
on_servers: Final = pytest.mark.parametrize("database", SERVERS, indirect=True)


def revoke(session_number: int) -> Revoke:
    """End one of the sessions."""
    return Revoke(numbered(session_number).sid, None, None, "user", NOW)


def lines(engine: Engine) -> Counter[str]:
    """Count the lines about each subject."""
    with engine.connect() as connection:
        return Counter(connection.execute(select(revocations.c.subject)).scalars())


def runs_of(reader: Reader) -> int:
    """Count what a follower knows in one piece; one less is how many gaps it waits for."""
    assert isinstance(reader.cursor, Position)
    return len(reader.cursor.runs)


@on_servers
def test_a_slow_transaction_is_waited_for(store: OwnStore, engine: Engine) -> None:
    """Its line has the lower number, and is seen after one with a higher number: it is not passed over."""
    reader = Reader(store, now=NOW)
    reader.news()
    with engine.connect() as slow:
        slow.exec_driver_sql("BEGIN")
        slow.execute(insert(revocations), LINE)
        store.revoke(revoke(1))
        assert reader.news() == of(ONE)
        assert runs_of(reader) > 1
        assert reader.news() == set()
        slow.exec_driver_sql("COMMIT")
    assert reader.news() == {SLOW}
    store.revoke(revoke(2))
    assert reader.news() == of(TWO)


@on_servers
def test_a_transaction_that_was_undone_is_given_up(store: OwnStore, engine: Engine) -> None:
    """Its number stays empty for ever, and is asked for no longer than a transaction may last."""
    reader = Reader(store, now=NOW)
    store.revoke(revoke(1))
    reader.news()
    reader._now += PATIENCE  # what was there before this test is settled
    assert reader.news() == set()
    with engine.connect() as other:
        other.exec_driver_sql("BEGIN")
        other.execute(insert(revocations), LINE)
        other.exec_driver_sql("ROLLBACK")
    store.revoke(revoke(2))
    assert reader.news() == of(TWO)
    assert runs_of(reader) == 2
    reader._now += PATIENCE
    assert reader.news() == set()
    assert runs_of(reader) == 1


def test_what_is_undone_is_not_in_the_log(store: OwnStore, engine: Engine) -> None:
    """Where a sign-in fails at its end, those who had to go for it have not gone."""
    with pytest.raises(StoreUnavailable):
        store.create(replace(sign_in(THREE, limit=1), session=replace(THREE, user_id=ONE.user_id)))
    assert [session.revoked_at for session in store.find()] == [None] * 3
    assert Reader(store, now=NOW).news() == set()
    assert not lines(engine)


RESTART: Final = {
    "sqlite": "UPDATE sqlite_sequence SET seq = {last} WHERE name = 'keyturn_revocations'",
    "postgresql": "SELECT setval('keyturn_revocations_no_seq', {next}, false)",
    "mysql": "ALTER TABLE keyturn_revocations AUTO_INCREMENT = {next}",
}


@pytest.mark.parametrize("kept", [0, 1])
def test_a_restored_backup_begins_anew(store: OwnStore, engine: Engine, kept: int) -> None:
    """The last lines are gone, and their numbers are given again: whoever followed reads all there is."""
    reader = Reader(store, now=NOW)
    store.revoke(revoke(1))
    store.deny(Deny("a token", NOW + 1, "test", NOW))
    assert reader.news() == {*of(ONE), entry_of_denial("a token")}
    with engine.connect() as connection:
        first = connection.execute(select(func.min(revocations.c.no))).scalar_one()
        connection.execute(delete(revocations).where(revocations.c.no >= first + kept))
        numbers = {"last": first - 1 + kept, "next": first + kept}
        connection.exec_driver_sql(RESTART[engine.dialect.name].format(**numbers))
    store.revoke(revoke(2))
    store.revoke(revoke(3))
    with engine.connect() as connection:
        assert connection.execute(select(func.max(revocations.c.no))).scalar_one() == first + 1 + kept
    assert reader.news() >= of(TWO, THREE)


def test_a_purge_removes_what_nobody_looks_back_to(store: OwnStore, engine: Engine) -> None:
    """In steps, many of them for one call; younger lines stay, and none is counted."""
    long_ago = NOW - RETENTION - 1
    old = [{**LINE, "subject": f"old {number}", "at": long_ago} for number in range(3 * CHUNK)]
    with engine.connect() as connection:
        connection.execute(insert(revocations), [*old, {**LINE, "at": long_ago + 1}])
    assert store.purge(Purge(before=0, now=NOW, limit=10)) == 0
    assert lines(engine).total() == 3 * CHUNK + 1 - 10 * BATCHES
    assert store.purge(Purge(before=0, now=NOW, limit=1000)) == 0
    assert lines(engine) == {"slow": 1}


def test_a_line_about_what_was_removed_stays_as_long_as_its_access_tokens_may_live(
    store: OwnStore, engine: Engine
) -> None:
    """Nobody says when it was; its moment is the session's absolute end."""
    assert store.delete([ONE.sid, ONE.sid, numbered(99).sid, TWO.sid]) == 2
    with engine.connect() as connection:
        rows = connection.execute(select(revocations.c.subject, revocations.c.at)).all()
    assert {(str(ONE.sid), ONE.expires_at), (str(TWO.sid), TWO.expires_at)} == {tuple(row) for row in rows}
    assert len(rows) == 2
    assert Reader(store, now=NOW).news() == of(ONE, TWO)


def test_an_end_is_written_once_however_many_bring_it_about(store: OwnStore, engine: Engine) -> None:
    """Revocations, sign-ins over the limit and reuse, all at one moment: each session has one line."""
    theft = replace(refresh_of(replace(TWO, gen=-2), NOW), whole_user=True)
    numbers = iter(range(100, 1000))
    acts: list[Act] = [
        lambda store: store.revoke(revoke(1)),
        lambda store: store.revoke_user(RevokeUser(ONE.user_id, None, "user", NOW)),
        lambda store: store.create(sign_in(numbered(next(numbers)), limit=1)),
        lambda store: store.rotate(theft),
    ]
    waiting = cycle(acts)
    for _ in range(5):
        at_once(8, lambda: next(waiting)(store))
    ended = [str(session.sid) for session in store.find() if session.revoked_at is not None]
    assert {str(each.sid) for each in (ONE, TWO, THREE)} <= set(ended)
    assert lines(engine) == Counter(ended)


@pytest.fixture
def proxy(database: str) -> Iterator[Proxy]:
    """A line to the server that loses answers, and counts them."""
    port = make_url(database).port
    assert port is not None
    with Proxy(port) as proxy:
        yield proxy


@on_servers
def test_a_theft_whose_answer_was_lost_is_written_once(
    store: OwnStore, engine: Engine, database: str, proxy: Proxy
) -> None:
    """It is asked for again, and the session has ended by then; the thief is told of all the same."""
    own = store_from_url(proxy.url(database), pool_size=1)
    own.count()
    proxy.lose("answer", to=b"COMMIT")
    told = own.rotate(replace(refresh_of(replace(ONE, gen=-2), NOW), branch=OTHER_BRANCH))
    own.close()
    assert proxy.lost == 1
    assert isinstance(told, Reused)
    assert lines(engine) == {str(ONE.sid): 1}


@on_servers
def test_what_was_asked_for_again_writes_nothing_false(
    store: OwnStore, engine: Engine, database: str, proxy: Proxy
) -> None:
    """A denial may be there twice; a revocation is not repeated, and is there once."""
    own = store_from_url(proxy.url(database), pool_size=1)
    own.count()
    proxy.lose("answer", to=b"keyturn_revocations")
    own.deny(Deny("a token", NOW + 1, "test", NOW))
    proxy.lose("answer", to=b"keyturn_revocations")
    with pytest.raises(StoreUnavailable):
        own.revoke(revoke(1))
    assert proxy.lost == 2
    assert own.revoke(revoke(1)).found
    own.close()
    assert Reader(store, now=NOW).news() >= {entry_of_denial("a token")}
    assert set(lines(engine)) <= {"a token", str(ONE.sid)}
    ended = {str(session.sid) for session in store.find() if session.revoked_at is not None}
    assert ended == {str(ONE.sid)} == set(lines(engine)) - {"a token"}


@on_servers
def test_a_poll_of_a_quiet_log_is_one_round_trip(store: OwnStore, database: str, proxy: Proxy) -> None:
    """Whatever the log has held, and also right after a revocation was read."""
    own = store_from_url(proxy.url(database), pool_size=1)
    reader = Reader(own, now=NOW)
    for number in (1, 2, 3):
        store.revoke(revoke(number))
        reader.news()
    for _ in range(8):  # a statement is prepared when it was used before
        reader.news()
    before = proxy.round_trips
    for _ in range(5):
        assert reader.news() == set()
    assert proxy.round_trips - before == 5
    own.close()
