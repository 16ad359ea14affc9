"""Duty 4: an engine that cannot be reached is `StoreUnavailable` and nothing else. They know no engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyturn._core.commands import Check, Confirm, Deny, Lookup, Purge, Revoke, RevokeUser
from keyturn.errors import StoreUnavailable
from keyturn.stores.protocol import Store
from keyturn.testing.samples import REDEEM, ROW, T0, sign_in


class OutageDuties:
    """What must happen where the engine is away."""

    def test_an_engine_that_is_away_is_said_to_be_unavailable(self, unreachable: Store) -> None:
        """Every method raises `StoreUnavailable`, with the engine's own error as its cause."""
        calls: list[Callable[[], object]] = [
            lambda: unreachable.create(sign_in(ROW)),
            lambda: unreachable.create(sign_in(ROW, limit=1)),
            lambda: unreachable.rotate(REDEEM),
            lambda: unreachable.lookup(Lookup(ROW.sid)),
            lambda: unreachable.check(Check(ROW.sid, "token", T0)),
            lambda: unreachable.confirm(Confirm(ROW.sid, 0, T0)),
            lambda: unreachable.revoke(Revoke(ROW.sid, None, None, "logout", T0)),
            lambda: unreachable.revoke_user(RevokeUser(ROW.user_id, None, "user", T0)),
            lambda: unreachable.deny(Deny("token", T0, "test", T0)),
            unreachable.find,
            unreachable.count,
            lambda: unreachable.delete([ROW.sid]),
            lambda: unreachable.purge(Purge(before=T0, now=T0, limit=1)),
        ]
        for call in calls:
            with pytest.raises(StoreUnavailable) as caught:
                call()
            assert caught.value.__cause__ is not None
            assert not isinstance(caught.value.__cause__, StoreUnavailable)
        unreachable.close()
