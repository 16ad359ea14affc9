"""The browser client as the Python package brings it: one file, there without Node.

What it does is tested in js/.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

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
    """The bundle is committed, and nothing makes it while a wheel is built."""
    assert BUNDLE in project_files()
    assert [each.partition(">")[0] for each in pyproject()["build-system"]["requires"]] == ["hatchling"]
    assert "hooks" not in pyproject()["tool"]["hatch"]["build"]
    assert not any("hooks" in each for each in pyproject()["tool"]["hatch"]["build"]["targets"].values())


def test_the_wheel_and_the_sdist_bring_it(tmp_path: Path) -> None:
    """The wheel has the bundle, the sdist also its sources; neither has what npm installs."""
    build = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "--target",
        "wheel",
        "--target",
        "sdist",
        "--directory",
        str(tmp_path),
    ]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")
    with ZipFile(wheel) as files:
        assert files.read("keyturn/http/static/keyturn.js") == BUNDLE.read_bytes()
    with tarfile.open(sdist) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
    assert {"js/src/index.ts", "js/package-lock.json", "js/test/tabs.test.ts"} <= names
    assert not any("node_modules" in name or name.startswith("js/dist") for name in names)


def test_the_served_content_is_the_file() -> None:
    """It is read once, when the endpoints are imported."""
    assert BUNDLE.read_bytes() == browser.CONTENT
