#!/usr/bin/env python3
"""Sets Keyturn up and runs it or its checks: `python3 dev.py --help`. It must not know what Keyturn does.

It needs Python 3.11 and nothing else: everything goes into `.venv` beside this file, once, and again only
when `pyproject.toml` has changed.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    sys.exit("Keyturn needs Python 3.11 or newer; this is Python " + sys.version.split()[0])

import ast
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

ROOT: Final = Path(__file__).resolve().parent
VENV: Final = ROOT / ".venv"
PYTHON: Final = VENV / "bin" / "python"
PYPROJECT: Final = ROOT / "pyproject.toml"
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")

# What tests start beside Python: its name, its programs (one of them is enough), the Debian package.
PROGRAMS: Final = (
    ("Chromium", BROWSERS, "chromium"),
    ("PostgreSQL", ("postgres",), "postgresql"),
    ("MariaDB", ("mariadbd",), "mariadb-server"),
    ("Redis", ("redis-server", "valkey-server"), "redis-server"),
    ("wrk", ("wrk",), "wrk"),
)
# Servers are not always on PATH.
PROGRAM_FOLDERS: Final = ("usr/lib/postgresql/*/bin", "usr/sbin")

# Extras that bring a driver, and the URLs that want it.
DRIVERS: Final = {
    "postgres": re.compile(r"\bpostgres(?:ql)?(?:\+\w+)?://"),
    "mysql": re.compile(r"\b(?:mysql|mariadb)(?:\+\w+)?://"),
    "redis": re.compile(r"\b(?:rediss?(?:\+\w+)?|unix)://"),
}

HELP: Final = """\
Usage: python3 dev.py COMMAND [ARGUMENTS]

  serve [ARGUMENTS]   set up what the server needs, then run `keyturn serve` with the arguments
  test                set up everything, then run all checks and all tests but the long ones
  test ARGUMENTS      run pytest alone, with these arguments
  check               lint, format, mypy and pyright, without the tests
  lint                lint and format only
  docs                build the documentation as a site, and say where it is
  js [SCRIPT]         test the browser client, or run another of its scripts: build, lint, format, pack
  long [ARGUMENTS]    run the long storms (pytest -m slow)
  wheel [ARGUMENTS]   build the wheel, install it into .venv-wheel and run all tests against it; the
                      arguments are pytest's, behind `--built WHEEL` where it is built already
  bench               list the benchmarks
  bench NAME [ARGUMENTS]
                      run one, on servers of its own; --help among the arguments says what it takes

