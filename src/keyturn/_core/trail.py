"""The lines of the audit trail: how a session got where it is. They know no store, no token and no clock."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from keyturn._core.ids import uuid7
from keyturn._core.records import Json, Millis

TrailKind: TypeAlias = Literal[
    "sign_in", "rotation", "convergence", "step_up", "reuse", "expiry", "revocation", "denial", "forgery"
]
"""What happened to the session."""


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


@dataclass(frozen=True, slots=True)
class Line:
    """A line before it has an id: what happened to a session. The fields are those of `TrailEntry`."""

    sid: UUID
    at: Millis
    kind: TrailKind
    reason: str
    gen: int
    device: Json
    context: str = ""


_CONTEXT_BYTES: Final = 8
_RANKS: Final[Mapping[TrailKind, int]] = MappingProxyType(
    {
        "sign_in": 0,
        "rotation": 0,
        "convergence": 1,
        "step_up": 1,
        "denial": 1,
        "forgery": 1,
        "reuse": 2,
        "expiry": 3,
        "revocation": 3,
    }
)


def entry_of(line: Line, entropy: bytes) -> TrailEntry:
    """Give a line its id.

    Lines of one millisecond sort as one led to the other: by generation, then the cause before its effect.
    This takes the place of the id's first 12 random bits, and 62 remain.

    Args:
        line: The line.
        entropy: `UUID7_BYTES` random bytes of its own.
    """
    order = (line.gen & 0x3FF) << 2 | _RANKS[line.kind]
    key = uuid7(line.at, entropy, bucket=order)
    return TrailEntry(key, line.sid, line.at, line.kind, line.reason, line.gen, line.device, line.context)


def context_digest(secret: bytes, context: str) -> str:
    """Give what the trail keeps of a client's context; nothing for none.

    Args:
        secret: The session's secret, so that the digest can be neither guessed nor linked to another
            session's.
        context: What is known of the client.

    Examples:
        >>> context_digest(b"secret", "Firefox") == context_digest(b"other", "Firefox")
        False
    """
    if not context:
        return ""
    message = b"keyturn trail v1\0" + context.encode("utf-8", "surrogatepass")
    return hmac.digest(secret, message, "sha256")[:_CONTEXT_BYTES].hex()
