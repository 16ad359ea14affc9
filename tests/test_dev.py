"""Tests of `dev.py`: what it says to wrong input, and that a failed check is never lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

import dev
from tests.support.sources import ROOT

COMMANDS = ("serve", "test", "check", "lint", "docs", "js", "long", "wheel", "bench")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run dev.py with arguments that make it stop before any set-up."""
    command = [sys.executable, str(ROOT / "dev.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("arguments", [("tset",), ()])
def test_an_unknown_command_gets_the_list(arguments: tuple[str, ...]) -> None:
    """Wrong input ends with status 2 and names all commands."""
    result = run(*arguments)
    assert result.returncode == 2
    assert all(f"\n  {command}" in result.stderr for command in COMMANDS)


def test_help_names_all_commands() -> None:
    """`--help` succeeds and names all commands."""
    result = run("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert all(f"\n  {command}" in result.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", ["check", "lint", "docs", "js", "long", "wheel"])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_a_command_is_explained_without_being_run(command: str, flag: str) -> None:
    """Who asks what a command does gets the list, before anything is set up."""
    result = run(command, flag)
    assert (result.returncode, result.stdout, result.stderr) == (0, dev.HELP, "")


def test_the_scripts_of_the_browser_client_are_named() -> None:
    """Nobody has to look into js/package.json; `prepack` is npm's own."""
    scripts = json.loads((ROOT / "js" / "package.json").read_text("utf-8"))["scripts"].keys() - {"prepack"}
    line = next(line for line in dev.HELP.splitlines() if line.startswith("  js "))
    assert scripts <= set(re.findall(r"\w+", line.partition("]")[2]))


def test_arguments_are_not_swallowed() -> None:
    """A command that takes no arguments refuses them."""
    result = run("lint", "src")
    assert result.returncode == 2
    assert "takes no arguments" in result.stderr


def test_benchmarks_are_listed_and_an_unknown_one_is_refused() -> None:
    """`bench` alone says which benchmarks there are, as `--help` does; a wrong name, too, with status 2."""
    listed, refused = run("bench"), run("bench", "milion")
    assert (listed.returncode, refused.returncode) == (0, 2)
    assert "  million " in listed.stdout
    assert run("bench", "--help").stdout == listed.stdout
    assert "million" in refused.stderr.partition("'milion'")[2]


def test_serving_brings_the_drivers_of_its_stores_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first command works with each store, and what it says of its arguments may go into a log."""
    extras: list[str] = []
    programs: list[list[str]] = []
    monkeypatch.setattr(dev, "_set_up", lambda extra, **_: extras.append(extra))
    monkeypatch.setattr(os, "execv", lambda _, arguments: programs.append(arguments))
    monkeypatch.setattr(os, "chdir", lambda _: None)
    monkeypatch.delenv("KEYTURN_STORE", raising=False)
    dev.main(["serve", "--store", "redis+cluster://:hunter2@a:1,b:2", "--users=mysql://u:hun@ter2@db/x"])
    dev.main(["serve", "--demo"])
    monkeypatch.setenv("KEYTURN_STORE", "postgresql://u:hunter2@db/x")
    dev.main(["serve"])
    assert extras == ["server,mysql,redis", "server", "server,postgres"]
    assert programs[0][-1] == "--users=mysql://u:hun@ter2@db/x"
    said = capsys.readouterr().out
    assert "--store redis+cluster://:***@a:1,b:2 --users=mysql://u:***@db/x" in said
    assert "ter2" not in said


def test_output_passes_through_with_its_status_and_closing_line(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """What a check prints is shown as it is; its status and pytest's closing line are kept."""
    closing = "=== \x1b[31m1 failed\x1b[0m, 2 passed in 0.10s ==="
    status, found = dev._pass_through(
        [sys.executable, "-c", f"print({closing!r}); print('3 passed'); exit(1)"]
    )
    assert (status, found) == (1, "=== 1 failed, 2 passed in 0.10s ===")
    assert capfdbinary.readouterr().out.decode() == f"{closing}\n3 passed\n"


def test_checks_side_by_side_are_told_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Each with its own output and status, in their order, whichever ends first."""
    monkeypatch.setattr(dev, "PYTHON", sys.executable)
    checks = {
        "first": ["-c", "import time; time.sleep(0.2); print('one'); exit(3)"],
        "second": ["-c", "print('two')"],
    }
    ended = {name: outcome.status for name, outcome in dev._side_by_side(checks)}
    assert ended == {"first": 3, "second": 0}
    said = capfdbinary.readouterr().out.decode()
    assert re.fullmatch(
        r"\n=== first\none\n  first .* FAILED \(exit status 3\)\n\n=== second\ntwo\n  second .* ok\n", said
    )


def test_the_tests_that_are_named_are_there() -> None:
    """A test file that was renamed is renamed there, too."""
    named = [name.partition("::")[0] for name in (*dev.CORE, *dev.INSTALLED)]
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_check_of_the_readme_is_run() -> None:
    """The full run holds lint, types, documents, browser client, tests, the core's coverage, the wheel."""
    assert list(dev.EVERYTHING) == [
        *("ruff check", "ruff format", "mypy --strict", "pyright (strict)", "documentation"),
        *("browser client (npm test)", "pytest, measuring the core", "every branch of the core"),
        *("pytest, with the wheel", "pytest"),
    ]