The first run fills .venv beside this file; later runs reuse it. Deleting .venv* is always safe.
"""

# What is run there has a help of its own, which says more.
ANSWER_THEMSELVES: Final = ("serve", "test", "bench")

# Each check is a name and the arguments of the virtual environment's Python.
LINT: Final = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
}
TYPES: Final = {
    "mypy --strict": ["-m", "mypy", "--strict"],
    "pyright (strict)": ["-m", "pyright", "--pythonpath", str(PYTHON)],
}
# Every warning is an error, and so is a reference that leads nowhere.
SITE: Final = ROOT / "build" / "docs"
DOCS: Final = {
    "documentation": ["-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-b", "html", "docs", str(SITE)],
}
# What the browser client's own tools check: lint, types, the committed bundle, the packed package, its tests.
JS: Final = {"browser client (npm test)": ["tools/js.py", "test"]}
# Three at a time, each with servers of its own; what shares a module's or a class's set-up stays together.
# Much of the time they wait for servers and processes, so two cores have room for a third.
PYTEST: Final = ("-m", "pytest", "-n", "3", "--dist", "loadscope")
# The tests that hold every branch of the core. Measuring takes as long as the tests themselves, so others,
# which ask servers, browsers and processes, are not measured.
CORE: Final = (
    *("src/keyturn/_core", "tests/core", "tests/keystores"),
    *(f"tests/test_{name}.py" for name in ("access_verifier", "advisories", "audit", "jwks", "keys")),
    *(f"tests/test_{name}.py" for name in ("managers", "revocation_checks", "signers")),
)
# Together they find each kind of file of the wheel once it is installed: code, a command, a page,
# Lua, both kinds of migrations, an entry point. `python3 dev.py wheel` takes all tests.
INSTALLED: Final = (
    *("tests/core/test_refresh_tokens.py", "tests/test_managers.py", "tests/http/test_starlette.py"),
    "tests/cli/test_history.py",
    "tests/server/test_page.py::test_sign_in_refresh_reload_and_out",
    "tests/pages/test_sessions_page_browser.py::test_the_whole_walk_without_javascript",
    "tests/stores/test_redis_scripts.py::test_an_operation_is_one_call",
    "tests/stores/test_sqlalchemy_schema.py::test_the_migrations_make_what_metadata_says",
    "tests/django/test_admin.py::test_nothing_is_revoked_before_the_question_is_answered",
    "tests/pytest_plugin/test_plugin.py::test_those_who_do_not_use_it_do_not_pay",
)
TESTS: Final = {
    "pytest, measuring the core": [*PYTEST, "-q", "--cov", "--cov-report=", *CORE],
    "every branch of the core": [
        *("-m", "coverage", "report", "--include=src/keyturn/_core/*", "--fail-under=100"),
    ],
    "pytest, with the wheel": ["tools/wheel.py", "-q", *PYTEST[2:], *INSTALLED],
    "pytest": [*PYTEST],
}
EVERYTHING: Final = {**LINT, **TYPES, **DOCS, **JS, **TESTS}

_PYTEST_CLOSING: Final = re.compile(rb"\d+ (?:passed|failed|error|errors|skipped|deselected)\b.* in [\d.]+s")
_PASSWORDS: Final = re.compile(r"(://[^:\s]*:)\S*@")
_COLOURS: Final = re.compile(rb"\x1b\[[\d;]*m")


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    os.chdir(ROOT)
    commands: dict[str, Callable[[list[str]], int]] = {
        "serve": _serve,
        "test": _test,
        "check": lambda rest: _run_all(_without_arguments("check", rest, {**LINT, **TYPES})),
        "lint": lambda rest: _run_all(_without_arguments("lint", rest, LINT)),
        "docs": _docs,
        "js": _js,
        "long": lambda rest: _pytest(["-m", "slow", *rest]),
        "wheel": _wheel,
        "bench": _bench,
    }
    name = arguments[0] if arguments else ""
    asks_us = name in commands and name not in ANSWER_THEMSELVES and set(arguments[1:]) & {"-h", "--help"}
    if name in ("-h", "--help", "help") or asks_us:
        print(HELP, end="")
        return 0
    if name not in commands:
        print(f"dev.py: unknown command {name!r}\n" if name else "dev.py: which command?\n", file=sys.stderr)
        print(HELP, end="", file=sys.stderr)
        return 2
    return commands[name](list(arguments[1:]))


# -------------------------------------------------------------------------------------------- commands


def _serve(arguments: list[str]) -> int:
    """Become `keyturn serve`: no process stays in between, so that signals reach the server itself."""
    stores = [*arguments, os.environ.get("KEYTURN_STORE", "")]
    drivers = {extra for extra, url in DRIVERS.items() if any(map(url.search, stores))}
    _set_up(extra=",".join(["server", *sorted(drivers)]), tools=False)
    program = str(VENV / "bin" / "keyturn")
    shown = _PASSWORDS.sub(r"\1***@", " ".join(arguments))
    _say(f"Starting: keyturn serve {shown}".rstrip())
    os.execv(program, [program, "serve", *arguments])  # noqa: S606 - the program that was just installed


def _test(arguments: list[str]) -> int:
    """Run pytest alone where arguments say which tests; else everything."""
    return _pytest(arguments) if arguments else _run_all(EVERYTHING, with_tests=True)


def _pytest(arguments: list[str]) -> int:
    return _with_all("-m", "pytest", *arguments)


def _wheel(arguments: list[str]) -> int:
    return _with_all("tools/wheel.py", *arguments)


def _with_all(*command: str) -> int:
    """Run Python where everything is that tests need."""
    _set_up(extra="all", tools=True)
    _find_programs()
    _find_vectors()
    return subprocess.run([PYTHON, *command], check=False).returncode


def _docs(arguments: list[str]) -> int:
    status = _run_all(_without_arguments("docs", arguments, DOCS))
    if status == 0:
        _say(f"Open {SITE / 'index.html'}")
    return status


def _js(arguments: list[str]) -> int:
    _set_up(extra="all", tools=True)
    return subprocess.run([PYTHON, "tools/js.py", *arguments], check=False).returncode


def _bench(arguments: list[str]) -> int:
    """Run a benchmark, or list them with what each says of itself first."""
    scripts = {path.stem: path for path in sorted((ROOT / "benchmarks").glob("[!_]*.py"))}
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        for name, path in scripts.items():
            print(f"  {name:<20}{_first_sentence(path)}")
        return 0
    name, *rest = arguments
    if name not in scripts:
        print(f"dev.py: there is no benchmark {name!r}, but: {', '.join(scripts)}", file=sys.stderr)
        return 2
    _set_up(extra="all", tools=True)
    _find_programs()
    return subprocess.run([PYTHON, scripts[name], *rest], check=False).returncode


def _first_sentence(script: Path) -> str:
    text = ast.get_docstring(ast.parse(script.read_bytes())) or ""
    return text.partition(". ")[0].partition(": `")[0].rstrip(".") + "."


def _without_arguments(
    command: str, arguments: list[str], checks: dict[str, list[str]]
) -> dict[str, list[str]]:
    if arguments:
        print(f"dev.py: {command} takes no arguments, but was given: {' '.join(arguments)}", file=sys.stderr)
        raise SystemExit(2)
    return checks


def _run_all(checks: dict[str, list[str]], *, with_tests: bool = False) -> int:
    """Run every check, also after one has failed, and close with a summary."""
    _set_up(extra="all", tools=True)
    if with_tests:
        _find_programs()
        _find_vectors()
    summary: list[str] = []
    failed = 0
    closing = ""
    still = {name: command for name, command in checks.items() if name not in TESTS}
    tests = {name: command for name, command in checks.items() if name in TESTS}
    for name, outcome in (*_side_by_side(still), *_one_by_one(tests)):
        closing = outcome.closing or closing
        failed += outcome.status != 0
        summary.append(outcome.line(name))
    print("\n=== Summary")
    print("\n".join(summary))
    print(f"{failed} of {len(checks)} checks failed" if failed else f"All {len(checks)} checks passed")
    if closing:  # last, where readers of a CI log look for it
        print(closing)
    return 1 if failed else 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a check ended.

    Attributes:
        status: Its exit status.
        closing: Pytest's closing line, or an empty string.
        seconds: How long it took.
    """

    status: int
    closing: str
    seconds: float

    def line(self, name: str) -> str:
        """Say it in one line."""
        verdict = "ok" if self.status == 0 else f"FAILED (exit status {self.status})"
        return f"  {name:<26} {self.seconds:6.1f} s   {verdict}"


