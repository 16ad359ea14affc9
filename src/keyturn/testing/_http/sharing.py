"""A world for servers that are processes of their own. It knows no framework and no server.

Time, faults, users and sessions stay in the tests' process, where tests move them. Other processes ask for
them, one question at a time, over a socket that nobody else can use. So no rule of the suite needs an
exception for them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from inspect import iscoroutine
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any, Final, cast

from keyturn.http import HttpSettings
from keyturn.keys import KeyRing
from keyturn.policy import Policy
from keyturn.stores.protocol import AsyncStore, Store
from keyturn.testing._http.world import World

# What a store can do; not the revocation log: it is the tests' own, and managers elsewhere ask the store.
_OPERATIONS: Final = frozenset(name for name in vars(Store) if not name.startswith("_")) - {"close"}
_SECRET_BYTES: Final = 32
_WAITING: Final = 64


@dataclass(frozen=True, slots=True)
class SharedWorld:
    """What another process makes its own `World` of. It can be pickled.

    Attributes:
        policy: As in the world that is shared.
        settings: The same.
        by_path: The same.
        asks_for_users: Whether users may be disabled.
        keys: A file with its keys.
        address: Where the tests' process answers.
        secret: What a process must know to be answered.
    """

    policy: Policy
    settings: HttpSettings
    by_path: bool
    asks_for_users: bool
    keys: Path
    address: str
    secret: bytes = field(repr=False)

    def world(self) -> World:
        """Make the world, in the process that serves it; processes that it forks may go on with it."""
        return World(
            policy=self.policy,
            settings=self.settings,
            by_path=self.by_path,
            clock=cast("Any", _Far(self._ask("clock"))),
            plan=cast("Any", _Far(self._ask("plan"), frozenset({"due"}))),
            keys=KeyRing.load(self.keys),
            store=cast("Store", _FarStore(self._ask("store"), _OPERATIONS)),
            async_store=cast("AsyncStore", _FarAsyncStore(self._ask("async_store"))),
            disabled=cast("Any", _Far(self._ask("disabled"))) if self.asks_for_users else None,
        )

    def _ask(self, target: str) -> Callable[..., Any]:
        return partial(_ask, self.address, self.secret, target)


@contextmanager
def shared(world: World) -> Generator[SharedWorld]:
    """Let other processes reach a world until the block ends.

    A framework whose server is a process of its own keeps the contract with it:

    ```python
    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        with shared(world) as elsewhere, my_server(pickle.dumps(elsewhere)) as url:
            yield url
    ```

    and there `pickle.loads(...).world()` is what the application is made of.

    Args:
        world: It stays here, and tests go on moving its clock and planning its faults.
    """
    targets = {
        "clock": world.clock,
        "plan": world.plan,
        "store": world.store,
        "async_store": world.async_store,
        "disabled": world.disabled,
    }
    with TemporaryDirectory(prefix="keyturn-") as folder:
        keys, address, secret = Path(folder, "keys"), f"{folder}/line", secrets.token_bytes(_SECRET_BYTES)
        world.keys.save(keys)
        with _answered(targets, address, secret):
            yield SharedWorld(
                policy=world.policy,
                settings=world.settings,
                by_path=world.by_path,
                asks_for_users=world.disabled is not None,
                keys=keys,
                address=address,
                secret=secret,
            )


class _Far:
    """An object in the tests' process: called, asked what it holds, or asked by the names of some methods."""

    def __init__(self, ask: Callable[..., Any], names: frozenset[str] = frozenset()) -> None:
        self._ask = ask
        self._names = names

    def __call__(self) -> object:
        return self._ask("__call__")

    def __contains__(self, member: object) -> bool:
        return bool(self._ask("__contains__", member))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if (
            name.startswith("_") or name not in self._names
        ):  # private names: before `__init__`, there are none
            raise AttributeError(name)
        return partial(self._ask, name)


class _FarStore(_Far):
    def close(self) -> None:
        """Leave it open: it is the tests'."""


class _FarAsyncStore:
    def __init__(self, ask: Callable[..., Any]) -> None:
        self._ask = ask

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        if name not in _OPERATIONS:
            raise AttributeError(name)
        return partial(asyncio.to_thread, self._ask, name)

    async def close(self) -> None:
        """Leave it open: it is the tests'."""


def _ask(address: str, secret: bytes, target: str, method: str, *args: object, **options: object) -> Any:  # noqa: ANN401 - what the method gives
    """Ask the tests' process, over a connection for this question alone: so forks and threads share none."""
    with Client(address, authkey=secret) as connection:
        connection.send((target, method, args, options))
        result, error = connection.recv()
    if error is not None:
        raise error
    return result


@contextmanager
def _answered(targets: Mapping[str, object], address: str, secret: bytes) -> Generator[None]:
    """Answer what other processes ask, one after the other."""
    with Listener(address, backlog=_WAITING, authkey=secret) as listener:
        thread = Thread(target=_answer_all, args=(listener, targets), daemon=True)
        thread.start()
        try:
            yield
        finally:
            with Client(address, authkey=secret) as connection:
                connection.send(None)  # nothing more is asked
            thread.join()


def _answer_all(listener: Listener, targets: Mapping[str, object]) -> None:
    over = False
    while not over:
        # A process that was ended meanwhile, or does not know the secret, gets no answer.
        with suppress(EOFError, OSError, AuthenticationError), listener.accept() as connection:
            question = connection.recv()
            over = question is None
            if not over:
                connection.send(_answer(targets, *question))


def _answer(
    targets: Mapping[str, object], target: str, method: str, args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[object, Exception | None]:
    try:
        result: object = getattr(targets[target], method)(*args, **options)
        if iscoroutine(result):
            result = asyncio.run(cast("Coroutine[Any, Any, object]", result))
    except Exception as error:  # noqa: BLE001 - it is the asking process's, whatever it is
        return None, error
    return result, None
