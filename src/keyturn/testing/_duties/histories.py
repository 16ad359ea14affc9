"""Duty 1 and 5: over any history, a store answers and holds what the pure model does. They know no engine.

The model is `MemoryStore`, which is nothing but `decide` and a dictionary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal, TypeAlias, assert_never, get_args

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from keyturn._core.commands import Check, Confirm, Deny, Lookup, Purge, Revoke, RevokeUser, Rotate, Where
from keyturn._core.outcomes import Created, Reused, Revocation
from keyturn._core.records import Session
from keyturn.stores.memory import MemoryStore
from keyturn.stores.protocol import Store
from keyturn.testing._duties.asking import by_id, empty, rows_of
from keyturn.testing.samples import (
    BRANCH,
    DAY,
    DIGEST,
    IDLE,
    OTHER_BRANCH,
    RACE,
    RECOVERY,
    REDEEM,
    ROW,
    SECOND,
    T0,
    digest_of,
    numbered,
    sign_in,
)

Act: TypeAlias = Literal[
    "sign in",
    "refresh",
    "confirm",
    "look up",
    "check",
    "revoke",
    "revoke user",
    "deny",
    "find",
    "delete",
    "purge",
]
_OFTEN: Final[tuple[Act, ...]] = ("refresh",) * 40 + (
    "confirm",
    "confirm",
    "confirm",
    "confirm",
    "sign in",
    "sign in",
    "check",
)
_PAUSES: Final = (
    *(0, 0, 0, 1, SECOND, SECOND, SECOND, RACE - 1, RACE - 1, RACE, RACE, RACE, RACE, RACE, -RACE, -1),
    *(RECOVERY - 1, RECOVERY, IDLE - 1, IDLE),
)
_USERS: Final = ("user-1", "user-2")
_STEPS: Final = 40
ANY: Final = 2


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a history; what does not concern its act is ignored.

    Attributes:
        act: What happens.
        after: Milliseconds since the step before; negative: the clock was set back.
        which: Which session it concerns: of the living, from the latest; `ANY`: any.
        user: Whom it concerns.
        ahead: How far the presented generation is ahead of the session's.
        branch: The presented branch; None: the one that the session has rotated from.
        right_secret: Whether the secret is the session's.
        strict: Whether both windows are 0.
        flag: A choice of the act: eviction, rotation, whole user.
        converge: Whether races converge.
        number: A small number for the act: a session limit, a token, a page.
    """

    act: Act
    after: int
    which: int
    user: str
    ahead: int
    branch: bytes | None
    right_secret: bool
    strict: bool
    flag: bool
    converge: bool
    number: int


_MOVES: Final = st.builds(
    Move,
    act=st.sampled_from(_OFTEN + get_args(Act)),
    after=st.sampled_from(_PAUSES),
    which=st.sampled_from([0, 0, 0, 0, 0, 1, 1, ANY]),
    user=st.sampled_from(_USERS),
    ahead=st.sampled_from([0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -2, 1, 2, 3]),
    branch=st.sampled_from([None, None, None, BRANCH, OTHER_BRANCH]),
    right_secret=st.sampled_from([True] * 15 + [False]),
    strict=st.sampled_from([False] * 7 + [True]),
    flag=st.sampled_from([True, True, True, False]),
    converge=st.sampled_from([True, True, True, False]),
    number=st.integers(1, 3),
)


class HistoryDuties:
    """What a store must do over time."""

    examples: ClassVar[int] = 40
    """How many histories are tried. A slow engine may want fewer, a nightly run more."""

    shrink: ClassVar[bool] = True
    """Whether a history that fails is made as small as it can be, which may take a minute."""

    def test_any_history_is_that_of_the_model(self, subject: Store) -> None:
        """Whatever happens in whatever order, answers and rows are those of the pure model."""

        @settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.nested_given,
            ],
            phases=[Phase.generate, Phase.shrink] if self.shrink else [Phase.generate],
        )
        @given(history=st.lists(_MOVES, min_size=15, max_size=_STEPS))
        def agree(history: list[Move]) -> None:
            empty(subject)
            model, sessions, now = MemoryStore(), [numbered(0)], T0
            for store in (model, subject):
                store.create(sign_in(sessions[0]))
            for drawn in history:
                now += drawn.after
                row = _concerned(model, drawn, sessions, now)
                act = "sign in" if drawn.act == "refresh" and row is None else drawn.act
                if act == "sign in":
                    row = replace(numbered(len(sessions), user_id=drawn.user), last_seen_at=now)
                    sessions.append(row)
                row, move = row or sessions[0], replace(drawn, act=act)
                assert _act(subject, move, row, now) == _act(model, move, row, now), move
            assert rows_of(subject) == list(model.find())

        agree()


def _concerned(model: Store, move: Move, sessions: list[Session], now: int) -> Session | None:
    """Give the session that a move is about: mostly one that lives, else any, perhaps gone."""
    if move.which == ANY:
        chosen = sessions[move.number % len(sessions)]
        return next((row for row in model.find() if row.sid == chosen.sid), chosen)
    living = model.find(Where(live_at=now))
    return living[-1 - move.which % len(living)] if living else None


def _act(store: Store, move: Move, row: Session, now: int) -> object:
    """Let a step happen to a store, and give the answer with sets of sessions in one order."""
    digest = DIGEST if move.right_secret else digest_of(b"a guess")
    bearer = row.sid if move.flag else None  # a token is of one session, or of none
    token = f"token-{move.number} of {bearer}"
    match move.act:
        case "sign in":
            command = replace(sign_in(row, limit=move.number, evict=move.flag), now=now)
            return _ordered(store.create(command))
        case "refresh":
            return _ordered(store.rotate(_refresh(move, row, digest, now)))
        case "confirm":
            store.confirm(Confirm(row.sid, max(0, row.gen + move.ahead), now))
            return None
        case "look up":
            return store.lookup(Lookup(row.sid, digest if move.flag else None))
        case "check":
            return store.check(Check(bearer, token, now))
        case "revoke":
            user = move.user if move.flag else None
            return _ordered(store.revoke(Revoke(row.sid, user, digest, "logout", now)))
        case "revoke user":
            return _ordered(
                store.revoke_user(RevokeUser(move.user, row.sid if move.flag else None, "user", now))
            )
        case "deny":
            store.deny(Deny(token, now + move.which * RACE, "test", now, bearer))
            return None
        case "find":
            where = Where(
                user_id=move.user if move.flag else None,
                live_at=now if move.converge else None,
                after=row.sid if move.strict else None,
                newest_first=move.number > 1,
            )
            return store.count(where), list(store.find(where, limit=move.number))
        case "delete":
            return store.delete([row.sid, ROW.sid])
        case "purge":
            return store.purge(Purge(before=now - DAY, now=now, limit=1000))
        case _:
            assert_never(move.act)


def _refresh(move: Move, row: Session, digest: bytes, now: int) -> Rotate:
    return replace(
        REDEEM,
        sid=row.sid,
        digest=digest,
        gen=max(0, row.gen + move.ahead),
        branch=row.parent_branch if move.branch is None else move.branch,
        now=now,
        race_window=0 if move.strict else RACE,
        recovery_window=0 if move.strict else RECOVERY,
        rotation=move.flag,
        converge=move.converge,
        whole_user=move.number == 1,
    )


def _ordered(outcome: object) -> object:
    match outcome:
        case Reused(others=others):
            return replace(outcome, others=tuple(by_id(others)))
        case Revocation(ended=ended):
            return replace(outcome, ended=tuple(by_id(ended)))
        case Created(evicted=evicted):
            return outcome, evicted
        case _:
            return outcome