def _side_by_side(checks: dict[str, list[str]]) -> Iterator[tuple[str, Outcome]]:
    """Run checks that only look, two at a time; what each prints is shown when it has ended."""

    def run(command: list[str]) -> tuple[bytes, Outcome]:
        start = time.monotonic()
        done = subprocess.run(
            [PYTHON, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_colours(), check=False
        )
        return done.stdout, Outcome(done.returncode, "", time.monotonic() - start)

    with ThreadPoolExecutor(2) as pool:
        running = {name: pool.submit(run, command) for name, command in checks.items()}
        for name, check in running.items():
            print(f"\n=== {name}", flush=True)
            output, outcome = check.result()
            sys.stdout.buffer.write(output)
            print(outcome.line(name), flush=True)
            yield name, outcome


def _one_by_one(checks: dict[str, list[str]]) -> Iterator[tuple[str, Outcome]]:
    """Run tests, which take the whole machine, and show what they print as it comes."""
    for name, command in checks.items():
        print(f"\n=== {name}", flush=True)
        start = time.monotonic()
        status, closing = _pass_through([str(PYTHON), *command])
        outcome = Outcome(status, closing, time.monotonic() - start)
        print(outcome.line(name), flush=True)
        yield name, outcome


def _colours() -> dict[str, str]:
    """Give the environment, with colours where somebody looks."""
    wanted = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return os.environ | ({"FORCE_COLOR": "1"} if wanted else {})


def _pass_through(command: list[str]) -> tuple[int, str]:
    """Run a command, show its output as it comes, and pick pytest's closing line out of it.

    Returns:
        The exit status, and the closing line or an empty string.
    """
    output = bytearray()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_colours()
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while chunk := os.read(process.stdout.fileno(), 65_536):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            output += chunk
    lines = _COLOURS.sub(b"", bytes(output)).splitlines()
    closing = [line for line in lines if _PYTEST_CLOSING.search(line)]
    return process.returncode, closing[-1].decode(errors="replace") if closing else ""


# --------------------------------------------------------------------------------------------- set-up


def _set_up(*, extra: str, tools: bool) -> None:
    """Make `.venv` hold Keyturn with an extra, and the development tools if they are wanted."""
    state = hashlib.sha256(f"{ROOT}\n{sys.version}\n".encode() + PYPROJECT.read_bytes()).hexdigest()
    stamp = VENV / f"keyturn-{extra}.stamp"
    if any(_read(VENV / f"keyturn-{done}.stamp") == state for done in {extra, "all"}) and _venv_works():
        return
    if not _venv_works():
        _create_venv()
    requirements = ["--editable", f".[{extra}]"]
    if tools:
        groups = tomllib.loads(PYPROJECT.read_text("utf-8"))["dependency-groups"]
        requirements += [requirement for group in groups.values() for requirement in group]
    what = "Keyturn and the tools that check it" if tools else "Keyturn's server"
    _say(f"Installing {what} into {VENV.name} (once; about a minute) ")
    _pip_install(requirements)
    stamp.write_text(state, encoding="utf-8")


def _venv_works() -> bool:
    if not PYTHON.exists():
        return False
    probe = [str(PYTHON), "-c", "import pip"]  # fails where the Python it was made from is gone
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def _create_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        if not _apt_install(package, why="this Python cannot make virtual environments"):
            _fail(f"This Python cannot make virtual environments. On Debian: sudo apt-get install {package}")
    _say(f"Creating {VENV.name} with Python {sys.version.split()[0]}")
    status = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=False).returncode
    if status != 0:
        _fail(f"Could not create {VENV}: see the message above")


