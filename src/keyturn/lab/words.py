"""Events in plain words, for whoever reads why a test has failed. They know no test and no recorder."""

from __future__ import annotations

from typing import Final, assert_never

from keyturn import events
from keyturn.durations import parts

_END: Final = 8  # characters of a session's id: its beginning is a moment, which many share


def words(event: events.Event) -> str:
    """Say what happened.

    Examples:
        >>> words(events.Issued(0, "ann", "01983e2c-0000-7000-8000-0123456789ab"))
        'ann signed in: session …456789ab'
        >>> words(events.ReuseDetected(0, "ann", "01983e2c-0000-7000-8000-0123456789ab", 1, "fork"))
        'session …456789ab of ann was ended: two clients have used one refresh token (fork)'
    """
    match event:
        case events.Issued():
            return f"{event.user_id} signed in: {_named(event.session_id)}"
        case events.Refreshed(rotated=True):
            return f"{_whose(event)} rotated to generation {event.generation}"
        case events.Refreshed():
            return f"{_whose(event)} got a fresh access token, and its refresh token stayed"
        case events.SteppedUp():
            return f"{_whose(event)} was stepped up: its user has signed in again"
        case events.RefreshConverged():
            how = "in a race" if event.kind == "race" else "because its answer was lost"
            return f"{_whose(event)} got its successor, generation {event.generation}, once more: {how}"
        case events.RefreshRejected():
            where = "" if event.session_id is None else f" of {_named(event.session_id)}"
            return f"a refresh{where} was refused: {event.reason}"
        case (
            events.RefreshForged() | events.StoreRolledBack() | events.StoreUnavailable() | events.AuditLost()
        ):
            return _alarm(event)
        case events.ReuseDetected():
            return f"{_whose(event)} was ended: {_REUSE[event.kind]} ({event.kind}){_others(event)}"
        case events.SessionExpired():
            return f"{_whose(event)} is past its {event.kind} limit"
        case events.Revoked():
            return f"{_whose(event)} was ended: {event.reason}"
        case events.Denied():
            reason = f": {event.reason}" if event.reason else ""
            return f"an access token of {event.user_id} was denied{reason}"
    assert_never(event)


def span(seconds: float) -> str:
    """Write how long after a test began something happened; before it, where a clock was set back.

    Examples:
        >>> span(0), span(0.25), span(906), span(90 * 86400 + 3600), span(-1)
        ('+0s', '+0.25s', '+15m6s', '+90d1h', '-1s')
    """
    counts = {unit: count for count, unit in parts(abs(seconds))}
    rest = counts.pop("s", 0) + counts.pop("ms", 0) / 1000
    written = [f"{count}{unit}" for unit, count in counts.items()]
    if rest or not written:
        written.append(f"{rest:g}s")
    return ("-" if seconds < 0 else "+") + "".join(written)


def _alarm(
    event: events.RefreshForged | events.StoreRolledBack | events.StoreUnavailable | events.AuditLost,
) -> str:
    """Say what operators are told."""
    match event:
        case events.RefreshForged():
            return f"{_whose(event)}: a refresh token was forged under key {event.key_id}"
        case events.StoreRolledBack():
            return f"{_whose(event)}: the store has lost {event.lost} of its writes"
        case events.StoreUnavailable():
            return f"the store could not be asked: {event.operation}"
        case events.AuditLost():
            lost = (
                "1 line of the audit trail was"
                if event.count == 1
                else f"{event.count} lines of the audit trail were"
            )
            return f"{lost} lost"
    assert_never(event)


_REUSE: Final = {
    "fork": "two clients have used one refresh token",
    "previous": "a refresh token was used again whose successor was in use",
    "stale": "a refresh token from long ago was used",
}


def _named(session_id: str) -> str:
    return f"session …{session_id[-_END:]}"


def _whose(
    event: events.SteppedUp
    | events.Refreshed
    | events.RefreshConverged
    | events.RefreshForged
    | events.ReuseDetected
    | events.SessionExpired
    | events.Revoked
    | events.StoreRolledBack,
) -> str:
    return f"{_named(event.session_id)} of {event.user_id}"


def _others(event: events.ReuseDetected) -> str:
    return f", and {event.others} more of the user's with it" if event.others else ""
