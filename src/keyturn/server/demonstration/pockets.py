"""What the thief of the demonstration has stolen: one token per session, a few sessions. It shows none."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

MOST_POCKETS: Final = 64


class Pockets:
    """Stolen refresh tokens, by the session that they are of. They leave it towards the endpoint alone."""

    def __init__(self, most: int = MOST_POCKETS) -> None:
        """Start with empty pockets."""
        self._most = most
        self._tokens: OrderedDict[str, str] = OrderedDict()

    def put(self, session_id: str, token: str) -> None:
        """Keep a token, instead of an earlier one of that session."""
        self._tokens[session_id] = token
        self._tokens.move_to_end(session_id)
        if len(self._tokens) > self._most:
            self._tokens.popitem(last=False)

    def get(self, session_id: str) -> str | None:
        """Give the token of a session; None where none was stolen."""
        return self._tokens.get(session_id)

    def empty(self, session_id: str) -> None:
        """Throw a token away: it is worth nothing any more."""
        self._tokens.pop(session_id, None)

    def __len__(self) -> int:
        """Count the tokens."""
        return len(self._tokens)
