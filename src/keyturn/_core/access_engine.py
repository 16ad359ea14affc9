"""The operations on access tokens as plans, and what every operation shares: policy, keys, issuer.

It knows no store, no clock, no randomness and no colour: moments and entropy are handed in by the managers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Generic, Literal, TypeAlias, assert_never

from keyturn._core.access_claims import AccessClaims, read_access_token
from keyturn._core.claims import ClaimsCodec, checked_claims
from keyturn._core.commands import Check, Deny
from keyturn._core.ids import parse_session_id
from keyturn._core.inputs import check_identifier, check_reason, check_user_id
from keyturn._core.keyset import KeySet
from keyturn._core.lines import lines_of_denial
from keyturn._core.minting import KeySource, Material, Mint
from keyturn._core.outcomes import CheckOutcome
from keyturn._core.readonly import read_only
from keyturn._core.records import Millis
from keyturn._core.settling import confirmation, settle_check, settle_renew
from keyturn._core.steps import Plan, Settled, Step
from keyturn._core.verified import Verified, VerifiedTokens, key_of
from keyturn.durations import Duration, milliseconds, seconds
from keyturn.errors import AccessTokenError, InvalidInput
from keyturn.events import Denied
from keyturn.policy import Policy
from keyturn.results import AccessToken, ClaimsT, Principal

Standing: TypeAlias = Literal["clear", "revoked", "unknown"]
"""What is known of a verified access token; where it is "unknown", the store must be asked."""


class AccessEngine(Generic[ClaimsT]):
    """What one issuer does with access tokens, under one policy. Safe to share between threads."""

    def __init__(
        self,
        *,
        keys: KeySource,
        policy: Policy,
        issuer: str,
        audience: str,
        codec: ClaimsCodec[ClaimsT],
        audited: bool = False,
    ) -> None:
        """Prepare; the keys may change later, and are looked at anew for each operation.

        Args:
            keys: The keys.
            policy: The policy.
            issuer: `iss` of the access tokens.
            audience: `aud` of the access tokens.
            codec: Reads and writes the application's claims.
            audited: Whether a trail is kept, so that outcomes are turned into its lines.

        Raises:
            ConfigurationError: Issuer or audience is not usable text.
        """
        self.policy = policy
        self.issuer = check_identifier("issuer", issuer)
        self.audience = check_identifier("audience", audience)
        self.codec = codec
        self.audited = audited
        self._keys = keys
        self._mint = Mint(issuer, audience, milliseconds(policy.access_ttl))
        self._prepared = self._prepare(keys.current)

    @property
    def material(self) -> Material:
        """Everything prepared from the keys that are valid now."""
        return self._current()[0]

    def _current(self) -> tuple[Material, VerifiedTokens[ClaimsT]]:
        """Give what was prepared from the keys that are valid now, and what they have verified.

        Both at once: a token that an old key has verified must not get among those of the new keys.
        """
        current = self._keys.current
        if current is not self._prepared[0].keys:  # assignment is atomic; two threads at worst prepare twice
            self._prepared = self._prepare(current)
        return self._prepared

    def _prepare(self, keys: KeySet) -> tuple[Material, VerifiedTokens[ClaimsT]]:
        material = Material.of(keys, jwt=self.policy.refresh_format == "jwt")
        return material, VerifiedTokens(self.policy.verified_tokens)

    def known(self, token: object, *, now: float) -> Verified[ClaimsT] | None:
        """Give an access token that was verified before and is acceptable still; None: it must be verified.

        Args:
            token: What a client sent.
            now: POSIX seconds.
        """
        material, tokens = self._prepared
        if material.keys is not self._keys.current or (key := key_of(token)) is None:
            return None
        found = tokens.get(key)
        return found if found is not None and found.begins <= now < found.ends else None

    def verify_access(self, token: str, *, now: Millis) -> Principal[ClaimsT]:
        """Accept an access token on its signature and claims alone.

        Raises:
            AccessTokenError: It is not acceptable.
        """
        return self.principal_of(self._verified(token, now))

    def authenticate(
        self, token: str, *, judge: Callable[[Principal[ClaimsT]], Standing], now: Millis
    ) -> Plan[Check, CheckOutcome, Principal[ClaimsT]]:
        """Accept an access token that also counts still.

        Args:
            token: The token.
            judge: Says what is known of a verified token; where that is nothing, the store is asked.
            now: The moment.
        """
        try:
            principal = self.principal_of(self._verified(token, now))
        except AccessTokenError as error:
            return Settled(error)
        sid = parse_session_id(principal.session_id)
        if sid is None and principal.session_id is not None:  # no id of ours: not the same as "no session"
            return Settled(AccessTokenError(detail="claims"))
        standing = judge(principal)
        match standing:
            case "clear":
                return Settled(principal, confirm=confirmation(principal, sid, now))
            case "revoked":
                return Settled(AccessTokenError(detail="revoked"))
            case "unknown":
                return Step(Check(sid, principal.token_id, now), partial(settle_check, principal, now))
            case _:
                assert_never(standing)

    def renew(self, token: str, *, now: Millis, entropy: bytes) -> Plan[Check, CheckOutcome, AccessToken]:
        """Sign a fresh access token in place of one that still counts: the same claims, the same generation.

        The session's idle limit is not extended, and the new token does not outlive it: whoever holds nothing
        but access tokens cannot keep a session alive. The generation must be the token's own: its successor's
        would confirm what may never have reached the client.
        """
        try:
            claims = self._read_access(token, now)
        except AccessTokenError as error:
            return Settled(error)
        sid = parse_session_id(claims.session_id)
        if sid is None:
            return Settled(AccessTokenError(detail="no_session"))
        return Step(
            Check(sid, claims.token_id, now),
            partial(
                settle_renew, mint=self._mint, material=self.material, claims=claims, now=now, entropy=entropy
            ),
        )

    def sign_access(
        self,
        user_id: str,
        *,
        claims: ClaimsT | Mapping[str, Any] | None,
        ttl: Duration | None,
        now: Millis,
        entropy: bytes,
    ) -> str:
        """Sign an access token that belongs to no session."""
        lifetime = self.policy.access_ttl if ttl is None else seconds(ttl, name="ttl")
        if lifetime < 1:
            raise InvalidInput("ttl must be at least 1 second")
        own = checked_claims(self.codec, claims)
        ends = now + milliseconds(lifetime)
        key = self.material.active
        return self._mint.access(
            check_user_id(user_id), own, key, now=now, ends=ends, entropy=entropy
        ).access_token

    def deny(self, token: str, *, reason: str, now: Millis) -> Plan[Deny, None, None]:
        """Refuse an access token from now on, until it would have expired anyway."""
        try:
            claims = self._read_access(token, now)
        except AccessTokenError as error:
            return Settled(error)
        # A verifier tolerates its leeway after the expiry, so the denial lasts as long, and a second for
        # rounding.
        until = (claims.expires_at + 1) * 1000 + milliseconds(self.policy.leeway)
        event = Denied(now / 1000, claims.subject, claims.token_id, check_reason(reason))
        sid = parse_session_id(claims.session_id)
        trail = None
        if self.audited and sid is not None:
            trail = partial(lines_of_denial, sid, claims.gen or 0, reason, now)
        return Step(Deny(claims.token_id, until, reason, now, sid), lambda _: Settled(None, (event,)), trail)

    def principal_of(self, verified: Verified[ClaimsT]) -> Principal[ClaimsT]:
        """Give who a verified token speaks for, with claims that nobody else can change."""
        if verified.claims is None:
            return verified.principal
        return replace(verified.principal, claims=self.codec.load(verified.claims))

    def _verified(self, token: str, now: Millis) -> Verified[ClaimsT]:
        known = self.known(token, now=now / 1000)
        if known is not None:
            return known
        material, tokens = self._current()
        claims = self._read_access(token, now, material)
        raw = read_only(claims.claims)
        try:
            own = self.codec.load(raw)
        except Exception:  # noqa: BLE001  (a model may raise anything; it says that the claims do not fit)
            raise AccessTokenError(detail="claims") from None
        principal = Principal(
            user_id=claims.subject,
            session_id=claims.session_id,
            token_id=claims.token_id,
            claims=own,
            issued_at=claims.issued_at,
            expires_at=claims.expires_at,
            auth_time=claims.auth_time,
            generation=claims.gen,
            jkt=claims.jkt,
        )
        verified = Verified(principal, None if self.codec.frozen else raw, self.policy.leeway)
        if (key := key_of(token)) is not None:
            tokens.put(key, verified)
        return verified

    def _read_access(self, token: str, now: Millis, material: Material | None = None) -> AccessClaims:
        return read_access_token(
            (material or self.material).access,
            token,
            issuer=self.issuer,
            audience=self.audience,
            now=now / 1000,
            leeway=self.policy.leeway,
        )
