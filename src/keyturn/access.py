"""Verifying access tokens alone, for services that issue none. It knows no store, session or framework."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keyturn._core.access_claims import ACCESS_TYP
from keyturn._core.claims import codec_for
from keyturn._core.jwt import JwtReader
from keyturn._core.keyset import KeySet, key_set
from keyturn._core.verifying import Rules, Verifier
from keyturn.durations import Duration, seconds
from keyturn.errors import AccessTokenError, ConfigurationError, StoreUnavailable
from keyturn.jwks import RemoteKeys, load_jwks
from keyturn.policy import MAX_LEEWAY_SECONDS, check_count
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
        verified_tokens: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the keys; a URL is fetched when the first token comes.

        Args:
            jwks: The issuer's public keys: a JWK Set as a dict, the path of a file, an https URL, or
                `RemoteKeys` for a URL with settings of its own.
            issuer: The exact `iss` of its tokens.
            audience: This service's identifier, which must be in `aud`.
            leeway: Tolerated clock skew, at most 60 seconds.
            verified_tokens: How many tokens are remembered as verified, so that their signatures need not be
                checked again; 0: none.
            clock: Gives POSIX seconds.

        Raises:
            ConfigurationError: A setting or a key is not acceptable.
        """
        if not issuer or not audience:
            raise ConfigurationError("issuer and audience must not be empty")
        tolerated = seconds(leeway, name="leeway")
        if tolerated > MAX_LEEWAY_SECONDS:
            raise ConfigurationError(f"leeway must be at most {MAX_LEEWAY_SECONDS:g}s")
        check_count("verified_tokens", verified_tokens)
        self._rules: Rules[dict[str, Any]] = Rules(
            issuer, audience, tolerated, codec_for(None), verified_tokens
        )
        self._clock = clock
        if isinstance(jwks, str) and jwks.startswith(("https://", "http://")):
            jwks = RemoteKeys(jwks)
        self._remote = jwks if isinstance(jwks, RemoteKeys) else None
        keys = key_set(()) if isinstance(jwks, RemoteKeys) else load_jwks(jwks)
        self._prepared = self._prepare(keys)

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
            return self._prepared[1].verify(token, now).principal
        verifier = self._verifier_for(self._remote.current(now))
        try:
            return verifier.verify(token, now).principal
        except AccessTokenError as error:
            if error.detail != "unknown_key":
                raise
        verifier = self._verifier_for(self._remote.refetch(now))
        try:
            return verifier.verify(token, now).principal
        except AccessTokenError as error:
            if error.detail != "unknown_key" or not self._remote.failing:
                raise
        raise StoreUnavailable("The issuer's keys cannot be fetched right now; try again.", detail="jwks")

    def _verifier_for(self, keys: KeySet) -> Verifier[dict[str, Any]]:
        """Give what verifies with the keys; it is kept, with what it has verified, until they change."""
        prepared = self._prepared
        if keys is not prepared[0]:
            prepared = self._prepared = self._prepare(keys)  # both at once, for other threads
        return prepared[1]

    def _prepare(self, keys: KeySet) -> tuple[KeySet, Verifier[dict[str, Any]]]:
        return keys, Verifier(JwtReader(keys, ACCESS_TYP), self._rules)
