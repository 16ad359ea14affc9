"""Holds the housekeeping of the repository: docstrings, sizes, nothing left behind. It knows no behaviour."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

from tests.support.sources import ROOT, SRC, project_files

PYTHON = [path for path in project_files() if path.suffix == ".py"]
SOURCES = [path for path in PYTHON if path.is_relative_to(SRC)]
LINES_AT_MOST = 400
LONGER = {
    # Two twins with their public docstrings, side by side, where a reader sees that they differ by `await`.
    "src/keyturn/manager.py": 930,
}

# Put together here, so that this file does not hold what it looks for.
LEFT_BEHIND = re.compile(
    rb"\b(?:%s)\b" % b"|".join([b"TO" + b"DO", b"FIX" + b"ME", b"X" * 3, b"HACK" + b"!"])
)
MACHINE_PATHS = re.compile(
    rb"(?<![\w.:])/(?:%s)/"
    % b"|".join([b"ro" + b"ot", b"ho" + b"me/\\w+", b"wo" + b"rk", b"Us" + b"ers/\\w+", b"tm" + b"p"])
)


def relative(path: Path) -> str:
    """Name a file as a person would."""
    return str(path.relative_to(ROOT))


def texts() -> list[tuple[Path, bytes]]:
    """Return all committed files that are text."""
    contents = [(path, path.read_bytes()) for path in project_files()]
    return [(path, content) for path, content in contents if b"\0" not in content]


def findings(pattern: re.Pattern[bytes]) -> list[str]:
    """Return each line of the project that a pattern matches."""
    return [
        f"{relative(path)}:{number}: {line.decode(errors='replace').strip()}"
        for path, content in texts()
        for number, line in enumerate(content.splitlines(), 1)
        if pattern.search(line)
    ]


def test_nothing_is_left_for_later() -> None:
    """No note of unfinished work is committed: it is done, or it is an issue."""
    assert findings(LEFT_BEHIND) == []


def test_no_path_of_a_machine_is_committed() -> None:
    """The project works anywhere, so no file names a place of one machine."""
    assert findings(MACHINE_PATHS) == []


@pytest.mark.parametrize(
    "planted", [b"x = '/ro" + b"ot/x'", b"cd /ho" + b"me/ann/project", b"see /tm" + b"p/kt"]
)
def test_a_machine_path_is_found(planted: bytes) -> None:
    """The check above finds what it looks for."""
    assert MACHINE_PATHS.search(planted)


@pytest.mark.parametrize("innocent", [b"https://example.com/work/x", b"/auth/refresh", b"a/tmp/b"])
def test_a_url_is_no_machine_path(innocent: bytes) -> None:
    """And nothing else."""
    assert not MACHINE_PATHS.search(innocent)


@pytest.mark.parametrize("path", PYTHON, ids=relative)
def test_every_python_file_opens_with_a_docstring(path: Path) -> None:
    """A reader learns from the first line what a file is."""
    assert ast.get_docstring(ast.parse(path.read_bytes())), "no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_source_files_are_small(path: Path) -> None:
    """What does not fit in 400 lines has parts that want names of their own; an exception has its reason."""
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= LONGER.get(relative(path), LINES_AT_MOST)


def test_every_test_says_what_it_proves() -> None:
    """Each test function has a docstring: the rule that it holds."""
    silent = [
        f"{relative(path)}::{node.name}"
        for path in PYTHON
        if path.is_relative_to(ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_scripts_can_be_started() -> None:
    """What is meant to be started is executable and says by what."""
    for name in ("dev.py", ".ci/run"):
        path = ROOT / name
        assert os.access(path, os.X_OK), name
        assert path.read_bytes().startswith(b"#!/usr/bin/env "), name
