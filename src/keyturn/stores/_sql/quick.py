"""The values of the refresh that is one statement: case 8 of `decide`. They know no statement, no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keyturn._core.commands import Rotate

NEVER_RECENT: Final = 2**63 - 1  # later than any hand-out


def case_8(command: Rotate) -> dict[str, object]:
    """Give the values: those of the command, and two that follow from it.

    Args:
        command: The refresh.

    Returns:
        Among them `proven`, its `jkt` or "", and `handed_by`, the latest hand-out that does not make the
        generation a recent one.
    """
    never_recent = command.gen <= 0 or command.race_window <= 0
    return {
        "id": command.sid,
        "generation": command.gen,
        "digest": command.digest,
        "branch": command.branch,
        "proven": command.jkt or "",
        "now": command.now,
        "handed_by": NEVER_RECENT if never_recent else command.now - command.race_window,
    }
