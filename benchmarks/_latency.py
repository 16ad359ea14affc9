"""Refreshes among few sessions and among many, in turns, and how long each took. It knows no engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from _filling import Filled
from _refreshing import Refresher, Took


def in_turns(stores: Sequence[Filled], *, rounds: int, each: int) -> list[list[list[Took]]]:
    """Refresh among the sessions of each store in turn, one refresh at a time.

    Args:
        stores: With their sessions.
        rounds: How often each store gets its turn.
        each: Refreshes per turn.

    Returns:
        For each store and each round what its refreshes took.
    """
    refreshers = [Refresher(store.place, store.population) for store in stores]
    took: list[list[list[Took]]] = [[] for _ in stores]
    order = list(range(len(stores)))
    for turn in range(rounds):
        for which in order[turn % len(order) :] + order[: turn % len(order)]:
            numbers = range(turn * each, (turn + 1) * each)
            took[which].append([refreshers[which].timed(number) for number in numbers])
    for refresher in refreshers:
        refresher.close()
    return took


def flat(rounds: Iterable[Iterable[Took]]) -> Iterator[Took]:
    """Give all refreshes of all rounds."""
    return chain.from_iterable(rounds)
