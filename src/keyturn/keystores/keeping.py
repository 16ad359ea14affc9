"""Changing the keys that all processes share: whole turns, emergencies, ends. It knows no kind of store.

A change is made on what was read, and kept only if nobody changed it meanwhile; else it is made again on what
is there then. So of two administrators who turn the keys at once, one turns them, and the other is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from keyturn._core.keyset import Algorithm
from keyturn._core.ring import KeyInfo, Ring
from keyturn._core.schedule import Times, TurnPlan, ended, replaced, signing, turned
from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.keys import KeyRing, new_entry
from keyturn.keystores.documents import check_sealed, existing, ring_of
from keyturn.keystores.protocol import Document, KeyStore
from keyturn.sealing import Seal, is_sealed, sealed
from keyturn.timed import SYSTEM_CLOCK, Clock

T = TypeVar("T")

_TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that is planned.

    Attributes:
        new: The key that is going to sign.
        old: The key that signs until then.
    """

    new: KeyInfo
    old: KeyInfo


@dataclass(frozen=True, slots=True)
class Replacement:
    """What an emergency did.

    Attributes:
        new: The key that signs now.
        dropped: The keys whose tokens are refused from now on, as they were before.
        kept: The keys that go on verifying.
    """

    new: KeyInfo
    dropped: tuple[KeyInfo, ...]
    kept: tuple[KeyInfo, ...]


