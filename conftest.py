"""Runs the examples of docstrings, of the README and of the docs as tests. It knows none of them."""

from __future__ import annotations

from contextlib import ExitStack, chdir
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from sybil import Sybil
from sybil.parsers.doctest import DocTestParser
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

settings.register_profile("keyturn", deadline=None)  # how long an example takes says nothing about a rule
settings.load_profile("keyturn")

pytest_plugins = ["tests.support.fixtures", "tests.support.databases", "keyturn.pytest_plugin"]

CLEAN_UP = "_clean_up"
SRC = Path(__file__).parent / "src"


def enter_empty_folder(namespace: dict[str, Any]) -> None:
    """Run the examples of one document in a folder of their own: what they write is gone afterwards."""
    with ExitStack() as stack:
        stack.enter_context(chdir(stack.enter_context(TemporaryDirectory())))
        namespace[CLEAN_UP] = stack.pop_all()


def leave_folder(namespace: dict[str, Any]) -> None:
    """Go back to where the tests run."""
    namespace[CLEAN_UP].close()


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Take the source for folders of examples: of packages, pytest would load modules by their path.

    What the examples of a module are about is what an import of its name gives: `python3 dev.py wheel`.
    """
    return pytest.Dir.from_parent(parent, path=path) if path.is_relative_to(SRC) else None


pytest_collect_file = (
    Sybil(parsers=[DocTestParser()], patterns=["src/keyturn/*.py", "src/keyturn/**/*.py"])
    + Sybil(
        parsers=[PythonCodeBlockParser(), SkipParser()],
        patterns=["README.md", "docs/*.md", "docs/**/*.md"],
        excludes=["docs/tutorials/*.md"],  # tests/examples does what they say
        setup=enter_empty_folder,
        teardown=leave_folder,
    )
).pytest()
