"""Where tokens are kept between requests, and who may change them now. It knows no server and no request."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final, Protocol

from filelock import FileLock, Timeout

from keyturn.client.tokens import MAX_DOCUMENT, Tokens, dump_tokens, parse_tokens
from keyturn.errors import ConfigurationError
from keyturn.files import read_file, remove_leftovers, resolved, write_private_file
from keyturn.forks import in_forked_children

_WHAT: Final = "token file"


class TokenStore(Protocol):
    """Where tokens are kept, and the lock of who may change them.

    Every method may be called from any thread. With asyncio each call is made in a worker thread, so it may
    wait for a disk, but `try_lock` must not wait for another holder. It is `unlock`ed by whoever locked it,
    perhaps from another thread.
    """

    def load(self) -> Tokens | None:
        """Give the tokens; None where nobody is signed in.

        Raises:
            ConfigurationError: They cannot be read.
        """
        ...

    def save(self, tokens: Tokens, /) -> None:
        """Put tokens in the place of the old ones: both whole or not at all, and durable before it returns.

        Raises:
            ConfigurationError: They cannot be written; then the old ones are there still.
        """
        ...

    def clear(self) -> None:
        """Forget the tokens, if there are any.

        Raises:
            ConfigurationError: They cannot be removed.
        """
        ...

    def try_lock(self) -> bool:
        """Become the only one who may `save` and `clear`, at once or not at all.

        It excludes every thread and process that shares the tokens. The death of its holder must end it.
        """
        ...

    def unlock(self) -> None:
        """Let others. Only who has locked calls this, once."""
        ...


class ProcessLock:
    """A lock between threads and between processes, by a file that holds nothing."""

    def __init__(self, path: Path) -> None:
        """Use a lock file, which is made when it is first needed (mode 0600), and stays."""
        self._path = path
        self._start_afresh()
        in_forked_children(self, type(self)._start_afresh)  # noqa: SLF001  (its own)

    def _start_afresh(self) -> None:
        """Begin with no lock taken: in a forked child, who had it is not there."""
        self._threads = threading.Lock()
        self._file = FileLock(self._path, mode=0o600, thread_local=False)

    def try_lock(self) -> bool:
        """See `TokenStore.try_lock`.

        Raises:
            ConfigurationError: The lock file cannot be used.
        """
        if not self._path.parent.is_dir():  # else the lock would make it, for everybody to look into
            raise ConfigurationError(f"cannot lock {self._path}: its folder is missing")
        # A FileLock counts how often its own process took it, so threads must exclude each other before.
        if not self._threads.acquire(blocking=False):
            return False
        try:
            self._file.acquire(blocking=False)
        except BaseException as error:
            self._threads.release()
            match error:
                case Timeout():
                    return False
                case OSError():
                    raise ConfigurationError(f"cannot lock {self._path}: {error.strerror}") from None
                case _:
                    raise
        return True

    def unlock(self) -> None:
        """See `TokenStore.unlock`."""
        try:
            self._file.release()
        finally:
            self._threads.release()


class MemoryTokens:
    """Tokens in this process, gone when it ends.

    Examples:
        >>> store = MemoryTokens()
        >>> store.save(Tokens("a", "r", asked_at=1000, expires_in=60))
        >>> store
        MemoryTokens()
        >>> store.clear()
        >>> store.load() is None
        True
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._tokens: Tokens | None = None
        self._start_afresh()
        in_forked_children(self, MemoryTokens._start_afresh)

    def __repr__(self) -> str:
        """Show no token."""
        return "MemoryTokens()"

    def _start_afresh(self) -> None:
        """Begin with no lock taken: in a forked child, who had it is not there."""
        self._lock = threading.Lock()

    def load(self) -> Tokens | None:
        """See `TokenStore.load`."""
        return self._tokens

    def save(self, tokens: Tokens, /) -> None:
        """See `TokenStore.save`."""
        self._tokens = tokens

    def clear(self) -> None:
        """See `TokenStore.clear`."""
        self._tokens = None

    def try_lock(self) -> bool:
        """See `TokenStore.try_lock`."""
        return self._lock.acquire(blocking=False)

    def unlock(self) -> None:
        """See `TokenStore.unlock`."""
        self._lock.release()


class FileTokens(ProcessLock):
    """Tokens in a file of mode 0600 that processes may share. Beside it is a lock file, `<name>.lock`.

    The file is replaced at once: a crash leaves the old tokens or the new ones, whole. A file that others may
    read is refused.
    """

    def __init__(self, path: str | Path) -> None:
        """Use a file, which need not be there yet.

        Args:
            path: The file. Its folder must be there.

        Raises:
            ConfigurationError: The path's links go in circles.
        """
        self._where = resolved(Path(path), what=_WHAT)
        super().__init__(self._where.with_name(f"{self._where.name}.lock"))

    def __repr__(self) -> str:
        """Show the path."""
        return f"FileTokens({str(self._where)!r})"

    def load(self) -> Tokens | None:
        """See `TokenStore.load`.

        Raises:
            ConfigurationError: The file cannot be read, may be read by others, or holds something else.
        """
        try:
            if not self._where.exists():
                return None
        except OSError as error:
            raise ConfigurationError(f"cannot read the {_WHAT} {self._where}: {error.strerror}") from None
        data = read_file(self._where, what=_WHAT, limit=MAX_DOCUMENT, private=True)
        return parse_tokens(data, where=f"the {_WHAT} {self._where}")

    def save(self, tokens: Tokens, /) -> None:
        """See `TokenStore.save`."""
        remove_leftovers(self._where)
        write_private_file(self._where, dump_tokens(tokens), what=_WHAT)

    def clear(self) -> None:
        """See `TokenStore.clear`."""
        remove_leftovers(self._where)
        try:
            self._where.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"cannot remove the {_WHAT} {self._where}: {error.strerror}") from None
