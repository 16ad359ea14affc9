"""Runs the benchmarks in small, so that they work when somebody wants their figures. It judges no figure."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from _managers import refreshing
from _programs import ProgramFailed, with_wrk
from _rounds import Effort, Line, beside, in_threads, in_turns
from _targets import TARGETS, Target
from keyturn import KeyRing, TokenManager
from keyturn.cli import benching
from keyturn.cli.root import keyturn
from keyturn.stores.memory import MemoryStore
from tests.support.browser import in_ci
from tests.support.keyturn_server import COMMAND
from tests.support.sources import ROOT, pyproject

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

# What each part of the suite measures, and the one environment that it is tested with.
PARTS = {
    "verify": (
        "jwt",
        ("An access token, ES256", "`authenticate` among live revocations"),
        ("cold HS256", "pure"),
    ),
    "refresh": (
        "django",
        tuple(f"A refresh on {name}, 1 at once" for name in ("PostgreSQL", "Redis", "SQLite", "MariaDB")),
        ("postgres toolkit", "sqlalchemy", "redis tutorial", "sqlite"),
    ),
    "http": ("none", ("A route, HS256", "`/auth/me`", "`/auth/refresh`"), ("guard",)),
    "growth": ("none", ("PostgreSQL", "Redis", "Memory of a process"), ("growth postgres", "redis memory")),
    "propagation": ("plot", ("A revocation's way",), ("push redis half", "push postgres full p99")),
}


def run(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark; end the test where its server is not on this machine."""
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    env = {**os.environ, **variables}
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, cwd=ROOT, env=env
    )
    if "is not installed here" in result.stderr:
        skip(result.stderr.strip())
    return result


def skip(reason: str) -> None:
    """End a test because something is not on this machine; in CI everything must be."""
    if in_ci():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def suite(folder: Path, *arguments: str, **variables: str) -> dict[str, Any]:
    """Run the suite in small, and give what it wrote."""
    result = run("suite.py", "--quick", "--output", str(folder), *arguments, **variables)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    written: dict[str, Any] = json.loads((folder / "results.json").read_text("utf-8"))
    return written


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_suite_in_small(part: str, tmp_path: Path) -> None:
    """It measures every line in every round, says what it could not measure, and writes all of it down."""
    peers, titles, targets = PARTS[part]
    written = suite(tmp_path, "--only", part, "--peers", peers)
    absent = [each for each in written["missing"] if re.search("is not installed here|pip could not", each)]
    if absent:
        skip(absent[0])
    found = [table["title"] for table in written["tables"]]
    assert [title for title in titles if not any(each.startswith(title) for each in found)] == []
    assert set(targets) <= set(written["targets"])
    for table in written["tables"]:
        assert table["raw"], table["title"]
        assert all(figure > 0 for figures in table["raw"].values() for figure in figures), table
    document = (tmp_path / "results.md").read_text("utf-8")
    assert document.count("| at least ") + document.count("| at most ") == len(TARGETS)
    assert all(f"### {title}" in document for title in found)
    assert all(f"- {each}" in document for each in written["missing"])
    assert {"processor", "kernel", "Python", "date"} <= set(written["machine"])
    assert "cryptography" in written["versions"]
    assert (tmp_path / "results.png").exists() == (peers == "plot")


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    """What a machine cannot measure is a line of the results, with what would bring it."""
    written = suite(tmp_path, "--only", "http", "--peers", "none", PATH="")
    assert written["missing"][0] == (
        "http: not measured: wrk is not installed here. On Debian: sudo apt-get install wrk"
    )


@pytest.mark.slow
def test_peers_still_do_what_the_comparison_says(tmp_path: Path) -> None:
    """Asked again, everybody does what the page says; how a race of peers ends hangs on the moment."""
    found = tmp_path / "behaviours.json"
    result = run("behaviours.py", "--output", str(found))
    if "pip could not" in result.stderr:
        skip(result.stderr.strip())
    assert result.returncode == 0, result.stderr
    said, now = (
        json.loads(path.read_text("utf-8"))["findings"]
        for path in (ROOT / "docs" / "explanation" / "behaviours.json", found)
    )
    assert now["Keyturn"] == said["Keyturn"]
    for findings in (*said.values(), *now.values()):
        del findings["race"]
    assert now == said


