"""The refreshes of some sessions as commands, each of which rotates. They know no engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, Generic, TypeVar

from _rounds import AsyncTurn, Turn
from keyturn._core.outcomes import Rotated
from keyturn._core.records import Session
from keyturn.stores.protocol import AsyncStore, Rotate, RotateOutcome, Store
from keyturn.testing.samples import T0, numbered, refresh_of, sign_in

T = TypeVar("T")
R = TypeVar("R")

_EACH: Final = 10


class Rows:
    """The commands of one worker, who refreshes sessions of its own."""

    def __init__(self, worker: int, *, user_id: str = "user") -> None:
        """Take some sessions that no other worker has.

        Args:
            worker: Its number.
            user_id: Whose sessions.
        """
        numbers = range(worker * _EACH + 1, (worker + 1) * _EACH + 1)
        self.sessions: list[Session] = [numbered(number, user_id=user_id) for number in numbers]
        self._commands = [replace(refresh_of(each, T0 + 1000), race_window=0) for each in self.sessions]
        self._count = 0

    def next(self) -> Rotate:
        """Give the next refresh."""
        round_, place = divmod(self._count, _EACH)
        self._count += 1
        first = self._commands[place]
        return replace(first, gen=round_, now=first.now + round_)


def stored(store: Store, crews: Iterable[Iterable[Rows]]) -> None:
    """Let the sessions of all workers begin."""
    for crew in crews:
        for rows in crew:
            for session in rows.sessions:
                store.create(sign_in(session))


class Prepared(Generic[T, R]):
    """Refreshes whose arguments are made before time counts: only what is done with them is measured."""

    def __init__(self, rows: Rows, make: Callable[[Rotate], T], do: Callable[[T], R]) -> None:
        """Say what is made of each command, and what is done with it."""
        self._rows, self._make, self._do = rows, make, do
        self._ready = iter(list[T]())

    def prepare(self, count: int) -> None:
        """Make arguments for so many refreshes."""
        self._ready = iter([self._make(self._rows.next()) for _ in range(count)])

    def __call__(self) -> R:
        """Make the next refresh."""
        return self._do(next(self._ready))


def rotating(store: Store, rows: Rows) -> Turn:
    """Refresh in a store, without tokens."""
    return Prepared(rows, _itself, lambda command: _sure(store.rotate(command)))


def async_rotating(store: AsyncStore, rows: Rows) -> AsyncTurn:
    """`rotating` for asyncio."""

    async def do(command: Rotate) -> None:
        _sure(await store.rotate(command))

    return Prepared(rows, _itself, do)


def _itself(command: Rotate) -> Rotate:
    return command


def _sure(outcome: RotateOutcome) -> None:
    if not isinstance(outcome, Rotated):
        raise RuntimeError(f"that was no rotation, but {type(outcome).__name__}")  # noqa: TRY004  (no caller's mistake)
