"""What both managers share: engine, clock, randomness, subscriptions. It knows no store and no colour."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar

from keyturn._core.access_engine import Standing
from keyturn._core.claims import codec_for
from keyturn._core.commands import Confirm, Deny, Forget, Purge, Revoke, RevokeUser
from keyturn._core.endings import learned_from
from keyturn._core.engine import TOKEN_ENTROPY, Engine
from keyturn._core.ids import UUID7_BYTES, parse_session_id
from keyturn._core.inputs import check_batch
from keyturn._core.minting import KeySource
from keyturn._core.outcomes import CheckOutcome, Revocation, Unchecked
from keyturn._core.records import Millis, Session
from keyturn._core.steps import Settled, Step
from keyturn._core.trail import Line, entry_of
from keyturn._core.verified import Verified
from keyturn.audit import AsyncAudit, Audit
from keyturn.deferred import Tasks, Worker
from keyturn.durations import Duration, milliseconds, seconds
from keyturn.errors import ConfigurationError, KeyturnError, StoreError
from keyturn.errors import StoreUnavailable as StoreOutage
from keyturn.events import AuditLost, StoreUnavailable
from keyturn.following import AsyncFollower, Follower
from keyturn.policy import Policy, RevocationCheck
from keyturn.publishing import Events
from keyturn.results import ClaimsT, Principal, RefreshTokenInfo, SessionInfo, describe
from keyturn.revocation import RevocationView
from keyturn.seen import Seen
from keyturn.watchers import Watchers

CommandT = TypeVar("CommandT")
OutcomeT = TypeVar("OutcomeT")
ResultT = TypeVar("ResultT")

_LOG: Final = logging.getLogger("keyturn")
_QUIET: Final = 10.0  # seconds between two lines about an outage: each request meets it

DEFAULT_RETENTION: Final = "60d"
DEFAULT_BATCH: Final = 1000
_ASKED: Final = ("create", "rotate", "check", "close")
MAX_SESSIONS_LISTED: Final = 1000
MAX_LINES_LISTED: Final = 10_000  # a session of 90 days that rotates every 15 minutes leaves 8,640


class ManagerBase(Generic[ClaimsT]):
    """What the twins share: the engine, the clock, the randomness and the subscriptions."""

    def __init__(
        self,
        *,
        keys: KeySource,
        policy: Policy | None,
        issuer: str,
        audience: str,
        claims: type[ClaimsT] | None,
        clock: Callable[[], float],
        entropy: Callable[[int], bytes],
        defer: Callable[[Awaitable[Any]], object],
        trail: Audit | AsyncAudit,
        follower: Follower | AsyncFollower | None,
    ) -> None:
        """See `TokenManager`.

        `defer` has an awaitable run off the critical path, `trail` takes lines, `follower` knows what is
        revoked; without one the store is asked each time.
        """
        _check_keys(keys)
        self._engine: Engine[ClaimsT] = Engine(
            keys=keys,
            policy=Policy() if policy is None else policy,
            issuer=issuer,
            audience=audience,
            codec=codec_for(claims),
            audited=trail.trail is not None,
        )
        self._keys = keys
        self._clock = clock
        self._entropy = entropy
        self._seen = Seen()
        self._logged_at = float("-inf")
        self._trail = trail
        self._following = follower
        self._view = None if follower is None else follower.view
        self.watchers = Watchers() if self._view is None else self._view.watchers
        self.events = Events(defer)

    @property
    def policy(self) -> Policy:
        """The policy that this manager works under."""
        return self._engine.policy

    @property
    def issuer(self) -> str:
        """The `iss` of its access tokens."""
        return self._engine.issuer

    @property
    def audience(self) -> str:
        """The `aud` of its access tokens."""
        return self._engine.audience

    @property
    def audit_lost(self) -> int:
        """How many lines of the audit trail could not be kept since this manager began."""
        return self._trail.lines.lost

    @property
    def revocations(self) -> RevocationView | None:
        """What this process knows to be revoked; None where the store is asked each time."""
        return self._view

    def jwks(self) -> dict[str, Any]:
        """Give the public keys as a JWK Set (RFC 7517, section 5); it is empty for symmetric keys."""
        return self._keys.jwks()

    def dump_claims(self, claims: ClaimsT) -> dict[str, Any]:
        """Give an application's claims as the JSON object that they are in a token."""
        return dict(self._engine.codec.dump(claims))

    def now(self) -> float:
        """The manager's time, POSIX seconds."""
        return self._clock()

    def use_clock(self, clock: Callable[[], float]) -> Callable[[], float]:
        """Go by another clock from now on, and give the one before: for tests, which turn time.

        It is one exchange for all that the manager does, following the revocation log included. Nothing else
        has to be told: what is remembered (verified tokens, the view of what is revoked) is compared with the
        moment whenever it is asked for, and the log is read anew where a clock is set back. A key ring has a
        clock of its own.

        Args:
            clock: Gives POSIX seconds.

        Returns:
            The clock before, to be given back.
        """
        before, self._clock = self._clock, clock
        return before

    def _now(self) -> Millis:
        """The manager's time in the core's unit."""
        return round(self._clock() * 1000)

    def verify_access(self, token: str) -> Principal[ClaimsT]:
        """Accept an access token on its signature and claims alone, without I/O: revocations do not count.

        Args:
            token: The access token.

        Raises:
            AccessTokenError: It is not acceptable; `detail` says by which rule.
        """
        return self._engine.verify_access(token, now=self._now())

    def verify_refresh(self, token: str) -> RefreshTokenInfo:
        """Accept a refresh token on its tag alone, without I/O and without redeeming it.

        Args:
            token: The refresh token.

        Raises:
            InvalidToken: None of our keys made it.
        """
        return self._engine.verify_refresh(token)

    def sign_access(
        self,
        user_id: str,
        *,
        claims: ClaimsT | Mapping[str, Any] | None = None,
        ttl: Duration | None = None,
    ) -> str:
        """Sign an access token that belongs to no session, without I/O. It can be denied, but not revoked.

        Args:
            user_id: Its `sub`.
            claims: The application's claims.
            ttl: Its lifetime; None: the policy's `access_ttl`.

        Raises:
            InvalidInput: A value is not usable.
        """
        return self._engine.sign_access(
            user_id, claims=claims, ttl=ttl, now=self._now(), entropy=self._entropy(TOKEN_ENTROPY)
        )

    def _outage(self, operation: str, error: StoreError) -> None:
        """Tell the application that the store could not be asked; the log too, now and then."""
        now = self._clock()
        if not 0 <= now - self._logged_at < _QUIET:
            self._logged_at = now
            cause = "" if error.__cause__ is None else f" ({type(error.__cause__).__name__})"
            reason = error.detail or error
            _LOG.warning("keyturn: the store cannot be asked: %s: %s%s", operation, reason, cause)
        self.events.publish(StoreUnavailable(self._clock(), operation, error.detail))

    def _lost(self, count: int, total: int) -> None:
        """Tell the application that lines of the audit trail were lost."""
        self.events.publish(AuditLost(self._clock(), count, total))

    def _note(self, lines: Sequence[Line]) -> None:
        """Have lines of the audit trail written, off the critical path."""
        if lines:
            self._trail.add([entry_of(line, self._entropy(UUID7_BYTES)) for line in lines])

    def _settle(self, step: Step[CommandT, OutcomeT, ResultT], outcome: OutcomeT) -> Settled[ResultT]:
        """Turn what the store answered into what it means, and keep its lines of the audit trail."""
        if step.trail is not None:
            self._note(step.trail(outcome))
        if self._view is not None:  # here at once, before the log is read again
            self._view.learn(learned_from(step.command, outcome), self._clock())
            if isinstance(outcome, Revocation) and not outcome.ended:
                self._doubt(step.command)
        elif self.watchers:
            self.watchers.tell(learned_from(step.command, outcome))
        return step.settle(outcome)

    def _doubt(self, command: object) -> None:
        """Trust the view again when the log was read, where nobody knows what a command has ended.

        Its answer was lost, or it found what another process had ended just before.
        """
        if self._following is not None and isinstance(command, Revoke | RevokeUser | Deny):
            self._following.doubt()

    def _confirm_soon(self, lane: Worker | Tasks, confirm: Confirm, work: Callable[[], Any]) -> None:
        """Have the store told of a generation off the critical path; where that cannot be, after a pause."""
        try:
            lane.submit(work, dropped=partial(self._seen.failed, confirm))
        except RuntimeError:  # the system has no thread left
            self._seen.failed(confirm)

    def _known(self, token: str, revocation: RevocationCheck | None) -> Principal[ClaimsT] | None:
        """Accept an access token that was verified before, where neither the store nor a key must be asked.

        Args:
            token: What a client sent.
            revocation: How to check it; None: as the policy says.
        """
        now, verifier = self._clock(), self._engine.verifier
        known = verifier.known(token, now)
        if known is None or not (known.told or self._is_told(known)):
            return None
        principal = known.principal
        check: str = revocation or self.policy.revocation
        match check:
            case "view":
                view = self._view
                if view is None or not view.clears(
                    principal.session_id, principal.token_id, principal.issued_at, now
                ):
                    return None
            case "strict":
                return None
            case "none":
                pass
            case _:
                raise wrong_check(check)
        return verifier.principal_of(known)

    def _is_told(self, known: Verified[ClaimsT]) -> bool:
        """Tell whether the store has been told that a token's generation was seen; then it stays told."""
        principal = known.principal
        sid = parse_session_id(principal.session_id)
        known.told = sid is not None and self._seen.knows(sid, principal.generation or 0)
        return known.told

    def _judge(self, revocation: RevocationCheck | None) -> Callable[[Principal[ClaimsT]], Standing]:
        """Give what says whether a verified token still counts; where it does not, the store is asked."""
        check: str = revocation or self.policy.revocation
        match check:
            case "view":
                return self._look_up
            case "strict":
                return self._refuse_known
            case "none":
                return _clear
            case _:
                raise wrong_check(check)

    def _refuse_known(self, principal: Principal[ClaimsT]) -> Standing:
        """Ask the store, but for what is known to be revoked: that stays so, also where the store is out."""
        view = self._view
        known = view is not None and view.revoked(principal.session_id, principal.token_id)
        return "revoked" if known else "unknown"

    def _look_up(self, principal: Principal[ClaimsT]) -> Standing:
        if self._view is None or self._following is None:
            return "unknown"
        standing = self._view.standing(
            principal.session_id, principal.token_id, principal.issued_at, self._clock()
        )
        if standing == "unknown":
            self._following.ensure()
        return standing

    def _publish(self, settled: Settled[ResultT]) -> ResultT:
        """End an operation: tell what happened, then return or raise."""
        for event in settled.events:
            self.events.publish(event)
        if isinstance(settled.result, KeyturnError):
            raise settled.result
        return settled.result

    def _unchecked(self, error: StoreOutage) -> CheckOutcome:
        """Let an access token pass while the store is out, where the policy says so by name."""
        if self.policy.on_store_error != "allow":
            raise error
        self._outage("check", error)
        return Unchecked()

    def _cannot_follow(self, error: StoreError) -> None:
        """Tell the application that the revocation log cannot be read, so that the store is asked instead."""
        self._outage("follow", error)

    def _describe(self, sessions: Sequence[Session], now: Millis, current: str | None) -> list[SessionInfo]:
        """Turn rows into what a person may see."""
        return [describe(session, now=now, current=current) for session in sessions]

    def _purge(self, retention: Duration, batch: int) -> Purge:
        """Give the command that removes one batch."""
        now = self._now()
        return Purge(now - milliseconds(seconds(retention, name="retention")), now, check_batch(batch))

    def _forget(self, purge: Purge) -> Forget:
        """Give the command that removes one batch of old lines of the audit trail beside a purge."""
        kept = self.policy.audit_retention
        return Forget(None if kept is None else purge.now - milliseconds(kept), purge.limit)


