"""Runs the examples of docstrings, of the README and of the docs as tests. It knows none of them."""

from __future__ import annotations

from sybil import Sybil
from sybil.parsers.doctest import DocTestParser
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_plugins = ["tests.support.fixtures"]

# An example in a document runs in an empty folder: what it writes (a database, keys) is gone afterwards.
pytest_collect_file = (
    Sybil(parsers=[DocTestParser()], patterns=["src/keyturn/*.py", "src/keyturn/**/*.py"])
    + Sybil(
        parsers=[PythonCodeBlockParser(), SkipParser()],
        patterns=["README.md", "docs/*.md", "docs/**/*.md"],
        fixtures=["empty_folder"],
    )
).pytest()
