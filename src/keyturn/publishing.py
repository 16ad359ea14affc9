"""Handing events to the application's handlers. It knows no operation and no store.

A handler that fails is logged and never breaks the operation that caused the event.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any, Final, TypeVar, get_args, overload

from keyturn import errors
from keyturn.errors import ConfigurationError
from keyturn.events import Event, RefreshRejected, StoreUnavailable

_LOG: Final = logging.getLogger("keyturn")
_SAMPLE_SECONDS: Final = 1.0
_SAMPLED: Final = frozenset(
    {"invalid", "unknown_key"}
)  # what anybody can send, without owning a genuine token

EventT = TypeVar("EventT", bound=Event)


def kind_of(event: type) -> type[Event]:
    """Give the type of event that a class stands for; the error `StoreUnavailable` for the event of its name.

    Raises:
        ConfigurationError: It is none.
    """
    kind: type = StoreUnavailable if event is errors.StoreUnavailable else event
    if kind not in get_args(Event):
        name = getattr(event, "__name__", repr(event))
        raise ConfigurationError(f"{name} is not an event: take one from keyturn.events")
    return kind


class Events:
    """The subscriptions of one manager. Safe for threads."""

    def __init__(self, defer: Callable[[Awaitable[Any]], object]) -> None:
        """Start without subscriptions.

        Args:
            defer: Has an awaitable run off the critical path; for handlers that are coroutine functions.
        """
        self._defer = defer
        self._lock = Lock()
        self._handlers: dict[type, tuple[Callable[[Any], object], ...]] = {}
        self._watchers: tuple[Callable[[Event], object], ...] = ()
        self._sampled: dict[str, tuple[float, int]] = {}

    @overload
    def subscribe(self, event: type[EventT], handler: Callable[[EventT], object]) -> Callable[[], None]: ...
    @overload
    def subscribe(
        self, event: type[errors.StoreUnavailable], handler: Callable[[StoreUnavailable], object]
    ) -> Callable[[], None]: ...
    def subscribe(self, event: type, handler: Callable[[Any], object]) -> Callable[[], None]:
        """Call a handler for every event of a type.

        Args:
            event: A class of `keyturn.events`. The error `StoreUnavailable` stands for the event of its name.
            handler: Called with the event. A plain function runs before the operation returns, so keep it
                quick;
                a coroutine function runs off the critical path (`manager.flush()` waits for it).

        Returns:
            A function that ends the subscription.

        Raises:
            ConfigurationError: That is no event type, or the handler cannot be called.
        """
        kind = kind_of(event)
        if not callable(handler):
            raise ConfigurationError("an event handler must be callable")
        mine = partial(handler)  # the same handler may have several subscriptions, and each ends by itself
        with self._lock:
            self._handlers[kind] = (*self._handlers.get(kind, ()), mine)

        def unsubscribe() -> None:
            with self._lock:
                self._handlers[kind] = tuple(each for each in self._handlers[kind] if each is not mine)

        return unsubscribe

    def watch(self, handler: Callable[[Event], object]) -> Callable[[], None]:
        """Call a handler for every event of any type, none held back: for tests and records of everything.

        What anybody can cause is not sampled here, so the handler must be as quick for the thousandth
        refusal as for the first.

        Args:
            handler: Called with the event: see `subscribe`.

        Returns:
            A function that ends it.

        Raises:
            ConfigurationError: The handler cannot be called.
        """
        if not callable(handler):
            raise ConfigurationError("an event handler must be callable")
        mine = partial(handler)  # as for subscriptions
        with self._lock:
            self._watchers = (*self._watchers, mine)

        def end() -> None:
            with self._lock:
                self._watchers = tuple(each for each in self._watchers if each is not mine)

        return end

    def publish(self, event: Event) -> None:
        """Hand an event to its handlers."""
        for watcher in self._watchers:
            self._hand(event, watcher)
        handlers = self._handlers.get(type(event))
        if not handlers:
            return
        sampled = self._sample(event)
        if sampled is None:
            return
        for handler in handlers:
            self._hand(sampled, handler)

    def _hand(self, event: Event, handler: Callable[[Any], object]) -> None:
        try:
            result = handler(event)
            if inspect.isawaitable(result):
                self._defer(result)
        except Exception:  # noqa: BLE001  (whatever a handler raises is its own affair)
            _LOG.exception("keyturn: a handler of %s failed", type(event).__name__)

    def _sample(self, event: Event) -> Event | None:
        """Let one refusal of a kind through per second, carrying the count of those held back before it."""
        if not isinstance(event, RefreshRejected) or event.reason not in _SAMPLED:
            return event
        with self._lock:
            since, held = self._sampled.get(event.reason, (float("-inf"), 0))
            if 0 <= event.at - since < _SAMPLE_SECONDS:
                self._sampled[event.reason] = (since, held + 1)
                return None
            self._sampled[event.reason] = (event.at, 0)
        return replace(event, count=event.count + held)
