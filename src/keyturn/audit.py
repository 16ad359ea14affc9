"""Writing the audit trail off the critical path, in batches. It knows no operation and no token.

Lines wait in memory until a thread (or a task) of their own writes them: a trail that is slow or out delays
neither a request nor a confirmation. What cannot be kept is counted and told, never silently dropped.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from threading import Event, Lock
from typing import TYPE_CHECKING, Final, TypeAlias
from weakref import finalize

from keyturn.deferred import Tasks, Worker
from keyturn.errors import ConfigurationError, InvalidInput, StoreError, StoreUnavailable
from keyturn.forks import in_forked_children
from keyturn.stores.protocol import PAGE, AsyncTrail, Trail

if TYPE_CHECKING:
    from uuid import UUID

    from keyturn._core.commands import Forget, History
    from keyturn._core.trail import TrailEntry

_LOG: Final = logging.getLogger("keyturn")
MOST_WAITING: Final = 10_000  # lines; at 2 KiB of device each, 20 MB
BATCH: Final = 500
GATHERING: Final = 0.2  # seconds that the first line waits for others, so that one write has many of them
BACK_OFF: Final = 0.2  # seconds before a batch is written again

Told: TypeAlias = Callable[[int, int], object]
"""Called with how many lines were lost now, and how many in all."""


def trail_of(store: object, audit: Trail | None, *, wanted: bool) -> Trail | None:
    """Say where the lines of a manager for threads go.

    Args:
        store: Where its sessions live.
        audit: The application's choice, if any.
        wanted: Whether the policy asks for a trail.

    Raises:
        ConfigurationError: It asks for one, and neither can keep it.
    """
    keeper = _keeper(store, audit, wanted=wanted)
    if keeper is None or (isinstance(keeper, Trail) and not inspect.iscoroutinefunction(keeper.note)):
        return keeper
    raise ConfigurationError(_no_trail(keeper, "a trail for threads"))


def async_trail_of(store: object, audit: AsyncTrail | None, *, wanted: bool) -> AsyncTrail | None:
    """Say where the lines of a manager for asyncio go; see `trail_of`."""
    keeper = _keeper(store, audit, wanted=wanted)
    if keeper is None or (isinstance(keeper, AsyncTrail) and inspect.iscoroutinefunction(keeper.note)):
        return keeper
    raise ConfigurationError(_no_trail(keeper, "a trail for asyncio"))


class Lines:
    """The lines that wait to be written: bounded, and safe for threads."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        """Start empty.

        Args:
            most: How many may wait; those that come beyond it are lost.
        """
        self.lost = 0
        self._most = most
        self._waiting: deque[TrailEntry] = deque()
        self.start_afresh()
        in_forked_children(self, Lines.start_afresh)
        finalize(self, _warn_of_the_rest, self._waiting)

    def start_afresh(self) -> None:
        """Begin with nothing waiting: what a forked child finds, its parent writes."""
        self._lock = Lock()
        self._waiting.clear()
        self._has_writer = False
        self._untold = 0

    def add(self, entries: Sequence[TrailEntry], start: Callable[[], object]) -> bool:
        """Have lines wait.

        Args:
            entries: The lines.
            start: Has a writer begin; called where none is at work.

        Returns:
            Whether a whole batch is waiting.
        """
        with self._lock:
            room = max(0, self._most - len(self._waiting))
            self._waiting.extend(entries[:room])
            overflows = not self._untold and len(entries) > room
            self._lose(len(entries[room:]))
            if self._waiting and not self._has_writer:
                with suppress(RuntimeError):  # no thread can be started now: the next line tries again
                    start()  # within the lock, so that a flush which sees the lines comes after their writer
                    self._has_writer = True
            whole = len(self._waiting) >= BATCH
        if overflows:  # a trail that never answers would keep the writer from ever telling
            _LOG.warning("keyturn: %d lines of the audit trail wait already: more are lost", self._most)
        return whole

    def take(self) -> list[TrailEntry]:
        """Take the next batch; after an empty one the writer is done, and the next line needs another."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._has_writer = bool(batch)
            return batch

    @contextmanager
    def counted(self, batch: Sequence[TrailEntry]) -> Generator[None]:
        """Count a batch as lost where writing it fails for good."""
        try:
            yield
        except StoreError as error:
            self.lose(len(batch))
            _LOG.warning("keyturn: the audit trail cannot be written: %s", error)
        except Exception:  # noqa: BLE001  (a trail of somebody's own may raise anything; its lines count, too)
            self.lose(len(batch))
            _LOG.exception("keyturn: the audit trail failed")
        except BaseException:  # the event loop ends
            self.lose(len(batch))
            raise

    def lose(self, count: int) -> None:
        """Count lines that could not be kept."""
        with self._lock:
            self._lose(count)

    def leave(self) -> None:
        """Note that the writer ended before its time: the next line, or a flush, needs another."""
        with self._lock:
            self._has_writer = False

    def give_up(self) -> None:
        """Count all that still wait as lost; their writer has ended, or hangs."""
        with self._lock:
            self._lose(len(self._waiting))
            self._waiting.clear()
            self._has_writer = False

    def tell(self, told: Told) -> None:
        """Report what was lost since the last report, if anything."""
        with self._lock:
            count, total = self._untold, self.lost
            self._untold = 0
        if count:
            _LOG.warning("keyturn: %d lines of the audit trail were lost, %d so far", count, total)
            told(count, total)

    def _lose(self, count: int) -> None:
        self.lost += count
        self._untold += count


