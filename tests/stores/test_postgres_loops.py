"""`AsyncPostgresStore` and event loops that end before it is closed."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

# A server that takes connections and never answers, so that the loop ends while the pool connects.
CODE: Final = """
import asyncio, socket
from keyturn.stores.postgres import AsyncPostgresStore

async def main():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        silent.setblocking(False)
        store = AsyncPostgresStore.from_url(f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/x")
        asking = [asyncio.create_task(store.count()) for _ in range(CALLS)]
        await asyncio.get_running_loop().sock_accept(silent)

asyncio.run(main())
print("ended")
"""


@pytest.mark.parametrize("calls", [1, 10])
def test_an_event_loop_ends_while_the_pool_connects(calls: int) -> None:
    """Its tasks end when they are cancelled, also without `close()`: `asyncio.run` returns."""
    code = CODE.replace("CALLS", str(calls))
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=40, check=False
    )
    assert run.stdout == "ended\n", run.stderr
