"""Making tokens for a session at a moment. It knows no store, no outcome and no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

from keyturn._core.access_claims import ACCESS_TYP
from keyturn._core.ids import token_id
from keyturn._core.jwt import JwtReader, sign_jwt
from keyturn._core.keyset import Key, KeySet
from keyturn._core.records import Millis, Session
from keyturn._core.refresh_tokens import AnyFormat, RefreshToken
from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.results import AccessToken, TokenPair, rests_until


class KeySource(Protocol):
    """Whatever holds the keys that are valid now, such as a `KeyRing`."""

    @property
    def current(self) -> KeySet:
        """The keys at this moment."""
        ...

    def jwks(self) -> dict[str, Any]:
        """Give the public keys as a JWK Set (RFC 7517, section 5)."""
        ...

    def may_miss_keys(self) -> bool:
        """Be told that a token names a key that is not here, and say whether it may exist all the same."""
        ...

    def unread_for(self) -> float:
        """Tell for how many seconds a change of the keys may have gone unnoticed."""
        ...


def keys_unavailable() -> StoreUnavailable:
    """Make the error that says nothing about a token: the keys cannot be read where they are kept."""
    return StoreUnavailable("The signing keys cannot be read right now; try again.", detail="keys")


@dataclass(frozen=True, slots=True)
class Material:
    """Everything prepared from one set of keys.

    Attributes:
        keys: The keys.
        access: Reads access tokens.
        refresh: Reads and writes refresh tokens.
    """

    keys: KeySet
    access: JwtReader
    refresh: AnyFormat

    @classmethod
    def of(cls, keys: KeySet, *, jwt: bool) -> Self:
        """Prepare a set of keys; `jwt` chooses the format of new refresh tokens."""
        return cls(keys, JwtReader(keys, ACCESS_TYP), AnyFormat(keys, jwt=jwt))

    @property
    def active(self) -> Key:
        """The key that signs.

        Raises:
            ConfigurationError: The ring has none.
        """
        if self.keys.active is None:
            raise ConfigurationError("the key ring has no active key: generate one")
        return self.keys.active


@dataclass(frozen=True, slots=True)
class Mint:
    """What every token of an issuer has in common.

    Attributes:
        issuer: `iss`.
        audience: `aud`.
        access_ttl: Lifetime of access tokens, in milliseconds, where the session has none of its own.
    """

    issuer: str
    audience: str
    access_ttl: Millis

    def access_for(
        self, session: Session, material: Material, *, auth_time: int | None, now: Millis, entropy: bytes
    ) -> AccessToken:
        """Sign an access token of a session's current generation.

        It never outlives the session's limits: what merely expires needs no line in the revocation log.

        Args:
            session: The session.
            material: The keys.
            auth_time: When the user signed in, POSIX seconds; None: when the session began.
            now: The moment.
            entropy: `TOKEN_ID_BYTES` random bytes of its own.
        """
        until = rests_until(session)
        return AccessToken(
            *self._sign_for(
                session,
                str(session.sid),
                material,
                now=now,
                until=until,
                entropy=entropy,
                auth_time=auth_time,
            )
        )

    def access(
        self, user_id: str, claims: Mapping[str, Any], key: Key, *, now: Millis, ends: Millis, entropy: bytes
    ) -> AccessToken:
        """Sign an access token (RFC 9068, section 2.2) that ends at a moment."""
        return AccessToken(*self._sign(user_id, dict(claims), key, now=now, ends=ends, entropy=entropy))

    def pair(
        self,
        session: Session,
        refresh: str,
        material: Material,
        *,
        rotated: bool,
        now: Millis,
        entropy: bytes,
    ) -> TokenPair:
        """Put an access token beside a refresh token."""
        sid, until = str(session.sid), rests_until(session)
        access, lasts, _ = self._sign_for(session, sid, material, now=now, until=until, entropy=entropy)
        rests = max(0, (until - now) // 1000)
        return TokenPair(access, refresh, lasts, rests, sid, rotated)

    def _sign_for(
        self,
        session: Session,
        sid: str,
        material: Material,
        *,
        now: Millis,
        until: Millis,
        entropy: bytes,
        auth_time: int | None = None,
    ) -> tuple[str, int, str]:
        """Sign what `access_for` says; `sid` is the session's id as text, for who needs it too."""
        claims = {
            **session.claims,
            "sid": sid,
            "gen": session.gen,
            "auth_time": session.created_at // 1000 if auth_time is None else auth_time,
        }
        if session.jkt is not None:
            claims["cnf"] = {"jkt": session.jkt}  # RFC 9449, section 6.1
        ends = min(now + (session.access_ttl or self.access_ttl), until)
        return self._sign(session.user_id, claims, material.active, now=now, ends=ends, entropy=entropy)

    def _sign(
        self, user_id: str, claims: dict[str, Any], key: Key, *, now: Millis, ends: Millis, entropy: bytes
    ) -> tuple[str, int, str]:
        """Complete claims that nobody else has and sign them; give token, lifetime in seconds and `jti`."""
        issued, expires, jti = now // 1000, ends // 1000, token_id(entropy)
        claims["iss"] = self.issuer
        claims["sub"] = user_id
        claims["aud"] = self.audience
        claims["iat"] = issued
        claims["exp"] = expires
        claims["jti"] = jti
        return sign_jwt(claims, key, ACCESS_TYP), max(0, expires - issued), jti


def successor(presented: RefreshToken, session: Session, branch: bytes) -> RefreshToken:
    """Give the refresh token of a session's current generation, on a branch."""
    return RefreshToken(session.sid, session.gen, branch, presented.secret)
