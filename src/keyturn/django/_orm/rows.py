"""The way between a row and the values of the core. It knows no operation."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final, TypeVar

from keyturn.stores.protocol import Session, TrailEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from keyturn.django.models import AbstractSession, TrailLine

T = TypeVar("T")

NAMES: Final = tuple(field.name for field in fields(Session))
_LINE_NAMES: Final = tuple(field.name for field in fields(TrailEntry))
CHUNK: Final = 500  # keys in one statement: a short statement is soon over
_OCTETS: Final = ("secret_digest", "parent_branch")  # some drivers give a memoryview


def to_session(row: AbstractSession) -> Session:
    """Turn a row into a session."""
    values: dict[str, Any] = {name: getattr(row, name) for name in NAMES}
    for name in _OCTETS:
        values[name] = bytes(values[name])
    return Session(**values)


def to_sessions(rows: Iterable[AbstractSession]) -> tuple[Session, ...]:
    """Turn rows into sessions."""
    return tuple(map(to_session, rows))


def to_row(session: Session) -> dict[str, Any]:
    """Turn a session into the values of its row."""
    row = {name: getattr(session, name) for name in NAMES}
    return {**row, "claims": dict(session.claims), "device": dict(session.device)}


def changes(before: Session, after: Session) -> dict[str, Any]:
    """Return the values that differ, so that a write touches no other column."""
    old, new = to_row(before), to_row(after)
    return {name: new[name] for name in NAMES if old[name] != new[name]}


def to_entry(row: TrailLine) -> TrailEntry:
    """Turn a row of the trail into its line."""
    values: Any = {name: getattr(row, name) for name in _LINE_NAMES}
    return TrailEntry(**values)


def from_entry(entry: TrailEntry) -> dict[str, Any]:
    """Turn a line of the trail into the values of its row."""
    row = {name: getattr(entry, name) for name in _LINE_NAMES}
    return {**row, "device": dict(entry.device)}


def chunks(keys: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut keys into as many as one statement takes."""
    return (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))
