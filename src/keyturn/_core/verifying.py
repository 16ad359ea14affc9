"""Verifying access tokens with one set of keys, each signature once. It knows no store and no clock.

Another set of keys is another `Verifier`, which has verified nothing yet: so whatever a key has verified is
forgotten with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, cast

from keyturn._core.access_claims import AccessClaims, read_access_token
from keyturn._core.claims import ClaimsCodec
from keyturn._core.jwt import JwtReader
from keyturn._core.minting import keys_unavailable
from keyturn._core.readonly import plain, read_only
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
        may_miss_keys: Is told of a token whose key is unknown, and says whether that key may exist all the
            same; then the token is not judged.
    """

    issuer: str
    audience: str
    leeway: float
    codec: ClaimsCodec[ClaimsT]
    remembered: int
    may_miss_keys: Callable[[], bool] = bool


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
        return self._tokens.get(key_of(token), now)

    def verify(self, token: object, now: float) -> Verified[ClaimsT]:
        """Accept a token on its signature and claims, and remember it.

        Args:
            token: What a client sent.
            now: POSIX seconds.

        Raises:
            AccessTokenError: It is not acceptable; `detail` says by which rule.
            StoreUnavailable: Its key is unknown here, and may exist all the same.
        """
        key = key_of(token)
        if (known := self._tokens.get(key, now)) is not None:
            return known
        subject, sid, jti, members, issued_at, expires_at, auth_time, gen, jkt = self.read(token, now)
        own = read_only(members)
        shared = self._rules.codec.load(own) if self._rules.codec.shared else cast("ClaimsT", None)
        principal = Principal(subject, sid, jti, shared, issued_at, expires_at, auth_time, gen, jkt)
        verified = Verified(principal, None if self._rules.codec.shared else own, self._rules.leeway)
        self._tokens.put(key, verified)
        return verified

    def read(self, token: object, now: float) -> AccessClaims:
        """Accept a token on its signature and claims, and give these; nothing is remembered.

        Args:
            token: What a client sent.
            now: POSIX seconds.

        Raises:
            AccessTokenError: It is not acceptable; `detail` says by which rule.
            StoreUnavailable: Its key is unknown here, and may exist all the same.
        """
        rules = self._rules
        try:
            return read_access_token(
                self._reader,
                token,
                issuer=rules.issuer,
                audience=rules.audience,
                now=now,
                leeway=rules.leeway,
            )
        except AccessTokenError as error:
            if error.detail != "unknown_key" or not rules.may_miss_keys():
                raise
        raise keys_unavailable()

    def principal_of(self, verified: Verified[ClaimsT]) -> Principal[ClaimsT]:
        """Give who a verified token speaks for, with claims that nobody else can change.

        A claims model is made anew each time, of claims of its own: who knows what it keeps and changes.

        Raises:
            AccessTokenError: The application's claims model does not fit.
        """
        if verified.claims is None:
            return verified.principal
        try:
            own = self._rules.codec.load(plain(verified.claims))
        except Exception:  # noqa: BLE001  (a model may raise anything; it says that the claims do not fit)
            raise AccessTokenError(detail="claims") from None
        return replace(verified.principal, claims=own)