def _pip_install(requirements: list[str]) -> None:
    """Install, with a dot per package as progress; pip's whole output only where it fails."""
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
        *requirements,
    ]
    log: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        for line in pip.stdout or ():
            log.append(line)
            if line.startswith(("Collecting", "Installing")):
                print(".", end="", flush=True)
    print(flush=True)
    if pip.returncode != 0:
        print("".join(log), file=sys.stderr)
        _fail("pip could not install what is needed: its output stands above")


def _find_programs() -> None:
    """Bring what tests start, where that needs no question; else say how. Tests decide what follows."""
    for what, names, package in PROGRAMS:
        if not any(map(_on_this_machine, names)) and not _apt_install(package, why="tests start it"):
            _say(f"No {what} here: its tests cannot run. On Debian: sudo apt-get install {package}")


def _on_this_machine(program: str) -> bool:
    return shutil.which(program) is not None or any(
        any(Path("/").glob(f"{folder}/{program}")) for folder in PROGRAM_FOLDERS
    )


def _find_vectors() -> None:
    """Bring the Wycheproof vectors where apt can; else say so. Tests decide what follows."""
    folder = Path(os.environ.setdefault("KEYTURN_WYCHEPROOF", str(VENV / "wycheproof")))
    if not folder.exists():
        _say("Fetching the Wycheproof test vectors (once)")
        subprocess.run([sys.executable, ROOT / "tools" / "wycheproof.py", folder], check=False)


def _apt_install(package: str, *, why: str) -> bool:
    """Install a Debian package if we may: as root, where apt-get is.

    Returns:
        Whether it is installed now.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    _say(f"Installing the Debian package {package}: {why}")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    for attempt in range(1, 4):  # mirrors fail now and then
        for command in (["apt-get", "update", "-qq"], install):
            status = subprocess.run(command, check=False, env=quiet, stdout=subprocess.DEVNULL).returncode
        if status == 0:
            importlib.invalidate_caches()
            return True
        _say(f"apt-get failed (attempt {attempt} of 3)")
    return False


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


def _say(text: str) -> None:
    print(f"[dev] {text}", end="" if text.endswith(" ") else "\n", flush=True)


def _fail(text: str) -> NoReturn:
    print(f"[dev] {text}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
