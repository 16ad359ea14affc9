"""What a store's answer means, for every operation but the refresh.

It knows no store, no clock and no token text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

from keyturn._core.access_claims import AccessClaims
from keyturn._core.commands import Confirm
from keyturn._core.minting import Material, Mint
from keyturn._core.outcomes import (
    CheckOutcome,
    Created,
    CreateOutcome,
    Denied,
    Ended,
    Forged,
    Found,
    LimitReached,
    Live,
    LookupOutcome,
    Revocation,
    Unchecked,
    Unknown,
)
from keyturn._core.records import Millis, Session
from keyturn._core.refreshing import revocations
from keyturn._core.steps import Settled
from keyturn._core.trail import TrailEntry
from keyturn.errors import AccessTokenError, InvalidToken, SessionLimitReached
from keyturn.events import Issued, SteppedUp
from keyturn.results import (
    AccessToken,
    ClaimsT,
    HistoryEntry,
    Principal,
    SessionInfo,
    TokenPair,
    describe,
    recount,
    rests_until,
)

if TYPE_CHECKING:
    from uuid import UUID


def settle_issue(pair: TokenPair, outcome: CreateOutcome) -> Settled[TokenPair]:
    """End a sign-in."""
    match outcome:
        case Created(session, evicted):
            at = session.created_at / 1000
            issued = Issued(at, session.user_id, str(session.sid), deepcopy(session.device))
            return Settled(pair, (issued, *revocations(evicted, at)))
        case LimitReached():
            return Settled(SessionLimitReached())
        case _:
            assert_never(outcome)


def settle_check(
    principal: Principal[ClaimsT], now: Millis, outcome: CheckOutcome
) -> Settled[Principal[ClaimsT]]:
    """End the check of an access token."""
    match outcome:
        case Live(None):
            return Settled(principal)
        case Live(Session() as session) if session.user_id == principal.user_id:
            confirmed = session.confirmed or session.gen != principal.generation
            return Settled(principal, confirm=confirmation(principal, session.sid, now), confirmed=confirmed)
        case Unchecked():
            return Settled(principal)
        case Denied():
            return Settled(AccessTokenError(detail="denied"))
        case Ended() | Unknown() | Live():
            return Settled(AccessTokenError(detail="revoked"))
        case _:
            assert_never(outcome)


def confirmation(principal: Principal[ClaimsT], sid: UUID | None, now: Millis) -> Confirm | None:
    """Give what the store should be told of an accepted token: its generation has reached its client."""
    gen = principal.generation
    return None if sid is None or gen is None else Confirm(sid, gen, now)


def settle_renew(
    outcome: CheckOutcome,
    *,
    mint: Mint,
    material: Material,
    known: AccessClaims,
    claims: Mapping[str, Any],
    stepped_up: bool,
    now: Millis,
    entropy: bytes,
) -> Settled[AccessToken]:
    """End a renewal: the old token's generation, and claims, within the session's limits.

    With `stepped_up`, the user has signed in again just now, and the new token says so.
    """
    match outcome:
        case Live(Session() as session) if session.user_id == known.subject:
            as_before = replace(session, gen=known.gen or 0, claims=dict(claims))
            moment = now // 1000 if stepped_up else known.auth_time
            token = mint.access_for(as_before, material, auth_time=moment, now=now, entropy=entropy)
            event = SteppedUp(now / 1000, session.user_id, str(session.sid))
            return Settled(token, (event,) if stepped_up else ())
        case Denied():
            return Settled(AccessTokenError(detail="denied"))
        case _:
            return Settled(AccessTokenError(detail="revoked"))


def settle_standing(user_id: str, outcome: CheckOutcome) -> Settled[bool]:
    """End the question whether what a token was accepted for stands."""
    match outcome:
        case Live(Session() as session):
            return Settled(session.user_id == user_id)
        case Live(None) | Unchecked():
            return Settled(result=True)
        case Denied() | Ended() | Unknown() | Live():
            return Settled(result=False)
        case _:
            assert_never(outcome)


def settle_inspect(now: Millis, outcome: LookupOutcome) -> Settled[SessionInfo]:
    """End the inspection of a refresh token."""
    match outcome:
        case Found(session):
            return Settled(describe(session, now=now))
        case Unknown() | Forged():
            return Settled(InvalidToken(detail="unknown_session"))
        case _:
            assert_never(outcome)


def settle_revoke(now: Millis, outcome: Revocation) -> Settled[bool]:
    """End the revocation of one session."""
    return Settled(outcome.found, revocations(outcome.ended, now / 1000))


def settle_revoke_user(now: Millis, outcome: Revocation) -> Settled[int]:
    """End the revocation of all sessions of a user."""
    lived = sum(rests_until(session) > now for session in outcome.ended)
    return Settled(lived, revocations(outcome.ended, now / 1000))


def settle_history(outcome: Sequence[TrailEntry]) -> Settled[list[HistoryEntry]]:
    """End the reading of a session's audit trail."""
    return Settled([recount(entry) for entry in outcome])
