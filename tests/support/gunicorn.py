"""A WSGI application of the HTTP suite in gunicorn: a master and workers, forked from a clean process.

It knows no framework.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import socket
import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped] # it ships no types

from keyturn.testing.http_suite import SharedWorld, World, shared
from tests.support.processes import wait_until

PROCESS = "X-Process"
WORKERS = 2
WAITING = 128

# Gunicorn refuses what is longer than it likes with a page of its own. With room for what the rules send, the
# answers are the application's; how the defaults answer is in tests/http/test_gunicorn.py.
ROOM = {"limit_request_line": 8190, "limit_request_field_size": 65_536}

# The fork server is a fresh interpreter without threads: this process has some, and must not fork servers.
# It ends with this process. What it has imported once, no server has to import again.
forking = multiprocessing.get_context("forkserver")
forking.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Gunicorn:
    """A framework of the suite: its application in gunicorn, loaded once and then forked.

    Attributes:
        application: Makes it; a function of a module, which the other process finds by its name.
        options: More of gunicorn's settings.
    """

    application: Callable[[World], Any]
    options: Mapping[str, object] = field(default_factory=lambda: ROOM)

    @contextmanager
    def serve(self, world: World) -> Generator[str]:
        """See `Framework.serve`."""
        with (
            tempfile.TemporaryDirectory(prefix="keyturn-") as folder,
            shared(world) as elsewhere,
            socket.create_server(("127.0.0.1", 0), backlog=WAITING) as listener,
        ):
            log = Path(folder, "log")
            # In one piece: what the application's module does when it is imported waits until that can be.
            work = (pickle.dumps(self), elsewhere, listener, log)
            server = forking.Process(target=_serve, args=work, daemon=True)
            server.start()
            try:
                port: int = listener.getsockname()[1]
                wait_until(_all_answer(port), what="both workers")
                yield f"http://127.0.0.1:{port}"
            finally:
                _end(server)
            assert "Traceback" not in log.read_text("utf-8"), log.read_text("utf-8")


def _all_answer(port: int) -> Callable[[], bool]:
    """Tell, asked again and again, whether each worker has answered: before, one would get all requests."""
    seen: set[str | None] = set()

    def ask() -> bool:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/")
        with connection.getresponse() as answer:
            seen.add(answer.headers[PROCESS])
        connection.close()
        return len(seen) == WORKERS

    return ask


def _end(server: BaseProcess) -> None:
    """End a server and its workers at once; nothing of theirs is of use any more."""
    assert server.pid is not None
    with suppress(ProcessLookupError):  # it leads no group yet, so it has no workers either
        os.killpg(server.pid, signal.SIGKILL)
    server.kill()
    server.join()


def _serve(framework: bytes, elsewhere: SharedWorld, listener: socket.socket, log: Path) -> None:
    """Become gunicorn's master."""
    os.setsid()
    tempfile.tempdir = str(log.parent)  # it is killed in the end, and leaves there what it has not removed
    _Loaded(pickle.loads(framework), elsewhere, listener, log).run()  # noqa: S301 - it is our own


class _Loaded(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """Gunicorn for one application that is at hand."""

    def __init__(
        self, framework: Gunicorn, elsewhere: SharedWorld, listener: socket.socket, log: Path
    ) -> None:
        self.framework, self.elsewhere, self.listener, self.log = framework, elsewhere, listener, log
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "bind": f"fd://{self.listener.fileno()}",
            "worker_class": "gthread",
            "workers": WORKERS,
            "threads": 4,
            "preload_app": True,
            "keepalive": 0,  # each request is a connection of its own, so that any worker may get it
            "errorlog": str(self.log),
            "post_worker_init": _end_with_the_tests,
            "control_socket_disable": True,  # its place is the same for all gunicorns of an account
            **self.framework.options,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # older ones have no control socket
                self.cfg.set(name, value)

    def load(self) -> Callable[..., Iterable[bytes]]:
        application = self.framework.application(self.elsewhere.world())

        def named(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            def start(status: str, headers: list[tuple[str, str]], *more: Any) -> object:
                return start_response(status, [*headers, (PROCESS, str(os.getpid()))], *more)

            answer: Iterable[bytes] = application(environ, start)
            return answer

        return named


def _end_with_the_tests(_: object) -> None:
    """End master and workers where the tests' process is killed; whoever of them notices it first."""

    def watch() -> None:
        tests = multiprocessing.parent_process()
        assert tests is not None
        tests.join()
        os.killpg(0, signal.SIGKILL)

    Thread(target=watch, daemon=True).start()
