"""The worker's end of the pipe: does named pieces of work as often as it is told. It knows no peer."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from itertools import repeat
from typing import Any

# What a peer advises its users of is not measured, and would be said many times.
warnings.showwarning = lambda *_, **__: None
logging.disable(logging.WARNING)

Turn = Callable[[], object]
Maker = Callable[[dict[str, Any]], Turn]


def given() -> dict[str, Any]:
    """Give what the worker was told at its start."""
    told: dict[str, Any] = json.loads(os.environ["KEYTURN_BENCH_GIVEN"])
    return told


def sure(done: bool, what: str) -> None:  # noqa: FBT001  (a condition, as in `assert`)
    """Stop where a piece of work was not done: nobody wants its speed.

    Raises:
        RuntimeError: It was not done.
    """
    if not done:
        raise RuntimeError(what)


def serve(makers: Mapping[str, Maker], packages: tuple[str, ...]) -> None:
    """Answer questions until the pipe ends.

    Args:
        makers: For each piece of work, what makes a worker of it: it is called once for each thread, in that
            thread, with the question, and returns the thing to be repeated.
        packages: Whose versions to tell.
    """
    answers, sys.stdout = sys.stdout, sys.stderr  # what a peer prints is no answer
    print(json.dumps({"versions": {name: version(name) for name in packages}}), file=answers, flush=True)
    crews: dict[str, Crew] = {}
    for text in sys.stdin:
        question = json.loads(text)
        count = question.pop("count")
        key = json.dumps(question, sort_keys=True)
        try:
            crew = crews.get(key) or crews.setdefault(key, Crew(makers[question["do"]], question))
            answer: dict[str, Any] = {"seconds": crew.work(count)}
        except Exception as error:  # noqa: BLE001  (it is told, and raised there)
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


class Crew:
    """Threads that share a piece of work and stay, each with what it has made for itself."""

    def __init__(self, maker: Maker, question: dict[str, Any]) -> None:
        """Start the threads."""
        size = question.get("at_once", 1)
        self._maker, self._question = maker, question
        self._shares = [0] * size
        self._gate = threading.Barrier(size + 1)
        self._failures: list[Exception] = []
        for number in range(size):
            threading.Thread(target=self._be_member, args=(number,), daemon=True).start()
        self._gate.wait()  # all have made theirs
        self._raise()

    def work(self, count: int) -> float:
        """Let them do so many; say how many seconds that took."""
        size = len(self._shares)
        self._shares = [len(range(number, count, size)) for number in range(size)]
        began = time.perf_counter()
        self._gate.wait()
        self._gate.wait()
        took = time.perf_counter() - began
        self._raise()
        return took

    def _be_member(self, number: int) -> None:
        turn: Turn | None = None
        try:
            turn = self._maker({**self._question, "number": number})
        except Exception as error:  # noqa: BLE001  (as above)
            self._failures.append(error)
        self._gate.wait()
        while turn is not None:
            self._gate.wait()
            try:
                for _ in repeat(None, self._shares[number]):
                    turn()
            except Exception as error:  # noqa: BLE001  (as above)
                self._failures.append(error)
            self._gate.wait()

    def _raise(self) -> None:
        if self._failures:
            raise self._failures[0]