def check_store(store: object, *, awaited: bool) -> None:
    """Accept a store that a manager can ask.

    Args:
        store: What the application gives.
        awaited: Whether its answers are awaited.

    Raises:
        ConfigurationError: It is of the other colour; a class; or no store.
    """
    if isinstance(store, type):
        raise ConfigurationError(f"store must be a store, such as {store.__name__}(…), not the class itself")
    methods = [getattr(store, name, None) for name in _ASKED]
    if not all(callable(method) for method in methods):
        raise ConfigurationError(
            f"store must be a store, such as MemoryStore(), not a {type(store).__name__}"
        )
    if not awaited and any(inspect.iscoroutinefunction(method) for method in methods):
        raise ConfigurationError(f"{type(store).__name__} is a store for asyncio: use AsyncTokenManager")
    if awaited and all(_is_plain(method) for method in methods):
        raise ConfigurationError(f"{type(store).__name__} is a store for threads: use TokenManager")


def _is_plain(method: object) -> bool:
    """Tell whether a function surely gives nothing to await; of what else can be called, nobody knows."""
    return inspect.isroutine(method) and not inspect.iscoroutinefunction(method)


def _check_keys(keys: object) -> None:
    """Accept what holds keys.

    Raises:
        ConfigurationError: It holds none; a secret itself, which must not be in the error, is no key ring.
    """
    known = inspect.getattr_static(keys, "current", None)  # statically: reading it may read a key store
    if isinstance(keys, type) or (known is None and not callable(getattr(keys, "jwks", None))):
        kind = f"the class {keys.__name__}" if isinstance(keys, type) else f"a {type(keys).__name__}"
        raise ConfigurationError(
            f"keys must be a key ring, not {kind}: KeyRing.from_secret(…) makes one of a secret, "
            "KeyRing.generate() a new one"
        )


def no_claims(error: Exception) -> StoreOutage:
    """Log why an application's `load_claims` failed, which no client is told, and give what to raise."""
    _LOG.error("keyturn: load_claims failed, so a refresh was answered with an outage", exc_info=error)
    return StoreOutage("The user's claims cannot be loaded right now; try again.")


def wrong_check(check: str) -> ConfigurationError:
    """Give what to raise for a way of checking that there is not."""
    return ConfigurationError(f"revocation must be one of view, strict, none, not {check!r}")


def _clear(_: object) -> Standing:
    return "clear"
