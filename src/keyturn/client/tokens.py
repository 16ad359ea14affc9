"""The tokens of one session as a client holds them, and as they are written down. It knows no store.

When they expire is counted by the client's own clock, from `expires_in` and the moment at which they were
asked for. No clock of a server is ever compared with it, so a clock that is wrong by hours does no harm.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeGuard, cast

from keyturn._core.encoding import EncodingError, dump_json, parse_json_object
from keyturn.errors import ConfigurationError, InvalidInput

MAX_TOKEN: Final = 16 * 1024
MAX_DOCUMENT: Final = 64 * 1024
_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in or a refresh brought. The tokens themselves are not part of the repr.

    Attributes:
        access_token: Goes with requests.
        refresh_token: Goes to the refresh endpoint alone.
        asked_at: When they were asked for, by this machine's clock: POSIX seconds.
        expires_in: For how many seconds the access token is good from then on.
        session_id: Which session it is; empty where that is not known.
        url: The endpoints that they came from, and alone go back to; they are written when the tokens are
            kept. Empty: those of whoever uses them first.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    asked_at: float
    expires_in: float
    session_id: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot travel in a header.

        Raises:
            InvalidInput: A field is of another kind; nothing of it is quoted.
        """
        if not (_is_token(self.access_token) and _is_token(self.refresh_token)):
            raise InvalidInput("A token must be text of visible ASCII characters.")
        if not (_is_number(self.asked_at) and _is_number(self.expires_in) and self.expires_in >= 0):
            raise InvalidInput("expires_in must be a number of seconds, not negative.")
        texts = cast("tuple[object, ...]", (self.session_id, self.url))  # they may have been read
        if not all(isinstance(each, str) for each in texts):
            raise InvalidInput("session_id and url must be text.")

    def is_over(self, now: float) -> bool:
        """Tell whether the access token has expired."""
        return now >= self.asked_at + self.expires_in

    def is_due(self, now: float, before: float) -> bool:
        """Tell whether it is time for fresh ones.

        Args:
            now: POSIX seconds.
            before: How many seconds before the access token expires; never more than half of its life, or
                tokens that live for less would be refreshed for every request.

        Examples:
            >>> tokens = Tokens("a", "r", asked_at=1000, expires_in=60)
            >>> tokens.is_due(1029, 45), tokens.is_due(1030, 45), tokens.is_due(1049, 10)
            (False, True, False)
        """
        return self.is_over(now + min(before, self.expires_in / 2))


def dump_tokens(tokens: Tokens) -> bytes:
    """Write tokens down, for a store."""
    return dump_json({"version": _VERSION, **asdict(tokens)})


def parse_tokens(data: bytes, *, where: str) -> Tokens:
    """Read what `dump_tokens` wrote.

    Args:
        data: At most `MAX_DOCUMENT` bytes.
        where: Where it was found, for the error.

    Raises:
        ConfigurationError: It is something else.

    Examples:
        >>> parse_tokens(dump_tokens(Tokens("a", "r", 1000, 60)), where="here")
        Tokens(asked_at=1000, expires_in=60, session_id='', url='')
    """
    try:
        fields = parse_json_object(data)
        if fields.pop("version", None) == _VERSION:
            return Tokens(**fields)
    except (EncodingError, InvalidInput, TypeError):
        pass  # what was found may be somebody's secret, so no error that quotes it goes on
    raise ConfigurationError(f"{where} holds no tokens that can be read: remove it and sign in again")


def _is_token(value: object) -> TypeGuard[str]:
    return (
        isinstance(value, str) and 0 < len(value) <= MAX_TOKEN and all("!" <= each <= "~" for each in value)
    )


def _is_number(value: Any) -> bool:  # noqa: ANN401 - it may be anything: it was read
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
