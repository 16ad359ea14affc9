"""How one operation reads: a command for the store, and what its outcome means.

It knows no particular operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from keyturn._core.commands import Confirm
from keyturn._core.frozen import quickly_made
from keyturn._core.trail import Line
from keyturn.errors import KeyturnError
from keyturn.events import Event

CommandT = TypeVar("CommandT")
OutcomeT = TypeVar("OutcomeT")
ResultT = TypeVar("ResultT")


@quickly_made
@dataclass(frozen=True, slots=True)
class Settled(Generic[ResultT]):
    """The end of an operation.

    Attributes:
        result: What the caller gets, or the error that is raised.
        events: What happened, to be published.
        confirm: What the store should be told off the critical path, if anything.
        confirmed: Whether the store knows that already, by the row that it answered.
    """

    result: ResultT | KeyturnError
    events: tuple[Event, ...] = ()
    confirm: Confirm | None = None
    confirmed: bool = True


@quickly_made
@dataclass(frozen=True, slots=True)
class Step(Generic[CommandT, OutcomeT, ResultT]):
    """An operation that needs the store once.

    Attributes:
        command: What the store is asked.
        settle: Turns the store's outcome into the end of the operation.
        trail: Turns it into lines of the audit trail; None where it leaves none, or none is kept.
    """

    command: CommandT
    settle: Callable[[OutcomeT], Settled[ResultT]]
    trail: Callable[[OutcomeT], tuple[Line, ...]] | None = None


Plan: TypeAlias = Step[CommandT, OutcomeT, ResultT] | Settled[ResultT]
"""An operation that needs the store, or one that is settled without it."""
