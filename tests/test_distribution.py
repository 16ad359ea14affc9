"""The wheel and the source distribution: what is in them, and what they need. It knows no rule of Keyturn."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path, PurePosixPath

import pytest

import keyturn
from tests.support.bare import copy_packages, needed
from tests.support.layers import EXTRAS, extra_of
from tests.support.sources import ROOT, is_within, modules, project_files, pyproject
from tools import wheel as wheels

VERSION = keyturn.__version__
DIST_INFO = f"keyturn-{VERSION}.dist-info"

# What the wheel says of itself, and the kinds of files that it is made of. A new kind is a decision.
METADATA = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
KINDS = {
    ".py": "code, Alembic's and Django's migrations among it",
    ".typed": "the mark that types are shipped",
    ".lua": "what Redis runs",
    ".html": "templates of pages",
    ".css": "the look of pages",
    ".js": "what pages run",
    ".svg": "icons",
    ".toml": "the words of pages",
}
BESIDE_THE_README = re.compile(r"\]\((?!https:|#)")


@dataclass(frozen=True, slots=True)
class Built:
    """A wheel and a source distribution of one build."""

    wheel: Path
    sdist: Path

    def in_wheel(self) -> dict[str, bytes]:
        """Return what the wheel holds, by name."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def in_sdist(self) -> dict[str, bytes]:
        """Return what the source distribution holds, by name below its one folder."""
        with tarfile.open(self.sdist) as archive:
            return {
                str(PurePosixPath(*PurePosixPath(member.name).parts[1:])): content.read()
                for member in archive
                if (content := archive.extractfile(member)) is not None
            }

    def metadata(self) -> Message:
        """Return the wheel's metadata; its description is the payload."""
        return BytesParser().parsebytes(self.in_wheel()[f"{DIST_INFO}/METADATA"])


