"""Clients in threads that go on whatever happens to their store, and write down what they are told.

Some stay: they refresh and use one session all the time. Some visit: they sign in, refresh, sign out and try
their token once more, again and again. They know no rule.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, Final, Literal, TypeAlias, TypeVar

from keyturn import AsyncTokenManager, KeyRing, Policy, TokenManager
from keyturn.errors import StoreUnavailable
from keyturn.stores.protocol import Store
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore, SQLAlchemyStore
from keyturn.stores.urls import AsyncOwnStore, OwnStore, async_store_from_url, store_from_url
from keyturn.testing.colours import LoopThread, blocking
from keyturn.testing.history import Client, History
from keyturn.testing.machine import blocking_manager
from keyturn.testing.world import Manager
from tests.support.processes import wait_until

Colour: TypeAlias = Literal["threads", "asyncio"]
COLOURS: Final[tuple[Colour, ...]] = ("threads", "asyncio")

EVERY_REFRESH_ROTATES: Final = Policy(race_window=0, revocation="strict")
T = TypeVar("T")
TRIES: Final = 20
_PAUSE_SECONDS: Final = 0.02  # no busy loop while nobody answers


@dataclass(frozen=True, slots=True)
class Stand:
    """A manager on a store, of either colour, as threads see it.

    Attributes:
        manager: The manager.
        rows: Its store.
        tasks: Counts the tasks of its event loop.
    """

    manager: Manager
    rows: Store
    tasks: Callable[[], int]


@contextmanager
def stand(
    url: str,
    colour: Colour,
    *,
    portable: bool = False,
    schema: bool = True,
    policy: Policy = EVERY_REFRESH_ROTATES,
    **options: Any,
) -> Generator[Stand]:
    """Open a store and a manager on it, for as long as the block.

    Args:
        url: The store's.
        colour: Which of the twins.
        portable: Through SQLAlchemy, whatever the URL.
        schema: Whether to make the tables.
        policy: The manager's.
        options: The store's.
    """
    keys = KeyRing.from_secret("a secret of the tests, long enough", kid="tests")
    with LoopThread() as loop:
        if colour == "threads":
            store: OwnStore = (SQLAlchemyStore.from_url if portable else store_from_url)(url, **options)
            if schema:
                store.create_schema()
            manager = TokenManager(store=store, keys=keys, policy=policy, issuer="i", audience="a")
            try:
                yield Stand(manager, store, lambda: 0)
            finally:
                manager.close()
            return

        async def begin() -> tuple[AsyncOwnStore, AsyncTokenManager]:
            store: AsyncOwnStore = (AsyncSQLAlchemyStore.from_url if portable else async_store_from_url)(
                url, **options
            )
            if schema:
                await store.create_schema()
            return store, AsyncTokenManager(store=store, keys=keys, policy=policy, issuer="i", audience="a")

        async def tasks() -> int:
            return len(asyncio.all_tasks())

        async_store, async_manager = loop.run(begin())
        try:
            yield Stand(
                blocking_manager(async_manager, loop), blocking(async_store, loop), lambda: loop.run(tasks())
            )
        finally:
            loop.run(async_manager.close())


def persist(deed: Callable[[], bool], *, tries: int = TRIES) -> bool:
    """Repeat what was not answered, as clients do; tell whether it worked in the end."""
    return any(deed() for _ in range(tries))


def answered(call: Callable[[], T]) -> T:
    """Repeat a call until the store answers it."""
    for _ in range(TRIES):
        with suppress(StoreUnavailable):
            return call()
    return call()


@dataclass(slots=True)
class Storm:
    """All clients, each in a thread of its own, and what they were told.

    Attributes:
        manager: Whom they ask.
        stayers: How many stay.
        visitors: How many visit.
        history: What they were told.
    """

    manager: Manager
    stayers: int = 5
    visitors: int = 2
    history: History = field(default_factory=History, repr=False)
    clients: list[Client] = field(default_factory=list[Client], repr=False)
    _threads: list[Thread] = field(default_factory=list[Thread], repr=False)
    _stop: Event = field(default_factory=Event)

    def begin(self) -> None:
        """Sign those in who stay, and let all of them act."""
        self.clients = [self._client(f"stayer-{number}") for number in range(self.stayers)]
        for client in self.clients:
            assert client.sign_in()
        lives = [lambda client=client: self._stay(client) for client in self.clients]
        lives += [
            lambda number=number: self._visit(self._client(f"visitor-{number}"))
            for number in range(self.visitors)
        ]
        self._threads = [Thread(target=life) for life in lives]
        for thread in self._threads:
            thread.start()

    def blow(self, refreshes: int) -> None:
        """Wait until every one who stays was answered, and all clients together so often."""
        before = [client.generation for client in self.clients]
        answered = self.history.answered("refresh")

        def enough() -> bool:
            everyone = all(client.generation > was for client, was in zip(self.clients, before, strict=True))
            return everyone and self.history.answered("refresh") >= answered + refreshes

        def enough_or_over() -> bool:
            return not all(thread.is_alive() for thread in self._threads) or enough()

        wait_until(enough_or_over, seconds=60, what="a storm of refreshes")

    def end(self) -> None:
        """Let every client finish what it is at."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client hangs"

    def check(self, rows: Store, *, lost_writes: int = 0) -> None:
        """End, let each who stays go on once more, and hold the rows against what was told."""
        self.end()
        self.manager.flush()
        went_on = [persist(client.refresh) for client in self.clients]
        self.history.check(rows, lost_writes=lost_writes)
        assert all(went_on), "a client cannot go on"

    def _client(self, name: str) -> Client:
        return Client(self.manager, self.history, name)

    def _stay(self, client: Client) -> None:
        turn = 0
        while not self._stop.is_set():
            turn += 1
            if not (client.refresh() if turn % 3 else client.use()):
                self._stop.wait(_PAUSE_SECONDS)

    def _visit(self, client: Client) -> None:
        while not self._stop.is_set():
            for deed in (client.sign_in, client.refresh, client.use, client.sign_out):
                while not deed() and not self._stop.wait(_PAUSE_SECONDS):
                    pass
                if self._stop.is_set():
                    return
            client.refresh()  # must be refused, if it is answered
            client.use()
            self._stop.wait(_PAUSE_SECONDS)
