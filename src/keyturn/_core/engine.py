"""Every operation of the lifecycle as a plan: a command for the store and what its outcome means.

It knows no store, no clock, no randomness and no colour: moments and entropy are handed in by the managers.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from keyturn._core.access_claims import AccessClaims, read_access_token
from keyturn._core.claims import ClaimsCodec, checked_claims
from keyturn._core.commands import Check, Create, Deny, Lookup, Revoke, RevokeUser, Rotate, Where
from keyturn._core.ids import TOKEN_ID_BYTES, UUID7_BYTES, parse_session_id, session_id
from keyturn._core.inputs import (
    check_context,
    check_device,
    check_end_reason,
    check_identifier,
    check_reason,
    check_thumbprint,
    check_user_id,
)
from keyturn._core.minting import KeySource, Material, Mint
from keyturn._core.outcomes import (
    CheckOutcome,
    CreateOutcome,
    LookupOutcome,
    RefreshOutcome,
    Revocation,
)
from keyturn._core.records import Millis, RevokeReason, Session
from keyturn._core.refresh_tokens import (
    BRANCH_BYTES,
    SECRET_BYTES,
    BadRefreshToken,
    RefreshToken,
    branch_of,
)
from keyturn._core.refreshing import Refresh
from keyturn._core.settling import (
    settle_check,
    settle_inspect,
    settle_issue,
    settle_renew,
    settle_revoke,
    settle_revoke_user,
)
from keyturn._core.steps import Plan, Settled, Step
from keyturn.durations import Duration, milliseconds, seconds
from keyturn.errors import (
    AccessTokenError,
    ConfigurationError,
    InvalidInput,
    InvalidToken,
)
from keyturn.events import Denied as DeniedEvent
from keyturn.events import RefreshRejected, RejectReason
from keyturn.policy import FromPolicy, Policy, check_lifetimes
from keyturn.results import (
    AccessToken,
    ClaimsT,
    Principal,
    RefreshTokenInfo,
    SessionInfo,
    TokenPair,
)

if TYPE_CHECKING:
    from keyturn._core.keyset import Key

ISSUE_ENTROPY = UUID7_BYTES + SECRET_BYTES + TOKEN_ID_BYTES
TOKEN_ENTROPY = TOKEN_ID_BYTES

IssuePlan: TypeAlias = Step[Create, CreateOutcome, TokenPair]
RefreshPlan: TypeAlias = Plan[Rotate, RefreshOutcome, TokenPair]
RevokePlan: TypeAlias = Plan[Revoke, Revocation, bool]


class Engine(Generic[ClaimsT]):
    """The operations of one issuer under one policy. Safe to share between threads."""

    def __init__(
        self, *, keys: KeySource, policy: Policy, issuer: str, audience: str, codec: ClaimsCodec[ClaimsT]
    ) -> None:
        """Prepare; the keys may change later, and are looked at anew for each operation.

        Raises:
            ConfigurationError: Issuer or audience is not usable text.
        """
        self.policy = policy
        self.issuer = check_identifier("issuer", issuer)
        self.audience = check_identifier("audience", audience)
        self.codec = codec
        self._keys = keys
        self._mint = Mint(issuer, audience, milliseconds(policy.access_ttl))
        self._race = milliseconds(policy.race_window)
        self._recovery = milliseconds(policy.recovery_window)
        self._material = Material.of(keys.current, jwt=policy.refresh_format == "jwt")

    @property
    def material(self) -> Material:
        """Everything prepared from the keys that are valid now."""
        current = self._keys.current
        if current is not self._material.keys:  # assignment is atomic; two threads at worst prepare it twice
            self._material = Material.of(current, jwt=self.policy.refresh_format == "jwt")
        return self._material

    # --- Sessions begin and go on -----------------------------------------------------------------

    def issue(
        self,
        user_id: str,
        *,
        claims: ClaimsT | Mapping[str, Any] | None,
        device: Mapping[str, Any] | None,
        context: str,
        jkt: str | None,
        access_ttl: Duration | None,
        idle_ttl: Duration | FromPolicy | None,
        absolute_ttl: Duration | None,
        now: Millis,
        entropy: bytes,
    ) -> IssuePlan:
        """Begin a session. The tokens are made before the store is asked, because making them may fail."""
        access = self.policy.access_ttl if access_ttl is None else seconds(access_ttl, name="access_ttl")
        idle = self.policy.idle_ttl
        if not isinstance(idle_ttl, FromPolicy):
            idle = None if idle_ttl is None else seconds(idle_ttl, name="idle_ttl")
        absolute = (
            self.policy.absolute_ttl if absolute_ttl is None else seconds(absolute_ttl, name="absolute_ttl")
        )
        check_lifetimes(
            access_ttl=access, idle_ttl=idle, absolute_ttl=absolute, race_window=self.policy.race_window
        )
        expires_at = now + milliseconds(absolute)
        owner = check_user_id(user_id)
        secret = entropy[UUID7_BYTES : UUID7_BYTES + SECRET_BYTES]
        session = Session(
            sid=session_id(owner, now, entropy),
            user_id=owner,
            secret_digest=sha256(secret).digest(),
            gen=0,
            parent_branch=bytes(BRANCH_BYTES),
            confirmed=False,
            created_at=now,
            rotated_at=now,
            handed_at=now,
            last_seen_at=now,
            idle_ttl=None if idle is None else milliseconds(idle),
            idle_expires_at=None if idle is None else min(now + milliseconds(idle), expires_at),
            expires_at=expires_at,
            access_ttl=None if access_ttl is None else milliseconds(access),
            claims=checked_claims(self.codec, claims),
            device=check_device(device),
            jkt=None if jkt is None else check_thumbprint(jkt),
        )
        material = self.material
        branch = branch_of(secret, session.sid, 0, check_context(context))
        refresh = material.refresh.encode(RefreshToken(session.sid, 0, branch, secret), material.active)
        pair = self._mint.pair(
            session, refresh, material, rotated=True, now=now, entropy=entropy[UUID7_BYTES + SECRET_BYTES :]
        )
        evict = self.policy.on_session_limit == "evict"
        command = Create(session, self.policy.max_sessions_per_user, evict, now)
        return Step(command, partial(settle_issue, pair))

    def refresh(
        self, token: str, *, context: str, jkt: str | None, now: Millis, entropy: bytes
    ) -> RefreshPlan:
        """Redeem a refresh token. What its tag does not vouch for is refused before the store is asked."""
        check_context(context)
        proven = None if jkt is None else check_thumbprint(jkt)
        material = self.material
        try:
            presented, key = material.refresh.decode(token)
        except BadRefreshToken as error:
            return _reject(error, now)
        command = Rotate(
            sid=presented.sid,
            digest=presented.digest,
            gen=presented.gen,
            branch=presented.branch,
            jkt=proven,
            now=now,
            race_window=self._race,
            recovery_window=self._recovery,
            rotation=self.policy.rotation,
            converge=self.policy.on_race == "converge",
            whole_user=self.policy.on_reuse == "user",
        )
        refresh = Refresh(
            self._mint, material, presented, token, key, context, self.policy.rotation, now, entropy
        )
        return Step(command, refresh.settle)

    # --- Access tokens ----------------------------------------------------------------------------

    def verify_access(self, token: str, *, now: Millis) -> Principal[ClaimsT]:
        """Accept an access token on its signature and claims alone.

        Raises:
            AccessTokenError: It is not acceptable.
        """
        return self.principal(self._read_access(token, now))

    def authenticate(self, token: str, *, now: Millis) -> Plan[Check, CheckOutcome, Principal[ClaimsT]]:
        """Accept an access token that also counts still."""
        try:
            claims = self._read_access(token, now)
            principal = self.principal(claims)
        except AccessTokenError as error:
            return Settled(error)
        sid = parse_session_id(claims.session_id)
        if sid is None and claims.session_id is not None:  # no id of ours: it must not pass for "no session"
            return Settled(AccessTokenError(detail="claims"))
        return Step(Check(sid, claims.token_id, now), partial(settle_check, principal, now))

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
        event = DeniedEvent(now / 1000, claims.subject, claims.token_id, check_reason(reason))
        sid = parse_session_id(claims.session_id)
        return Step(Deny(claims.token_id, until, reason, now, sid), lambda _: Settled(None, (event,)))

    def principal(self, claims: AccessClaims) -> Principal[ClaimsT]:
        """Give who verified claims speak for.

        Raises:
            AccessTokenError: The application's claims model does not fit.
        """
        try:
            own = self.codec.load(claims.claims)
        except Exception:  # noqa: BLE001  (a model may raise anything; it says that the claims do not fit)
            raise AccessTokenError(detail="claims") from None
        return Principal(
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

    def sessions(self, user_id: str, *, active: bool, now: Millis) -> Where:
        """Say which sessions a list of a user's shows."""
        return Where(user_id=check_user_id(user_id), live_at=now if active else None, newest_first=True)

    # --- Refresh tokens without a refresh ----------------------------------------------------------

    def verify_refresh(self, token: str) -> RefreshTokenInfo:
        """Accept a refresh token on its tag alone.

        Raises:
            InvalidToken: It is not ours.
        """
        presented, key = self._read_refresh(token)
        return RefreshTokenInfo(str(presented.sid), presented.gen, key.kid)

    def inspect(self, token: str, *, now: Millis) -> Plan[Lookup, LookupOutcome, SessionInfo]:
        """Describe the session of a refresh token, without rotating it."""
        try:
            presented, _ = self._read_refresh(token)
        except InvalidToken as error:
            return Settled(error)
        return Step(Lookup(presented.sid, presented.digest), partial(settle_inspect, now))

    # --- Sessions end -----------------------------------------------------------------------------

    def revoke(
        self, session_id: str, *, user_id: str | None, reason: RevokeReason, now: Millis
    ) -> RevokePlan:
        """End one session by its id."""
        owner = None if user_id is None else check_user_id(user_id)
        command_reason = check_end_reason(reason)
        sid = parse_session_id(session_id)
        if sid is None:
            return Settled(result=False)
        return Step(Revoke(sid, owner, None, command_reason, now), partial(settle_revoke, now))

    def revoke_token(self, token: str, *, reason: RevokeReason, now: Millis) -> RevokePlan:
        """End the session of a refresh token: logout. Only who knows the session's secret can do so."""
        try:
            presented, _ = self._read_refresh(token)
        except InvalidToken as error:
            return Settled(error)
        command = Revoke(presented.sid, None, presented.digest, check_end_reason(reason), now)
        return Step(command, partial(settle_revoke, now))

    def revoke_user(
        self, user_id: str, *, keep: str | None, reason: RevokeReason, now: Millis
    ) -> Step[RevokeUser, Revocation, int]:
        """End all sessions of a user, but for one to keep.

        Raises:
            InvalidInput: `keep` is given and is no session id: ending that session too would be a surprise.
        """
        kept = None if keep is None else parse_session_id(keep)
        if keep is not None and kept is None:
            raise InvalidInput("keep must be a session id")
        command = RevokeUser(check_user_id(user_id), kept, check_end_reason(reason), now)
        return Step(command, partial(settle_revoke_user, now))

    def peek(self, command: Rotate) -> Lookup:
        """Give the command that reads the session of a refresh, to load its user's claims beforehand."""
        return Lookup(command.sid, command.digest)

    def revoke_inactive(self, user_id: str, *, now: Millis) -> RevokeUser:
        """Give the command that ends all sessions of a user who may not go on."""
        return RevokeUser(user_id, None, "inactive", now)

    def dump_claims(self, claims: ClaimsT | Mapping[str, Any]) -> Mapping[str, Any]:
        """Turn freshly loaded claims into JSON.

        Raises:
            ConfigurationError: They are not usable as claims: a fault of the application, not of a client.
        """
        try:
            return checked_claims(self.codec, claims)
        except InvalidInput as error:
            raise ConfigurationError(f"load_claims: {error}") from None

    # --- Shared ------------------------------------------------------------------------------------

    def _read_access(self, token: str, now: Millis) -> AccessClaims:
        return read_access_token(
            self.material.access,
            token,
            issuer=self.issuer,
            audience=self.audience,
            now=now / 1000,
            leeway=self.policy.leeway,
        )

    def _read_refresh(self, token: str) -> tuple[RefreshToken, Key]:
        try:
            return self.material.refresh.decode(token)
        except BadRefreshToken as error:
            raise InvalidToken(detail=str(error)) from None


def _reject(error: BadRefreshToken, now: Millis) -> Settled[TokenPair]:
    reason: RejectReason = "unknown_key" if error.unknown_key else "invalid"
    return Settled(InvalidToken(detail=reason), (RefreshRejected(now / 1000, reason),))