def build(source: Path, into: Path, *options: str) -> Path:
    """Build a folder's distributions with the tools that are here, and nothing fetched."""
    command = [sys.executable, "-m", "build", "--no-isolation", *options, "--outdir", str(into), str(source)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    done = subprocess.run(
        command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout
    return into


def of(folder: Path) -> Built:
    """Find what was built."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The distributions of this tree, as a release builds them: the wheel from the source distribution."""
    return of(build(ROOT, tmp_path_factory.mktemp("built")))


@pytest.fixture(scope="module")
def bare(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel and what that asks for without extras."""
    folder = tmp_path_factory.mktemp("bare") / "environment"
    python = wheels.create(folder)
    copy_packages(built.metadata().get_all("Requires-Dist", []), wheels.packages(folder))
    wheels.install(python, built.wheel)
    return python


def run(python: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in an environment; what is outside of it, and this folder's source, are offered in vain."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [str(python), "-c", code, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment)


def named(files: Iterable[Path]) -> dict[str, bytes]:
    """Return the contents of files of the project, by their names in it."""
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files}


# ------------------------------------------------------------------------------------- what is in them


def test_the_wheel_is_the_package_and_the_benchmarks(built: Built) -> None:
    """All that Git holds of the package is in the wheel as it is, with the benchmarks, and nothing else."""
    expected = {
        new + name.removeprefix(old): content
        for name, content in named(project_files()).items()
        for old, new in (("src/keyturn/", "keyturn/"), ("benchmarks/", "keyturn/_benchmarks/"))
        if name.startswith(old)
    }
    found = built.in_wheel()
    about = {name for name in found if name.startswith(f"{DIST_INFO}/")}
    assert {name.removeprefix(f"{DIST_INFO}/") for name in about} == METADATA
    assert found.keys() - about == expected.keys()
    assert [name for name, content in expected.items() if found[name] != content] == []


def test_each_kind_of_file_is_known(built: Built) -> None:
    """What is neither code nor one of the kinds that code reads does not get into the wheel unnoticed."""
    names = [name for name in built.in_wheel() if not name.startswith(f"{DIST_INFO}/")]
    kinds = {PurePosixPath(name).suffix or PurePosixPath(name).name for name in names}
    kinds = {".typed" if kind == "py.typed" else kind for kind in kinds}
    assert kinds <= KINDS.keys()


@pytest.mark.parametrize(
    "what",
    [
        "keyturn/py.typed",
        "keyturn/stores/_redis/*.lua",
        "keyturn/stores/migrations/versions/*.py",
        "keyturn/django/migrations/0*.py",
        "keyturn/django/templates/admin/keyturn/*.html",
        "keyturn/server/templates/*.html",
        "keyturn/server/static/*",
        "keyturn/_benchmarks/suite.py",
    ],
)
def test_what_code_finds_by_its_name_is_there(built: Built, what: str) -> None:
    """What no import names, and so no import would miss, is in the wheel."""
    assert any(PurePosixPath(name).match(what) for name in built.in_wheel())


def test_the_source_distribution_is_what_git_holds(built: Built) -> None:
    """It can be built and tested like a clone; what Git ignores (databases, keys, caches) is not in it."""
    found = built.in_sdist()
    assert found.pop("PKG-INFO") == built.in_wheel()[f"{DIST_INFO}/METADATA"]
    assert found == named(project_files())


def test_the_same_source_gives_the_same_bytes(built: Built, tmp_path: Path) -> None:
    """Another folder, another time and no way by the source distribution change no byte of what is built."""
    copy = tmp_path / "copy"
    for path in project_files():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)  # with a time of its own
        os.utime(target, (1e9, 1e9))
    again = of(build(copy, tmp_path / "again", "--wheel", "--sdist"))
    assert again.wheel.read_bytes() == built.wheel.read_bytes()
    assert again.sdist.read_bytes() == built.sdist.read_bytes()


# ------------------------------------------------------------------------------- what they say of themselves


def test_the_metadata_is_what_the_project_says(built: Built) -> None:
    """The version has one home; the wheel, the package and the index say the same."""
    project, metadata = pyproject()["project"], built.metadata()
    assert metadata["Version"] == project["version"] == VERSION
    assert metadata["Requires-Python"] == project["requires-python"]
    assert metadata["License-Expression"] == project["license"] == "MIT"
    assert set(metadata.get_all("Provides-Extra", [])) == project["optional-dependencies"].keys()
    assert needed(metadata.get_all("Requires-Dist", [])) == needed(project["dependencies"])


def test_the_page_of_the_package_renders(built: Built) -> None:
    """The index shows the README: it accepts it, and none of its links leads beside it, where nothing is."""
    command = [sys.executable, "-m", "twine", "check", "--strict", str(built.wheel), str(built.sdist)]
    checked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    readme, page = (ROOT / "README.md").read_text("utf-8"), str(built.metadata().get_payload())
    assert BESIDE_THE_README.search(readme), "there is nothing to find"
    assert BESIDE_THE_README.search(page) is None
    assert "decisions (docs/explanation/decisions.md)" in page


# --------------------------------------------------------------------------------- in a bare environment


def test_the_examples_of_the_base_installation_need_nothing_else(bare: Path) -> None:
    """With the wheel and its three dependencies alone, each example in a docstring of the base runs."""
    base = [name for name in modules() if extra_of(name) is None]
    code = """import doctest, importlib, sys
results = [doctest.testmod(importlib.import_module(name)) for name in sys.argv[1:]]
print(sum(result.attempted for result in results), sum(result.failed for result in results))"""
    done = run(bare, code, *base)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    attempted, failed = map(int, done.stdout.splitlines()[-1].split())
    assert (attempted > 50, failed) == (True, 0), done.stdout


def test_where_all_extras_are_missing_each_part_names_its_own(bare: Path) -> None:
    """Nothing else fails on the way to the sentence that names the part's own extra, or its parent's."""
    parts = EXTRAS.keys() - {"keyturn.pytest_plugin"}  # pytest loads it, so pytest is there
    code = """import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(name, error)"""
    done = run(bare, code, *sorted(parts))
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert {"keyturn.fastapi", "keyturn.client", "keyturn.server", "keyturn.stores.redis"} <= said.keys()
    astray = {
        name: words
        for name, words in said.items()
        if not any(f"keyturn[{EXTRAS[part]}]" in words for part in EXTRAS if is_within(name, part))
    }
    assert astray == {}


def test_the_command_names_its_extra(bare: Path) -> None:
    """`keyturn` is there with every installation, and says in a sentence what it needs."""
    command = [str(bare.with_name("keyturn")), "serve"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'keyturn[server]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_source_cannot_stand_in_for_the_wheel(bare: Path) -> None:
    """Where the suite runs against the wheel, a path to the source gives the wheel nevertheless."""
    done = run(bare, "import keyturn, keyturn.http, sys; print(keyturn.__file__, keyturn.http.__file__)")
    assert done.stderr == ""
    assert all(Path(file).is_relative_to(wheels.packages(bare.parents[1])) for file in done.stdout.split())


def test_a_wheel_that_asks_for_what_is_not_there_is_refused(bare: Path, built: Built) -> None:
    """The installation of the wheel for its tests checks what its extras ask for."""
    with pytest.raises(SystemExit, match=r"aiohttp>=[\d.]+[^\n]* \(from keyturn\[aiohttp\]\)"):
        wheels.install(bare, built.wheel, extra="aiohttp")