def test_rounds_interleave_and_ratios_are_of_one_round() -> None:
    """Each round measures each line once, another one first each time; a ratio compares within a round."""
    order: list[str] = []

    def line(name: str, rates: list[float]) -> Line:
        def rate(_: float) -> float:
            order.append(name)
            return rates[order.count(name) - 1]

        return Line(name, rate)

    crew = [line("a", [9, 2.0, 8.0]), line("b", [9, 1.0, 2.0])]
    rates = in_turns("test", crew, Effort(rounds=2, seconds=0, warm_ups=1))
    assert "".join(order) == "ab" + "ba" + "ab"
    assert beside(rates, "a", "b") == (2.0, 4.0)


def test_work_that_was_not_done_stops_the_run() -> None:
    """A refresh that does not rotate, a failing thread and a wrong answer are errors, never figures."""
    manager: TokenManager = TokenManager(
        store=MemoryStore(), keys=KeyRing.generate("HS256"), issuer="i", audience="a"
    )
    turn = refreshing(manager)  # the default policy has a race window, within which nothing rotates twice
    with pytest.raises(RuntimeError, match="did not rotate"):
        [turn() for _ in range(100)]
    with pytest.raises(ZeroDivisionError):
        in_threads([lambda: 1 / 0, lambda: 1])(10)
    manager.close()


def test_a_url_that_answers_nothing_has_no_rate() -> None:
    """Where requests fail, wrk's count is an error."""
    try:
        rate = with_wrk("http://127.0.0.1:9/", 1)
    except RuntimeError as missing:
        skip(str(missing))
    else:
        with pytest.raises(ProgramFailed):
            rate(1)


@pytest.mark.parametrize(
    ("most", "figures", "reached", "margin"),
    [
        (False, [1, 2, 9], True, 2),
        (False, [0.5], False, 0.5),
        (True, [0.5], True, 2),
        (True, [4], False, 0.25),
    ],
)
def test_a_target_is_judged_by_the_median(
    *, most: bool, figures: list[float], reached: bool, margin: float
) -> None:
    """At least or at most; the margin is above 1 exactly where the bound is met."""
    target = Target("key", "what", 1, most=most)
    assert (target.reached(figures), target.margin(figures)) == (reached, margin)


def test_the_command_runs_the_suite() -> None:
    """`keyturn bench` hands its arguments over, and ends as the suite does."""
    wrong = subprocess.run(
        [*COMMAND, "bench", "--only", "nothing"], check=False, capture_output=True, text=True, timeout=60
    )
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "'nothing' is not one of" in wrong.stderr


def test_what_the_command_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the drivers that it measures, it says which are missing and what brings them."""
    monkeypatch.setattr(benching, "find_spec", lambda name: None if name in {"redis", "flask"} else name)
    result = CliRunner().invoke(keyturn, ["bench"])
    assert (result.exit_code, result.output) == (
        1,
        "Error: the benchmark needs flask, redis: pip install 'keyturn[all]' brings what it measures\n",
    )


def test_a_wheel_has_the_suite_where_the_command_looks() -> None:
    """What pyproject.toml puts into the wheel is the first place that the command looks at."""
    inside = pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]["benchmarks"]
    assert benching.PLACES[0] == Path(benching.__file__).parents[2] / inside / "suite.py"


@pytest.mark.parametrize(
    "store", ["postgres", *(pytest.param(store, marks=pytest.mark.slow) for store in ("redis", "mariadb"))]
)
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


@pytest.mark.parametrize(("script", "options"), [("million.py", 10), ("suite.py", 8)])
def test_options_are_explained(script: str, options: int) -> None:
    """Every option of the commands has a help text."""
    words = " ".join(run(script, "--help").stdout.split())
    _, *found = re.split(r" (?=--[a-z])", words.partition("Options:")[2])
    assert len(found) > options
    silent = [option for option in found if not re.search(r" [A-Z][a-z]+ [a-z]+", option)]
    assert silent == []
