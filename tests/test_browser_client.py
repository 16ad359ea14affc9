"""The browser client as the Python package brings it: one file, there without Node.

What it does is tested in js/.
"""

from __future__ import annotations

import re

from keyturn.http import browser
from tests.support.sources import ROOT, SRC, project_files, pyproject

BUNDLE = SRC / "keyturn" / "http" / "static" / "keyturn.js"


def test_the_client_is_one_module_that_loads_nothing() -> None:
    """A page imports it by its URL, so it imports nothing else, and exports what the npm package does."""
    text = BUNDLE.read_text("utf-8")
    assert not re.search(r"^\s*import\b|\bimport\(|\brequire\(", text, re.MULTILINE)
    exported = set(re.findall(r"\w+", text.rpartition("export {")[2]))
    index = (ROOT / "js" / "src" / "index.ts").read_text("utf-8")
    assert exported == set(re.findall(r"^export \{ (\w+) \}", index, re.MULTILINE))


def test_installing_from_the_sources_needs_no_node() -> None:
    """The bundle is committed, and what a build needs is on PyPI and runs nothing of ours."""
    assert BUNDLE in project_files()
    needed = [each.partition(">")[0] for each in pyproject()["build-system"]["requires"]]
    assert needed == ["hatchling", "hatch-fancy-pypi-readme"]
    assert "hooks" not in pyproject()["tool"]["hatch"]["build"]
    assert not any("hooks" in each for each in pyproject()["tool"]["hatch"]["build"]["targets"].values())


def test_the_served_content_is_the_file() -> None:
    """It is read once, when the endpoints are imported."""
    assert BUNDLE.read_bytes() == browser.CONTENT
