"""What happened in a test, event by event, and how to tell it. It knows no pytest and no manager."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any, TypeVar, overload

from keyturn import errors
from keyturn.events import Event, StoreUnavailable
from keyturn.lab.words import span, words
from keyturn.publishing import kind_of

EventT = TypeVar("EventT", bound=Event)


class Recorder:
    """The events of a test, in their order. Safe for threads: whatever happens beside the test counts, too.

    Examples:
        >>> from keyturn import Issued
        >>> events = Recorder(began=1000.0)
        >>> events.note(Issued(1000.0, "ann", "01983e2c-0000-7000-8000-0123456789ab"))
        >>> events.assert_event(Issued, user_id="ann").at
        1000.0
        >>> events.assert_event(Issued, user_id="bob")
        Traceback (most recent call last):
        ...
        AssertionError: No Issued(user_id='bob') was published.
        There was an Issued, but with user_id='ann'.
        What happened:
          +0s  Issued: ann signed in: session …456789ab
    """

    def __init__(self, *, began: float) -> None:
        """Start with none.

        Args:
            began: When the test began, POSIX seconds: what is told counts from there.
        """
        self._began = began
        self._events: list[Event] = []

    def __iter__(self) -> Iterator[Event]:
        """Give all so far."""
        return iter(self.all)

    def __len__(self) -> int:
        """Give how many there are so far."""
        return len(self._events)

    def __repr__(self) -> str:
        """Tell them in plain words."""
        return f"<{len(self)} events>\n{self.story()}"

    @property
    def all(self) -> tuple[Event, ...]:
        """All so far."""
        return tuple(self._events)

    def note(self, event: Event) -> None:
        """Take one down."""
        self._events.append(event)

    def clear(self) -> None:
        """Forget all so far, so that only what comes now counts."""
        self._events.clear()

    @overload
    def of(self, kind: type[EventT]) -> tuple[EventT, ...]: ...
    @overload
    def of(self, kind: type[errors.StoreUnavailable]) -> tuple[StoreUnavailable, ...]: ...
    def of(self, kind: type) -> tuple[Any, ...]:
        """Give those of a type.

        Args:
            kind: A class of `keyturn.events`. The error `StoreUnavailable` stands for the event of its name.

        Raises:
            ConfigurationError: That is no event type.
        """
        return self._of(kind)

    @overload
    def assert_event(self, kind: type[EventT], /, **having: object) -> EventT: ...
    @overload
    def assert_event(self, kind: type[errors.StoreUnavailable], /, **having: object) -> StoreUnavailable: ...
    def assert_event(self, kind: type, /, **having: object) -> Any:
        """Fail unless something happened, and give it: the latest that fits.

        Args:
            kind: A class of `keyturn.events`.
            having: Values of its fields; those that are not named do not matter.

        Raises:
            AssertionError: It did not happen; the message tells what did.
            TypeError: The event has no such field.
            ConfigurationError: That is no event type.
        """
        __tracebackhide__ = True  # the test's own line is shown instead
        found = self._fitting(kind, having)
        if not found:
            nearly = _nearly(self._of(kind), having)
            raise AssertionError(f"No {_call(kind, having)} was published.\n{nearly}{self.story()}")
        return found[-1]

    @overload
    def assert_no_event(self, kind: type[EventT], /, **having: object) -> None: ...
    @overload
    def assert_no_event(self, kind: type[errors.StoreUnavailable], /, **having: object) -> None: ...
    def assert_no_event(self, kind: type, /, **having: object) -> None:
        """Fail if something happened.

        Args:
            kind: A class of `keyturn.events`.
            having: Values of its fields; those that are not named do not matter.

        Raises:
            AssertionError: It did; the message points at it.
            TypeError: The event has no such field.
            ConfigurationError: That is no event type.
        """
        __tracebackhide__ = True  # as above
        found = self._fitting(kind, having)
        if found:
            raise AssertionError(
                f"{_call(kind, having)} was published, and none was expected.\n{self.story(found)}"
            )

    def story(self, marked: Iterable[Event] = ()) -> str:
        """Tell what happened, one event a line, in plain words.

        Args:
            marked: Those to point at.
        """
        events, pointed = self.all, {id(each) for each in marked}
        if not events:
            return "Nothing happened."
        times = [span(event.at - self._began) for event in events]
        width = max(map(len, times))
        lines = [
            f"{'>' if id(event) in pointed else ' '} {time:<{width}}  {type(event).__name__}: {words(event)}"
            for event, time in zip(events, times, strict=True)
        ]
        return "\n".join(["What happened:", *lines])

    def _of(self, kind: type) -> tuple[Event, ...]:
        wanted = kind_of(kind)
        return tuple(event for event in self.all if type(event) is wanted)

    def _fitting(self, kind: type, having: dict[str, object]) -> list[Event]:
        __tracebackhide__ = True  # as above
        wanted = kind_of(kind)
        known = [field.name for field in fields(wanted)]
        unknown = sorted(having.keys() - set(known))
        if unknown:
            raise TypeError(f"{wanted.__name__} has no field {', '.join(unknown)}; it has {', '.join(known)}")
        return [
            event
            for event in self._of(wanted)
            if all(getattr(event, name) == value for name, value in having.items())
        ]


def _call(kind: type, having: dict[str, object]) -> str:
    return f"{kind.__name__}({', '.join(f'{name}={value!r}' for name, value in having.items())})"


def _nearly(events: tuple[Event, ...], having: dict[str, object]) -> str:
    """Say how the latest of a type differs from what was expected, if there is one."""
    if not events:
        return ""
    event = events[-1]
    differing = [
        f"{name}={getattr(event, name)!r}" for name, value in having.items() if getattr(event, name) != value
    ]
    name = type(event).__name__
    return f"There was {'an' if name[0] in 'AEIOU' else 'a'} {name}, but with {', '.join(differing)}.\n"
