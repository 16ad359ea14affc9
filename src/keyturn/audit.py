"""Writing the audit trail off the critical path, in batches. It knows no operation and no token.

Lines wait in memory until a thread (or a task) of their own writes them: a trail that is slow or out delays
neither a request nor a confirmation. While it is out they go on waiting. What cannot be kept is counted and
told, never silently dropped.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Final

from keyturn.deferred import PATIENCE, Tasks, Worker
from keyturn.errors import ConfigurationError
from keyturn.forks import in_forked_children
from keyturn.stores.protocol import PAGE, AsyncTrail, Trail
from keyturn.waiting import MOST_WAITING, Lines, Told, back_off

if TYPE_CHECKING:
    from uuid import UUID

    from keyturn._core.commands import Forget, History
    from keyturn._core.trail import TrailEntry

GATHERING: Final = 0.2  # seconds that the first line waits for others, so that one write has many of them


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


class Audit:
    """The audit trail of a manager for threads."""

    def __init__(
        self,
        trail: Trail | None,
        told: Told,
        *,
        most: int = MOST_WAITING,
        pause: Callable[[int], float] = back_off,
    ) -> None:
        """Start nothing yet.

        Args:
            trail: Where lines go; None: no trail is kept.
            told: Called, off the critical path, when lines were lost.
            most: How many lines may wait.
            pause: How many seconds to wait after so many failures in a row.
        """
        self.trail = trail
        self.lines = Lines(most, pause)
        self._told = told
        self._worker = Worker()
        self.start_afresh()
        in_forked_children(self, Audit.start_afresh)

    def start_afresh(self) -> None:
        """Forget who waits: in a forked child, a lock of the parent's may be held for ever."""
        self._hurry, self._asked = Event(), Event()

    def add(self, entries: Sequence[TrailEntry]) -> None:
        """Have lines written soon."""
        if self.lines.add(entries, self._start):
            self._hurry.set()

    def flush(self, timeout: float = PATIENCE) -> bool:
        """Have lines written now, and wait until all are written or lost; tell whether that was in time.

        Args:
            timeout: Seconds to wait at most.
        """
        self._try_at_once()
        return self._worker.flush(timeout)

    def close(self, timeout: float = PATIENCE) -> None:
        """Write what is waiting, and end the thread. What cannot be written in time is lost.

        Args:
            timeout: Seconds to wait at most.
        """
        self._try_at_once()
        self._worker.close(timeout)
        self.lines.give_up()
        self._asked.set()  # a writer that still waits for its next try finds nothing, and ends
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

    def _try_at_once(self) -> None:
        self.add(())  # where no thread could be started before
        self._hurry.set()
        self._asked.set()

    def _start(self) -> None:
        self._worker.submit(partial(self._work, self.lines.turn))

    def _work(self, turn: int) -> None:
        try:
            self._hurry.wait(GATHERING)
            self._hurry.clear()
            self._asked.clear()
            while batch := self.lines.take(turn):
                pause = self.lines.settle(turn, batch, self._write(batch))
                self.lines.tell(self._told)
                if pause and self._asked.wait(pause):
                    self._asked.clear()
        except BaseException:  # a trail or a handler of somebody's own may raise even `SystemExit`
            self.lines.leave(turn)
            raise

    def _write(self, batch: Sequence[TrailEntry]) -> Exception | None:
        try:
            if self.trail is not None:  # else no lines are made
                self.trail.note(batch)
        except Exception as error:  # noqa: BLE001  (a trail of somebody's own may raise anything)
            return error
        return None


class AsyncAudit:
    """The audit trail of a manager for asyncio: `Audit` with `await`.

    It outlives its event loop: what happens in a later one is written there.
    """

    def __init__(
        self,
        trail: AsyncTrail | None,
        told: Told,
        *,
        most: int = MOST_WAITING,
        pause: Callable[[int], float] = back_off,
    ) -> None:
        """Start nothing yet; see `Audit`."""
        self.trail = trail
        self.lines = Lines(most, pause)
        self._told = told
        self._tasks = Tasks()
        self._hurry, self._asked = asyncio.Event(), asyncio.Event()

    def add(self, entries: Sequence[TrailEntry]) -> None:
        """Have lines written soon."""
        if not self._tasks.busy:  # then a writer that has not said good-bye ended with its event loop
            self.lines.leave(self.lines.turn)
        if self.lines.add(entries, self._start):
            self._hurry.set()

    async def flush(self, timeout: float = PATIENCE) -> bool:  # noqa: ASYNC109  (as its twin)
        """Have lines written now, and wait until all are written or lost; see `Audit.flush`."""
        self._try_at_once()
        return await self._tasks.flush(timeout)

    async def close(self, timeout: float = PATIENCE) -> None:  # noqa: ASYNC109  (as its twin)
        """Write what is waiting. What cannot be written in time is lost; see `Audit.close`."""
        await self.flush(timeout)
        self.lines.give_up()
        self._asked.set()  # a writer that still waits for its next try finds nothing, and ends
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

    def _try_at_once(self) -> None:
        self.add(())  # where the event loop of their writer has ended
        self._hurry.set()
        self._asked.set()

    def _start(self) -> None:
        self._hurry, self._asked = asyncio.Event(), asyncio.Event()  # they belong to the loop that waits
        self._tasks.submit(partial(self._work, self.lines.turn))

    async def _work(self, turn: int) -> None:
        try:
            await _wait(self._hurry, GATHERING)
            self._hurry.clear()
            self._asked.clear()
            while batch := self.lines.take(turn):
                pause = self.lines.settle(turn, batch, await self._write(batch))
                self.lines.tell(self._told)
                if pause:
                    await _wait(self._asked, pause)
                    self._asked.clear()
        except asyncio.CancelledError:  # the loop ends, and nobody has closed the manager
            self.lines.give_up(turn)
            self.lines.tell(self._told)
            raise
        except BaseException:
            self.lines.leave(turn)
            raise

    async def _write(self, batch: Sequence[TrailEntry]) -> Exception | None:
        try:
            if self.trail is not None:  # else no lines are made
                await self.trail.note(batch)
        except Exception as error:  # noqa: BLE001  (a trail of somebody's own may raise anything)
            return error
        return None


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _keeper(store: object, audit: object, *, wanted: bool) -> object:
    if audit is not None:
        return audit
    return store if wanted else None


def _no_trail(keeper: object, kind: str) -> str:
    name = type(keeper).__name__
    return (
        f"audit_retention or audit asks for {kind}, which {name} does not keep: "
        "give one as audit=…, or choose a store that keeps one"
    )


def _last(lines: Sequence[TrailEntry]) -> UUID | None:
    return lines[-1].id if lines else None
