"""What a fork does to threads that are at work: it waits for them, and no child inherits their locks."""

from __future__ import annotations

import threading
from pathlib import Path

from keyturn.forks import Whole
from keyturn.stores.sqlalchemy import SQLAlchemyStore
from tests.support.processes import fork, wait_until

FORKS = 150


def test_a_fork_waits_for_work_that_is_being_done() -> None:
    """A child comes into being only between two pieces of work, and both processes can work afterwards."""
    whole = Whole()
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        with whole.work():
            begun.set()
            wait_until(lambda: whole._forks == 1, what="the fork")
            done.set()

    def work_again() -> bool:
        with whole.work():
            return done.is_set()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    assert fork(work_again)() == 0
    thread.join()
    assert work_again()


def test_new_work_waits_for_the_fork() -> None:
    """A fork under load does not wait for ever: what comes later begins after it."""
    whole = Whole()
    begun = threading.Event()
    order: list[str] = []

    def work() -> None:
        with whole.work():
            begun.set()
            wait_until(lambda: whole._forks == 1, what="the fork")
            later.start()
            later.join(0.2)  # it must not begin, however long one looks
            order.append("first")

    def work_later() -> None:
        with whole.work():
            order.append("later")

    later = threading.Thread(target=work_later)
    first = threading.Thread(target=work)
    first.start()
    begun.wait()
    assert fork(lambda: order == ["first"])() == 0
    first.join()
    later.join()
    assert order == ["first", "later"]


def test_a_fork_within_a_piece_of_work_does_not_wait_for_ever() -> None:
    """Who forks in the middle of work of its own gets the child, late; the work ends in both processes."""
    whole = Whole(patience=0.05)
    with whole.work():
        wait = fork(lambda: True)
    assert wait() == 0
    with whole.work():
        assert whole._working == 1
    assert (whole._working, whole._forks) == (0, 0)


def test_no_child_waits_for_a_lock_of_sqlite_that_a_thread_of_its_parent_holds(tmp_path: Path) -> None:
    """A server may fork while a thread reads the database: each child can use it."""
    store = SQLAlchemyStore.from_url(f"sqlite:///{tmp_path}/keyturn.db")
    store.create_schema()
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            store.count()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(FORKS):
            assert fork(lambda: store.count() == 0)() == 0, "the child hung: SIGALRM ended it"
    finally:
        ended.set()
        thread.join()
        store.close()
