"""Moments and spans as people read them. It knows no clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from babel.units import format_unit

from keyturn.durations import parts

_NAMES: Final = {
    "d": "day",
    "h": "hour",
    "m": "minute",
    "s": "second",
    "ms": "millisecond",
}  # as CLDR has them


def short_span(seconds: float) -> str:
    """Write a span as the settings take it.

    Examples:
        >>> short_span(900), short_span(5400), short_span(0), short_span(0.25)
        ('15m', '1h30m', '0s', '250ms')
    """
    return "".join(f"{count}{unit}" for count, unit in parts(seconds)) or "0s"


def span(seconds: float, language: str = "en", *, most: int = 2) -> str:
    """Write a span in words, in its largest units.

    Args:
        seconds: It; of either sign.
        language: In which language.
        most: In how many units at most.

    Examples:
        >>> span(900), span(5400), span(0.25), span(0)
        ('15 minutes', '1 hour, 30 minutes', '250 milliseconds', '0 seconds')
        >>> span(86_400 + 7200, "de")
        '1 Tag, 2 Stunden'
    """
    largest = parts(abs(seconds))[:most] or [(0, "s")]
    return ", ".join(
        format_unit(count, f"duration-{_NAMES[unit]}", locale=language) for count, unit in largest
    )


def moment(at: float) -> str:
    """Write a moment in UTC.

    Examples:
        >>> moment(1_800_000_000)
        '2027-01-15 08:00:00 UTC'
    """
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{at:g} (no date)"


def relative(at: float, now: float) -> str:
    """Write a moment as seen from another.

    Examples:
        >>> relative(1_800_000_900, 1_800_000_000)
        '2027-01-15 08:15:00 UTC, in 15 minutes'
        >>> relative(1_800_000_000, 1_800_000_060)
        '2027-01-15 08:00:00 UTC, 1 minute ago'
    """
    away = span(int(abs(at - now)), most=1)
    where = f"in {away}" if at > now else f"{away} ago"
    return f"{moment(at)}, {where}"