class Audit:
    """The audit trail of a manager for threads."""

    def __init__(self, trail: Trail | None, told: Told, *, most: int = MOST_WAITING) -> None:
        """Start nothing yet.

        Args:
            trail: Where lines go; None: no trail is kept.
            told: Called, off the critical path, when lines were lost.
            most: How many lines may wait.
        """
        self.trail = trail
        self.lines = Lines(most)
        self._told = told
        self._worker = Worker()
        self.start_afresh()
        in_forked_children(self, Audit.start_afresh)

    def start_afresh(self) -> None:
        """Forget who waits: in a forked child, a lock of the parent's may be held for ever."""
        self._hurry = Event()

    def add(self, entries: Sequence[TrailEntry]) -> None:
        """Have lines written soon."""
        if self.lines.add(entries, self._start):
            self._hurry.set()

    def flush(self) -> bool:
        """Wait until all lines are written or lost; tell whether that was in time."""
        self.add(())  # where no thread could be started before
        self._hurry.set()
        return self._worker.flush()

    def close(self) -> None:
        """Write what is waiting, and end the thread."""
        self.add(())  # see `flush`
        self._hurry.set()
        self._worker.close()
        self.lines.give_up()
        self.lines.tell(self._told)

    def read(self, command: History) -> Sequence[TrailEntry]:
        """Read a session's lines, page by page."""
        lines: list[TrailEntry] = []
        while self.trail is not None and (most := min(PAGE, command.limit - len(lines))):
            page = self.trail.history(command.sid, after=_last(lines), limit=most)
            lines += page
            if len(page) < most:
                break
        return lines

    def forget(self, command: Forget) -> int:
        """Remove one batch of old lines, if there is an age at which they go."""
        if self.trail is None or command.before is None:
            return 0
        return self.trail.forget(command.before, command.limit)

    def _start(self) -> None:
        self._worker.submit(self._work)

    def _work(self) -> None:
        try:
            self._hurry.wait(GATHERING)
            self._hurry.clear()
            while batch := self.lines.take():
                with self.lines.counted(batch):
                    self._write(batch)
                self.lines.tell(self._told)
        except BaseException:  # a trail or a handler of somebody's own may raise even `SystemExit`
            self.lines.leave()
            raise

    def _write(self, batch: Sequence[TrailEntry]) -> None:
        if self.trail is None:  # then no lines are made
            return
        try:
            self.trail.note(batch)
        except StoreUnavailable:  # writing a batch twice changes nothing
            time.sleep(BACK_OFF)
            self.trail.note(batch)
        except InvalidInput:  # one line is at fault, and need not take the others with it
            for entry in batch:
                with self.lines.counted((entry,)):
                    self.trail.note((entry,))


