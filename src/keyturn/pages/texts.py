"""Every word of the pages, as data: one set for each language. It knows no page."""

from __future__ import annotations

from dataclasses import dataclass, fields
from string import Formatter
from typing import Final

from keyturn.errors import ConfigurationError

_PLACEHOLDERS: Final = {
    "device": {"browser", "system"},
    "last_seen": {"when"},
    "signed_in": {"when"},
}
_PROBLEMS: Final = {
    "temporarily_unavailable": "unavailable",
    "conflict": "conflict",
    "csrf_failed": "foreign",
    "slow_down": "slow_down",
    "invalid_credentials": "wrong_password",
    "session_limit": "session_limit",
}


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The words of one language. `dataclasses.replace` changes some of them.

    What stands in braces is filled in: `device` has `{browser}` and `{system}`, `last_seen` and `signed_in`
    have `{when}`.

    Raises:
        ConfigurationError: A text is empty, or has other braces; the message names it.
    """

    title: str
    intro: str
    this_device: str
    device: str
    unnamed_device: str
    active_now: str
    last_seen: str
    signed_in: str
    sign_out: str
    others_title: str
    others_text: str
    more: str
    only_here: str
    sign_out_others: str
    sign_out_all: str

    done_one: str
    done_gone: str
    done_others: str
    done_this: str
    done_all: str

    signed_out_title: str
    signed_out_text: str
    from_elsewhere: str
    sign_in: str
    elsewhere: str
    username: str
    password: str
    open_again: str

    problem_title: str
    unavailable: str
    conflict: str
    foreign: str
    malformed: str
    slow_down: str
    wrong_password: str
    session_limit: str
    go_back: str

    def __post_init__(self) -> None:
        """Check each text."""
        for field in fields(self):
            _check(field.name, getattr(self, field.name))

    def done(self, code: str | None) -> str | None:
        """Say what has just been done; None where nothing has."""
        return None if code is None else str(getattr(self, f"done_{code}"))

    def problem(self, code: str | None) -> str | None:
        """Say what is wrong, by the code of an error; None where nothing is."""
        return None if code is None else str(getattr(self, _PROBLEMS.get(code, "malformed")))


def _check(name: str, text: object) -> None:
    if not isinstance(text, str) or not text:
        raise ConfigurationError(f"texts: {name} must be a text, not {text!r}")
    try:
        found = {field for _, field, _, _ in Formatter().parse(text) if field is not None}
    except ValueError:
        found = {"?"}
    if found != _PLACEHOLDERS.get(name, set()):
        wanted = ", ".join(f"{{{each}}}" for each in sorted(_PLACEHOLDERS.get(name, ()))) or "no braces"
        raise ConfigurationError(f"texts: {name} must have {wanted}: {text!r}")
