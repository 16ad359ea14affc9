"""Whole requests: the guard, `/auth/me` and `/auth/refresh`, beside the same routes without authentication.

It knows the servers that carry the requests and the program that sends them, and nothing of what is served.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.error import URLError

from _environments import HTTP, NotInstalled, python_of, site_of, versions_in
from _findings import Against, Finding, Missing, Plan, Versions, rates_table
from _machine import version_of
from _managers import CLAIMS, ROTATING, manager_on
from _places import site
from _programs import with_wrk, wrk
from _rounds import Line, beside, in_turns
from _serving import SECRET, STORE
from keyturn import KeyRing, TokenManager
from keyturn.stores.urls import store_from_url
from keyturn.testing.servers.programs import free_port

ROOT: Final = Path(__file__).resolve().parents[1]
OPEN, GUARDED = "the bare route", "behind Keyturn's guard"
BY_PYJWT: Final = "PyJWT in the route: no revocation acts"
ME, OPEN_ME = "/auth/me", "the same answer to anybody"
REFRESH, OPEN_REFRESH = "/auth/refresh, each rotates", "a body read, the same answer to anybody"
_CONNECTIONS: Final = 16
_REFRESHING: Final = 8  # wrk has a thread for each of these
_PATIENCE: Final = 20.0
_POLL: Final = 0.05

# Each connection refreshes a session of its own with what it was answered before.
_SCRIPT: Final = """\
local tokens = {{ {tokens} }}
local threads = {{}}
function setup(thread)
  table.insert(threads, thread)
  thread:set("token", tokens[#threads])
  thread:set("wrong", 0)
end
function request()
  local body = '{{"refresh_token":"' .. token .. '"}}'
  return wrk.format("POST", nil, {{ ["Content-Type"] = "application/json" }}, body)
end
function response(status, headers, body)
  local found = string.match(body, '"refresh_token"%s*:%s*"([^"]+)"')
  if status ~= 200 or not found or ({rotates} and found == token) then
    wrong = wrong + 1
  else
    token = found
  end
end
function done()
  local sum = 0
  for _, thread in ipairs(threads) do sum = sum + thread:get("wrong") end
  if sum > 0 then print("Wrong answers: " .. sum) end
end
"""


def measure(plan: Plan) -> Iterator[Finding]:
    """Measure whole requests."""
    program = wrk()
    yield Versions({"wrk": version_of(program)})
    with ExitStack() as stack:
        found = _packages(plan)
        packages = found if isinstance(found, Path) else None
        if isinstance(found, Path):
            yield Versions(versions_in(found, ("uvloop", "httptools", "gunicorn")))
        else:
            yield found
        url = stack.enter_context(site("redis", durable=plan.durable)).place().url
        secret = secrets.token_hex(32)
        manager: TokenManager = manager_on(store_from_url(url), KeyRing.from_secret(secret), ROTATING)
        stack.callback(manager.close)
        folder = Path(stack.enter_context(TemporaryDirectory()))
        asgi = stack.enter_context(_served("uvicorn", url, secret, packages))
        requests = Requests(manager, folder)
        with_peer = packages is not None
        yield from _starlette(plan, requests, asgi, loop="uvloop" if with_peer else "asyncio", peer=with_peer)
        if with_peer:
            wsgi = stack.enter_context(_served("gunicorn", url, secret, packages))
            yield from _flask(plan, requests, wsgi)


@dataclass(frozen=True, slots=True)
class Requests:
    """Makes lines of requests.

    Attributes:
        manager: Signs users in.
        folder: Where scripts of wrk are written.
    """

    manager: TokenManager
    folder: Path

    def get(self, name: str, url: str) -> Line:
        """Ask for a page, with an access token."""
        token = self.manager.issue("user", claims=CLAIMS).access_token
        header = f"Authorization: Bearer {token}"
        _sure(url, {"Authorization": f"Bearer {token}"})
        return Line(name, with_wrk(url, _CONNECTIONS, "-H", header))

    def refresh(self, name: str, url: str, *, rotates: bool) -> Line:
        """Refresh on and on. Each turn has new sessions: nobody waits for the last answers of a turn."""
        script = self.folder / f"{rotates}.lua"
        send = with_wrk(url, _REFRESHING, script=script)

        def rate(seconds: float) -> float:
            tokens = (self.manager.issue("user", claims=CLAIMS).refresh_token for _ in range(_REFRESHING))
            quoted = ", ".join(f'"{token}"' for token in tokens)
            script.write_text(_SCRIPT.format(tokens=quoted, rotates=str(rotates).lower()), "utf-8")
            return send(seconds)

        return Line(name, rate)


def _starlette(plan: Plan, requests: Requests, base: str, *, loop: str, peer: bool) -> Iterator[Finding]:
    where = f"Starlette on uvicorn ({loop}), one worker; sessions on Redis"
    lines = [requests.get(OPEN, f"{base}/open"), requests.get(GUARDED, f"{base}/guarded")]
    lines += [requests.get(BY_PYJWT, f"{base}/pyjwt")] if peer else []
    rates = in_turns("requests, guarded", lines, plan.effort)
    yield rates_table(f"A route, HS256: {where}", rates, OPEN, f"wrk, {_CONNECTIONS} connections.")
    yield Against("guard", tuple(100 * (1 - ratio) for ratio in beside(rates, GUARDED, OPEN)))
    lines = [requests.get(OPEN_ME, f"{base}/open/me"), requests.get(ME, f"{base}/auth/me")]
    rates = in_turns("requests of /auth/me", lines, plan.effort)
    yield rates_table(f"`/auth/me`: {where}", rates, OPEN_ME, f"wrk, {_CONNECTIONS} connections.")
    lines = [
        requests.refresh(OPEN_REFRESH, f"{base}/open/refresh", rotates=False),
        requests.refresh(REFRESH, f"{base}/auth/refresh", rotates=True),
    ]
    rates = in_turns("requests of /auth/refresh", lines, plan.effort)
    note = f"wrk, {_REFRESHING} connections, each with a session, and no race window: every request rotates."
    yield rates_table(f"`/auth/refresh`: {where}", rates, OPEN_REFRESH, note)


def _flask(plan: Plan, requests: Requests, base: str) -> Iterator[Finding]:
    lines = [requests.get(OPEN, f"{base}/open"), requests.get(GUARDED, f"{base}/guarded")]
    rates = in_turns("requests, Flask", lines, plan.effort)
    title = "A route, HS256: Flask on gunicorn, one worker of four threads; sessions on Redis"
    yield rates_table(title, rates, OPEN, f"wrk, {_CONNECTIONS} connections.")


def _packages(plan: Plan) -> Path | Missing:
    """Give the folder of what servers are made faster by; without it they run on asyncio and h11."""
    try:
        return site_of(python_of(HTTP, plan.peers))
    except NotInstalled as error:
        return Missing(HTTP.what, str(error))


@contextmanager
def _served(server: str, store: str, secret: str, packages: Path | None) -> Generator[str]:
    """Run an application with one worker, and give its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    if server == "uvicorn":
        quiet = ("--no-access-log", "--log-level", "critical")
        words = ["uvicorn", "--factory", "_serving:starlette_app", "--port", str(port), *quiet]
    else:
        words = [
            "gunicorn",
            "_serving:flask_app()",
            "-b",
            f"127.0.0.1:{port}",
            "-k",
            "gthread",
            "--threads",
            "4",
        ]
        words += ["--log-level", "critical", "--keep-alive", "60"]
    path = [*([str(packages)] if packages else []), str(ROOT), *filter(None, sys.path)]
    env = {**os.environ, STORE: store, SECRET: secret, "PYTHONPATH": os.pathsep.join(path)}
    with subprocess.Popen([sys.executable, "-m", *words], env=env, cwd=ROOT) as process:
        try:
            _wait(lambda: _sure(f"{url}/open", {}), process)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(ask: Callable[[], None], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            ask()
        except URLError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(_POLL)
        else:
            return


def _sure(url: str, headers: Mapping[str, str]) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=5) as answer:  # noqa: S310
        if answer.status != 200:  # noqa: PLR2004
            raise RuntimeError(f"{url} answers {answer.status}")
