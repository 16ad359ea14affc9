"""Holds what only servers in processes of their own show: several workers, gunicorn's limits, their end."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client

import httpx
import pytest

from keyturn import AccessTokenError, RevokedToken, StoreUnavailable
from keyturn.testing._http.world import served
from keyturn.testing.faults import BEFORE
from keyturn.testing.http_suite import SharedWorld, World, shared
from tests.http.flask_app import application
from tests.support.gunicorn import PROCESS, Gunicorn, forking
from tests.support.processes import wait_until

SERVING = """
import time
from keyturn.testing.http_suite import World
from tests.http.flask_app import application
from tests.support.gunicorn import Gunicorn

if __name__ == "__main__":
    with Gunicorn(application).serve(World()) as url:
        print(url, flush=True)
        time.sleep(600)
"""


def test_a_session_is_one_for_all_workers() -> None:
    """What one worker has begun, rotated or ended, the other knows at once; so does the test."""
    with served(Gunicorn(application)) as site:
        tokens = site.sign_in("wes")
        seen: set[str] = set()

        def both(status: int) -> bool:
            answer = site.send("GET", "/private", bearer=tokens.access)
            assert answer.status_code == status
            seen.add(answer.headers[PROCESS])
            return len(seen) == 2

        wait_until(lambda: both(200), what="both workers")
        assert site.world.manager().sessions("wes")[0].id == tokens.session_id
        site.post("/auth/logout", cookie=tokens.refresh)
        seen.clear()
        wait_until(lambda: both(401), what="the end of the session in both workers")


@pytest.mark.parametrize(
    ("path", "cookie"),
    [("/auth/me", "x" * 9000), (f"/auth/sessions/{'x' * 5000}", "x")],
    ids=["header", "line"],
)
def test_gunicorns_own_limits_are_no_errors_of_ours(path: str, cookie: str) -> None:
    """What is longer than gunicorn likes, it refuses with its own page: 4xx, and the server goes on."""
    with served(Gunicorn(application, options={})) as site:
        refused = site.send("GET", path, cookie=cookie)
        assert 400 <= refused.status_code < 500
        assert refused.headers["content-type"].startswith("text/html")
        assert PROCESS not in refused.headers  # no application has seen it
        assert site.lives(site.sign_in("ann").access)


def test_a_server_ends_with_the_tests() -> None:
    """Also where nobody is left to end it: the tests' process was killed."""
    command = [sys.executable, "-c", SERVING]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as tests:
        assert tests.stdout
        url = tests.stdout.readline().strip()
        assert httpx.get(f"{url}/maybe", trust_env=False).status_code == 200
        tests.send_signal(signal.SIGKILL)

    def is_gone() -> bool:
        try:
            httpx.get(f"{url}/maybe", trust_env=False, timeout=20)
        except httpx.ConnectError:
            return True
        except httpx.TransportError:
            return False  # it is about to go
        return False

    wait_until(is_gone, what="the end of the server")


def elsewhere(work: Callable[[World], None], world: SharedWorld) -> None:
    """Do something with a world, in another process."""
    work(world.world())


def use_threads(world: World) -> None:
    """Use each part of the world as an application with threads does."""
    manager = world.manager()
    with pytest.raises(StoreUnavailable, match="try again"):
        manager.issue("ann")  # as the test has planned
    first = manager.issue("ann")
    assert world.clock() == 1000
    assert manager.refresh(first.refresh_token).session_id == first.session_id
    assert manager.authenticate(first.access_token).user_id == "ann"
    with pytest.raises(RevokedToken):
        manager.refresh(manager.issue("dis").refresh_token)
    manager.close()


def use_asyncio(world: World) -> None:
    """Use the asynchronous store."""

    async def use() -> None:
        manager = world.async_manager()
        first = await manager.issue("ann")
        assert (await manager.refresh(first.refresh_token)).session_id == first.session_id
        assert await manager.revoke(first.session_id)
        with pytest.raises(AccessTokenError):
            await manager.authenticate(first.access_token)
        await manager.issue("ann")
        await manager.close()

    asyncio.run(use())


@pytest.mark.parametrize("work", [use_threads, use_asyncio])
def test_another_process_makes_the_same_world(work: Callable[[World], None]) -> None:
    """Clock, faults, disabled users, keys and sessions are those of the tests, in both colours."""
    world = World(disabled={"dis"})
    world.clock.jump(1000 - world.clock())
    if work is use_threads:
        world.plan.next(BEFORE, method="create")
    with shared(world) as there:
        process = forking.Process(target=elsewhere, args=(work, there))
        process.start()
        process.join()
    assert process.exitcode == 0
    count = world.store.count() if work is use_threads else asyncio.run(world.async_store.count())
    assert count == 2


def test_nobody_else_is_answered() -> None:
    """Who does not know the secret, or says nothing, gets no answer, and the others do afterwards."""
    with shared(World()) as there:
        assert str(there.secret) not in repr(there)
        with pytest.raises(AuthenticationError):
            Client(there.address, authkey=b"guessed")
        Client(there.address, authkey=there.secret).close()
        assert pickle.loads(pickle.dumps(there)).world().store.count() == 0  # noqa: S301 - it is our own
