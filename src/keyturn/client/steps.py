"""What the client waits for, as plain values, and the one driver per colour that waits. It decides nothing.

The rules are generators that give one of these values after another and are sent its result, or thrown its
error. So they are written once for threads and for tasks, and clean up behind themselves in both.
"""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar, cast

import anyio
import httpx
from anyio import to_thread

from keyturn.client.flights import Flight
from keyturn.client.wires import Wire

T = TypeVar("T")

LOCK_POLL: Final = 0.02
"""How often it is tried to get a lock that another process has: seconds."""


@dataclass(frozen=True, slots=True)
class Work:
    """Something that may wait for a disk.

    Attributes:
        do: The work.
        undo: Takes its result back where nobody is there any more to be given it.
    """

    do: Callable[[], Any]
    undo: Callable[[Any], object] | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """A request to an endpoint; its answer is read."""

    request: httpx.Request


@dataclass(frozen=True, slots=True)
class BackOff:
    """A pause before the server is asked again."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Queue:
    """A moment in which another may give up the lock of a store."""


@dataclass(frozen=True, slots=True)
class Join:
    """The end of a flight of somebody else's, for so many seconds."""

    flight: Flight
    patience: float


Step: TypeAlias = Work | Send | BackOff | Queue | Join
Steps: TypeAlias = Generator[Step, Any, T]


def work(do: Callable[[], T], undo: Callable[[T], object] | None = None) -> Steps[T]:
    """Give one piece of work as a step, with the type of its result."""
    return cast("T", (yield Work(do, undo)))


def send(request: httpx.Request) -> Steps[httpx.Response]:
    """Give one request as a step."""
    return cast("httpx.Response", (yield Send(request)))


@dataclass(frozen=True, slots=True)
class Means:
    """With what a driver does what it is told.

    Attributes:
        wire: Sends requests.
        sleep: Waits for so many seconds in place of the usual, and may give something to await.
    """

    wire: Wire
    sleep: Callable[[float], Any] | None = None


def run(steps: Steps[T], means: Means) -> T:
    """Follow steps to their result, in a thread."""
    move: Callable[[], Step] = partial(next, steps)
    try:
        while True:
            step = move()
            try:
                move = partial(steps.send, _done(step, means))
            except BaseException as error:  # noqa: BLE001 - the steps clean up, and let it go on
                move = partial(steps.throw, error)
    except StopIteration as end:
        return cast("T", end.value)


async def run_async(steps: Steps[T], means: Means) -> T:
    """Follow steps to their result, in a task."""
    move: Callable[[], Step] = partial(next, steps)
    try:
        while True:
            step = move()
            try:
                move = partial(steps.send, await _done_async(step, means))
            except GeneratorExit:  # the loop is gone, and nothing can be awaited any more
                steps.close()
                raise
            except BaseException as error:  # noqa: BLE001 - as in `run`
                move = partial(steps.throw, error)
    except StopIteration as end:
        return cast("T", end.value)


def _done(step: Step, means: Means) -> Any:  # noqa: ANN401 - each step has its own kind of result
    match step:
        case Work(do=do):
            return do()
        case Send(request=request):
            return means.wire.send(request)
        case BackOff(seconds=seconds):
            return (means.sleep or time.sleep)(seconds)
        case Queue():
            return time.sleep(LOCK_POLL)
        case Join(flight=flight, patience=patience):
            return flight.wait(patience)


async def _done_async(step: Step, means: Means) -> Any:  # noqa: ANN401 - each step has its own kind of result
    match step:
        case Work(do=do, undo=undo):
            return await _in_thread(_Job(do, undo))
        case Send(request=request):
            return await means.wire.send_async(request)
        case BackOff(seconds=seconds):
            waiting = (means.sleep or anyio.sleep)(seconds)
            return await waiting if inspect.isawaitable(waiting) else None
        case Queue():
            return await anyio.sleep(LOCK_POLL)
        case Join(flight=flight, patience=patience):
            return await flight.wait_async(patience)


class _Job:
    """A piece of work for a worker thread, which may find that nobody wants it any more."""

    def __init__(self, do: Callable[[], Any], undo: Callable[[Any], object] | None) -> None:
        self._do, self._undo = do, undo
        self._claim = threading.Lock()
        self._ended = threading.Event()
        self._result: Any = None
        self._error: BaseException | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it was done."""
        return self._ended.is_set()

    def run(self) -> None:
        """Do it; or, where another thread does, wait until it is done."""
        if not self._claim.acquire(blocking=False):
            self._ended.wait()
            return
        try:
            self._result = self._do()
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            self._error = error
        finally:
            self._ended.set()

    def take_back(self) -> None:
        """Undo what was done for nobody."""
        if self._undo is not None and self._error is None:
            self._undo(self._result)

    def outcome(self) -> Any:  # noqa: ANN401 - as `do` gives it
        """Give the result, or raise the error."""
        if self._error is not None:
            raise self._error
        return self._result


async def _in_thread(job: _Job) -> Any:  # noqa: ANN401 - as the job gives it
    """Do a job in a worker thread, and see it through, also where the task is cancelled meanwhile.

    Else a lock would be taken for nobody, kept for ever, or given up while its file is still being written.
    The thread comes from no pool that an application's own threads, waiting for us, could have used up.
    """
    cancelled: BaseException | None = None
    with anyio.CancelScope(shield=True):
        while not job.has_ended:
            try:
                await to_thread.run_sync(job.run, limiter=anyio.CapacityLimiter(1))
            except anyio.get_cancelled_exc_class() as error:  # asyncio's own cancel() heeds no shield
                cancelled = error
        if cancelled is not None:
            job.take_back()
            raise cancelled
    return job.outcome()
