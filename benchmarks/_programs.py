"""The engines' own load generators: pgbench, redis-benchmark, and wrk for HTTP. They know no store.

Each gives the limit that nothing written in Python can pass: the same statement, script or request from a
client in C.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from keyturn.testing.servers.programs import find

_TPS: Final = re.compile(r"^tps = ([\d.]+) \(without initial connection time\)", re.MULTILINE)
_WRK: Final = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
_WRONG: Final = re.compile(r"^\s*(?:Non-2xx or 3xx responses|Socket errors|Wrong answers): .*$", re.MULTILINE)
_CSV_RATE: Final = re.compile(rb'"([\d.]+)"(?:,"[\d.]+"){6}\s*$')  # before it stand the words, as they are
_LEAST: Final = 200
_PATIENCE: Final = 120.0


class ProgramFailed(RuntimeError):
    """A program failed, or what it did was not the work."""


def pgbench() -> Path:
    """Find pgbench, beside the server where it is not on PATH.

    Raises:
        ServerMissing: It is not installed here.
    """
    return find(["pgbench"], what="pgbench", package="postgresql")


def redis_benchmark() -> Path:
    """Find redis-benchmark.

    Raises:
        ServerMissing: It is not installed here.
    """
    return find(["redis-benchmark", "valkey-benchmark"], what="redis-benchmark", package="redis-tools")


def wrk() -> Path:
    """Find wrk.

    Raises:
        ServerMissing: It is not installed here.
    """
    return find(["wrk"], what="wrk", package="wrk")


def with_pgbench(url: str, script: Path, at_once: int) -> Callable[[float], float]:
    """Run a script of pgbench; see `_rounds.Line.rate`.

    Args:
        url: The database.
        script: The script. What its variables hold stays for the next transaction of the same client.
        at_once: How many clients.
    """
    program, speed = pgbench(), 0.0

    def rate(seconds: float) -> float:
        nonlocal speed
        each = max(_LEAST, round(speed * seconds)) // at_once + 1
        command = [
            "-n",
            "-M",
            "prepared",
            "-c",
            at_once,
            "-j",
            min(at_once, 2),
            "-t",
            each,
            "-D",
            "first=1",
            "-f",
            script,
            url,
        ]
        speed = float(_found(_TPS, _ran([program, *command])))
        return speed

    return rate


def with_redis_benchmark(
    url: str, command: Sequence[bytes], *, keys: int, requests: int, at_once: int
) -> float:
    """Run redis-benchmark once, and say how many commands a second it got done.

    Args:
        url: The server.
        command: What to send; `__rand_int__` in it becomes a number of twelve digits.
        keys: How many such numbers there are.
        requests: How many commands.
        at_once: How many connections.
    """
    where = urlsplit(url)
    place = ("-h", where.hostname, "-p", where.port, "-a", where.password, "--dbnum", where.path[1:])
    flags = ("-n", requests, "-c", at_once, "-r", keys, "--csv")
    output = _ran([redis_benchmark(), *place, *flags, *command])
    found = _CSV_RATE.search(output)
    if found is None:
        raise ProgramFailed(f"redis-benchmark said: {output[-300:]!r}")
    return float(found.group(1))


def with_wrk(
    url: str, connections: int, *arguments: object, script: Path | None = None
) -> Callable[[float], float]:
    """Send requests to a URL with wrk; see `_rounds.Line.rate`. It counts in whole seconds.

    Args:
        url: Where to.
        connections: How many.
        arguments: More of wrk's own, such as headers.
        script: In Lua; then each connection has a thread of its own. It prints `Wrong answers: …` where what
            came back was not the work.
    """
    program = wrk()
    threads = 1 if script is None else connections
    scripted = () if script is None else ("-s", script)

    def rate(seconds: float) -> float:
        flags = ("-t", threads, "-c", connections, "-d", f"{max(1, round(seconds))}s", *scripted, *arguments)
        output = _ran([program, *flags, url])
        if wrong := _WRONG.search(output.decode()):
            raise ProgramFailed(f"wrk at {url}: {wrong.group().strip()}")
        return float(_found(_WRK, output))

    return rate


def _found(pattern: re.Pattern[str], output: bytes) -> str:
    found = pattern.search(output.decode())
    if found is None:
        raise ProgramFailed(f"no rate in: {output[-300:].decode()}")
    return found.group(1)


def _ran(command: Sequence[object]) -> bytes:
    words = [each if isinstance(each, bytes) else str(each) for each in command]
    done = subprocess.run(
        words, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE
    )
    if done.returncode != 0:
        raise ProgramFailed(f"{command[0]} failed: {done.stderr[-500:].decode(errors='replace').strip()}")
    return done.stdout
