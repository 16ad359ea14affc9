"""Each tutorial done word for word by a reader who knows nothing else, on the framework's real server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keyturn.testing.servers.programs import free_port
from tests.support.processes import running_server
from tests.support.tutorials import DOCUMENTED_PORT, EXAMPLES, Tutorial, tutorials

FRAMEWORKS = ("aiohttp", "django", "fastapi", "flask", "litestar", "starlette")
PAGES = ("single-page-app",)
MOST_LINES = 60
LEFT_BEHIND = shutil.ignore_patterns("__pycache__", "*.db*", "*.sqlite3*", "migrations")
KINDS = ("py", "ini", "toml", "html", "js")
# One of the demonstration has no application of its own, so nothing to do here.
TUTORIALS = {tutorial.name: tutorial for tutorial in tutorials() if tutorial.steps}


@pytest.fixture(params=TUTORIALS)
def tutorial(request: pytest.FixtureRequest) -> Tutorial:
    """Each tutorial."""
    return TUTORIALS[request.param]


@pytest.fixture
def desk(tutorial: Tutorial, tmp_path: Path) -> Path:
    """Give a reader's own copy of the example."""
    folder = tmp_path / tutorial.name
    shutil.copytree(tutorial.folder, folder, ignore=LEFT_BEHIND)
    return folder


def environment(port: int) -> dict[str, str]:
    """Give what a reader's shell has, with the project's own programs first and nothing of this run's."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "COV_", "DJANGO_"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**own, "PATH": path, "PORT": str(port), "PYTHONDONTWRITEBYTECODE": "1"}


def sh(script: str, folder: Path, port: int) -> subprocess.CompletedProcess[str]:
    """Do what a block says, at another port than the documented one."""
    return subprocess.run(
        ["bash", "-eu", "-c", script.replace(DOCUMENTED_PORT, str(port))],
        cwd=folder,
        env=environment(port),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def application_files(folder: Path) -> list[Path]:
    """Give the code of an example, without its tests and what a framework has written itself."""
    written = {"manage.py", "conftest.py"}
    return [
        path
        for path in folder.rglob("*.py")
        if path.name not in written and not path.name.startswith("test_") and "migrations" not in path.parts
    ]


def test_every_framework_has_a_tutorial_and_an_example() -> None:
    """And there is no other, but for one whose subject is the page."""
    expected = sorted((*FRAMEWORKS, *PAGES))
    assert sorted(TUTORIALS) == expected
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()) == expected


def test_an_example_is_short(tutorial: Tutorial) -> None:
    """Under 60 lines of the application's own code: blank ones and comments do not count."""
    lines = [
        line
        for path in application_files(tutorial.folder)
        for line in path.read_text("utf-8").splitlines()
        if line.strip() and not line.lstrip().startswith(("#", '"""'))
    ]
    assert 0 < len(lines) < MOST_LINES


def test_a_tutorial_shows_all_of_its_example(tutorial: Tutorial) -> None:
    """No file is needed that the reader was not shown."""
    shown = {step.promise for step in tutorial.of("file")}
    files = {
        f"examples/{path.relative_to(EXAMPLES)}"
        for kind in KINDS
        for path in tutorial.folder.rglob(f"*.{kind}")
        if "migrations" not in path.parts  # `makemigrations` writes them
    }
    assert files == shown


def test_a_tutorial_does_what_it_says(tutorial: Tutorial, desk: Path, tmp_path: Path) -> None:
    """Set up, run, and ask: each answer has the status that the tutorial names."""
    port = free_port()
    for step in tutorial.of("set up"):
        done = sh(step.text, desk, port)
        assert done.returncode == 0, done.stdout + done.stderr
    (run,) = tutorial.of("run")
    command = f"cd {desk} && exec {run.text.strip().replace(DOCUMENTED_PORT, str(port))}"
    log = tmp_path / "server.log"
    with running_server(["bash", "-c", command], port=port, log=log, env=environment(port), inherit=False):
        for step in tutorial.of("try"):
            done = sh(step.text, desk, port)
            assert done.returncode == 0, done.stderr
            assert re.findall(r"\b(\d{3})$", done.stdout, re.MULTILINE) == step.promise.split(), done.stdout
    assert tutorial.of("try")
    printed = log.read_text("utf-8")
    assert "Traceback" not in printed
    assert not re.search(r"ktr_|eyJ", printed), "a token in the log"


def test_an_examples_own_tests_pass(tutorial: Tutorial, desk: Path) -> None:
    """As many as the tutorial says."""
    (step,) = tutorial.of("test")
    done = sh(step.text, desk, free_port())
    assert done.returncode == 0, done.stdout + done.stderr
    assert step.promise in done.stdout, done.stdout
