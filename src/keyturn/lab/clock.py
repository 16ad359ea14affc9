"""Time and chance as tests set them. They know nothing of what they are given to."""

from __future__ import annotations

import hashlib
from threading import Lock
from typing import Final

from keyturn.durations import Duration, seconds

START: Final = 1_800_000_000.123
"""Where a `ManualClock` starts unless told otherwise: POSIX seconds, with odd milliseconds on purpose."""


class ManualClock:
    """A clock that stands still until it is moved: give it to a manager as `clock=`.

    It counts whole milliseconds inside, so that moving it a thousand times adds no rounding error.

    Examples:
        >>> clock = ManualClock(1000)
        >>> clock.advance(0.25)
        >>> clock()
        1000.25
        >>> clock.jump(-1000.25)
        >>> clock()
        0.0
        >>> clock.advance("1h30m")
        >>> clock
        ManualClock(5400.0)
    """

    def __init__(self, start: float = START) -> None:
        """Start at a moment, in POSIX seconds."""
        self._lock = Lock()
        self._millis = round(start * 1000)

    def __call__(self) -> float:
        """Give the moment, in POSIX seconds."""
        return self._millis / 1000

    def __repr__(self) -> str:
        """Show the moment."""
        return f"ManualClock({self()})"

    @property
    def millis(self) -> int:
        """The moment as the core counts it: whole milliseconds since the Unix epoch."""
        return self._millis

    def advance(self, duration: Duration) -> None:
        """Let time pass.

        Args:
            duration: How much: seconds, a `timedelta`, or text such as "1h"; not negative.

        Raises:
            ConfigurationError: It is no duration, or negative: time does not pass backwards, but a clock can
                `jump`.
        """
        self.jump(seconds(duration))

    def jump(self, seconds: float) -> None:
        """Set the clock forward or back, as an operator or a time server does.

        Args:
            seconds: How far; negative: back.
        """
        with self._lock:
            self._millis += round(seconds * 1000)


class FixedEntropy:
    """Bytes that look random and are the same in every run: for tests only, never for keys that matter.

    Examples:
        >>> FixedEntropy(b"seed")(4) == FixedEntropy(b"seed")(4)
        True
    """

    def __init__(self, seed: bytes = b"") -> None:
        """Start a stream that only the seed decides."""
        self._lock = Lock()
        self._seed = seed
        self._drawn = 0

    def __call__(self, count: int) -> bytes:
        """Give the next bytes of the stream."""
        with self._lock:
            self._drawn += 1
            drawn = self._drawn
        return hashlib.shake_256(self._seed + drawn.to_bytes(8, "big")).digest(count)
