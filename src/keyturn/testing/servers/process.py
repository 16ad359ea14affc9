"""A server process with data of its own: started, stopped, killed, backed up. No particular server here."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Self, TypedDict

from keyturn.testing.servers.programs import ServerMissing, account, free_port

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["LocalServer", "ServerFailed", "ServerMissing"]

PATIENCE_SECONDS: Final = 60.0  # a healthy start takes a small part of it
_POLL_SECONDS: Final = 0.02
_LAST_WORDS: Final = 3000


class ServerFailed(RuntimeError):
    """A server did not start, or a command to it failed. The message carries the end of what it said."""


class _Owner(TypedDict):
    """The arguments of `subprocess` that make a program the server's own."""

    cwd: Path
    env: dict[str, str]
    user: int | None
    group: int | None
    extra_groups: list[str | int] | None


class Startable(ABC):
    """Something that runs as long as its `with` block."""

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it answers."""

    @abstractmethod
    def close(self) -> None:
        """End it for good."""

    def __enter__(self) -> Self:
        """Start it; it is closed again where that fails."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it for good."""
        self.close()


class LocalServer(Startable):
    """A server on 127.0.0.1, for as long as its `with` block.

    Attributes:
        folder: Where its data and its log are.
        port: Where it listens; the same after every restart.
        options: Its settings by their own names; a change counts from the next start on.
        password: What its URL carries; drawn anew for every folder unless the options say it.
    """

    _owner: ClassVar[str] = ""
    """The account that it runs as where we are root."""
    _goodbye: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(
        self, folder: Path | None = None, options: Mapping[str, str] = {}, *, port: int | None = None
    ) -> None:
        """Prepare; nothing runs before `start()` or the `with` block.

        Args:
            folder: Keeps the data: a server of the same folder finds them again. The account that the server
                runs as must be able to reach it. None: a temporary one, removed at the end.
            options: Settings, over the defaults of `servers`.
            port: Where to listen; None: a free port.
        """
        self._account = account(self._owner) if self._owner else None
        self._process: subprocess.Popen[bytes] | None = None
        self._heir: subprocess.Popen[bytes] | None = None
        self._temporary = folder is None
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="keyturn-"))
        self.folder: Path = folder
        for place in (folder, self._scratch):
            place.mkdir(parents=True, exist_ok=True)
            self._own(place)
        self.port: int = free_port() if port is None else port
        self.options: dict[str, str] = dict(options)
        self.password: str = self._remembered_password()
        self._end = self._nothing_runs()

    # ------------------------------------------------------------------------------ what differs

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect, the password included."""

    @abstractmethod
    def _prepare(self) -> None:
        """Bring the data into being, where there are none."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """Give the command that becomes the server."""

    @abstractmethod
    def _answers(self) -> bool:
        """Tell whether it answers a real query."""

    # ------------------------------------------------------------------------------------- running

    @property
    def data(self) -> Path:
        """The folder that a backup of it copies."""
        return self.folder / "data"

    @property
    def running(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers; one that runs is left alone.

        Raises:
            ServerFailed: It did not start.
        """
        if self.running:
            return
        if not self.data.exists():
            self._prepare()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a program of the machine's
                list(self._command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends the tests, which then end it
                **self._as_owner(),
            )
        self._outlived_by(self._process)
        self._wait_until_ready(self._process)

    def stop(self) -> None:
        """Ask it to end, and wait for its end; kill it if it will not."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(self._goodbye)
            try:
                self._process.wait(PATIENCE_SECONDS / 2)
            except subprocess.TimeoutExpired:
                self.kill()
        self._has_ended()

    def kill(self) -> None:
        """End it at once (SIGKILL) with all its processes, and wait for their end."""
        if self._process is not None:
            _kill(self._process)
        self._has_ended()

    def restart(self) -> None:
        """Stop it if it runs, and start it on the same port and data."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it for good, and remove a temporary folder."""
        if self._temporary:
            self.kill()  # nobody will read the data
        self.stop()
        self._end()

    # -------------------------------------------------------------------------------------- backups

    def backup(self, name: str = "backup") -> Path:
        """Copy the data; it must not run meanwhile.

        Args:
            name: Of the folder beside the data that takes the copy.

        Returns:
            That folder, for `restore`.
        """
        self._must_rest()
        copy = self.folder / name
        shutil.copytree(self.data, copy)
        return copy

    def restore(self, backup: Path) -> None:
        """Put a backup in the place of the data; it must not run meanwhile."""
        self._must_rest()
        shutil.rmtree(self.data)
        shutil.copytree(backup, self.data)
        for path in (self.data, *self.data.rglob("*")):
            self._own(path)

    # -------------------------------------------------------------------------------------- helpers

    @property
    def _scratch(self) -> Path:
        return self.folder / "tmp"

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    def output(self) -> str:
        """Return what it has said so far."""
        return self._log.read_text("utf-8", errors="replace") if self._log.exists() else ""

    def _run(self, command: Sequence[str], *, env: Mapping[str, str] = {}) -> str:
        """Run a program that belongs to the server, and return what it printed.

        Raises:
            ServerFailed: It failed.
        """
        done = subprocess.run(  # noqa: S603 - as above
            list(command),
            check=False,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=PATIENCE_SECONDS,
            **self._as_owner(env),
        )
        if done.returncode != 0:
            raise ServerFailed(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def _succeeds(self, command: Sequence[str], *, env: Mapping[str, str]) -> bool:
        try:
            self._run(command, env=env)
        except (ServerFailed, subprocess.TimeoutExpired):
            return False
        return True

    def _as_owner(self, env: Mapping[str, str] = {}) -> _Owner:
        who = self._account
        return {
            "cwd": self.folder,
            # MariaDB removes the tables that it finds in the temporary folder; they may be a neighbour's.
            "env": {**os.environ, "TMPDIR": str(self._scratch), **env},
            "user": None if who is None else who.pw_uid,
            "group": None if who is None else who.pw_gid,
            "extra_groups": None if who is None else [],
        }

    def _own(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    def _write(self, name: str, text: str) -> Path:
        """Write a file that only the server's account can read."""
        path = self.folder / name
        path.touch(0o600)
        self._own(path)
        path.write_text(text, "utf-8")
        return path

    def _remembered_password(self) -> str:
        path = self.folder / "password"
        if not path.exists():
            self._write(path.name, secrets.token_urlsafe(12))
        return path.read_text("utf-8")

    def _must_rest(self) -> None:
        if self.running:
            raise RuntimeError("stop the server first: files that change meanwhile make no backup")

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            ended = process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.kill()
                how = f"ended with status {process.returncode}" if ended else "does not answer"
                raise ServerFailed(f"{type(self).__name__} {how}:\n{self.output()[-_LAST_WORDS:]}")
            time.sleep(_POLL_SECONDS)

    def _outlived_by(self, process: subprocess.Popen[bytes]) -> None:
        """Say what must go when this object does, and when Python ends, however it ends."""
        self._end.detach()
        folder = self.folder if self._temporary else None
        self._heir = _heir(process.pid, folder)
        self._end = weakref.finalize(self, _clean_up, process, self._heir, folder)

    def _has_ended(self) -> None:
        if self._heir is not None:
            _dismiss(self._heir)  # the process's id may be somebody else's from now on
        self._process = self._heir = None
        self._end.detach()
        self._end = self._nothing_runs()

    def _nothing_runs(self) -> weakref.finalize[..., Self]:
        return weakref.finalize(self, _clean_up, None, None, self.folder if self._temporary else None)


def _heir(pid: int, folder: Path | None) -> subprocess.Popen[bytes]:
    """Start a process that ends another and removes its folder when we are gone, even if we were killed.

    It waits for the end of its input, which is ours to hold open.
    """
    will = 'cat; kill -9 "$1"; [ -z "$2" ] || rm -rf "$2"'
    return subprocess.Popen(  # noqa: S603 - as above
        ["/bin/sh", "-c", will, "heir", str(pid), str(folder or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _dismiss(heir: subprocess.Popen[bytes]) -> None:
    heir.kill()  # before its input ends: it shall not do its duty
    if heir.stdin is not None:
        heir.stdin.close()
    heir.wait(PATIENCE_SECONDS)


def _clean_up(
    process: subprocess.Popen[bytes] | None, heir: subprocess.Popen[bytes] | None, folder: Path | None
) -> None:
    if process is not None:
        _kill(process)
    if heir is not None:
        _dismiss(heir)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children; they may be in process groups of their own."""
    if process.poll() is None:
        process.send_signal(signal.SIGSTOP)  # it starts no more of them, and gives none of their ids away
        for child in _children(process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        process.kill()
    process.wait(PATIENCE_SECONDS)


def _children(pid: int) -> list[int]:
    # Where /proc does not say (not on Linux), they notice the end of their parent by themselves.
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
