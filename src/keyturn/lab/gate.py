"""A gate before stores, for the length of a test: it can be shut, and sees from which loop it is passed.

It knows no manager. Whoever has the store comes by here: the manager, what follows the revocation log, the
audit trail that is kept in the store, the application itself.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, ParamSpec, TypeVar

from keyturn.errors import StoreUnavailable
from keyturn.lab.faults import LabError
from keyturn.stores.protocol import AsyncStore, RevocationLog, Store, Trail

P = ParamSpec("P")
T = TypeVar("T")

_ASKED: Final = sorted(
    name
    for protocol in (Store, Trail, RevocationLog)
    for name, value in vars(protocol).items()
    if inspect.isfunction(value) and not name.startswith("_") and name not in {"bell", "close"}
)
"""The methods that ask a store for something."""


class Gate:
    """Stands before a store, and before those that join it.

    Attributes:
        loop: The event loop in which the first store was used last; None: in none.
    """

    def __init__(self, store: Store | AsyncStore) -> None:
        """Stand beside the store until the gate is `placed`."""
        self._lock = Lock()
        self._stores: list[Store | AsyncStore] = [store]
        self._before_it: list[tuple[object, dict[str, Any]]] = []
        self._shut = 0
        self._placed = 0
        self.loop: asyncio.AbstractEventLoop | None = None

    def join(self, store: Store | AsyncStore) -> None:
        """Stand before another store, too; one that is known already is none.

        Raises:
            LabError: The gate is placed, and the store's methods cannot be exchanged.
        """
        with self._lock:
            if any(each is store for each in self._stores):
                return
            self._stores.append(store)
            if self._placed:
                self._place(store)

    @property
    def is_shut(self) -> bool:
        """Whether nothing comes through."""
        return self._shut > 0

    @contextmanager
    def placed(self) -> Generator[None]:
        """Have everything pass here until the block ends; the store's methods are then its own again.

        Raises:
            LabError: The store's methods cannot be exchanged.
        """
        try:
            with self._lock:
                self._placed += 1
                if self._placed == 1:
                    for store in self._stores:
                        self._place(store)
            yield
        finally:
            with self._lock:
                self._placed -= 1
                if not self._placed:
                    self._take_away()

    @contextmanager
    def shut(self) -> Generator[None]:
        """Let nothing through until the block ends: what a store does that cannot be reached."""
        with self.placed():
            self._shut += 1
            try:
                yield
            finally:
                self._shut -= 1

    def _place(self, store: Store | AsyncStore) -> None:
        """Put the gate before each method, and note what the store itself had under each name."""
        try:
            own: dict[str, Any] = object.__getattribute__(store, "__dict__")
        except AttributeError:
            raise LabError(
                f"a {type(store).__name__} has __slots__, so no gate can stand before it"
            ) from None
        names = [name for name in _ASKED if hasattr(store, name)]
        before: dict[str, Any] = {}
        self._before_it.append((store, before))
        is_first = store is self._stores[0]
        for name in names:
            method, had = getattr(store, name), own.get(name)
            if inspect.iscoroutinefunction(method):
                setattr(store, name, self._before_awaited(method, sees_loop=is_first))
            else:
                setattr(store, name, self._before(method))
            before[name] = had

    def _take_away(self) -> None:
        """Give every store its own methods again."""
        for store, before in self._before_it:
            for name, method in before.items():
                if method is None:
                    delattr(store, name)
                else:
                    setattr(store, name, method)
        self._before_it = []

    def _before(self, method: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(method)
        def passed(*args: P.args, **options: P.kwargs) -> T:
            self._pass()
            return method(*args, **options)

        return passed

    def _before_awaited(
        self, method: Callable[P, Awaitable[T]], *, sees_loop: bool
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        @functools.wraps(method)
        async def passed(*args: P.args, **options: P.kwargs) -> T:
            if sees_loop:
                self.loop = asyncio.get_running_loop()
            self._pass()
            return await method(*args, **options)

        return passed

    def _pass(self) -> None:
        if self._shut:
            raise StoreUnavailable(detail="store_away")
