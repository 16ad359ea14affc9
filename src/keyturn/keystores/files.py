"""Keys in a file that all processes of a machine read. It knows no key."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from keyturn._core.ring import MAX_DOCUMENT_BYTES
from keyturn.errors import ConfigurationError, StoreUnavailable
from keyturn.files import read_file, remove_leftovers, resolved, write_private_file
from keyturn.keystores.protocol import Document

__all__ = ["FileKeyStore"]

_WHAT: Final = "key file"
_PATIENCE: Final = 5.0  # seconds for another who is writing
_PAUSE: Final = 0.01


class FileKeyStore:
    """A key store in a file of mode 0600, replaced at once: a crash leaves the old one or the new one, whole.

    Examples:
        >>> import tempfile
        >>> store = FileKeyStore(f"{tempfile.mkdtemp()}/keys.json")
        >>> store.replace(b"{}", version=None), store.replace(b"{}", version=None)
        (True, False)
    """

    def __init__(self, path: str | Path, *, unsafe_allow_readable_by_others: bool = False) -> None:
        """Use a file, which need not be there yet.

        Args:
            path: The file. Its folder must be there.
            unsafe_allow_readable_by_others: Accept a file that its group or others may read.
        """
        self._path = Path(path)
        self._private = not unsafe_allow_readable_by_others

    @property
    def where(self) -> str:
        """See `KeyStore.where`."""
        return str(self._path)

    def prepare(self) -> None:
        """See `KeyStore.prepare`: a file needs nothing."""

    def read(self) -> Document | None:
        """See `KeyStore.read`."""
        try:
            if not self._path.exists():
                return None
        except OSError as error:
            raise ConfigurationError(f"cannot read the {_WHAT} {self._path}: {error.strerror}") from None
        return Document.of(read_file(self._path, what=_WHAT, limit=MAX_DOCUMENT_BYTES, private=self._private))

    def replace(self, data: bytes, /, *, version: str | None) -> bool:
        """See `KeyStore.replace`."""
        path = resolved(self._path, what=_WHAT)  # once: what is locked is what is replaced
        with self._alone(path.parent):
            found = self.read()
            if (None if found is None else found.version) != version:
                return False
            remove_leftovers(path)
            write_private_file(path, data, what=_WHAT)
        return True

    def close(self) -> None:
        """See `KeyStore.close`: there is nothing to give back."""

    @contextmanager
    def _alone(self, parent: Path) -> Generator[None]:
        """Keep other writers away. The folder is locked, because the file itself is replaced."""
        folder = self._opened(parent)
        try:
            deadline = time.monotonic() + _PATIENCE
            while not self._is_locked(folder):
                if time.monotonic() > deadline:
                    raise StoreUnavailable("Another process is changing the keys.", detail="locked")
                time.sleep(_PAUSE)
            yield
        finally:
            os.close(folder)  # and with it the lock, also where the process is killed

    def _opened(self, folder: Path) -> int:
        try:
            return os.open(folder, os.O_RDONLY)
        except OSError as error:
            raise ConfigurationError(f"cannot write the {_WHAT} {self._path}: {error.strerror}") from None

    def _is_locked(self, folder: int) -> bool:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:  # some network file systems
            raise ConfigurationError(f"cannot lock the folder of {self._path}: {error.strerror}") from None
        return True
