"""What a store's answer to a refresh means for the caller, and which events it causes.

It knows no store and no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, assert_never

from keyturn._core.keyset import Key
from keyturn._core.minting import Material, Mint, successor
from keyturn._core.outcomes import (
    Ahead,
    Conflicted,
    Converged,
    Ended,
    Forged,
    Granted,
    Inactive,
    Kept,
    RefreshOutcome,
    Reused,
    Rotated,
    Unknown,
    Unproven,
)
from keyturn._core.records import Millis, Session
from keyturn._core.refresh_tokens import RefreshToken, branch_of
from keyturn._core.steps import Settled
from keyturn.errors import (
    ExpiredToken,
    InvalidProof,
    InvalidToken,
    RefreshConflict,
    ReusedToken,
    RevokedToken,
)
from keyturn.events import (
    Event,
    RefreshConverged,
    Refreshed,
    RefreshForged,
    RefreshRejected,
    ReuseDetected,
    Revoked,
    SessionExpired,
    StoreRolledBack,
)
from keyturn.results import TokenPair


class Refresh(NamedTuple):
    """One refresh, from the token presented to its end. A tuple for the reason that `AccessClaims` is one.

    Attributes:
        mint: Makes the tokens.
        material: The keys of the moment.
        presented: The token presented, as read.
        text: The token presented, as sent.
        key: The key it was under.
        context: What is known of the client.
        rotation: The policy's.
        now: The moment.
        entropy: Randomness for the access token.
    """

    mint: Mint
    material: Material
    presented: RefreshToken
    text: str
    key: Key
    context: str
    rotation: bool
    now: Millis
    entropy: bytes

    def __repr__(self) -> str:
        """Show neither the token nor the client."""
        return f"Refresh({self.presented!r}, key={self.key!r}, now={self.now})"

    def settle(self, outcome: RefreshOutcome) -> Settled[TokenPair]:
        """End the refresh."""
        at = self.now / 1000
        match outcome:
            case Rotated() | Kept():  # first, because it is what nearly all end in
                return self._grant(outcome, at)
            case Unknown():
                return Settled(
                    InvalidToken(detail="unknown_session"),
                    (RefreshRejected(at, "unknown_session", str(self.presented.sid)),),
                )
            case Unproven(session):
                return Settled(
                    InvalidProof(detail="proof"), (RefreshRejected(at, "proof", str(session.sid)),)
                )
            case Forged(session):
                forged = RefreshForged(at, session.user_id, str(session.sid), self.key.kid)
                return Settled(InvalidToken(detail="forged"), (forged,))
            case Ended(session, first):
                return _settle_ended(session, at, first=first)
            case Inactive(session, ended):
                rejected = RefreshRejected(at, "inactive", str(session.sid))
                return Settled(RevokedToken(detail="inactive"), (rejected, *revocations(ended, at)))
            case Converged(session, kind):
                converged = RefreshConverged(at, session.user_id, str(session.sid), session.gen, kind)
                return Settled(self._successor_pair(session), (converged,))
            case Conflicted(session):
                rejected = RefreshRejected(at, "conflict", str(session.sid))
                return Settled(RefreshConflict(detail="conflict"), (rejected,))
            case Reused(session, kind, others):
                reuse = ReuseDetected(at, session.user_id, str(session.sid), session.gen, kind, len(others))
                return Settled(ReusedToken(detail=kind), (reuse, *revocations((session, *others), at)))
            case Ahead(session, by):
                lost = StoreRolledBack(at, session.user_id, str(session.sid), by, recovered=False)
                return Settled(InvalidToken(detail="ahead"), (lost,))
            case _:
                assert_never(outcome)

    def _grant(self, outcome: Rotated | Kept, at: float) -> Settled[TokenPair]:
        session, migrated = outcome.session, self.key.kid != self.material.active.kid
        # A token that never rotates is written anew under the active key, or it would end with its old one.
        stays = isinstance(outcome, Kept) and (self.rotation or not migrated)
        pair = self._same_pair(session) if stays else self._successor_pair(session)
        user, sid = session.user_id, pair.session_id
        refreshed = Refreshed(at, user, sid, session.gen, not stays, migrated and not stays)
        if isinstance(outcome, Rotated) and outcome.lost:
            return Settled(pair, (refreshed, StoreRolledBack(at, user, sid, outcome.lost, recovered=True)))
        return Settled(pair, (refreshed,))

    def _same_pair(self, session: Session) -> TokenPair:
        return self._pair(session, self.text, rotated=False)

    def _successor_pair(self, session: Session) -> TokenPair:
        same = session.gen == self.presented.gen
        branch = (
            self.presented.branch
            if same
            else branch_of(self.presented.secret, session.sid, session.gen, self.context)
        )
        token = successor(self.presented, session, branch)
        return self._pair(session, self.material.refresh.encode(token, self.material.active), rotated=True)

    def _pair(self, session: Session, refresh: str, *, rotated: bool) -> TokenPair:
        return self.mint.pair(
            session, refresh, self.material, rotated=rotated, now=self.now, entropy=self.entropy
        )


def with_claims(outcome: Granted, claims: Mapping[str, Any]) -> Granted:
    """Put fresh claims in place of those of the sign-in, for the tokens that this outcome leads to."""
    return replace(outcome, session=replace(outcome.session, claims=claims))


def revocations(sessions: tuple[Session, ...], at: float) -> tuple[Revoked, ...]:
    """Give the events of sessions that were ended."""
    return tuple(Revoked(at, s.user_id, str(s.sid), s.revoked_reason or "revoked") for s in sessions)


def _settle_ended(session: Session, at: float, *, first: bool) -> Settled[TokenPair]:
    match session.revoked_reason:
        case "idle" | "absolute" as limit:
            event: Event = (
                SessionExpired(at, session.user_id, str(session.sid), limit)
                if first
                else RefreshRejected(at, "expired", str(session.sid))
            )
            return Settled(ExpiredToken(detail=limit), (event,))
        case _:
            return Settled(
                RevokedToken(detail="revoked"), (RefreshRejected(at, "revoked", str(session.sid)),)
            )
