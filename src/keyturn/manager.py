"""`TokenManager` and `AsyncTokenManager`: the lifecycle over a store, as thin twins. They decide nothing.

Rule 1: a public method runs one plan of the engine over one method of the store, without `if`, `for` or
`try`.
Rule 2: clock, randomness, publishing of events and deferred work are here and nowhere below.
Rule 3: the twins differ by `await` and by nothing else; a test compares them.
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from keyturn._core.commands import Check, Confirm, History, Lookup, Purge, Rotate
from keyturn._core.engine import ISSUE_ENTROPY, TOKEN_ENTROPY
from keyturn._core.inputs import check_batch
from keyturn._core.outcomes import CheckOutcome, Found, Granted, Inactive, RefreshOutcome
from keyturn._core.refreshing import with_claims
from keyturn._core.steps import Plan, Step
from keyturn.audit import AsyncAudit, Audit, async_trail_of, trail_of
from keyturn.deferred import Tasks, Worker, run_coroutine
from keyturn.durations import Duration
from keyturn.errors import AccessTokenError, ConfigurationError, StoreError, StoreUnavailable, UserInactive
from keyturn.following import AsyncFollower, Follower, async_log_of, log_of
from keyturn.manager_base import (
    DEFAULT_BATCH,
    DEFAULT_RETENTION,
    MAX_LINES_LISTED,
    MAX_SESSIONS_LISTED,
    ManagerBase,
    check_store,
    no_claims,
)
from keyturn.policy import FROM_POLICY, FromPolicy, Policy, RevocationCheck
from keyturn.results import (
    KEEP_CLAIMS,
    AccessToken,
    ClaimsT,
    HistoryEntry,
    LoadedClaims,
    Principal,
    SessionInfo,
    TokenPair,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn._core.minting import KeySource
    from keyturn._core.records import RevokeReason
    from keyturn._core.trail import TrailEntry
    from keyturn.stores.protocol import AsyncStore, AsyncTrail, Store, Trail

CommandT = TypeVar("CommandT")
OutcomeT = TypeVar("OutcomeT")
ResultT = TypeVar("ResultT")


class TokenManager(ManagerBase[ClaimsT]):
    """The refresh-token lifecycle for programs with threads. Safe to share between all of them.

    Examples:
        >>> from keyturn import KeyRing, TokenManager
        >>> from keyturn.stores.memory import MemoryStore
        >>> manager = TokenManager(
        ...     store=MemoryStore(),
        ...     keys=KeyRing.generate(),
        ...     issuer="https://auth.example.com",
        ...     audience="my-api",
        ... )
        >>> pair = manager.issue("user-1", claims={"roles": ["member"]})
        >>> manager.authenticate(pair.access_token).claims
        {'roles': ['member']}
        >>> later = manager.refresh(pair.refresh_token)
        >>> later.session_id == pair.session_id, later.refresh_token == pair.refresh_token
        (True, False)
        >>> manager.close()
    """

    def __init__(
        self,
        *,
        store: Store,
        keys: KeySource,
        policy: Policy | None = None,
        issuer: str,
        audience: str,
        claims: type[ClaimsT] | None = None,
        load_claims: Callable[[str], LoadedClaims[ClaimsT]] | None = None,
        audit: Trail | None = None,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Bring a store, keys and a policy together.

        Args:
            store: Where sessions live.
            keys: The key ring.
            policy: Lifetimes, windows and choices; None: the defaults.
            issuer: `iss` of the access tokens: who issues them.
            audience: `aud` of the access tokens: whom they are for.
            claims: The application's claims model; None: a dict.
            load_claims: Called with the user's id at each refresh, so that a changed role reaches the next
                access token. It raises `UserInactive` to end all sessions of a user who may not go on.
                Without it, and where it gives `KEEP_CLAIMS`, the claims of the sign-in are kept.
            audit: Where the audit trail is kept, if not in the store; it is not closed with the manager.
                Without `Policy.audit_retention` its lines are kept until somebody calls `forget`.
            clock: Gives POSIX seconds.
            entropy: Gives so many random bytes.

        Raises:
            ConfigurationError: A value is not usable.
        """
        if inspect.iscoroutinefunction(load_claims):
            raise ConfigurationError("load_claims is a coroutine function: use AsyncTokenManager")
        self._worker, self._confirming = Worker(), Worker()
        wanted = policy is not None and policy.audit_retention is not None
        self._audit = Audit(trail_of(store, audit, wanted=wanted), self._lost)
        check_store(store, awaited=False)
        log = log_of(store)
        self._follower = (
            None if log is None else Follower(log, policy or Policy(), self.now, self._cannot_follow)
        )
        super().__init__(
            keys=keys,
            policy=policy,
            issuer=issuer,
            audience=audience,
            claims=claims,
            clock=clock,
            entropy=entropy,
            defer=lambda awaitable: self._worker.submit(partial(run_coroutine, awaitable)),
            trail=self._audit,
            follower=self._follower,
        )
        self._store = store
        self._load_claims = load_claims

    @property
    def store(self) -> Store:
        """Where its sessions live."""
        return self._store

    def issue(
        self,
        user_id: str,
        *,
        claims: ClaimsT | Mapping[str, Any] | None = None,
        device: Mapping[str, Any] | None = None,
        context: str = "",
        jkt: str | None = None,
        access_ttl: Duration | None = None,
        idle_ttl: Duration | FromPolicy | None = FROM_POLICY,
        absolute_ttl: Duration | None = None,
    ) -> TokenPair:
        """Begin a session for a user whom the application has just authenticated.

        Args:
            user_id: Who signed in: 1 to 255 printable characters.
            claims: The application's claims for the access tokens: up to 4 KiB of JSON.
            device: What is known of the client, for people to recognise it: up to 2 KiB of JSON.
            context: What is known of the client, for telling two clients apart (only a digest leaves this
                call).
            jkt: The thumbprint of the client's DPoP key (RFC 9449), which every refresh must then prove.
            access_ttl: This session's own lifetime of access tokens; None: the policy's.
            idle_ttl: This session's own idle limit; None: no limit.
            absolute_ttl: This session's own absolute lifetime; None: the policy's.

        Raises:
            InvalidInput: A value is not usable.
            ConfigurationError: The lifetimes do not fit together.
            SessionLimitReached: The user has as many sessions as are allowed.
            StoreUnavailable: The store cannot be asked.
        """
        plan = self._engine.issue(
            user_id,
            claims=claims,
            device=device,
            context=context,
            jkt=jkt,
            access_ttl=access_ttl,
            idle_ttl=idle_ttl,
            absolute_ttl=absolute_ttl,
            now=self._now(),
            entropy=self._entropy(ISSUE_ENTROPY),
        )
        return self._change(plan, self._store.create)

    def refresh(self, token: str, *, context: str = "", jkt: str | None = None) -> TokenPair:
        """Redeem a refresh token. Repeating one whose answer was lost converges, within the policy's windows.

        Args:
            token: The refresh token.
            context: What is known of the client; the same client should give the same.
            jkt: The thumbprint of the DPoP key whose proof was verified with this request.

        Raises:
            InvalidToken: It is none of ours, or its session is unknown.
            InvalidProof: The session is bound to another key.
            ExpiredToken: Its session is past a limit.
            RevokedToken: Its session was ended.
            ReusedToken: It was spent before; its session has been ended now.
            RefreshConflict: A sibling was first (only with `on_race="conflict"`).
            StoreUnavailable: The store cannot be asked; the token is as good as before.
        """
        entropy = self._entropy(TOKEN_ENTROPY)
        plan = self._engine.refresh(token, context=context, jkt=jkt, now=self._now(), entropy=entropy)
        return self._change(plan, self._rotate)

    def authenticate(self, token: str, *, revocation: RevocationCheck | None = None) -> Principal[ClaimsT]:
        """Accept an access token whose session lives and that was not denied.

        Args:
            token: The access token.
            revocation: How to find out: "view" in this process's view of what is revoked, "strict" in the
                store, "none" not at all; None: as the policy says.

        Raises:
            AccessTokenError: It is not acceptable.
            StoreUnavailable: The store cannot be asked, which says nothing about the token.
        """
        return self._known(token, revocation) or self._authenticate(token, revocation)

    def renew(self, token: str) -> AccessToken:
        """Sign a fresh access token for the session of one that is still good, without touching the session.

        `load_claims` is asked as at a refresh: a user who may not go on has no session then.

        Args:
            token: The access token.

        Raises:
            AccessTokenError: It is not acceptable, has no session, or its session is over.
            StoreUnavailable: The store cannot be asked.
        """
        return self._renew(token, stepped_up=False)

    def step_up(self, token: str) -> AccessToken:
        """Sign an access token whose user has just signed in again, within the same session (RFC 9470).

        Its `auth_time` is now, for as long as it lives: the next refresh has that of the sign-in again. The
        application has checked the user, and that it is the token's.

        Args:
            token: The access token of the session.

        Raises:
            AccessTokenError: It is not acceptable, has no session, or its session is over.
            StoreUnavailable: The store cannot be asked.
        """
        return self._renew(token, stepped_up=True)

    def stands(self, principal: Principal[ClaimsT]) -> bool:
        """Tell whether what an access token was accepted for stands, also after the token has expired.

        For what outlives a request, such as a WebSocket: the session lives, and the token was not denied. The
        store is asked, whatever the policy says of requests: only it knows the limits of the session.

        Args:
            principal: Who was accepted.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        plan = self._engine.stands(principal, judge=self._refuse_known, now=self._now())
        return self._run(plan, self._check)

    def inspect(self, token: str) -> SessionInfo:
        """Describe the session of a refresh token, without redeeming it.

        Args:
            token: The refresh token, current or spent.

        Raises:
            InvalidToken: It is none of ours, or its session is unknown.
            StoreUnavailable: The store cannot be asked.
        """
        return self._run(self._engine.inspect(token, now=self._now()), self._store.lookup)

    def sessions(
        self,
        user_id: str,
        *,
        current: str | None = None,
        active: bool = True,
        limit: int = MAX_SESSIONS_LISTED,
    ) -> list[SessionInfo]:
        """List a user's sessions, the newest first.

        Args:
            user_id: Whose.
            current: The id of the session that asks, to be marked.
            active: Only those that live; False lists ended ones too, until they are purged.
            limit: How many at most.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        now = self._now()
        where = self._engine.sessions(user_id, active=active, now=now)
        return self._describe(
            self._ask(where, partial(self._store.find, limit=check_batch(limit, name="limit"))), now, current
        )

    def history(
        self, session_id: str, *, user_id: str | None = None, limit: int = MAX_LINES_LISTED
    ) -> list[HistoryEntry]:
        """Tell how a session got where it is: its audit trail, the oldest line first.

        What happened a moment ago may not be written yet; `flush` waits for it.

        Args:
            session_id: Which.
            user_id: Whose it must be; give it whenever a user asks. A purged session is nobody's then.
            limit: How many lines at most, the oldest: with as many there may be more, its end among them.

        Raises:
            ConfigurationError: No trail is kept.
            StoreUnavailable: The trail cannot be read.
        """
        plan = self._engine.history(session_id, user_id=user_id, limit=limit)
        return self._run(plan, self._history)

    def revoke(
        self, session_id: str, *, user_id: str | None = None, reason: RevokeReason = "revoked"
    ) -> bool:
        """End one session, at once.

        Args:
            session_id: Which.
            user_id: Whose it must be; give it whenever a user asks.
            reason: Why, for events and the record.

        Returns:
            Whether there is such a session of that user; ending it a second time is no failure.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        plan = self._engine.revoke(session_id, user_id=user_id, reason=reason, now=self._now())
        return self._change(plan, self._store.revoke)

    def revoke_token(self, token: str, *, reason: RevokeReason = "logout") -> bool:
        """End the session of a refresh token: logout.

        Args:
            token: The refresh token, current or spent.
            reason: Why.

        Returns:
            Whether there is such a session.

        Raises:
            InvalidToken: It is none of ours.
            StoreUnavailable: The store cannot be asked.
        """
        return self._change(
            self._engine.revoke_token(token, reason=reason, now=self._now()), self._store.revoke
        )

    def revoke_user(self, user_id: str, *, keep: str | None = None, reason: RevokeReason = "user") -> int:
        """End all sessions of a user, but for one to keep. A sign-in afterwards is not touched.

        Args:
            user_id: Whose.
            keep: The id of a session to leave alone.
            reason: Why.

        Returns:
            How many sessions lived until now.

        Raises:
            InvalidInput: `keep` is no session id.
            StoreUnavailable: The store cannot be asked.
        """
        plan = self._engine.revoke_user(user_id, keep=keep, reason=reason, now=self._now())
        return self._change(plan, self._store.revoke_user)

    def deny(self, token: str, *, reason: str = "") -> None:
        """Refuse one access token from now on.

        Args:
            token: The access token.
            reason: Why, for events and the record.

        Raises:
            AccessTokenError: It is not acceptable anyway.
            StoreUnavailable: The store cannot be asked.
        """
        self._change(self._engine.deny(token, reason=reason, now=self._now()), self._store.deny)

    def purge(
        self,
        *,
        retention: Duration = DEFAULT_RETENTION,
        batch: int = DEFAULT_BATCH,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Remove sessions whose absolute end is longer ago than the retention, batch by batch.

        Ended sessions stay until their absolute end, so that a late replay is still recognised. Lines of the
        audit trail that are older than the policy's `audit_retention` go, too.

        Args:
            retention: How long to keep them after that.
            batch: How many rows to remove in one operation.
            progress: Called after each batch with the number removed so far.

        Returns:
            How many rows were removed.

        Raises:
            StoreUnavailable: The store cannot be asked; what was removed stays removed.
        """
        return self._drain(self._purge(retention, batch), progress or _ignore)

    def start(self) -> None:
        """Read what is revoked now, rather than beside the first requests, and follow it from then on.

        Without it, the store is asked about each access token until that was read.

        Raises:
            StoreUnavailable: It cannot be read; it will be when it can.
        """
        self._follow()

    def flush(self) -> bool:
        """Wait for what is done off the critical path: confirmations, coroutine handlers, the audit trail.

        Returns:
            Whether all of it was done; each kind is waited for up to 30 seconds.
        """
        # The last is for handlers of what the others met.
        return (
            self._worker.flush() and self._confirming.flush() and self._audit.flush() and self._worker.flush()
        )

    def close(self) -> None:
        """Finish the deferred work and close the store."""
        self._stop_following()
        self._confirming.close()
        self._audit.close()
        self._worker.close()  # handlers of `AuditLost`
        self._store.close()

    def _change(
        self, plan: Plan[CommandT, OutcomeT, ResultT], call: Callable[[CommandT], OutcomeT]
    ) -> ResultT:
        return self._run(plan, call)

    def _run(self, plan: Plan[CommandT, OutcomeT, ResultT], call: Callable[[CommandT], OutcomeT]) -> ResultT:
        if isinstance(plan, Step):
            plan = self._settle(plan, self._ask(plan.command, call))
        result = self._publish(plan)
        confirm = plan.confirm
        if confirm is not None and self._seen.is_due(confirm, confirmed=plan.confirmed):
            self._confirm_soon(self._confirming, confirm, partial(self._confirm, confirm))
        return result

    def _drain(self, command: Purge, progress: Callable[[int], object]) -> int:
        removed = 0
        while gone := self._ask(command, self._store.purge):
            removed += gone
            progress(removed)
        while gone := self._ask(self._forget(command), self._audit.forget):
            removed += gone
            progress(removed)
        return removed

    def _ask(self, command: CommandT, call: Callable[[CommandT], OutcomeT]) -> OutcomeT:
        try:
            return call(command)
        except StoreError as error:
            self._doubt(command)
            self._outage(type(command).__name__.lower(), error)
            raise

    def _rotate(self, command: Rotate) -> RefreshOutcome:
        if self._load_claims is None:
            return self._store.rotate(command)
        # Loading may fail, so it comes before the rotation, which a retry could not always repeat.
        found = self._store.lookup(self._engine.peek(command))
        if not isinstance(found, Found) or found.session.revoked_at is not None:
            return self._store.rotate(command)
        try:
            fresh = self._load(found.session.user_id)
        except UserInactive:
            revoke = self._engine.revoke_inactive(found.session.user_id, now=command.now)
            return Inactive(found.session, self._store.revoke_user(revoke).ended)
        outcome = self._store.rotate(command)
        return with_claims(outcome, fresh) if fresh is not None and isinstance(outcome, Granted) else outcome

    def _renew(self, token: str, *, stepped_up: bool) -> AccessToken:
        claims = self._claims_of_today(token)
        entropy = self._entropy(TOKEN_ENTROPY)
        plan = self._engine.renew(
            token, stepped_up=stepped_up, claims=claims, now=self._now(), entropy=entropy
        )
        return self._run(plan, self._store.check)

    def _claims_of_today(self, token: str) -> Mapping[str, Any] | None:
        """Ask the application about the user of a token, as a refresh does; None: its claims go on."""
        if self._load_claims is None:
            return None
        user_id = self.verify_access(token).user_id
        try:
            return self._load(user_id)
        except UserInactive:
            self._change(self._engine.end_inactive(user_id, now=self._now()), self._store.revoke_user)
            raise AccessTokenError(detail="inactive") from None

    def _load(self, user_id: str) -> Mapping[str, Any] | None:
        """Ask the application for a user's claims of today; None: those that there are go on.

        Raises:
            UserInactive: The user may not go on.
        """
        load = self._load_claims
        try:
            claims = KEEP_CLAIMS if load is None else load(user_id)
        except UserInactive:
            raise
        except Exception as error:  # the application's database may be out: that says nothing about a token
            raise no_claims(error) from error
        return self._engine.loaded_claims(claims)

    def _authenticate(self, token: str, revocation: RevocationCheck | None) -> Principal[ClaimsT]:
        plan = self._engine.authenticate(token, judge=self._judge(revocation), now=self._now())
        return self._run(plan, self._check)

    def _check(self, command: Check) -> CheckOutcome:
        try:
            return self._store.check(command)
        except StoreUnavailable as error:
            return self._unchecked(error)

    def _follow(self) -> None:
        if self._follower is not None:
            self._follower.start()

    def _stop_following(self) -> None:
        if self._follower is not None:
            self._follower.close()

    def _history(self, command: History) -> Sequence[TrailEntry]:
        if command.user_id is not None:
            found = self._store.lookup(Lookup(command.sid))
            if not isinstance(found, Found) or found.session.user_id != command.user_id:
                return ()
        return self._audit.read(command)

    def _confirm(self, confirm: Confirm) -> None:
        try:
            self._ask(confirm, self._store.confirm)
        except BaseException as error:
            self._seen.failed(confirm)  # the next accepted token tries again
            if not isinstance(error, StoreError):  # that was told as an event
                raise
        else:
            self._seen.arrived(confirm)


