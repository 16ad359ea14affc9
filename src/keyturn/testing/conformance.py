"""The conformance kit: one suite that holds any store, of either colour, to its duties. It knows no engine.

A complete test of a store for threads is a subclass with a fixture:

```python
from collections.abc import Iterator

import pytest

from keyturn.testing.conformance import StoreConformance
from my_package import MyStore


class TestMyStore(StoreConformance):
    lacks = {"outage": "tested in test_my_outage.py, with a proxy that cuts the connection"}

    @pytest.fixture
    def store(self) -> Iterator[MyStore]:
        store = MyStore.connect("my-test-database")
        store.clear()
        yield store
        store.close()
```

For asyncio, what must be awaited runs in the kit's loop, which is where the store will be used:

```python
from keyturn.testing.conformance import LoopThread, StoreConformance


class TestMyAsyncStore(StoreConformance):
    @pytest.fixture
    def store(self, loop: LoopThread) -> Iterator[AsyncMyStore]:
        store = loop.run(AsyncMyStore.connect("my-test-database"))
        loop.run(store.clear())
        yield store
        loop.run(store.close())

    @pytest.fixture
    def away(self, loop: LoopThread) -> AsyncMyStore:
        return AsyncMyStore("an address at which nobody listens")
```

The kit needs pytest and no plugin of it. It sets every moment itself: no test sleeps, and none reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar, Final, Literal, TypeAlias, get_args

import pytest

from keyturn.stores.protocol import AsyncStore, Store
from keyturn.testing._duties.endings import EndingDuties
from keyturn.testing._duties.histories import HistoryDuties
from keyturn.testing._duties.logs import LogDuties, LogOutageDuties
from keyturn.testing._duties.outage import OutageDuties
from keyturn.testing._duties.races import RaceDuties
from keyturn.testing._duties.rotation import RotationDuties
from keyturn.testing._duties.sessions import SessionDuties
from keyturn.testing._duties.trails import TrailDuties, TrailOutageDuties
from keyturn.testing.colours import LoopThread, blocking

__all__ = ["Capability", "LoopThread", "StoreConformance"]

Capability: TypeAlias = Literal["races", "outage", "denials", "odd user ids", "trail", "log"]
"""What a store may lack, if it says why."""

_NEEDS: Final[Mapping[str, tuple[Capability, ...]]] = MappingProxyType(
    {
        **{name: ("races",) for name in vars(RaceDuties) if name.startswith("test_")},
        **{name: ("outage",) for name in vars(OutageDuties) if name.startswith("test_")},
        **{name: ("trail",) for name in vars(TrailDuties) if name.startswith("test_")},
        **{name: ("outage", "trail") for name in vars(TrailOutageDuties) if name.startswith("test_")},
        **{name: ("log",) for name in vars(LogDuties) if name.startswith("test_")},
        **{name: ("outage", "log") for name in vars(LogOutageDuties) if name.startswith("test_")},
        "test_user_ids_are_told_apart_exactly": ("odd user ids",),
        "test_a_denied_token_does_not_count": ("denials",),
        "test_a_denial_may_be_repeated": ("denials",),
        "test_a_purge_forgets_denials_of_expired_tokens_only": ("denials",),
    }
)


class StoreConformance(
    RotationDuties,
    EndingDuties,
    SessionDuties,
    RaceDuties,
    OutageDuties,
    HistoryDuties,
    TrailDuties,
    TrailOutageDuties,
    LogDuties,
    LogOutageDuties,
):
    """The suite. Subclass it with a name that starts with `Test`, and give it a `store`.

    Attributes:
        lacks: What the store cannot do, each with its reason, which the report of the run then shows.
            Nothing is left out that is not named here.
        examples: How many random histories are compared with the pure model.
        shrink: Whether a history that fails is made small.
    """

    lacks: ClassVar[Mapping[Capability, str]] = MappingProxyType({})

    @pytest.fixture
    def store(self) -> Store | AsyncStore:
        """Give an empty store. Override this."""
        pytest.fail(f"{type(self).__name__} must override the fixture `store`", pytrace=False)

    @pytest.fixture
    def away(self) -> Store | AsyncStore:
        """Give a store whose engine cannot be reached. Override this, or say in `lacks` why there is none."""
        pytest.fail(
            f'{type(self).__name__} must override the fixture `away`, or name "outage" in `lacks`',
            pytrace=False,
        )

    @pytest.fixture
    def loop(self) -> Iterator[LoopThread]:
        """Run the event loop that an asyncio store lives in, for one test."""
        with LoopThread() as loop:
            yield loop

    @pytest.fixture
    def subject(self, store: Store | AsyncStore, loop: LoopThread) -> Store:
        """Give the store with the face that the suite uses."""
        return blocking(store, loop)

    @pytest.fixture
    def unreachable(self, away: Store | AsyncStore, loop: LoopThread) -> Store:
        """Give the store that is away with the face that the suite uses."""
        return blocking(away, loop)

    @pytest.fixture(autouse=True)
    def only_what_the_store_can(self, request: pytest.FixtureRequest) -> None:
        """Leave out what the store has declared to lack, and say so in the run's report."""
        for capability, reason in self.lacks.items():
            if capability not in get_args(Capability) or not reason.strip():
                pytest.fail(f"lacks: {capability!r} is not known, or has no reason", pytrace=False)
        for needed in _NEEDS.get(request.node.originalname, ()):
            if needed in self.lacks:
                pytest.skip(f"the store lacks {needed}: {self.lacks[needed]}")

    def test_closing_twice_does_no_harm(self, subject: Store) -> None:
        """`close` may be repeated."""
        subject.close()
        subject.close()
