"""Runs the benchmarks in small, so that they work when somebody wants their figures. It judges no figure."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.browser import in_ci
from tests.support.sources import ROOT

FIGURES = (
    r"filled with 4,000 .* sessions per second",
    r"bytes per session +\d+",
    r"a refresh, among 1,000 +median .* p99 .* \(100 refreshes\)",
    r"a refresh, among 4,000 +median .* p99 .* \(100 refreshes\)",
    r"ratio +median \d+\.\d\d . · p99 \d+\.\d\d",
    r"500 refreshes +[\d,]+ refreshes per second, 2 at once",
    r"size, to that before +\d+\.\d\d",
    r"purging: 2,000 of 2,000 after",
    r"purge of 2,000 +[\d,]+ sessions per second",
    r"refreshes before, 100 a second +median .* \(50 refreshes\)",
    r"refreshes during the purge +median .* p99 ",
)


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark; end the test where its server is not on this machine."""
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, cwd=ROOT)
    if "is not installed here" in result.stderr:
        if in_ci():
            pytest.fail(result.stderr, pytrace=False)
        pytest.skip(result.stderr.strip())
    return result


@pytest.mark.parametrize("store", ["postgres", "redis", "mariadb"])
def test_a_million_sessions_in_small(store: str) -> None:
    """With 4,000 sessions it completes, loses and keeps exactly the right ones, and prints each figure."""
    small = ("--rounds", "2", "--each", "50", "--refreshes", "500", "--processes", "2")
    load = ("--rate", "100", "--calm", "0.5", "--no-bounds")
    result = run("million.py", "--store", store, "--sessions", "4000", *small, *load)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    missing = [figure for figure in FIGURES if not re.search(figure, result.stdout)]
    assert missing == [], result.stdout
    assert ("HOT" in result.stdout) == (store == "postgres")


def test_a_missed_bound_is_said_and_fails() -> None:
    """Where a bound is missed, the exit status is 1 and a sentence says which."""
    code = "from _common import judge; raise SystemExit(judge(['it is slow']))"
    result = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=ROOT / "benchmarks"
    )
    assert (result.returncode, result.stderr.strip()) == (1, "MISSED: it is slow.")


def test_options_are_explained() -> None:
    """Every option of the command has a help text."""
    words = " ".join(run("million.py", "--help").stdout.split())
    _, *options = re.split(r" (?=--[a-z])", words.partition("Options:")[2])
    assert len(options) > 10
    silent = [option for option in options if not re.search(r" [A-Z][a-z]+ [a-z]+", option)]
    assert silent == []