class AsyncTokenManager(ManagerBase[ClaimsT]):
    """The refresh-token lifecycle for asyncio. One manager belongs to one event loop."""

    def __init__(
        self,
        *,
        store: AsyncStore,
        keys: KeySource,
        policy: Policy | None = None,
        issuer: str,
        audience: str,
        claims: type[ClaimsT] | None = None,
        load_claims: Callable[[str], LoadedClaims[ClaimsT] | Awaitable[LoadedClaims[ClaimsT]]] | None = None,
        audit: AsyncTrail | None = None,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Bring a store, keys and a policy together.

        See `TokenManager`; `load_claims` may be a plain or a coroutine function.
        """
        self._tasks, self._confirming = Tasks(), Tasks()
        wanted = policy is not None and policy.audit_retention is not None
        self._audit = AsyncAudit(async_trail_of(store, audit, wanted=wanted), self._lost)
        check_store(store, awaited=True)
        log = async_log_of(store)
        self._follower = (
            None if log is None else AsyncFollower(log, policy or Policy(), self.now, self._cannot_follow)
        )
        super().__init__(
            keys=keys,
            policy=policy,
            issuer=issuer,
            audience=audience,
            claims=claims,
            clock=clock,
            entropy=entropy,
            defer=lambda awaitable: self._tasks.submit(lambda: awaitable),
            trail=self._audit,
            follower=self._follower,
        )
        self._store = store
        self._load_claims = load_claims

    @property
    def store(self) -> AsyncStore:
        """Where its sessions live."""
        return self._store

    async def issue(
        self,
        user_id: str,
        *,
        claims: ClaimsT | Mapping[str, Any] | None = None,
        device: Mapping[str, Any] | None = None,
        context: str = "",
        jkt: str | None = None,
        access_ttl: Duration | None = None,
        idle_ttl: Duration | FromPolicy | None = FROM_POLICY,
        absolute_ttl: Duration | None = None,
    ) -> TokenPair:
        """Begin a session for a user whom the application has just authenticated.

        See `TokenManager.issue`.
        """
        plan = self._engine.issue(
            user_id,
            claims=claims,
            device=device,
            context=context,
            jkt=jkt,
            access_ttl=access_ttl,
            idle_ttl=idle_ttl,
            absolute_ttl=absolute_ttl,
            now=self._now(),
            entropy=self._entropy(ISSUE_ENTROPY),
        )
        return await self._change(plan, self._store.create)

    async def refresh(self, token: str, *, context: str = "", jkt: str | None = None) -> TokenPair:
        """Redeem a refresh token. Repeating one whose answer was lost converges, within the policy's windows.

        See `TokenManager.refresh`.
        """
        entropy = self._entropy(TOKEN_ENTROPY)
        plan = self._engine.refresh(token, context=context, jkt=jkt, now=self._now(), entropy=entropy)
        return await self._change(plan, self._rotate)

    async def authenticate(
        self, token: str, *, revocation: RevocationCheck | None = None
    ) -> Principal[ClaimsT]:
        """Accept an access token whose session lives and that was not denied.

        See `TokenManager.authenticate`.
        """
        return self._known(token, revocation) or await self._authenticate(token, revocation)

    async def renew(self, token: str) -> AccessToken:
        """Sign a fresh access token for the session of one that is still good, without touching the session.

        See `TokenManager.renew`.
        """
        return await self._renew(token, stepped_up=False)

    async def step_up(self, token: str) -> AccessToken:
        """Sign an access token whose user has just signed in again, within the same session (RFC 9470).

        See `TokenManager.step_up`.
        """
        return await self._renew(token, stepped_up=True)

    async def stands(self, principal: Principal[ClaimsT]) -> bool:
        """Tell whether what an access token was accepted for stands, also after the token has expired.

        See `TokenManager.stands`.
        """
        plan = self._engine.stands(principal, judge=self._refuse_known, now=self._now())
        return await self._run(plan, self._check)

    async def inspect(self, token: str) -> SessionInfo:
        """Describe the session of a refresh token, without redeeming it.

        See `TokenManager.inspect`.
        """
        return await self._run(self._engine.inspect(token, now=self._now()), self._store.lookup)

    async def sessions(
        self,
        user_id: str,
        *,
        current: str | None = None,
        active: bool = True,
        limit: int = MAX_SESSIONS_LISTED,
    ) -> list[SessionInfo]:
        """List a user's sessions, the newest first.

        See `TokenManager.sessions`.
        """
        now = self._now()
        where = self._engine.sessions(user_id, active=active, now=now)
        return self._describe(
            await self._ask(where, partial(self._store.find, limit=check_batch(limit, name="limit"))),
            now,
            current,
        )

    async def history(
        self, session_id: str, *, user_id: str | None = None, limit: int = MAX_LINES_LISTED
    ) -> list[HistoryEntry]:
        """Tell how a session got where it is: its audit trail, the oldest line first.

        See `TokenManager.history`.
        """
        plan = self._engine.history(session_id, user_id=user_id, limit=limit)
        return await self._run(plan, self._history)

    async def revoke(
        self, session_id: str, *, user_id: str | None = None, reason: RevokeReason = "revoked"
    ) -> bool:
        """End one session, at once.

        See `TokenManager.revoke`.
        """
        plan = self._engine.revoke(session_id, user_id=user_id, reason=reason, now=self._now())
        return await self._change(plan, self._store.revoke)

    async def revoke_token(self, token: str, *, reason: RevokeReason = "logout") -> bool:
        """End the session of a refresh token: logout.

        See `TokenManager.revoke_token`.
        """
        return await self._change(
            self._engine.revoke_token(token, reason=reason, now=self._now()), self._store.revoke
        )

    async def revoke_user(
        self, user_id: str, *, keep: str | None = None, reason: RevokeReason = "user"
    ) -> int:
        """End all sessions of a user, but for one to keep. A sign-in afterwards is not touched.

        See `TokenManager.revoke_user`.
        """
        plan = self._engine.revoke_user(user_id, keep=keep, reason=reason, now=self._now())
        return await self._change(plan, self._store.revoke_user)

    async def deny(self, token: str, *, reason: str = "") -> None:
        """Refuse one access token from now on.

        See `TokenManager.deny`.
        """
        await self._change(self._engine.deny(token, reason=reason, now=self._now()), self._store.deny)

    async def purge(
        self,
        *,
        retention: Duration = DEFAULT_RETENTION,
        batch: int = DEFAULT_BATCH,
        progress: Callable[[int], object] | None = None,
    ) -> int:
        """Remove sessions whose absolute end is longer ago than the retention, batch by batch.

        See `TokenManager.purge`.
        """
        return await self._drain(self._purge(retention, batch), progress or _ignore)

    async def start(self) -> None:
        """Read what is revoked now, rather than beside the first requests, and follow it from then on.

        See `TokenManager.start`.
        """
        await self._follow()

    async def flush(self) -> bool:
        """Wait for what is done off the critical path: confirmations, coroutine handlers, the audit trail.

        See `TokenManager.flush`.
        """
        # The last is for handlers of what the others met.
        return (
            await self._tasks.flush()
            and await self._confirming.flush()
            and await self._audit.flush()
            and await self._tasks.flush()
        )

    async def close(self) -> None:
        """Finish the deferred work and close the store."""
        await self._stop_following()
        await self._tasks.flush()
        await self._confirming.flush()
        await self._audit.close()
        await self._tasks.flush()  # handlers of `AuditLost`
        await self._store.close()

    async def _change(
        self, plan: Plan[CommandT, OutcomeT, ResultT], call: Callable[[CommandT], Awaitable[OutcomeT]]
    ) -> ResultT:
        # Whoever asked may be cancelled meanwhile; what the store then did must be told all the same.
        return await self._tasks.carry_out(self._run(plan, call))

    async def _run(
        self, plan: Plan[CommandT, OutcomeT, ResultT], call: Callable[[CommandT], Awaitable[OutcomeT]]
    ) -> ResultT:
        if isinstance(plan, Step):
            plan = self._settle(plan, await self._ask(plan.command, call))
        result = self._publish(plan)
        confirm = plan.confirm
        if confirm is not None and self._seen.is_due(confirm, confirmed=plan.confirmed):
            self._confirm_soon(self._confirming, confirm, partial(self._confirm, confirm))
        return result

    async def _drain(self, command: Purge, progress: Callable[[int], object]) -> int:
        removed = 0
        while gone := await self._ask(command, self._store.purge):
            removed += gone
            progress(removed)
        while gone := await self._ask(self._forget(command), self._audit.forget):
            removed += gone
            progress(removed)
        return removed

    async def _ask(self, command: CommandT, call: Callable[[CommandT], Awaitable[OutcomeT]]) -> OutcomeT:
        try:
            return await call(command)
        except StoreError as error:
            self._doubt(command)
            self._outage(type(command).__name__.lower(), error)
            raise

    async def _rotate(self, command: Rotate) -> RefreshOutcome:
        if self._load_claims is None:
            return await self._store.rotate(command)
        # Loading may fail, so it comes before the rotation, which a retry could not always repeat.
        found = await self._store.lookup(self._engine.peek(command))
        if not isinstance(found, Found) or found.session.revoked_at is not None:
            return await self._store.rotate(command)
        try:
            fresh = await self._load(found.session.user_id)
        except UserInactive:
            revoke = self._engine.revoke_inactive(found.session.user_id, now=command.now)
            return Inactive(found.session, (await self._store.revoke_user(revoke)).ended)
        outcome = await self._store.rotate(command)
        return with_claims(outcome, fresh) if fresh is not None and isinstance(outcome, Granted) else outcome

    async def _renew(self, token: str, *, stepped_up: bool) -> AccessToken:
        claims = await self._claims_of_today(token)
        entropy = self._entropy(TOKEN_ENTROPY)
        plan = self._engine.renew(
            token, stepped_up=stepped_up, claims=claims, now=self._now(), entropy=entropy
        )
        return await self._run(plan, self._store.check)

    async def _claims_of_today(self, token: str) -> Mapping[str, Any] | None:
        """Ask the application about the user of a token, as a refresh does; None: its claims go on."""
        if self._load_claims is None:
            return None
        user_id = self.verify_access(token).user_id
        try:
            return await self._load(user_id)
        except UserInactive:
            await self._change(self._engine.end_inactive(user_id, now=self._now()), self._store.revoke_user)
            raise AccessTokenError(detail="inactive") from None

    async def _load(self, user_id: str) -> Mapping[str, Any] | None:
        """Ask the application for a user's claims of today; None: those that there are go on.

        Raises:
            UserInactive: The user may not go on.
        """
        load = self._load_claims
        try:
            loaded = KEEP_CLAIMS if load is None else load(user_id)
            claims = await loaded if inspect.isawaitable(loaded) else loaded
        except UserInactive:
            raise
        except Exception as error:  # the application's database may be out: that says nothing about a token
            raise no_claims(error) from error
        return self._engine.loaded_claims(claims)

    async def _authenticate(self, token: str, revocation: RevocationCheck | None) -> Principal[ClaimsT]:
        plan = self._engine.authenticate(token, judge=self._judge(revocation), now=self._now())
        return await self._run(plan, self._check)

    async def _check(self, command: Check) -> CheckOutcome:
        try:
            return await self._store.check(command)
        except StoreUnavailable as error:
            return self._unchecked(error)

    async def _follow(self) -> None:
        if self._follower is not None:
            await self._follower.start()

    async def _stop_following(self) -> None:
        if self._follower is not None:
            await self._follower.close()

    async def _history(self, command: History) -> Sequence[TrailEntry]:
        if command.user_id is not None:
            found = await self._store.lookup(Lookup(command.sid))
            if not isinstance(found, Found) or found.session.user_id != command.user_id:
                return ()
        return await self._audit.read(command)

    async def _confirm(self, confirm: Confirm) -> None:
        try:
            await self._ask(confirm, self._store.confirm)
        except BaseException as error:
            self._seen.failed(confirm)  # the next accepted token tries again
            if not isinstance(error, StoreError):  # that was told as an event
                raise
        else:
            self._seen.arrived(confirm)


def _ignore(_: int) -> None:
    """Take no notice of progress."""
