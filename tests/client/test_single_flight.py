"""However many need fresh tokens at once, one refresh is sent; who stops in the middle stops nobody else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Barrier
from typing import Any

import anyio
import httpx
import pytest
from anyio import to_thread

from keyturn.client import FileTokens, KeyturnAuth, MemoryTokens, TemporarilyUnavailable, TokenStore
from keyturn.errors import ConfigurationError
from tests.client import program
from tests.client.served import ACCESS_TTL, OVER, QUICK, REFRESH, Api, Plain, tokens_in
from tests.support.processes import fork, wait_until

CROWD = 24
SLOW = 0.3  # seconds that a refresh takes, so that all who need one come while it is under way


def in_threads(count: int, work: Callable[[], int]) -> list[int]:
    """Do something in threads that begin at one moment."""
    gate = Barrier(count)

    def begin(_: int) -> int:
        gate.wait(20)
        return work()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def get(api: Api, auth: KeyturnAuth) -> int:
    """Ask with a client of one's own, and give the status."""
    return Plain().request(auth, "GET", f"{api.url}/private").status_code


async def get_async(api: Api, auth: KeyturnAuth) -> int:
    """Ask with a client of one's own, and give the status."""
    async with httpx.AsyncClient(auth=auth, **QUICK) as client:
        return (await client.get(f"{api.url}/private")).status_code


async def refreshing(api: Api, store: TokenStore | None = None) -> tuple[KeyturnAuth, asyncio.Task[int]]:
    """Give an auth, and a task of this loop that is in the middle of its refresh."""
    auth = await to_thread.run_sync(api.auth, store)
    api.world.clock.advance(OVER)
    api.gateway.slow[REFRESH] = SLOW
    first = asyncio.create_task(get_async(api, auth))
    await to_thread.run_sync(lambda: wait_until(lambda: api.refreshes == 1, what="the refresh"))
    return auth, first


def is_free(store: TokenStore) -> bool:
    """Tell whether nobody holds a store's lock."""
    if taken := store.try_lock():
        store.unlock()
    return taken


