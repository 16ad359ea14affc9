"""Reading and writing small files that matter: bounded, private, never half written. It knows no content."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from keyturn.errors import ConfigurationError

_SUFFIX: Final = ".new"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_file(path: Path, *, what: str, limit: int, private: bool = False) -> bytes:
    """Read a file.

    Args:
        path: Where it is.
        what: What it is, for errors.
        limit: The most bytes that it may have.
        private: Refuse a file that its group or others may read or write (where there are such modes: POSIX).

    Raises:
        ConfigurationError: It cannot be read, is too large, or is not private.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigurationError(f"the {what} {path} is no file")
            data = file.read(limit + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot read the {what} {path}: {error.strerror}") from None
    if private and os.name == "posix" and mode & _OTHERS:
        raise ConfigurationError(
            f"the {what} {path} may be read or written by others: run `chmod 600 {path}`"
        )
    if len(data) > limit:
        raise ConfigurationError(f"the {what} {path} is larger than {limit} bytes")
    return data


def write_private_file(path: Path, data: bytes, *, what: str) -> None:
    """Write a file of mode 0600 in the place of an old one: a crash leaves the old one or the new one, whole.

    It belongs to whom the old one did: what root writes for a server, the server must be able to read. Where
    the path is a link, what it points to is replaced.

    Args:
        path: Where it goes.
        data: Its content.
        what: What it is, for errors.

    Raises:
        ConfigurationError: It cannot be written; then the old one is as it was.
    """
    temporary: str | None = None
    path = resolved(path, what=what)
    try:
        handle, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=_prefix(path), suffix=_SUFFIX
        )  # mode 0600
        with os.fdopen(handle, "wb") as file:
            if (owner := _other_owner_of(path)) is not None:
                os.fchown(file.fileno(), *owner)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(f"cannot write the {what} {path}: {error.strerror}") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def resolved(path: Path, *, what: str) -> Path:
    """Give the file that a path leads to, through links.

    Args:
        path: Where it is, or will be.
        what: What it is, for errors.

    Raises:
        ConfigurationError: The links go in circles, or may not be read.
    """
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a RuntimeError is a circle, before Python 3.13
        raise ConfigurationError(f"cannot follow the links of the {what} {path}") from None


def remove_leftovers(path: Path) -> None:
    """Remove what a crash has left of writing a file: it may hold secrets. Nobody else may be writing.

    Args:
        path: The file, as `resolved` gives it.
    """
    try:
        names = os.listdir(path.parent)  # noqa: PTH208  (the name is no pattern)
        for name in names:
            if name.startswith(_prefix(path)) and name.endswith(_SUFFIX):
                (path.parent / name).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"cannot remove what is left beside {path}: {error.strerror}") from None


def _prefix(path: Path) -> str:
    return f".{path.name}."


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for a writer, as a pipe would."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _other_owner_of(path: Path) -> tuple[int, int] | None:
    """Give the user and the group of a file that is somebody else's."""
    if os.name != "posix" or not path.exists():
        return None
    found = path.stat()
    return None if found.st_uid == os.geteuid() else (found.st_uid, found.st_gid)


def _sync_folder(folder: Path) -> None:
    """Make the new name durable too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
