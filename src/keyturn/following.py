"""Following a store's revocation log, in a thread or a task of its own. It knows no token and no manager.

Whoever follows reads the log to its end, rests, and reads on. The store's bell ends a rest early, where there
is one; a ring that is lost costs the rest of the rest. Both colours do the same; they differ by `await`.
"""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from threading import Event, Lock, Thread, current_thread
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from weakref import ref

from keyturn.errors import StoreError
from keyturn.forks import in_forked_children
from keyturn.reading import Reading, rest_of
from keyturn.revocation import RevocationView
from keyturn.stores.protocol import AsyncRevocationLog, RevocationLog

if TYPE_CHECKING:
    from keyturn.policy import Policy
    from keyturn.stores.protocol import AsyncBell, Bell

LogT = TypeVar("LogT")

PATIENCE: Final = 5.0  # seconds to wait for a thread to end: a statement on its way is let through


def log_of(store: object) -> RevocationLog | None:
    """Give a store's log, where a process should follow it rather than ask the store each time."""
    if not isinstance(store, RevocationLog) or inspect.iscoroutinefunction(store.follow) or store.at_hand:
        return None
    return store


def async_log_of(store: object) -> AsyncRevocationLog | None:
    """Give a store's log for asyncio: see `log_of`."""
    if not isinstance(store, AsyncRevocationLog) or store.at_hand:
        return None
    return store if inspect.iscoroutinefunction(store.follow) else None


class _Following(ABC, Generic[LogT]):
    """What followers of both colours have: a log, how far it was read, and a view."""

    def __init__(
        self,
        log: LogT,
        policy: Policy,
        clock: Callable[[], float],
        told: Callable[[StoreError], object],
    ) -> None:
        """Start nothing yet: see `Reading`."""
        self._log: LogT = log
        self.view = RevocationView.of(policy)
        self._reading = Reading(self.view, clock, told)
        self._rest = rest_of(policy.max_staleness)
        self._ended = Event()
        self._start()
        in_forked_children(self, type(self).start_in_child)

    @abstractmethod
    def _start(self) -> None:
        """Have nothing that follows yet."""

    @abstractmethod
    def start_in_child(self) -> None:
        """Have nothing of the parent's, and read everything again; what was closed stays so."""

    def doubt(self) -> None:
        """Accept nothing on the word of the view before the log was read again."""
        self._reading.doubt()