class AsyncAudit:
    """The audit trail of a manager for asyncio: `Audit` with `await`.

    It outlives its event loop: what happens in a later one is written there.
    """

    def __init__(self, trail: AsyncTrail | None, told: Told, *, most: int = MOST_WAITING) -> None:
        """Start nothing yet; see `Audit`."""
        self.trail = trail
        self.lines = Lines(most)
        self._told = told
        self._tasks = Tasks()
        self._hurry = asyncio.Event()

    def add(self, entries: Sequence[TrailEntry]) -> None:
        """Have lines written soon."""
        if not self._tasks.busy:  # then a writer that has not said good-bye ended with its event loop
            self.lines.leave()
        if self.lines.add(entries, self._start):
            self._hurry.set()

    async def flush(self) -> bool:
        """Wait until all lines are written or lost; tell whether that was in time."""
        self.add(())  # where the event loop of their writer has ended
        self._hurry.set()
        return await self._tasks.flush()

    async def close(self) -> None:
        """Write what is waiting."""
        await self.flush()
        self.lines.give_up()
        self.lines.tell(self._told)

    async def read(self, command: History) -> Sequence[TrailEntry]:
        """Read a session's lines, page by page."""
        lines: list[TrailEntry] = []
        while self.trail is not None and (most := min(PAGE, command.limit - len(lines))):
            page = await self.trail.history(command.sid, after=_last(lines), limit=most)
            lines += page
            if len(page) < most:
                break
        return lines

    async def forget(self, command: Forget) -> int:
        """Remove one batch of old lines, if there is an age at which they go."""
        if self.trail is None or command.before is None:
            return 0
        return await self.trail.forget(command.before, command.limit)

    def _start(self) -> None:
        self._hurry = asyncio.Event()  # it belongs to the loop that waits for it
        self._tasks.submit(self._work)

    async def _work(self) -> None:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHERING):
                    await self._hurry.wait()
            self._hurry.clear()
            while batch := self.lines.take():
                with self.lines.counted(batch):
                    await self._write(batch)
                self.lines.tell(self._told)
        except asyncio.CancelledError:  # the loop ends, and nobody has closed the manager
            self.lines.give_up()
            self.lines.tell(self._told)
            raise
        except BaseException:
            self.lines.leave()
            raise

    async def _write(self, batch: Sequence[TrailEntry]) -> None:
        if self.trail is None:  # then no lines are made
            return
        try:
            await self.trail.note(batch)
        except StoreUnavailable:  # writing a batch twice changes nothing
            await asyncio.sleep(BACK_OFF)
            await self.trail.note(batch)
        except InvalidInput:  # one line is at fault, and need not take the others with it
            for entry in batch:
                with self.lines.counted((entry,)):
                    await self.trail.note((entry,))


def _keeper(store: object, audit: object, *, wanted: bool) -> object:
    if audit is not None:
        return audit
    return store if wanted else None


def _no_trail(keeper: object, kind: str) -> str:
    return f"audit_retention or audit asks for {kind}, which {type(keeper).__name__} does not keep"


def _last(lines: Sequence[TrailEntry]) -> UUID | None:
    return lines[-1].id if lines else None


def _warn_of_the_rest(waiting: deque[TrailEntry]) -> None:
    """Say what a manager that was not closed leaves behind, when it goes or when the program ends."""
    if waiting:
        _LOG.warning("keyturn: %d lines of the audit trail were lost: close the manager", len(waiting))
