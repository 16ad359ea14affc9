"""The lines of the audit trail: how a session got where it is. They know no store, no token and no clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias
from uuid import UUID

from keyturn._core.records import Json, Millis

TrailKind: TypeAlias = Literal[
    "sign_in", "rotation", "convergence", "reuse", "expiry", "revocation", "denial", "forgery"
]
"""What happened to the session."""

MAX_REASON: int = 255  # characters; as long as the reason of a denial may be


@dataclass(frozen=True, slots=True)
class TrailEntry:
    """One line of the audit trail. It never holds a token, a secret or the context itself.

    Attributes:
        id: The line's own id, a UUIDv7 of its moment: lines sort by it, and a line written twice is one line.
        sid: The session.
        at: When it happened.
        kind: What happened.
        reason: Why or how, in the terms of the matching event, for example "fork" or "logout"; may be empty.
        gen: The session's generation afterwards.
        device: What the application knows of the client, as the session has it.
        context: A digest of the client's context, 16 hexadecimal digits, keyed with the session's secret: the
            same client gives the same digest within a session, and nothing links two sessions. Empty where no
            context was given.
    """

    id: UUID
    sid: UUID
    at: Millis
    kind: TrailKind
    reason: str = ""
    gen: int = 0
    device: Json = field(default_factory=dict[str, Any])
    context: str = ""
