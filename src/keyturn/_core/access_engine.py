"""The operations on access tokens as plans, and what every operation shares: policy, keys, issuer.

It knows no store, no clock, no randomness and no colour: moments and entropy are handed in by the managers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Generic, Literal, TypeAlias, assert_never

from keyturn._core.claims import ClaimsCodec, checked_claims
from keyturn._core.commands import Check, Deny
from keyturn._core.ids import parse_session_id
from keyturn._core.inputs import check_identifier, check_reason, check_user_id
from keyturn._core.keyset import KeySet
from keyturn._core.lines import lines_of_denial, lines_of_step_up
from keyturn._core.minting import KeySource, Material, Mint, keys_unavailable
from keyturn._core.outcomes import CheckOutcome
from keyturn._core.records import Millis
from keyturn._core.schedule import longest_unread_of
from keyturn._core.settling import confirmation, settle_check, settle_renew, settle_standing
from keyturn._core.steps import Plan, Settled, Step
from keyturn._core.verifying import Rules, Verifier
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
        self._rules = Rules(
            issuer, audience, policy.leeway, codec, policy.verified_tokens, keys.may_miss_keys
        )
        self._longest_unread = longest_unread_of(policy)
        self._prepared = self._prepare(keys.current)

    @property
    def material(self) -> Material:
        """Everything prepared from the keys that are valid now."""
        return self._current()[0]

    @property
    def signing(self) -> Material:
        """The same, to sign with.

        Raises:
            StoreUnavailable: The keys were not read for so long that others may refuse what they sign.
        """
        material = self.material
        if self._keys.unread_for() > self._longest_unread:
            raise keys_unavailable()
        return material

    @property
    def verifier(self) -> Verifier[ClaimsT]:
        """What verifies access tokens with the keys that are valid now."""
        return self._current()[1]

    def _current(self) -> tuple[Material, Verifier[ClaimsT]]:
        """Give what was prepared from the keys that are valid now: both at once, of the same keys."""
        current, prepared = self._keys.current, self._prepared
        if current is not prepared[0].keys:  # assignment is atomic; two threads at worst prepare twice
            prepared = self._prepared = self._prepare(current)
        return prepared

    def _prepare(self, keys: KeySet) -> tuple[Material, Verifier[ClaimsT]]:
        material = Material.of(keys, jwt=self.policy.refresh_format == "jwt")
        return material, Verifier(material.access, self._rules)

    def verify_access(self, token: str, *, now: Millis) -> Principal[ClaimsT]:
        """Accept an access token on its signature and claims alone.

        Raises:
            AccessTokenError: It is not acceptable.
        """
        verifier = self.verifier
        return verifier.principal_of(verifier.verify(token, now / 1000))

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
            principal = self.verify_access(token, now=now)
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

    def stands(
        self, principal: Principal[ClaimsT], *, judge: Callable[[Principal[ClaimsT]], Standing], now: Millis
    ) -> Plan[Check, CheckOutcome, bool]:
        """Say whether what a token was accepted for stands, however long ago that was.

        A session outlives its access tokens; a token that belongs to none is all there is.

        Args:
            principal: Who was accepted.
            judge: As for `authenticate`, of which "revoked" counts alone: for the rest the store is asked,
                which knows the session's limits.
            now: The moment.
        """
        sid = parse_session_id(principal.session_id)
        if sid is None and now / 1000 > principal.expires_at + self.policy.leeway:
            return Settled(result=False)
        if judge(principal) == "revoked":
            return Settled(result=False)
        return Step(Check(sid, principal.token_id, now), partial(settle_standing, principal.user_id))

    def renew(
        self,
        token: str,
        *,
        stepped_up: bool,
        claims: Mapping[str, Any] | None,
        now: Millis,
        entropy: bytes,
    ) -> Plan[Check, CheckOutcome, AccessToken]:
        """Sign a fresh access token in place of one that still counts, of the same generation.

        Its claims are those of the old one, unless others are given.

        The session's idle limit is not extended, and the new token does not outlive it: whoever holds nothing
        but access tokens cannot keep a session alive. The generation must be the token's own: its successor's
        would confirm what may never have reached the client. It says when the user signed in as the old one
        did; or now, where that has just happened (`stepped_up`).
        """
        try:
            known = self.verifier.read(token, now / 1000)
        except AccessTokenError as error:
            return Settled(error)
        sid = parse_session_id(known.session_id)
        if sid is None:
            return Settled(AccessTokenError(detail="no_session"))
        settle = partial(
            settle_renew,
            mint=self._mint,
            material=self.signing,
            known=known,
            claims=known.claims if claims is None else claims,
            stepped_up=stepped_up,
            now=now,
            entropy=entropy,
        )
        trail = partial(lines_of_step_up, now) if self.audited and stepped_up else None
        return Step(Check(sid, known.token_id, now), settle, trail)

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
        key = self.signing.active
        return self._mint.access(
            check_user_id(user_id), own, key, now=now, ends=ends, entropy=entropy
        ).access_token

    def deny(self, token: str, *, reason: str, now: Millis) -> Plan[Deny, None, None]:
        """Refuse an access token from now on, until it would have expired anyway."""
        try:
            claims = self.verifier.read(token, now / 1000)
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