class Follower(_Following[RevocationLog]):
    """Follows a log in a thread, which begins when it is first needed and ends with the follower."""

    def _start(self) -> None:
        self._lock = Lock()
        self._thread: Thread | None = None
        self._bell: Bell | None = None

    def start_in_child(self) -> None:
        """See `_Following`."""
        closed, self._ended = self._ended.is_set(), Event()  # one of the parent's threads may hold its lock
        self._start()  # the thread is not here, and the bell is the parent's
        if closed:
            self._ended.set()
        self._reading.start_afresh()

    def ensure(self) -> None:
        """Have the log followed from now on, if it is not; what was closed stays so."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._lock:
            if self._ended.is_set() or (self._thread is not None and self._thread.is_alive()):
                return
            thread = Thread(target=_work, args=(ref(self),), name="keyturn-follower", daemon=True)
            try:
                thread.start()
            except (
                RuntimeError
            ) as error:  # the system has no thread left; the store can be asked all the same
                self._reading.failed(error)
            else:
                self._thread = thread

    def start(self) -> None:
        """Have the log followed from now on, and read it to its end first.

        Raises:
            StoreError: It cannot be read now; it will be when it can.
        """
        self.ensure()
        self._catch_up()

    def close(self) -> None:
        """End the thread, whatever it waits for."""
        with self._lock:
            self._ended.set()
            bell, thread = self._bell, self._thread
        if bell is not None:
            bell.close()
        if thread is not None and thread is not current_thread():
            thread.join(PATIENCE)

    def turn(self, failure: Exception | None) -> Rest | None:
        """Read on, and give what to wait with before the next turn; None: there is none.

        Args:
            failure: Why the bell could not be waited for, if it could not.
        """
        if self._ended.is_set():
            return None
        bell = None
        try:
            if failure is not None or self._bell is not None:  # else nobody has waited for it
                self._reading.heard(failure)
            self._catch_up()
            bell = self._ready_bell(failed=failure is not None)
        except Exception as error:  # noqa: BLE001  (whatever a store of somebody's own raises, we go on)
            if self._ended.is_set():
                return None
            self._reading.failed(error)
        return Rest(bell, self._reading.cursor, self._rest, self._ended)

    def _catch_up(self) -> None:
        asked = self._reading.ask()
        while self._reading.take(asked, self._log.follow(asked.command)) and not self._ended.is_set():
            asked = self._reading.ask()

    def _ready_bell(self, *, failed: bool) -> Bell | None:
        known = self._bell
        if failed and known is not None:
            known.close()
            self._bell = None
            return None  # another one only after a rest: it might fail at once, again and again
        if known is None:
            made = self._log.bell()
            with self._lock:
                self._bell = made
                closed = self._ended.is_set()
            if closed and made is not None:  # while it was made
                made.close()
        return self._bell


@dataclass(frozen=True, slots=True)
class Rest:
    """What to wait with until the next turn, and nothing that would keep a follower in use.

    Attributes:
        bell: What ends it early; None: nothing rings here.
        cursor: How far the log was read.
        seconds: How long it is.
        ended: Set when nothing is to be followed any more.
    """

    bell: Bell | None
    cursor: object | None
    seconds: float
    ended: Event

    def wait(self) -> Exception | None:
        """Wait, and say why the bell could not be waited for, if it could not."""
        if self.bell is None:
            self.ended.wait(self.seconds)
            return None
        try:
            self.bell.wait(self.cursor, self.seconds)
        except Exception as error:  # noqa: BLE001  (a bell of somebody's own may raise anything)
            return error
        return None


def _work(known: ref[Follower]) -> None:
    """Take turns until the follower is closed, or nobody uses it any more."""
    rest: Rest | None = None
    failure: Exception | None = None
    try:
        while (follower := known()) is not None:
            rest = follower.turn(failure)
            del follower
            if rest is None:
                return
            failure = rest.wait()
    finally:
        if rest is not None and rest.bell is not None:
            rest.bell.close()


class AsyncFollower(_Following[AsyncRevocationLog]):
    """Follows a log in a task of the running event loop: `Follower` with `await`.

    In the loop itself, because a thread beside a busy loop is late by seconds.
    """

    def _start(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._bell: AsyncBell | None = None

    def start_in_child(self) -> None:
        """See `_Following`."""
        self._start()
        self._reading.start_afresh()

    def ensure(self) -> None:
        """Have the log followed from now on, if it is not; what was closed stays so."""
        task, loop = self._task, asyncio.get_running_loop()
        if self._ended.is_set() or (task is not None and not task.done() and task.get_loop() is loop):
            return
        self._bell = None  # it belonged to a loop that has ended
        self._task = loop.create_task(_work_async(ref(self)), name="keyturn-follower", context=Context())

    async def start(self) -> None:
        """Have the log followed from now on, and read it to its end first.

        Raises:
            StoreError: It cannot be read now; it will be when it can.
        """
        self.ensure()
        await self._catch_up()

    async def close(self) -> None:
        """End the task, whatever it waits for."""
        self._ended.set()
        task = self._task
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            return
        task.cancel()
        if task is not asyncio.current_task():
            await asyncio.wait({task})

    async def turn(self, failure: Exception | None) -> AsyncRest | None:
        """Read on, and give what to wait with before the next turn; None: there is none."""
        if self._ended.is_set():
            return None
        bell = None
        try:
            if failure is not None or self._bell is not None:  # else nobody has waited for it
                self._reading.heard(failure)
            await self._catch_up()
            bell = await self._ready_bell(failed=failure is not None)
        except Exception as error:  # noqa: BLE001  (as its twin)
            if self._ended.is_set():
                return None
            self._reading.failed(error)
        return AsyncRest(bell, self._reading.cursor, self._rest)

    async def _catch_up(self) -> None:
        asked = self._reading.ask()
        while self._reading.take(asked, await self._log.follow(asked.command)) and not self._ended.is_set():
            asked = self._reading.ask()

    async def _ready_bell(self, *, failed: bool) -> AsyncBell | None:
        known = self._bell
        if failed and known is not None:
            await known.close()
            self._bell = None
            return None  # as its twin
        if known is None:
            self._bell = self._log.bell()
        return self._bell


@dataclass(frozen=True, slots=True)
class AsyncRest:
    """`Rest` with `await`."""

    bell: AsyncBell | None
    cursor: object | None
    seconds: float

    async def wait(self) -> Exception | None:
        """Wait, and say why the bell could not be waited for, if it could not."""
        if self.bell is None:
            await asyncio.sleep(self.seconds)
            return None
        try:
            await self.bell.wait(self.cursor, self.seconds)
        except Exception as error:  # noqa: BLE001  (as its twin)
            return error
        return None


async def _work_async(known: ref[AsyncFollower]) -> None:
    """Take turns: see `_work`."""
    rest: AsyncRest | None = None
    failure: Exception | None = None
    try:
        while (follower := known()) is not None:
            rest = await follower.turn(failure)
            del follower
            if rest is None:
                return
            failure = await rest.wait()
    finally:  # also where the loop ends, and nobody has closed the manager
        if rest is not None and rest.bell is not None:
            await rest.bell.close()