class KeyKeeper:
    """Makes, turns and ends the keys in a key store. Every method reads, and most write: they block.

    Examples:
        >>> import tempfile
        >>> from keyturn import Policy
        >>> from keyturn.keystores import KeyKeeper, TurnPlan
        >>> from keyturn.keystores.files import FileKeyStore
        >>> keeper = KeyKeeper(FileKeyStore(f"{tempfile.mkdtemp()}/keys.json"), clock=lambda: 1000.0)
        >>> keeper.create("ES256")
        True
        >>> turn = keeper.rotate(TurnPlan.of(Policy()))
        >>> turn.new.state, turn.new.active_at, turn.old.verifying_at
        ('pending', 1600.0, 1600.0)
    """

    def __init__(self, store: KeyStore, *, seal: Seal | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        """Use a store.

        Args:
            store: Where the keys are; it stays the caller's.
            seal: What to encrypt them with; None: they are kept in clear.
            clock: Gives POSIX seconds.
        """
        self._store = store
        self._seal = seal
        self._clock = clock

    def create(self, alg: Algorithm, kid: str | None = None) -> bool:
        """Make a ring with one new key, unless there are keys.

        Args:
            alg: What it signs with.
            kid: Its name; random unless given.

        Returns:
            Whether this call made it: of many at once, one does.
        """
        return self._store.read() is None and self._store.replace(self._new(alg, kid), version=None)

    def start_over(self, alg: Algorithm) -> None:
        """Replace whatever is kept with a ring of one new key: every token until now is refused then.

        Unlike all other changes, it does not need to understand what is kept.

        Args:
            alg: What it signs with.
        """
        for _ in range(_TRIES):
            found = self._store.read()
            version = None if found is None else found.version
            new = self._new(alg, None, after=None if found is None else self._understood(found))
            if self._store.replace(new, version=version):
                return
        raise _too_busy()

    def load(self) -> KeyRing:
        """Give the keys as they are, to look at or to verify with: they follow no later change.

        Raises:
            ConfigurationError: There are none, or they cannot be read or decrypted.
            StoreError: The store cannot be asked.
        """
        now = self._clock()
        ring = ring_of(existing(self._store), self._store.where, self._seal, now)
        return KeyRing(ring, self._clock, now)

    def is_encrypted(self) -> bool:
        """Tell whether what is kept is encrypted."""
        found = self._store.read()
        return found is not None and is_sealed(found.data)

    def encrypt(self, seal: Seal | None) -> None:
        """Write the keys again, encrypted with something else than this keeper has.

        Args:
            seal: What to encrypt them with from now on; None: they are kept in clear.
        """
        self._change(lambda ring, _: (ring, None), seal, clear=True)

    def rotate(self, plan: TurnPlan, alg: Algorithm | None = None, kid: str | None = None) -> Turn:
        """Plan a whole turn: a new key is published now and signs later; then the old one drains and retires.

        Nothing more is to be done. Keys that were retired long ago are forgotten.

        Args:
            plan: How long each part takes: `TurnPlan.of(policy)` is safe for that policy.
            alg: The new key's algorithm; that of the one that signs unless given.
            kid: Its name; random unless given.

        Raises:
            ConfigurationError: A turn is under way, or the algorithm or the name is not acceptable.
            StoreError: The store cannot be asked.
        """

        def turn(ring: Ring, now: float) -> tuple[Ring, Turn]:
            active = signing(ring.schedule, now)
            entry = new_entry(alg or ring.find(active).key.alg, kid, Times(now))
            changed = ring.scheduled(turned(ring.schedule, entry.key.kid, now, plan), entry)
            old, new = _named(_infos(changed, now), active, entry.key.kid)
            return changed, Turn(new, old)

        return self._change(turn, self._seal)

    def replace(self, alg: Algorithm | None = None, *, everything: bool = False) -> Replacement:
        """Let a new key sign at once, and refuse all tokens of the one that signed: it has leaked.

        A key that was going to sign goes with it. Processes follow when they read the store next.

        Args:
            alg: The new key's algorithm; that of the one that signed unless given.
            everything: Drop the keys that only verify, too: they lay beside the one that has leaked.

        Raises:
            ConfigurationError: The algorithm is not acceptable.
            StoreError: The store cannot be asked.
        """

        def swap(ring: Ring, now: float) -> tuple[Ring, Replacement]:
            before = _infos(ring, now)
            entry = new_entry(alg or ring.find(signing(ring.schedule, now)).key.alg, None, Times(now))
            schedule = replaced(ring.schedule, entry.key.kid, now, everything=everything)
            changed = ring.scheduled(schedule, entry)
            *kept, new = _infos(changed, now)
            return changed, Replacement(
                new,
                tuple(info for info in before if info.kid not in schedule),
                tuple(info for info in kept if info.state != "retired"),
            )

        return self._change(swap, self._seal)

    def retire(self, kid: str, *, drain: float) -> KeyInfo:
        """Refuse a key's tokens from now on, where none can be alive; a turn to a key is called off so, too.

        Args:
            kid: The key.
            drain: How long the tokens live that it may have signed last, in seconds, where no turn has
                planned its end: `TurnPlan.of(policy).drain`.

        Returns:
            The key as it was.

        Raises:
            ConfigurationError: There is no such key, it signs now or in a moment, or its tokens may be alive.
            StoreError: The store cannot be asked.
        """

        def end(ring: Ring, now: float) -> tuple[Ring, KeyInfo]:
            ring.find(kid)
            (before,) = _named(_infos(ring, now), kid)
            return ring.scheduled(ended(ring.schedule, kid, now, drain)), before

        return self._change(end, self._seal)

    def _change(
        self, decide: Callable[[Ring, float], tuple[Ring, T]], seal: Seal | None, *, clear: bool = False
    ) -> T:
        """Make a change until nobody else was faster.

        Args:
            decide: Makes it, on the ring of a moment.
            seal: What to encrypt the result with.
            clear: Whether keys in clear are accepted, although there is something to decrypt them with.
        """
        for _ in range(_TRIES):
            now = self._clock()
            document = existing(self._store)
            if self._seal is not None and not clear:
                check_sealed(document, self._store.where)
            changed, result = decide(ring_of(document, self._store.where, self._seal, now), now)
            if self._store.replace(sealed(changed.next(now).to_json(), seal), version=document.version):
                return result
        raise _too_busy()

    def _understood(self, document: Document) -> Ring | None:
        try:
            return ring_of(document, self._store.where, self._seal, self._clock())
        except ConfigurationError:
            return None

    def _new(self, alg: Algorithm, kid: str | None, *, after: Ring | None = None) -> bytes:
        now = self._clock()
        serial = 0 if after is None else after.serial
        ring = Ring((new_entry(alg, kid, Times(now, active_at=now)),), serial)
        return sealed(ring.next(now).to_json(), self._seal)


def _infos(ring: Ring, now: float) -> list[KeyInfo]:
    return ring.infos(ring.at(now).states)


def _named(infos: list[KeyInfo], *kids: str) -> list[KeyInfo]:
    by_kid = {info.kid: info for info in infos}
    return [by_kid[kid] for kid in kids]


def _too_busy() -> StoreUnavailable:
    return StoreUnavailable("Others change the keys all the time; try again.", detail="contended")
