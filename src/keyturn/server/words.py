"""Moments and spans as people read them. It knows no clock."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((86_400, "d", "day"), (3_600, "h", "hour"), (60, "m", "minute"), (1, "s", "second"))


def short_span(seconds: float) -> str:
    """Write a span as the settings take it.

    Examples:
        >>> short_span(900), short_span(5400), short_span(0), short_span(0.25)
        ('15m', '1h30m', '0s', '250ms')
    """
    whole, rest = divmod(round(seconds * 1000), 1000)
    parts: list[str] = []
    for size, unit, _ in _UNITS:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest}ms")
    return "".join(parts) or "0s"


def span(seconds: float) -> str:
    """Write a span in words, in its largest unit.

    Examples:
        >>> span(900), span(86_400), span(1), span(0)
        ('15 minutes', '1 day', '1 second', '0 seconds')
    """
    for size, _, word in _UNITS:
        count = int(abs(seconds) // size)
        if count:
            return f"{count} {word}{'' if count == 1 else 's'}"
    return "0 seconds"


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
    where = f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"
    return f"{moment(at)}, {where}"
