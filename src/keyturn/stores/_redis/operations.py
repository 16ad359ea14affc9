"""The operations on one session or one user: one call each. They know no connection and no colour."""

from __future__ import annotations

import hmac
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from uuid import UUID

from keyturn._core.commands import RevokeUser
from keyturn._core.decide import as_first_told, converges
from keyturn._core.endings import revoked_by
from keyturn._core.ids import bucket_of_session, bucket_of_user
from keyturn._core.outcomes import (
    Ahead,
    Conflicted,
    Converged,
    Created,
    Denied,
    Ended,
    Forged,
    Found,
    Kept,
    LimitReached,
    Live,
    Reused,
    Revocation,
    Rotated,
    Unknown,
    Unproven,
)
from keyturn._core.records import ending
from keyturn._core.revocations import entries_of, entry_of_denial
from keyturn.errors import InvalidInput, StoreUnavailable
from keyturn.stores._redis import scripts
from keyturn.stores._redis.calls import Call, always
from keyturn.stores._redis.driver import Anything
from keyturn.stores._redis.keys import storable
from keyturn.stores._redis.rows import (
    LETTERS,
    denies,
    is_moment,
    pack,
    pack_denial,
    unpack,
    unpack_all,
)
from keyturn.stores._redis.stream import tell

if TYPE_CHECKING:
    from keyturn._core.commands import Check, Confirm, Create, Deny, Lookup, Revoke, Rotate
    from keyturn._core.outcomes import CheckOutcome, CreateOutcome, LookupOutcome, RotateOutcome
    from keyturn._core.records import Millis, Session
    from keyturn.stores._redis.calls import Operation
    from keyturn.stores._redis.keys import Keys
    from keyturn.stores._redis.stream import Stream

# How much longer than its token a denial is kept: servers whose clocks are behind still accept the token.
SKEW: Final = 5 * 60_000
BRANCH_BYTES: Final = 8
ENDED_EARLIER: Final = 2
AGAIN: Final = b"Again"  # before the answer to a refresh that was sent a second time


def create(keys: Keys, stream: Stream, retention: Millis, command: Create) -> Operation[CreateOutcome]:
    """See `Store.create`."""
    session = command.session
    if bucket_of_session(session.sid) != bucket_of_user(storable(session.user_id)):
        raise InvalidInput(
            "The session's id does not carry its user's bucket: make it with keyturn's session_id().",
            detail="wrong_bucket",
        )
    # The longer of the two, because a session may be stored after its end, where clocks disagree.
    keep_for = max(session.expires_at - _moment(command.now), 0) + retention
    reply = yield Call(
        scripts.CREATE,
        (keys.session(session.sid), keys.index(session.user_id), *stream.beside),
        (
            pack(session),
            command.now,
            keep_for,
            session.expires_at + retention,
            -1 if command.limit is None else command.limit,
            int(command.evict),
        ),
        repeatable=False,
    )
    match reply:
        case [b"LimitReached", live]:
            return LimitReached(live)
        case [b"Created", *pairs]:
            outcome = Created(session, unpack_all(pairs))
            yield from tell(stream, revoked_by(outcome), insists=False)
            return outcome
        case _:
            raise StoreUnavailable("This session id is taken.", detail="taken")


def rotate(keys: Keys, stream: Stream, command: Rotate) -> Operation[RotateOutcome]:
    """See `Store.rotate`."""
    if len(command.branch) > BRANCH_BYTES:
        raise InvalidInput("A branch has at most 8 bytes.", detail="not_storable")
    reply = yield Call(
        scripts.ROTATE,
        (keys.session(command.sid), *stream.beside),
        (
            command.digest,
            command.gen,
            command.branch,
            storable(command.jkt or ""),
            _moment(command.now),
            command.race_window,
            command.recovery_window,
            int(command.rotation),
            int(command.converge),
            int(command.whole_user),
        ),
        repeatable=converges(command),
        again=lambda reply: [AGAIN, *reply],
        waits=_is_reuse,
        insists=False,  # a repetition would find the session ended, and nobody would learn of the reuse
    )
    again = reply[0] == AGAIN
    outcome = _outcome(command.sid, reply[1:] if again else reply)
    if again:
        outcome = as_first_told(command, outcome)
    if stream.sharded:
        if again and command.whole_user and isinstance(outcome, Reused):
            yield from _tell_of_others(keys, stream, outcome.session.user_id, command.now)
        yield from tell(stream, revoked_by(outcome), insists=False)
    return outcome


