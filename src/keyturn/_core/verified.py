"""Access tokens whose signature was checked before, bounded. It knows no key, no clock and no store.

Only a digest of each token is kept: whoever reads this memory finds nothing that could be sent to a server.
What changes with time is not remembered but looked at every time: expiry and revocation, by whoever asks.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Generic

from keyturn._core.jwt import MAX_TOKEN_LENGTH
from keyturn.results import ClaimsT, Principal


class Verified(Generic[ClaimsT]):
    """A verified access token.

    Attributes:
        principal: Who it speaks for; many requests get the same. It has no claims where there is a model.
        claims: What that is made of, anew for each request; None: there is none.
        begins: From when it is acceptable, POSIX seconds; the leeway is in it.
        ends: Until when.
        told: Whether the store knows that its generation was seen, or need not.
    """

    __slots__ = ("begins", "claims", "ends", "principal", "told")

    def __init__(self, principal: Principal[ClaimsT], claims: dict[str, Any] | None, leeway: float) -> None:
        """Take a token in whose signature and claims were found right."""
        self.principal = principal
        self.claims = claims
        self.begins = principal.issued_at - leeway
        self.ends = principal.expires_at + leeway
        self.told = principal.session_id is None or principal.generation is None


class VerifiedTokens(Generic[ClaimsT]):
    """The tokens that were used last. Safe to share between threads, without a lock.

    There are two generations. What is found in the older one moves to the younger; when the younger is full,
    it becomes the older, and whatever nobody asked for meanwhile goes.
    """

    __slots__ = ("_half", "_older", "_younger")

    def __init__(self, most: int) -> None:
        """Start empty.

        Args:
            most: How many tokens to keep; 0: none.
        """
        self._half = (most + 1) // 2
        self._younger: dict[bytes, Verified[ClaimsT]] = {}
        self._older: dict[bytes, Verified[ClaimsT]] = {}

    def __len__(self) -> int:
        """Give how many there are; one that has just moved counts twice."""
        return len(self._younger) + len(self._older)

    def get(self, key: bytes, now: float) -> Verified[ClaimsT] | None:
        """Give a token by its key, if it was verified before and is acceptable now, POSIX seconds."""
        found = self._younger.get(key)
        if found is None and (found := self._older.get(key)) is not None:
            self.put(key, found)
        return found if found is not None and found.begins <= now < found.ends else None

    def put(self, key: bytes, verified: Verified[ClaimsT]) -> None:
        """Keep a token."""
        if not self._half:
            return
        if len(self._younger) >= self._half:
            self._older, self._younger = self._younger, {}
        self._younger[key] = verified


def key_of(token: object) -> bytes:
    """Give a token's key: SHA-256 of it; nothing, which is no token's, for what cannot be one."""
    if type(token) is not str or len(token) > MAX_TOKEN_LENGTH or not token.isascii():
        return b""
    return sha256(token.encode()).digest()
