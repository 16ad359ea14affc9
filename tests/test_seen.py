"""Holds what a process remembers of the generations that it told the store about."""

from __future__ import annotations

import gc
import weakref
from uuid import uuid4

from keyturn._core.commands import Confirm
from keyturn.deferred import Worker
from keyturn.seen import Seen
from tests.support.processes import fork, wait_until


def test_a_forked_child_knows_nothing() -> None:
    """What was on its way in the parent never arrives in the child; a lock held there is not waited for."""
    seen, confirm = Seen(), Confirm(uuid4(), 1, 1000)
    assert seen.is_due(confirm, confirmed=True)
    with seen._lock:
        child = fork(lambda: seen.is_due(confirm, confirmed=True))
    assert child() == 0
    assert not seen.is_due(confirm, confirmed=True)


def test_a_store_that_fails_is_left_alone_for_a_while() -> None:
    """For a second, then longer and longer, half a minute at most; a success ends that."""
    seen, asked = Seen(), list[int]()
    for second in range(200):
        confirm = Confirm(uuid4(), 0, second * 1000)
        if seen.is_due(confirm, confirmed=True):
            asked.append(second)
            seen.failed(confirm)
    assert asked == [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 181]
    last = Confirm(uuid4(), 0, 211_000)
    assert seen.is_due(last, confirmed=True)
    seen.arrived(last)
    assert seen.is_due(Confirm(uuid4(), 0, 211_000), confirmed=True)


def test_work_that_is_done_is_let_go_of() -> None:
    """A thread that waits for more keeps nothing of the last piece in use, such as its manager."""

    class Owner:
        def work(self) -> None:
            """Do something."""

    worker, owner = Worker(), Owner()
    known = weakref.ref(owner)
    worker.submit(owner.work)
    worker.flush()
    del owner

    def is_gone() -> bool:
        gc.collect()
        return known() is None

    wait_until(is_gone, what="the end of its last use")
    worker.close()