def _tell_of_others(keys: Keys, stream: Stream, user_id: str, now: Millis) -> Operation[None]:
    """Write the lines of those who ended with a reuse, where the answer that named them was lost."""
    with suppress(StoreUnavailable):
        yield from revoke_user(keys, stream, RevokeUser(user_id, None, "reuse", now))


def _outcome(sid: UUID, reply: list[Anything]) -> RotateOutcome:
    if reply[0] == b"Unknown":
        return Unknown()
    name, detail, row, *others = reply
    session = unpack(sid, row)
    match name:
        case b"Rotated":
            return Rotated(session, lost=detail)
        case b"Kept":
            return Kept(session)
        case b"Converged":
            return Converged(session, detail.decode())
        case b"Conflicted":
            return Conflicted(session, detail.decode())
        case b"Ended":
            return Ended(session, first=bool(detail))
        case b"Reused":
            return Reused(session, detail.decode(), _sorted(others))
        case b"Unproven":
            return Unproven(session)
        case b"Forged":
            return Forged(session)
        case _:
            return Ahead(session, detail)


def lookup(keys: Keys, command: Lookup) -> Operation[LookupOutcome]:
    """See `Store.lookup`."""
    key = keys.session(command.sid)
    row = yield Call(None, (key,), ("GET", key))
    if row is None:
        return Unknown()
    session = unpack(command.sid, row)
    if command.digest is not None and not hmac.compare_digest(session.secret_digest, command.digest):
        return Forged(session)
    return Found(session)


def check(keys: Keys, command: Check) -> Operation[CheckOutcome]:
    """See `Store.check`."""
    denial = keys.denial(command.sid, command.token_id)
    if command.sid is None:
        denied = yield Call(None, (denial,), ("GET", denial))
        return Denied() if denies(denied, command.now) else Live(None)
    key = keys.session(command.sid)
    denied, row = yield Call(None, (key,), ("MGET", denial, key))
    if denies(denied, command.now):
        return Denied()
    if row is None:
        return Unknown()
    session = unpack(command.sid, row)
    return Live(session) if ending(session, command.now) is None else Ended(session, first=False)


def confirm(keys: Keys, command: Confirm) -> Operation[None]:
    """See `Store.confirm`."""
    yield Call(scripts.CONFIRM, (keys.session(command.sid),), (command.gen, _moment(command.now)))


def revoke(keys: Keys, stream: Stream, command: Revoke) -> Operation[Revocation]:
    """See `Store.revoke`."""
    owner = "" if command.user_id is None else f"={storable(command.user_id)}"
    found, *row = yield Call(
        scripts.REVOKE,
        (keys.session(command.sid), *stream.beside),
        (_moment(command.now), LETTERS[command.reason], owner, command.digest or b""),
        repeatable=False,
        waits=always,
    )
    yield from tell(stream, entries_of([command.sid] if row or found == ENDED_EARLIER else []))
    return Revocation(bool(found), tuple(unpack(command.sid, each) for each in row))


def revoke_user(keys: Keys, stream: Stream, command: RevokeUser) -> Operation[Revocation]:
    """See `Store.revoke_user`."""
    pairs, earlier = yield Call(
        scripts.REVOKE_USER,
        (keys.index(command.user_id), *stream.beside),
        (
            keys.base(command.user_id),
            _moment(command.now),
            LETTERS[command.reason],
            b"" if command.keep is None else command.keep.bytes,
            int(stream.sharded),
        ),
        repeatable=False,
        waits=always,
    )
    ended = _sorted(pairs)
    sids = (UUID(bytes=sid) for sid in (*earlier, *pairs[::2]))
    yield from tell(stream, entries_of(sids))
    return Revocation(bool(ended), ended)


def deny(keys: Keys, stream: Stream, command: Deny) -> Operation[None]:
    """See `Store.deny`."""
    yield Call(
        scripts.DENY,
        (keys.denial(command.sid, command.token_id), *stream.beside),
        (
            pack_denial(command.expires_at, command.now, command.reason),
            command.expires_at,
            max(command.expires_at - command.now, 0) + SKEW,
            command.token_id,
        ),
        waits=always,
    )
    yield from tell(stream, [entry_of_denial(command.token_id)])


def _is_reuse(reply: Anything) -> bool:
    return bool(reply[0] == b"Reused")


def _sorted(pairs: list[bytes]) -> tuple[Session, ...]:
    return tuple(sorted(unpack_all(pairs), key=lambda session: session.sid))


def _moment(now: Millis) -> Millis:
    if not is_moment(now):
        raise InvalidInput("A moment must be between 1970 and the year 10000.", detail="not_storable")
    return now
