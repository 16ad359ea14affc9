"""A gate before a store, for the length of a test: it can be shut, and sees from which loop it is passed.

It knows no manager. Whoever has the store comes by here: the manager, what follows the revocation log, the
audit trail that is kept in the store, the application itself.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
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
    """Stands before one store.

    Attributes:
        loop: The event loop in which the store was used last; None: in none.
    """

    def __init__(self, store: Store | AsyncStore) -> None:
        """Stand beside the store until the gate is `placed`."""
        self._store = store
        self._shut = 0
        self._placed = 0
        self.loop: asyncio.AbstractEventLoop | None = None

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
        self._placed += 1
        before = self._place() if self._placed == 1 else {}
        try:
            yield
        finally:
            self._placed -= 1
            for name, method in before.items():
                if method is None:
                    delattr(self._store, name)
                else:
                    setattr(self._store, name, method)

    @contextmanager
    def shut(self) -> Generator[None]:
        """Let nothing through until the block ends: what a store does that cannot be reached."""
        with self.placed():
            self._shut += 1
            try:
                yield
            finally:
                self._shut -= 1

    def _place(self) -> dict[str, Any]:
        """Put the gate before each method; give what the store itself had under each name, if anything."""
        try:
            own: dict[str, Any] = object.__getattribute__(self._store, "__dict__")
        except AttributeError:
            raise LabError(
                f"a {type(self._store).__name__} has __slots__, so no gate can stand before it"
            ) from None
        names = [name for name in _ASKED if hasattr(self._store, name)]
        before = {name: own.get(name) for name in names}
        for name in names:
            method = getattr(self._store, name)
            awaited = inspect.iscoroutinefunction(method)
            setattr(self._store, name, self._before_awaited(method) if awaited else self._before(method))
        return before

    def _before(self, method: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(method)
        def passed(*args: P.args, **options: P.kwargs) -> T:
            self._pass()
            return method(*args, **options)

        return passed

    def _before_awaited(self, method: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @functools.wraps(method)
        async def passed(*args: P.args, **options: P.kwargs) -> T:
            self.loop = asyncio.get_running_loop()
            self._pass()
            return await method(*args, **options)

        return passed

    def _pass(self) -> None:
        if self._shut:
            raise StoreUnavailable(detail="store_away")
