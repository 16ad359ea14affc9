"""Real server processes for tests: started, waited for, and ended by process id. It knows no server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], bool], *, seconds: float = 20, what: str) -> None:
    """Poll a condition of the outside world until it holds.

    Args:
        condition: Asked again and again.
        seconds: How long at most. A healthy run needs a small part of it.
        what: Named in the failure.

    Raises:
        AssertionError: It did not hold in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for: {what}")
        time.sleep(POLL_SECONDS)


@contextmanager
def no_thread_left() -> Generator[set[threading.Thread]]:
    """Hold that each thread which began in the block has ended with it. Others may end meanwhile.

    Gives those that were there before.
    """
    before = set(threading.enumerate())
    yield before
    assert set(threading.enumerate()) <= before


@dataclass(frozen=True, slots=True)
class Server:
    """A server process that accepts connections."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def output(self) -> str:
        """Return all that it has printed, both streams."""
        return self.log.read_text("utf-8", errors="replace")

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL), children included, and wait for its end."""
        _signal_group(self.process, signal.SIGKILL)
        self.process.wait(timeout=20)

    def stop(self) -> int:
        """Ask it to end (SIGTERM), wait, and return its exit status; kill it if it will not."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextmanager
def running_server(
    command: Sequence[str],
    *,
    port: int,
    log: Path,
    env: Mapping[str, str] | None = None,
    inherit: bool = True,
) -> Generator[Server]:
    """Run a server until the block ends.

    Args:
        command: The program and its arguments; it must listen on 127.0.0.1 and `port`.
        port: Usually from `free_port()`.
        log: A file that takes its output; appended to, so that a restart keeps the first part.
        env: Variables added to this process's own.
        inherit: Whether it has this process's variables; False: those of `env` alone.

    Yields:
        The server, once it accepts connections.

    Raises:
        AssertionError: It ended, or did not listen in time; the message carries its output.
    """
    with log.open("ab") as stream:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**(os.environ if inherit else {}), "PYTHONUNBUFFERED": "1", **(env or {})},
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        try:
            wait_until(lambda: _listens(server), what=f"a server on port {port}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{' '.join(command)}\n{server.output()}") from None
        yield server
    finally:
        if process.poll() is None:
            server.stop()
        _signal_group(process, signal.SIGKILL)  # children it may have left


def _listens(server: Server) -> bool:
    if server.process.poll() is not None:
        raise AssertionError(f"the server ended with exit status {server.process.returncode}")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", server.port)) == 0


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # all of them have ended
        os.killpg(process.pid, number)


def fork(work: Callable[[], object]) -> Callable[[], int]:
    """Run something in a forked child, beside this process.

    The child does no more than that: whatever is raised in it, it never goes on as a second run of the tests.

    Args:
        work: What the child does. It is ended where that takes longer than 30 seconds.

    Returns:
        What waits for the child's end and gives its exit status: 0 if the work returned something true.
    """
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
