"""Checking who signs in, off the event loop and a few at a time. It knows no token and no request."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, Final, TypeAlias, TypeVar, cast

from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.http import SignIn, is_awaited
from keyturn.server.users import Users

T = TypeVar("T")

Answer: TypeAlias = "SignIn | str | None"
Authenticator: TypeAlias = Callable[[str, str], "Answer | Awaitable[Answer]"]
"""An application's own check: takes a username and a password, gives the user (or its id), or None."""

_AT_ONCE: Final = max(2, min(4, os.cpu_count() or 1))  # an argon2 hash takes 64 MiB and a core
_MOST_WAITING: Final = 100


class Desk:
    """Runs what waits or hashes in a few threads of its own, with a bounded queue before them."""

    def __init__(self) -> None:
        """Start no thread yet."""
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="keyturn-login")
        self._waiting = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Run something in a thread.

        Raises:
            StoreUnavailable: Too many wait already; the client may try again.
        """
        if self._waiting >= _MOST_WAITING:
            raise StoreUnavailable("Too many people sign in at once; try again.", detail="login_queue")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads; what waits is dropped."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class UserLogin:
    """Signs in the users of the table."""

    def __init__(self, users: Users, desk: Desk) -> None:
        """Look users up in a table.

        Args:
            users: The table.
            desk: Where hashing happens.
        """
        self._users = users
        self._desk = desk

    async def login(self, username: str, password: str) -> SignIn | None:
        """Give the user whose name and password these are."""
        checked = await self._desk.run(lambda: self._users.check_stamped(username, password))
        if checked is None:
            return None
        user, stamp = checked

        async def holds() -> bool:
            return await asyncio.to_thread(self._users.stamp, user.id) == stamp

        return SignIn(user.id, claims=user.claims, holds=holds)

    async def load_claims(self, user_id: str) -> Mapping[str, Any]:
        """Give a user's claims of today; not behind the sign-ins, which take long."""
        return await asyncio.to_thread(self._users.claims, user_id)


class OwnLogin:
    """Signs in through an application's own function."""

    def __init__(self, function: Authenticator, desk: Desk) -> None:
        """Call a function.

        Args:
            function: A plain function runs in a thread, a coroutine function on the event loop.
            desk: Where plain functions run.
        """
        self._function = function
        self._desk = desk

    async def login(self, username: str, password: str) -> Answer:
        """Give what the function says."""
        if is_awaited(self._function):
            answer = self._function(username, password)
        else:
            answer = await self._desk.run(lambda: self._function(username, password))
        # A decorated coroutine function looks like a plain one.
        return await answer if inspect.isawaitable(answer) else answer


def load_authenticator(name: str) -> Authenticator:
    """Import an application's own check; the current folder counts as importable.

    Args:
        name: `package.module:function`.

    Raises:
        ConfigurationError: Says which part of the name is wrong.
    """
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        raise ConfigurationError(f"authenticator must be package.module:function, not {name!r}")
    if "" not in sys.path and os.getcwd() not in sys.path:  # noqa: PTH109  (sys.path holds text)
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        module = import_module(module_name)
    except Exception as error:
        raise ConfigurationError(
            f"authenticator: cannot import {module_name!r}: {type(error).__name__}: {error}"
        ) from error
    function = getattr(module, attribute, None)
    if function is None:
        raise ConfigurationError(f"authenticator: {module_name!r} has no {attribute!r}")
    if not callable(function):
        raise ConfigurationError(f"authenticator: {name!r} is no function")
    try:
        inspect.signature(function).bind("username", "password")
    except TypeError:
        raise ConfigurationError(f"authenticator: {name!r} must take a username and a password") from None
    except ValueError:
        pass  # written in C: it has no signature to look at
    return cast("Authenticator", function)
