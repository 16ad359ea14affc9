"""Verifying access tokens with one set of keys, each signature once. It knows no store and no clock.

Another set of keys is another `Verifier`, which has verified nothing yet: so whatever a key has verified is
forgotten with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic

from keyturn._core.access_claims import AccessClaims, read_access_token
from keyturn._core.claims import ClaimsCodec
from keyturn._core.jwt import JwtReader
from keyturn._core.readonly import read_only
from keyturn._core.verified import Verified, VerifiedTokens, key_of
from keyturn.errors import AccessTokenError
from keyturn.results import ClaimsT, Principal


@dataclass(frozen=True, slots=True)
class Rules(Generic[ClaimsT]):
    """What a verifier asks of a token, whatever the keys are.

    Attributes:
        issuer: The exact `iss`.
        audience: Our identifier, which must be in `aud`.
        leeway: Tolerated clock skew, seconds.
        codec: Reads the application's claims.
        remembered: How many verified tokens are remembered; 0: none.
    """

    issuer: str
    audience: str
    leeway: float
    codec: ClaimsCodec[ClaimsT]
    remembered: int


class Verifier(Generic[ClaimsT]):
    """Verifies access tokens with one set of keys. Safe to share between threads."""

    __slots__ = ("_reader", "_rules", "_tokens")

    def __init__(self, reader: JwtReader, rules: Rules[ClaimsT]) -> None:
        """Start with nothing verified.

        Args:
            reader: Made with the accepted keys.
            rules: What else a token must be.
        """
        self._reader = reader
        self._rules = rules
        self._tokens: VerifiedTokens[ClaimsT] = VerifiedTokens(rules.remembered)

    def known(self, token: object, now: float) -> Verified[ClaimsT] | None:
        """Give a token that was verified before and is acceptable still; None: it must be verified.

        Args:
            token: What a client sent.
            now: POSIX seconds.
        """
        key = key_of(token)
        found = None if key is None else self._tokens.get(key)
        return found if found is not None and found.begins <= now < found.ends else None

    def verify(self, token: object, now: float) -> Verified[ClaimsT]:
        """Accept a token on its signature and claims, and remember it.

        Args:
            token: What a client sent.
            now: POSIX seconds.

        Raises:
            AccessTokenError: It is not acceptable; `detail` says by which rule.
        """
        key = key_of(token)
        if key is not None and (known := self._tokens.get(key)) and known.begins <= now < known.ends:
            return known
        subject, sid, jti, members, issued_at, expires_at, auth_time, gen, jkt = self.read(token, now)
        raw = read_only(members)
        try:
            own = self._rules.codec.load(raw)
        except Exception:  # noqa: BLE001  (a model may raise anything; it says that the claims do not fit)
            raise AccessTokenError(detail="claims") from None
        principal = Principal(subject, sid, jti, own, issued_at, expires_at, auth_time, gen, jkt)
        verified = Verified(principal, None if self._rules.codec.frozen else raw, self._rules.leeway)
        if key is not None:
            self._tokens.put(key, verified)
        return verified

    def read(self, token: object, now: float) -> AccessClaims:
        """Accept a token on its signature and claims, and give these; nothing is remembered.

        Args:
            token: What a client sent.
            now: POSIX seconds.

        Raises:
            AccessTokenError: It is not acceptable; `detail` says by which rule.
        """
        rules = self._rules
        return read_access_token(
            self._reader,
            token,
            issuer=rules.issuer,
            audience=rules.audience,
            now=now,
            leeway=rules.leeway,
        )

    def principal_of(self, verified: Verified[ClaimsT]) -> Principal[ClaimsT]:
        """Give who a verified token speaks for, with claims that nobody else can change."""
        if verified.claims is None:
            return verified.principal
        return replace(verified.principal, claims=self._rules.codec.load(verified.claims))
