"""The revocation log, line by line: which access tokens no longer count. It knows no store, clock or thread.

Only revocations that are younger than the access tokens they act on matter, so all of them fit into every
process (`keyturn.revocation`). A user-wide end is logged as the sessions that it ended, not as a moment: an
access token's `iat` has whole seconds, and clocks differ, so a moment would also end the next sign-in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from keyturn._core.records import Millis

LONGEST_MEMORY: Final[Millis] = 24 * 3_600_000
"""How far back a view looks at most. For an access token that is older, the store is asked."""

RETENTION: Final[Millis] = LONGEST_MEMORY + 2 * 3_600_000
"""How long a store keeps each line of its log at least: longer than any view looks back, clocks included."""

RevocationKind: TypeAlias = Literal["session", "token"]
"""What ended: a session with all its access tokens, or one access token."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the revocation log.

    Attributes:
        kind: What ended.
        subject: Its id as access tokens carry it: their `sid`, or their `jti`.
    """

    kind: RevocationKind
    subject: str


def entries_of(sids: Iterable[UUID]) -> tuple[LogEntry, ...]:
    """Give the lines of sessions that ended or were removed."""
    return tuple(LogEntry("session", str(sid)) for sid in sids)


def entry_of_denial(token_id: str) -> LogEntry:
    """Give the line of an access token that was denied."""
    return LogEntry("token", token_id)
