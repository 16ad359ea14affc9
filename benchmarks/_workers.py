"""Processes that do a peer's work in its own environment, told over a pipe how much. They know no peer.

`peers/_serve.py` is the other end: a line of JSON says what to do and how often, a line of JSON how long it
took. So the peer has its turn in the same rounds as everybody else.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, cast

from _environments import Environment, NotInstalled, python_of
from _findings import Missing, Plan
from _rounds import Line, line

_SCRIPTS: Final = Path(__file__).resolve().parent / "peers"
_PATIENCE: Final = 20.0


class PeerFailed(RuntimeError):
    """A peer's process failed, or what it did was not the work. Its own words are in the message."""


class Worker:
    """A running worker.

    Attributes:
        versions: Of the packages that it measures.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Wait until it is ready."""
        self._process = process
        self.versions = cast("dict[str, str]", self._answer()["versions"])

    def line(self, name: str, work: str, *, at_once: int = 1, **more: object) -> Line:
        """Make a line of a piece of its work.

        Args:
            name: For people.
            work: What the worker calls it.
            at_once: How many threads share it.
            more: What else the work takes.
        """

        def do(count: int) -> float:
            return float(self.ask(do=work, count=count, at_once=at_once, **more)["seconds"])

        return line(name, do, least=at_once)

    def ask(self, **question: object) -> dict[str, Any]:
        """Send one question, and give the answer.

        Raises:
            PeerFailed: It failed.
        """
        assert self._process.stdin is not None  # noqa: S101  (it is a pipe)
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101  (it is a pipe)
        text = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(text) if text else {"error": "it ended; its words stand above"}
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer


@contextmanager
def worker(python: Path, script: str, given: Mapping[str, Any]) -> Generator[Worker]:
    """Run a worker as long as the block.

    Args:
        python: Whose Python.
        script: The file in `peers`.
        given: What it is told at its start.
    """
    with subprocess.Popen(
        [str(python), str(_SCRIPTS / script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "KEYTURN_BENCH_GIVEN": json.dumps(given)},
    ) as process:
        try:
            yield Worker(process)
        finally:
            assert process.stdin is not None  # noqa: S101  (it is a pipe)
            process.stdin.close()  # it ends by itself then
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def hired(
    stack: ExitStack, plan: Plan, environment: Environment, script: str, given: Mapping[str, Any]
) -> Worker | Missing:
    """Run a peer's worker until a stack closes, or say why that cannot be.

    Args:
        stack: What ends it.
        plan: Whether peers are wanted.
        environment: What it needs.
        script: The file in `peers`.
        given: What it is told at its start.
    """
    try:
        python = python_of(environment, plan.peers)
    except NotInstalled as error:
        return Missing(environment.what, str(error))
    return stack.enter_context(worker(python, script, given))
