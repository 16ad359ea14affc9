"""Every operation of the lifecycle as a plan: a command for the store and what its outcome means.

It knows no store, no clock, no randomness and no colour: moments and entropy are handed in by the managers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias

from keyturn._core.access_engine import AccessEngine
from keyturn._core.claims import checked_claims, loaded_claims
from keyturn._core.commands import Create, History, Lookup, Revoke, RevokeUser, Rotate, Where
from keyturn._core.ids import TOKEN_ID_BYTES, UUID7_BYTES, parse_session_id, session_id
from keyturn._core.inputs import (
    check_batch,
    check_context,
    check_device,
    check_end_reason,
    check_thumbprint,
    check_user_id,
)
from keyturn._core.lines import lines_of_issue, lines_of_refresh, lines_of_revocation
from keyturn._core.minting import keys_unavailable
from keyturn._core.outcomes import CreateOutcome, LookupOutcome, RefreshOutcome, Revocation
from keyturn._core.records import Json, Millis, RevokeReason, Session
from keyturn._core.refresh_tokens import (
    BRANCH_BYTES,
    SECRET_BYTES,
    BadRefreshToken,
    RefreshToken,
    branch_of,
)
from keyturn._core.refreshing import Refresh
from keyturn._core.settling import (
    settle_history,
    settle_inspect,
    settle_issue,
    settle_revoke,
    settle_revoke_user,
)
from keyturn._core.steps import Plan, Settled, Step
from keyturn._core.trail import Line, TrailEntry
from keyturn.durations import Duration, milliseconds, seconds
from keyturn.errors import ConfigurationError, InvalidInput, InvalidToken
from keyturn.events import RefreshRejected, RejectReason
from keyturn.policy import FromPolicy, check_lifetimes
from keyturn.results import ClaimsT, HistoryEntry, LoadedClaims, RefreshTokenInfo, SessionInfo, TokenPair

if TYPE_CHECKING:
    from keyturn._core.keyset import Key

ISSUE_ENTROPY = UUID7_BYTES + SECRET_BYTES + TOKEN_ID_BYTES
TOKEN_ENTROPY = TOKEN_ID_BYTES

IssuePlan: TypeAlias = Step[Create, CreateOutcome, TokenPair]
RefreshPlan: TypeAlias = Plan[Rotate, RefreshOutcome, TokenPair]
RevokePlan: TypeAlias = Plan[Revoke, Revocation, bool]
HistoryPlan: TypeAlias = Plan[History, Sequence[TrailEntry], list[HistoryEntry]]


class Engine(AccessEngine[ClaimsT]):
    """The operations of one issuer under one policy. Safe to share between threads."""

    @cached_property
    def _windows(self) -> tuple[Millis, Millis]:
        return milliseconds(self.policy.race_window), milliseconds(self.policy.recovery_window)

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
        material = self.signing
        branch = branch_of(secret, session.sid, 0, check_context(context))
        refresh = material.refresh.encode(RefreshToken(session.sid, 0, branch, secret), material.active)
        pair = self._mint.pair(
            session, refresh, material, rotated=True, now=now, entropy=entropy[UUID7_BYTES + SECRET_BYTES :]
        )
        evict = self.policy.on_session_limit == "evict"
        command = Create(session, self.policy.max_sessions_per_user, evict, now)
        trail = partial(lines_of_issue, secret, context) if self.audited else None
        return Step(command, partial(settle_issue, pair), trail)

    def refresh(
        self, token: str, *, context: str, jkt: str | None, now: Millis, entropy: bytes
    ) -> RefreshPlan:
        """Redeem a refresh token. What its tag does not vouch for is refused before the store is asked."""
        check_context(context)
        proven = None if jkt is None else check_thumbprint(jkt)
        material = self.signing
        try:
            presented, key = material.refresh.decode(token)
        except BadRefreshToken as error:
            self._check_known(error)
            return _reject(error, now)
        race, recovery = self._windows
        policy = self.policy
        command = Rotate(
            presented.sid,
            presented.digest,
            presented.gen,
            presented.branch,
            proven,
            now,
            race,
            recovery,
            policy.rotation,
            policy.on_race == "converge",
            policy.on_reuse == "user",
        )
        refresh = Refresh(
            self._mint, material, presented, token, key, context, self.policy.rotation, now, entropy
        )
        trail = partial(lines_of_refresh, presented, key.kid, context, now) if self.audited else None
        return Step(command, refresh.settle, trail)

    # --- Sessions are looked at -------------------------------------------------------------------

    def sessions(self, user_id: str, *, active: bool, now: Millis) -> Where:
        """Say which sessions a list of a user's shows."""
        return Where(user_id=check_user_id(user_id), live_at=now if active else None, newest_first=True)

    def history(self, session_id: str, *, user_id: str | None, limit: int) -> HistoryPlan:
        """Read a session's audit trail.

        Raises:
            ConfigurationError: None is kept.
        """
        if not self.audited:
            raise ConfigurationError("there is no audit trail: set audit_retention in the policy")
        owner = None if user_id is None else check_user_id(user_id)
        lines = check_batch(limit, name="limit")
        sid = parse_session_id(session_id)
        if sid is None:
            return Settled([])
        return Step(History(sid, owner, lines), settle_history)

    # --- Refresh tokens without a refresh ----------------------------------------------------------

    def verify_refresh(self, token: str) -> RefreshTokenInfo:
        """Accept a refresh token on its tag alone.

        Raises:
            InvalidToken: It is not ours.
            StoreUnavailable: Its key is unknown here, and may exist all the same.
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
        return Step(
            Revoke(sid, owner, None, command_reason, now), partial(settle_revoke, now), self._revocations(now)
        )

    def revoke_token(self, token: str, *, reason: RevokeReason, now: Millis) -> RevokePlan:
        """End the session of a refresh token: logout. Only who knows the session's secret can do so."""
        try:
            presented, _ = self._read_refresh(token)
        except InvalidToken as error:
            return Settled(error)
        command = Revoke(presented.sid, None, presented.digest, check_end_reason(reason), now)
        return Step(command, partial(settle_revoke, now), self._revocations(now))

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
        return self._ending_user(RevokeUser(check_user_id(user_id), kept, check_end_reason(reason), now))

    def peek(self, command: Rotate) -> Lookup:
        """Give the command that reads the session of a refresh, to load its user's claims beforehand."""
        return Lookup(command.sid, command.digest)

    def revoke_inactive(self, user_id: str, *, now: Millis) -> RevokeUser:
        """Give the command that ends all sessions of a user who may not go on."""
        return RevokeUser(user_id, None, "inactive", now)

    def end_inactive(self, user_id: str, *, now: Millis) -> Step[RevokeUser, Revocation, int]:
        """End all sessions of a user who may not go on."""
        return self._ending_user(self.revoke_inactive(user_id, now=now))

    def loaded_claims(self, claims: LoadedClaims[ClaimsT] | None) -> Json | None:
        """Turn freshly loaded claims into JSON; None: those of the sign-in go on.

        Raises:
            ConfigurationError: They are not usable as claims: a fault of the application, not of a client.
        """
        return loaded_claims(self.codec, claims)

    # --- Shared ------------------------------------------------------------------------------------

    def _ending_user(self, command: RevokeUser) -> Step[RevokeUser, Revocation, int]:
        now = command.now
        return Step(command, partial(settle_revoke_user, now), self._revocations(now))

    def _revocations(self, now: Millis) -> Callable[[Revocation], tuple[Line, ...]] | None:
        return partial(lines_of_revocation, now) if self.audited else None

    def _read_refresh(self, token: str) -> tuple[RefreshToken, Key]:
        try:
            return self.material.refresh.decode(token)
        except BadRefreshToken as error:
            self._check_known(error)
            raise InvalidToken(detail=str(error)) from None

    def _check_known(self, error: BadRefreshToken) -> None:
        """Judge no token whose key may exist, although it is unknown here.

        Raises:
            StoreUnavailable: It is one.
        """
        if error.unknown_key and self._keys.may_miss_keys():
            raise keys_unavailable() from None


def _reject(error: BadRefreshToken, now: Millis) -> Settled[TokenPair]:
    reason: RejectReason = "unknown_key" if error.unknown_key else "invalid"
    return Settled(InvalidToken(detail=reason), (RefreshRejected(now / 1000, reason),))
