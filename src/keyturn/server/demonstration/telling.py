"""A moment as one line: a code for its picture, a title, and a sentence that says why. It knows no reader.

The words are in the catalogue (`keyturn.server.texts`), below `moments`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from keyturn import events
from keyturn.policy import Policy
from keyturn.server.demonstration.recorder import Dropped, Moment, Stolen, Told
from keyturn.server.texts import Texts


def tell(moment: Moment, texts: Texts, policy: Policy) -> dict[str, Any]:
    """Put a moment into words.

    Args:
        moment: What happened.
        texts: The catalogue of the reader's language.
        policy: Whose windows the sentence names.

    Returns:
        `number`, `at` (POSIX seconds), `code`, `actor`, `generation` (None where it is of no one), `title`
        and `text`.
    """
    told, code = moment.told, code_of(moment.told)
    generation: int | None = getattr(told, "generation", None)
    values = {
        "generation": generation,
        "before": None if generation is None else max(0, generation - 1),
        "race_window": texts.span(policy.race_window),
        "recovery_window": texts.span(policy.recovery_window),
    }
    return {
        "number": moment.number,
        "at": told.at,
        "code": code,
        "actor": moment.actor,
        "generation": generation,
        "title": texts.say(f"moments.{code}.title", **values),
        "text": texts.say(f"moments.{code}.text", **values),
    }


def code_of(told: Told) -> str:
    """Name what happened, as the catalogue and the picture do."""
    match told:
        case events.Refreshed(rotated=rotated):
            return "rotated" if rotated else "kept"
        case events.RefreshConverged(kind=kind) | events.ReuseDetected(kind=kind):
            return kind
        case events.Revoked(reason=reason):
            return reason if reason in _NAMED_ENDS else "revoked"
        case events.RefreshRejected(reason="conflict"):
            return "conflict"
        case Dropped(lost=False):
            return "dropped-kept"
        case _:
            return _CODES[type(told)]


_NAMED_ENDS: Final = frozenset({"logout", "reuse", "user"})
_CODES: Final[Mapping[type, str]] = {
    events.Issued: "issued",
    events.SteppedUp: "stepped-up",
    events.RefreshForged: "forged",
    events.RefreshRejected: "rejected",
    events.SessionExpired: "expired",
    events.StoreRolledBack: "rolled-back",
    Stolen: "stolen",
    Dropped: "dropped",
}
