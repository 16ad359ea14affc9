"""Verifying access tokens alone, for services that issue none. It knows no store, session or framework."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keyturn._core.access_claims import ACCESS_TYP, read_access_token
from keyturn._core.jwt import JwtReader
from keyturn._core.keyset import KeySet, key_set
from keyturn.durations import Duration, seconds
from keyturn.errors import AccessTokenError, ConfigurationError, StoreUnavailable
from keyturn.jwks import RemoteKeys, load_jwks
from keyturn.policy import MAX_LEEWAY_SECONDS
from keyturn.results import Principal


class AccessVerifier:
    """Verifies access tokens (RFC 9068) by signature and claims. Safe to share between threads.

    It asks no store, so it sees a revocation only when the token expires; keep access tokens short-lived.
    """

    def __init__(
        self,
        *,
        jwks: Mapping[str, Any] | str | Path | RemoteKeys,
        issuer: str,
        audience: str,
        leeway: Duration = "10s",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the keys; a URL is fetched when the first token comes.

        Args:
            jwks: The issuer's public keys: a JWK Set as a dict, the path of a file, an https URL, or
                `RemoteKeys` for a URL with settings of its own.
            issuer: The exact `iss` of its tokens.
            audience: This service's identifier, which must be in `aud`.
            leeway: Tolerated clock skew, at most 60 seconds.
            clock: Gives POSIX seconds.

        Raises:
            ConfigurationError: A setting or a key is not acceptable.
        """
        if not issuer or not audience:
            raise ConfigurationError("issuer and audience must not be empty")
        self._issuer = issuer
        self._audience = audience
        self._leeway = seconds(leeway, name="leeway")
        if self._leeway > MAX_LEEWAY_SECONDS:
            raise ConfigurationError(f"leeway must be at most {MAX_LEEWAY_SECONDS:g}s")
        self._clock = clock
        if isinstance(jwks, str) and jwks.startswith(("https://", "http://")):
            jwks = RemoteKeys(jwks)
        self._remote = jwks if isinstance(jwks, RemoteKeys) else None
        keys = key_set(()) if isinstance(jwks, RemoteKeys) else load_jwks(jwks)
        self._prepared = (keys, JwtReader(keys, ACCESS_TYP))

    def verify(self, token: str) -> Principal:
        """Verify an access token.

        Args:
            token: What the client sent.

        Returns:
            Who it speaks for.

        Raises:
            AccessTokenError: It is not acceptable; `detail` says by which rule.
            StoreUnavailable: The issuer's keys cannot be fetched; this says nothing about the token.
        """
        now = self._clock()
        if self._remote is None:
            return self._read(self._prepared[1], token, now)
        reader = self._reader_for(self._remote.current(now))
        try:
            return self._read(reader, token, now)
        except AccessTokenError as error:
            if error.detail != "unknown_key":
                raise
        reader = self._reader_for(self._remote.refetch(now))
        try:
            return self._read(reader, token, now)
        except AccessTokenError as error:
            if error.detail != "unknown_key" or not self._remote.failing:
                raise
        raise StoreUnavailable("The issuer's keys cannot be fetched right now; try again.", detail="jwks")

    def _read(self, reader: JwtReader, token: str, now: float) -> Principal:
        claims = read_access_token(
            reader, token, issuer=self._issuer, audience=self._audience, now=now, leeway=self._leeway
        )
        return Principal(
            user_id=claims.subject,
            session_id=claims.session_id,
            token_id=claims.token_id,
            claims=claims.claims,
            issued_at=claims.issued_at,
            expires_at=claims.expires_at,
            auth_time=claims.auth_time,
            generation=claims.gen,
            jkt=claims.jkt,
        )

    def _reader_for(self, keys: KeySet) -> JwtReader:
        """Give a reader for the keys; it is kept as long as they do not change."""
        known, reader = self._prepared
        if keys is not known:
            reader = JwtReader(keys, ACCESS_TYP)
            self._prepared = (keys, reader)  # both at once, for other threads
        return reader
