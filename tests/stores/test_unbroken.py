"""Holds work that nobody's cancellation breaks off to what it leaves behind where its loop ends: nothing."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest

from keyturn.stores._unbroken import Unbroken


def test_work_that_never_began_is_closed() -> None:
    """A loop that ends at once, as a script's does, leaves no coroutine behind of which Python would warn."""
    unbroken, begun = Unbroken(), list[str]()

    async def work() -> None:
        begun.append("work")

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loop = asyncio.new_event_loop()
        waiting = loop.create_task(unbroken.run(work()))
        loop.call_soon(loop.stop)
        loop.run_forever()  # one turn: the work has a task now, which has not had its own
        for task in asyncio.all_tasks(loop):  # as `asyncio.run` ends a loop
            task.cancel()
        loop.run_until_complete(asyncio.wait({waiting}))
        loop.close()
        assert waiting.cancelled()
        gc.collect()
    assert (begun, [str(each.message) for each in told]) == ([], [])


def test_work_goes_on_without_whoever_waits() -> None:
    """A request that is cancelled before its work has begun does not take it along."""
    unbroken, begun = Unbroken(), list[str]()

    async def work() -> None:
        begun.append("work")

    async def main() -> None:
        waiting = asyncio.get_running_loop().create_task(unbroken.run(work()))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await unbroken.done(20)

    asyncio.run(main())
    assert begun == ["work"]
