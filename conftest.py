"""Runs the examples of docstrings, of the README and of the docs as tests. It knows none of them."""

from __future__ import annotations

from contextlib import ExitStack, chdir
from tempfile import TemporaryDirectory
from typing import Any

from sybil import Sybil
from sybil.parsers.doctest import DocTestParser
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_plugins = ["tests.support.fixtures", "tests.support.databases"]

CLEAN_UP = "_clean_up"


def enter_empty_folder(namespace: dict[str, Any]) -> None:
    """Run the examples of one document in a folder of their own: what they write is gone afterwards."""
    with ExitStack() as stack:
        stack.enter_context(chdir(stack.enter_context(TemporaryDirectory())))
        namespace[CLEAN_UP] = stack.pop_all()


def leave_folder(namespace: dict[str, Any]) -> None:
    """Go back to where the tests run."""
    namespace[CLEAN_UP].close()


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
