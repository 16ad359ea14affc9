"""Reading durations: `timedelta`, seconds, or text such as "15m". It knows no policy and no clock."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final, TypeAlias

from keyturn.errors import ConfigurationError

Duration: TypeAlias = timedelta | int | float | str
"""A span of time: a `timedelta`, a number of seconds, or text with a unit: ms, s, m, h, d, w."""

_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_TEXT: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+", re.ASCII)
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", re.ASCII)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_LONGEST_TEXT: Final = 32
_CENTURY_SECONDS: Final = 100 * 366 * 86_400  # longer than any session; keeps every sum inside 64 bits


def seconds(value: Duration, *, name: str = "duration") -> float:
    """Turn a duration into seconds.

    Args:
        value: A `timedelta`, a number of seconds, or text such as `"15m"`, `"1h30m"`, `"250ms"`, `"90"`.
        name: What the value is for, named in the error.

    Returns:
        Seconds, at least 0; exact to the millisecond.

    Raises:
        ConfigurationError: The value is no duration, is negative, is not finite, or exceeds a century.

    Examples:
        >>> seconds("15m"), seconds("1h30m"), seconds(90), seconds(timedelta(days=1))
        (900.0, 5400.0, 90.0, 86400.0)
    """
    match value:
        case bool():
            raise ConfigurationError(f"{name} must be a duration such as '15m', not {value}")
        case timedelta():
            result = value.total_seconds()
        case int() | float():
            result = float(value) if abs(value) <= _CENTURY_SECONDS else math.inf
        case str():
            result = _parse(value.strip().lower(), name)
        case _:
            raise ConfigurationError(f"{name} must be a duration such as '15m', not a {type(value).__name__}")
    if not 0 <= result <= _CENTURY_SECONDS:
        raise ConfigurationError(f"{name} must be between 0 and 100 years")
    return round(result, 3)


def milliseconds(value: float) -> int:
    """Turn seconds into the core's unit, whole milliseconds.

    Examples:
        >>> milliseconds(1.5)
        1500
    """
    return round(value * 1000)


def parts(value: float) -> list[tuple[int, str]]:
    """Take seconds apart, exact to the millisecond: how many of each unit, the largest first.

    Weeks are left out: nobody counts a session's life in them.

    Examples:
        >>> parts(5400), parts(0.25), parts(0)
        ([(1, 'h'), (30, 'm')], [(250, 'ms')], [])
    """
    found: list[tuple[int, str]] = []
    rest = milliseconds(value)
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, milliseconds(_UNIT_SECONDS[unit]))
        found += [(count, unit)] if count else []
    return found


def _parse(text: str, name: str) -> float:
    if len(text) <= _LONGEST_TEXT and _NUMBER.fullmatch(text):
        return float(text)
    if len(text) > _LONGEST_TEXT or not _TEXT.fullmatch(text):
        raise ConfigurationError(
            f"{name} must be a duration such as '90s', '15m', '24h' or '7d', not {text[:_LONGEST_TEXT]!r}"
        )
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(text))
