"""The client's rules, stepped through by hand where no clock could make the moment: they wait for nothing."""

from __future__ import annotations

import types
from collections.abc import Generator

import httpx
import pytest

from keyturn.client import MemoryTokens, TemporarilyUnavailable, Tokens
from keyturn.client.renewing import Renewing, Terms
from keyturn.client.steps import BackOff, Join, Means, Queue, Send, Step, Steps, Work, run_async
from keyturn.client.wires import Wire

URL = "https://api.example.com"
TAKEN = True
TERMS = Terms(
    url=httpx.URL(f"{URL}/auth"), before=30, attempts=4, longest=10, user_agent="x", clock=lambda: 880.0
)


def test_who_must_have_tokens_does_not_take_a_hasty_no() -> None:
    """An early refresh gives up after one attempt; who was refused, and waited for it, then tries on."""
    stale = Tokens("a", "r", 0, 900)
    store = MemoryTokens()
    store.save(stale)
    renewing = Renewing(TERMS, store)
    hasty, other = renewing.current(), renewing.renewed(stale)
    assert isinstance(next(hasty), Work)  # loads
    assert isinstance(hasty.send(stale), Work)  # locks
    assert isinstance(next(other), Join)
    assert isinstance(hasty.send(TAKEN), Work)  # loads
    assert isinstance(hasty.send(stale), Send)
    assert isinstance(hasty.send(httpx.Response(503)), Work)  # unlocks
    with pytest.raises(StopIteration) as end:
        hasty.send(None)
    assert end.value.value == stale  # it goes on with what is good still
    assert isinstance(other.send(None), Work)  # locks
    assert isinstance(other.send(TAKEN), Work)  # loads
    assert isinstance(other.send(stale), Send)
    assert isinstance(other.throw(TemporarilyUnavailable()), BackOff)
    assert isinstance(other.send(None), Send)
    body = {"access_token": "b", "refresh_token": "s", "expires_in": 900}
    assert isinstance(other.send(httpx.Response(200, json=body)), Work)  # saves
    assert isinstance(other.send(None), Work)  # unlocks
    with pytest.raises(StopIteration) as end:
        other.send(None)
    assert end.value.value.access_token == "b"


def test_an_interrupt_between_two_steps_gives_up_the_lock() -> None:
    """Where nobody drives the steps any more, nobody else waits for them."""
    store = MemoryTokens()
    steps = Renewing(TERMS, store).adopted(Tokens("a", "r", 0, 900))
    next(steps)
    assert store.try_lock()
    assert isinstance(steps.send(TAKEN), Work)  # about to save
    steps.close()
    assert store.try_lock()


def stand_in_line(steps: Steps[Tokens], found: Tokens, asked: list[Step]) -> None:
    """Follow steps, without end, where the store gives its tokens, but its lock is another's."""
    asked.append(next(steps))
    while True:
        match asked[-1]:
            case Work(undo=None):
                asked.append(steps.send(found))
            case Work():
                asked.append(steps.send(not TAKEN))
            case _:
                asked.append(steps.send(None))


def test_an_early_refresh_does_not_wait_long_for_a_lock() -> None:
    """While the access token is good, another process that holds the tokens holds up no request."""
    stale = Tokens("a", "r", 0, 900)
    store = MemoryTokens()
    store.save(stale)
    steps = Renewing(TERMS, store).current()
    asked: list[Step] = []
    with pytest.raises(StopIteration) as end:
        stand_in_line(steps, stale, asked)
    assert asked.count(Queue()) <= 100
    assert end.value.value == stale


def test_a_task_that_is_thrown_away_closes_its_steps() -> None:
    """Where a loop is gone nothing can be awaited any more, and what was taken is given up all the same."""
    closed: list[bool] = []

    def steps() -> Steps[None]:
        try:
            yield BackOff(1)
        except GeneratorExit:
            closed.append(True)
            raise

    @types.coroutine
    def stuck() -> Generator[None]:
        yield

    mock = httpx.MockTransport(lambda _: httpx.Response(200))
    wire = Wire(mock, None, timeout=1, encrypted=True, direct=True)
    coroutine = run_async(steps(), Means(wire, lambda _: stuck()))
    coroutine.send(None)
    coroutine.close()
    assert closed == [True]
