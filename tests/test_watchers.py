"""Who watches sessions: told at once, by whom, and forgotten afterwards."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import pytest

from keyturn import KeyRing, TokenManager
from keyturn._core.revocations import entry_of_denial
from keyturn.stores.memory import MemoryStore
from keyturn.testing.clock import ManualClock
from keyturn.watchers import Watchers
from tests.support.followed import Process


def test_who_watches_is_told_and_nobody_else() -> None:
    """Of the subjects that are watched, as often as they are told, and only while the block lasts."""
    watchers, told = Watchers(), list[str]()
    with watchers.watching(["a", "b"], lambda: told.append("one")):
        with watchers.watching(["b"], lambda: told.append("two")):
            watchers.tell([entry_of_denial("a")])
            assert told == ["one"]
            watchers.tell([entry_of_denial("b"), entry_of_denial("c")])
            assert told == ["one", "one", "two"]
        watchers.tell([entry_of_denial("b")])
        assert told == ["one", "one", "two", "one"]
        assert len(watchers) == 2
    watchers.tell([entry_of_denial("a")])
    assert told == ["one", "one", "two", "one"]
    assert len(watchers) == 0


def test_a_watcher_leaves_although_its_block_fails() -> None:
    """Nothing of it stays behind."""
    watchers = Watchers()
    with pytest.raises(LookupError), watchers.watching(["a"], list):
        raise LookupError
    assert len(watchers) == 0


def test_watchers_come_and_go_from_many_threads() -> None:
    """While others are told."""
    watchers, told = Watchers(), list[int]()

    def watch() -> None:
        for _ in range(200):
            with watchers.watching(["a"], lambda: told.append(1)):
                watchers.tell([entry_of_denial("a")])

    threads = [Thread(target=watch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) >= 4 * 200  # each is told of its own at least
    assert len(watchers) == 0


ENDINGS: dict[str, Callable[[TokenManager, str, str], object]] = {
    "revoke": lambda manager, session_id, _: manager.revoke(session_id),
    "revoke_user": lambda manager, *_: manager.revoke_user("u"),
    "deny": lambda manager, _, token: manager.deny(token),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_a_manager_over_a_store_at_hand_tells_what_it_ends(name: str) -> None:
    """Although it follows no log."""
    ring = KeyRing.generate()
    manager = TokenManager(store=MemoryStore(), keys=ring, issuer="i", audience="a", clock=ManualClock())
    pair, told = manager.issue("u"), list[str]()
    token_id = manager.verify_access(pair.access_token).token_id
    with manager.watchers.watching([pair.session_id, token_id], lambda: told.append(name)):
        ENDINGS[name](manager, pair.session_id, pair.access_token)
    assert told == [name]
    manager.close()


@pytest.mark.parametrize("colour", ["threads", "async"])
def test_another_process_is_told_by_the_log(colour: str) -> None:
    """What one process ends, those who follow the store's log tell their watchers."""
    rows, clock = MemoryStore(), ManualClock()
    here, there = (Process(colour, rows, clock) for _ in range(2))
    session_id, told = here.issue("u").session_id, list[str]()
    there.start()
    with there.manager.watchers.watching([session_id], lambda: told.append("over")):
        here.revoke(session_id)
        there.start()  # reads the log to its end
        assert told == ["over"]
    here.end()
    there.end()
