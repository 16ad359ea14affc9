"""Holds the reading of durations: what is accepted, exactly, and what is refused, with a clear error."""

from __future__ import annotations

import math
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.durations import milliseconds, seconds
from keyturn.errors import ConfigurationError

CENTURY = 100 * 366 * 86_400


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("250ms", 0.25),
        ("90s", 90),
        ("15m", 900),
        ("24h", 86_400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1h30m", 5400),
        ("1m1s1ms", 61.001),
        ("1.5h", 5400),
        ("0.5s", 0.5),
        ("90", 90),
        ("90.5", 90.5),
        ("0", 0),
        ("0s", 0),
        ("  15M ", 900),
        ("100w100d", 69_120_000),
        (0, 0),
        (90, 90),
        (0.0015, 0.002),
        (1.0004, 1.0),
        (CENTURY, CENTURY),
        (timedelta(minutes=15), 900),
        (timedelta(microseconds=1500), 0.002),
    ],
)
def test_a_duration_reads_as_seconds(value: timedelta | float | str, expected: float) -> None:
    """Text with units, plain numbers and timedeltas read as seconds, exact to the millisecond."""
    assert seconds(value) == expected
    assert isinstance(seconds(value), float)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            " ",
            "m",
            "15 m",
            "15min",
            "1y",
            "-1s",
            "+1s",
            "1e3",
            "1,5h",
            "15m!",
            "0x10",
            "\u0661\u0665m",
            "1.m",
        ),
        *(".5s", "1..5s", "nan", "inf", "15m\n15", "9" * 33, "1s" * 17, "99999999w"),
        *(-1, -0.001, math.nan, math.inf, -math.inf, CENTURY + 1, 10**400, -(10**400)),
        *(timedelta(seconds=-1), timedelta.max),
        *(True, False, None, b"15m", [15], {"m": 15}, Fraction(1, 2), 15j, object),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_duration_is_refused(value: Any) -> None:
    """Anything else is a `ConfigurationError` that names the setting and shows a right value or the range."""
    with pytest.raises(ConfigurationError, match=r"^race_window must be ") as caught:
        seconds(value, name="race_window")
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 150, "an error does not repeat a long input"


@given(st.integers(0, CENTURY * 1000))
def test_milliseconds_survive_the_way_through_seconds(value: int) -> None:
    """A whole number of milliseconds comes back exactly, up to a century."""
    assert milliseconds(seconds(value / 1000)) == value
    assert milliseconds(seconds(timedelta(milliseconds=value))) == value


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text raises anything but a `ConfigurationError`, and what is read lies in the range."""
    try:
        read = seconds(text)
    except ConfigurationError:
        return
    assert 0 <= read <= CENTURY
