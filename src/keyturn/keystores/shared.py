"""The key ring that several processes share, as one of them sees it. It knows no token and no database."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from keyturn._core.keyset import Algorithm
from keyturn._core.ring import Ring
from keyturn._core.schedule import NEVER, PICK_UP
from keyturn.durations import Duration, seconds
from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.forks import in_forked_children
from keyturn.keystores.documents import check_sealed, existing, ring_of
from keyturn.keystores.keeping import KeyKeeper
from keyturn.keystores.urls import key_store_at
from keyturn.sealing import Seal, is_sealed
from keyturn.timed import SYSTEM_CLOCK, Clock, TimedKeys

if TYPE_CHECKING:
    from keyturn._core.ring import View
    from keyturn.keystores.protocol import Document, KeyStore

_LOG: Final = logging.getLogger("keyturn")


class SharedKeyRing(TimedKeys):
    """The keys of an issuer with many processes: made and turned in one place, followed by all. Thread-safe.

    It reads the key store at its start, and then from time to time in a thread of its own, which begins
    when it is first needed, also in a forked child. No request waits for that, but for the first one in a
    process that has been idle for more than a minute since its start.

    A turn is planned in advance, so all processes switch at one moment, also while the store cannot be
    asked. Until it can be asked again, the last good keys hold, and the log says so; a token whose key is
    unknown is not judged then (`StoreUnavailable`), because that key may have been made meanwhile.

    Examples:
        >>> import tempfile
        >>> from keyturn.keystores import KeyKeeper
        >>> from keyturn.keystores.files import FileKeyStore
        >>> store = FileKeyStore(f"{tempfile.mkdtemp()}/keys.json")
        >>> KeyKeeper(store).create("EdDSA", kid="2026-11")
        True
        >>> with SharedKeyRing(store) as ring:
        ...     ring
        SharedKeyRing(2026-11: EdDSA active)
    """

    def __init__(
        self,
        store: KeyStore,
        *,
        seal: Seal | None = None,
        refresh_every: Duration = "10s",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Read the keys.

        Args:
            store: Where they are; it is closed with the ring.
            seal: What they are encrypted with. Keys that are not encrypted are read all the same, but only
                here, and the log warns of them: later, such keys are refused, and encrypted ones that are
                older than those that were read.
            refresh_every: How often to look for changes: at most a minute, which is what a turn allows for.
            clock: Gives POSIX seconds.

        Raises:
            ConfigurationError: There are no keys, or they cannot be read or decrypted.
            StoreError: The store cannot be asked.
        """
        self._every = seconds(refresh_every, name="refresh_every")
        if not 0 < self._every <= PICK_UP:
            raise ConfigurationError("refresh_every must be more than 0, and at most a minute")
        self._store = store
        self._seal = seal
        self._closed = False
        self._trouble: str | None = None
        self._told_at = self._asked_at = self._retry_at = -NEVER
        now = clock()
        document = existing(store)
        if seal is not None and not is_sealed(document.data):
            _LOG.warning(
                "the keys in %s are in clear, although there is a secret to encrypt them with: whoever can "
                "write there chooses who signs; if they are yours, run `keyturn keys encrypt`",
                store.where,
            )
        self._looked = time.monotonic()
        self._begin_following()
        super().__init__(ring_of(document, store.where, seal, now), clock, now)
        self._version = document.version
        self._read_at = now
        in_forked_children(self, SharedKeyRing._begin_following)

    @classmethod
    def open(
        cls,
        place: str | Path,
        *,
        alg: Algorithm = "ES256",
        seal: Seal | None = None,
        refresh_every: Duration = "10s",
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Open the keys at a place, and make them where there are none: of many processes at once, one does.

        So they are made at an application's first start. Where they get lost later, new ones are made, and
        everybody has to sign in again: keep them as safe as the sessions.

        Args:
            place: A file such as `keys.json`, or the URL of a database: see `keyturn.keystores`.
            alg: What a new key signs with.
            seal: What they are encrypted with; None: they are kept in clear.
            refresh_every: How often to look for changes: at most a minute.
            clock: Gives POSIX seconds.

        Raises:
            ConfigurationError: They cannot be read, decrypted or made.
            StoreError: Their database cannot be asked.

        Examples:
            >>> import tempfile
            >>> place = f"{tempfile.mkdtemp()}/keys.json"
            >>> with SharedKeyRing.open(place) as one, SharedKeyRing.open(place) as other:
            ...     repr(one) == repr(other)
            True
        """
        store = key_store_at(place)
        with ExitStack() as undo:
            undo.callback(store.close)
            store.prepare()
            KeyKeeper(store, seal=seal, clock=clock).create(alg)
            ring = cls(store, seal=seal, refresh_every=refresh_every, clock=clock)
            undo.pop_all()
        return ring

    @property
    def failing(self) -> bool:
        """Whether the last reading failed, so that a change may not be known here."""
        return self._trouble is not None

    @property
    def read_at(self) -> float:
        """When the store was last read with success, POSIX seconds."""
        return self._read_at

    def may_miss_keys(self) -> bool:
        """Be told of an unknown `kid`: look for changes soon, and say whether it may be a key's all the same.

        That is so while the store cannot be read. The reading is the thread's, and unknown names cause no
        more than one in each pause between two: nobody can make a server read all the time.
        """
        now = time.monotonic()
        if now - self._asked_at >= self._every:
            self._asked_at = now
            self._wake.set()
        return self.failing or self._age() > PICK_UP

    def unread_for(self) -> float:
        """Tell for how many seconds a change of the keys may have gone unnoticed."""
        return self._age()

    def follow(self) -> None:
        """Begin to follow changes now, in the thread; it reads nothing itself, so an event loop may call it.

        What serves requests calls it when it starts, after the fork where there is one. Else the thread
        begins with the first request that needs it.
        """
        self._follow(read_first=False)

    def refresh(self) -> None:
        """Look for changes now; it blocks.

        Raises:
            ConfigurationError: The keys are gone, or cannot be read or decrypted.
            StoreError: The store cannot be asked.
        """
        with self._reading:
            document, now = existing(self._store), self._clock()
            if document.version != self._version:
                self._put(self._accepted(document, now), now)
                self._version = document.version
            elif self._is_ahead(now):  # the clock was set back
                self._put(self._held[0], now)
            self._read_at, self._looked = now, time.monotonic()

    def close(self) -> None:
        """End the thread, and close the store. The keys that are known go on to hold."""
        with self._starting:  # a thread that begins now is seen here, and none begins later
            self._closed = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread() and thread.is_alive():
            thread.join(_PATIENCE)
        self._store.close()

    def __enter__(self) -> Self:
        """Use the ring for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it after the block."""
        self.close()

    def _begin_following(self) -> None:
        """Begin without a thread, which the next look starts: a forked child has none of its parent's."""
        self._until = _AT_ONCE
        self._reading = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def _view(self) -> tuple[Ring, View]:
        # What was just read need not be followed yet: so a server that opens the ring and then forks has no
        # thread at the fork.
        if self._thread is None and not self._closed and self._age() >= self._every:
            self._follow(read_first=self._age() > PICK_UP)
        return super()._view()

    def _age(self) -> float:
        """Tell for how long nothing was read: a pause of this process, not a moment of the keys."""
        return time.monotonic() - self._looked

    def _put(self, ring: Ring | None, now: float) -> tuple[Ring, View]:
        held = super()._put(ring, now)
        if self._thread is None and not self._closed:
            self._until = _AT_ONCE
        return held

    def _follow(self, *, read_first: bool) -> None:
        """Begin the thread, unless there is one.

        Args:
            read_first: Whether to wait for one reading: after a long pause, others may sign with new keys.
        """
        with self._starting:
            if self._thread is not None or self._closed or time.monotonic() < self._retry_at:
                return
            if read_first:
                self._try_to_refresh()
            thread = threading.Thread(target=self._look_again, name="keyturn-keys", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # too many threads; the good keys hold, and it is tried again
                self._retry_at = time.monotonic() + self._every
                self._tell_of(error)
                return
            self._thread = thread
            self._put(None, _AT_ONCE)

    def _look_again(self) -> None:
        while not self._closed:
            self._try_to_refresh()
            self._wake.wait(self._every)
            self._wake.clear()

    def _try_to_refresh(self) -> None:
        try:
            self.refresh()
        except Exception as error:  # noqa: BLE001  (whatever it is, the last good keys hold)
            self._tell_of(error)
        else:
            if self._trouble is not None:
                self._trouble = None
                _LOG.info("the keys in %s can be read again", self._store.where)

    def _tell_of(self, error: Exception) -> None:
        """Log why the keys cannot be read: when that begins or changes, and now and then while it lasts."""
        reason = str(error) if isinstance(error, KeyturnError) else type(error).__name__
        now = time.monotonic()
        if reason != self._trouble or now - self._told_at >= _REMIND_AFTER:
            self._told_at = now
            where = self._store.where
            _LOG.warning("the keys in %s cannot be read, so the last known ones hold: %s", where, reason)
        self._trouble = reason

    def _is_ahead(self, now: float) -> bool:
        ring, view = self._held
        return ring.at(now).states != view.states

    def _accepted(self, document: Document, now: float) -> Ring:
        """Read a change. Where keys are encrypted, who can write the store must not choose them.

        Raises:
            ConfigurationError: It cannot be read, is in clear, or is an older document put back.
        """
        where = self._store.where
        if self._seal is None:
            return ring_of(document, where, None, now)
        check_sealed(document, where)
        ring = ring_of(document, where, self._seal, now)
        if ring.serial < self._held[0].serial:
            raise ConfigurationError(
                f"the keys in {where} are older than those that were read before: if you have put them back, "
                "start this process again"
            )
        return ring


_AT_ONCE: Final = -NEVER
_REMIND_AFTER: Final = 600.0  # seconds between two lines of the log about one trouble
_PATIENCE: Final = 30.0  # seconds, for a reading that is on its way