@contextmanager
def processes(api: Api, file: Path, *deeds: str) -> Generator[list[subprocess.Popen[str]]]:
    """Run programs that share a token file, ready to begin."""
    command = [sys.executable, str(program.__file__)]
    arguments = [str(file), api.url, str(api.world.clock())]
    running = [
        subprocess.Popen(
            [*command, deed, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for deed in deeds
    ]
    try:
        assert [read(each) for each in running] == ["ready"] * len(deeds)
        yield running
    finally:
        for each in running:
            each.kill()
            each.communicate()


def go(process: subprocess.Popen[str]) -> None:
    """Let a program begin."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def read(process: subprocess.Popen[str]) -> str:
    """Give what a program says."""
    assert process.stdout
    return process.stdout.readline().strip()


def test_threads_share_one_refresh(api: Api) -> None:
    """All threads that find the token due wait for one refresh and use what it brought."""
    auth = api.auth()
    api.world.clock.advance(OVER)
    api.gateway.slow[REFRESH] = SLOW
    assert in_threads(CROWD, lambda: get(api, auth)) == [200] * CROWD
    assert api.refreshes == 1


def test_threads_share_one_refresh_after_a_401(api: Api) -> None:
    """So do those whose requests were refused: a late 401 for the old token only fetches the new one."""
    auth = api.auth(clock=lambda: 0.0)
    api.world.clock.advance(OVER)
    api.gateway.slow[REFRESH] = SLOW
    assert in_threads(CROWD, lambda: get(api, auth)) == [200] * CROWD
    assert api.refreshes == 1


async def test_tasks_share_one_refresh(api: Api) -> None:
    """So do the tasks of one loop, which goes on meanwhile."""
    auth = await to_thread.run_sync(api.auth)
    api.world.clock.advance(OVER)
    api.gateway.slow[REFRESH] = SLOW
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    heart = asyncio.create_task(beat())
    assert await asyncio.gather(*(get_async(api, auth) for _ in range(CROWD))) == [200] * CROWD
    heart.cancel()
    assert api.refreshes == 1
    assert beats >= SLOW / 0.01 / 3  # a loop that was blocked would have had none


def test_threads_and_loops_share_one_refresh(api: Api, tmp_path: Path) -> None:
    """So do threads, and tasks of several loops, all on one object."""
    auth = api.auth(FileTokens(tmp_path / "tokens"))
    api.world.clock.advance(OVER)
    api.gateway.slow[REFRESH] = SLOW

    async def crowd() -> list[int]:
        return await asyncio.gather(*(get_async(api, auth) for _ in range(4)))

    works: list[Callable[[], int]] = [
        lambda: get(api, auth),
        lambda: min(asyncio.run(crowd())),
    ] * 6
    gate = Barrier(len(works))

    def begin(work: Callable[[], int]) -> int:
        gate.wait(20)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        assert list(pool.map(begin, works)) == [200] * len(works)
    assert api.refreshes == 1


def test_processes_share_one_refresh(api: Api, tmp_path: Path) -> None:
    """So do processes that share a token file: those who come second find fresh tokens in it."""
    file = tmp_path / "tokens"
    api.auth(FileTokens(file))
    api.world.clock.advance(OVER)
    api.gateway.slow[REFRESH] = SLOW
    with processes(api, file, *["ask"] * 4) as crowd:
        for each in crowd:
            go(each)
        assert [read(each) for each in crowd] == ["200"] * len(crowd)
    assert api.refreshes == 1


def test_a_lock_that_is_held_is_waited_for(api: Api, tmp_path: Path) -> None:
    """While another process holds the file's lock, nothing is refreshed; its death ends the lock."""
    file = tmp_path / "tokens"
    auth = api.auth(FileTokens(file))
    api.world.clock.advance(OVER)
    with processes(api, file, "hold") as (holder,), ThreadPoolExecutor(1) as pool:
        go(holder)
        assert read(holder) == "True"
        assert not is_free(FileTokens(file))
        asked = pool.submit(get, api, auth)
        with pytest.raises(TimeoutError):
            asked.result(timeout=SLOW)
        assert api.refreshes == 0
        holder.kill()
        assert asked.result(timeout=20) == 200
    assert api.refreshes == 1


def test_a_process_killed_in_a_refresh_costs_nobody_anything(api: Api, tmp_path: Path) -> None:
    """The server has rotated, and the only one who knows is dead: the next gets the same successor."""
    file = tmp_path / "tokens"
    auth = api.auth(FileTokens(file))
    old = tokens_in(FileTokens(file))
    api.world.clock.advance(OVER)
    api.gateway.slow[REFRESH] = SLOW
    with processes(api, file, "ask") as (victim,):
        go(victim)
        wait_until(lambda: api.refreshes == 1, what="the refresh")
        victim.kill()
        victim.wait(20)
    assert tokens_in(FileTokens(file)) == old
    assert get(api, auth) == 200
    assert api.refreshes == 2


def test_a_forked_child_waits_for_nobody(api: Api) -> None:
    """A child that was forked while its parent refreshed does not wait for a thread that it does not have."""
    store = MemoryTokens()
    auth = api.auth(store)
    api.world.clock.advance(OVER)
    api.gateway.slow[REFRESH] = SLOW
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(get, api, auth)
        wait_until(lambda: api.refreshes == 1, what="the refresh")
        child = fork(lambda: is_free(store) and not auth._renewing._flights._current)
        assert child() == 0
        assert asked.result(20) == 200


def test_a_forked_child_leaves_its_parents_lock_alone(tmp_path: Path) -> None:
    """A child has no part in the lock that its parent held, and takes nothing away when it forgets it."""
    file = tmp_path / "tokens"
    store = FileTokens(file)
    assert store.try_lock()
    assert fork(lambda: not is_free(store))() == 0
    assert not is_free(FileTokens(file))
    store.unlock()
    assert is_free(FileTokens(file))


def native(work: Coroutine[Any, Any, int], after: float) -> Coroutine[Any, Any, None]:
    """Cancel as asyncio does."""

    async def cancelled() -> None:
        task = asyncio.create_task(work)
        await asyncio.sleep(after)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    return cancelled()


async def scoped(work: Coroutine[Any, Any, int], after: float) -> None:
    """Cancel as anyio and trio do."""
    with anyio.move_on_after(after):
        await work


@pytest.mark.parametrize("cancel", [native, scoped])
async def test_a_cancelled_refresh_leaves_nothing_behind(
    api: Api, tmp_path: Path, cancel: Callable[[Coroutine[Any, Any, int], float], Coroutine[Any, Any, None]]
) -> None:
    """Wherever in its refresh a task is cancelled, the lock is free afterwards and the next request works."""
    store = FileTokens(tmp_path / "tokens")
    auth = await to_thread.run_sync(api.auth, store)
    await get_async(api, auth)
    for number in range(40):
        api.world.clock.advance(OVER)
        await cancel(get_async(api, auth), number / 1000)
        assert is_free(store), number
    assert await get_async(api, auth) == 200


async def test_those_who_wait_for_a_cancelled_refresh_begin_another(api: Api) -> None:
    """A task that is cancelled while it refreshes for others does not take them along."""
    auth, first = await refreshing(api)
    others = [asyncio.create_task(get_async(api, auth)) for _ in range(CROWD)]
    await asyncio.sleep(0)
    first.cancel()
    with anyio.fail_after(20):
        assert await asyncio.gather(*others) == [200] * CROWD
    assert api.refreshes == 2
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_one_who_waits_may_be_cancelled(api: Api) -> None:
    """And one of those who wait takes nobody along."""
    api.gateway.held.add(REFRESH)
    auth, first = await refreshing(api)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(get_async(api, auth), 0.05)
    api.gateway.held.clear()
    assert (await first, api.refreshes) == (200, 1)


def test_a_failed_refresh_fails_for_all_who_waited(api: Api) -> None:
    """An outage costs as many requests as one client makes, not as many as all of them would."""
    auth = api.auth(attempts=2)
    api.world.clock.advance(OVER)
    api.gateway.slow[REFRESH] = SLOW
    api.gateway.next(REFRESH, 503, 503)

    def ask() -> int:
        with pytest.raises(TemporarilyUnavailable):
            get(api, auth)
        return 503

    assert in_threads(CROWD, ask) == [503] * CROWD
    assert api.refreshes == 2
    assert get(api, auth) == 200


@pytest.mark.parametrize("patient", [True, False])
async def test_nobody_waits_for_ever_for_a_loop_that_has_stopped(api: Api, *, patient: bool) -> None:
    """Two minutes where the access token is over, and two seconds where it is good for a while yet."""
    auth = api.auth()
    api.world.clock.advance(OVER if patient else ACCESS_TTL - 10)
    renewing: Any = auth._renewing
    stalled, is_ours = renewing._flights.join(patient=True)
    assert is_ours
    step = next(renewing.current())
    assert (step.flight, step.patience) == (stalled, 120.0 if patient else 2.0)
    with anyio.fail_after(30), pytest.raises(TemporarilyUnavailable):
        await stalled.wait_async(0.01)
    with pytest.raises(TemporarilyUnavailable):
        await to_thread.run_sync(stalled.wait, 0.01)


async def test_busy_threads_do_not_stop_a_task(api: Api, tmp_path: Path) -> None:
    """A task refreshes also where all threads of the pool wait for it."""
    auth, first = await refreshing(api, FileTokens(tmp_path / "tokens"))
    everyone = int(to_thread.current_default_thread_limiter().total_tokens)
    with anyio.fail_after(30):
        waiting = await asyncio.gather(*(to_thread.run_sync(get, api, auth) for _ in range(everyone)))
        assert (await first, waiting) == (200, [200] * everyone)
    assert api.refreshes == 1


async def test_a_plain_request_in_a_loop_that_refreshes_is_refused(api: Api) -> None:
    """It would wait for a task that cannot go on while it waits: an error is better than standing still."""
    auth, first = await refreshing(api)
    with pytest.raises(ConfigurationError, match="use AsyncClient"):
        get(api, auth)
    assert await first == 200
