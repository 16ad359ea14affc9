"""Tests of `tools/release.py`: a release whose files disagree is stopped. It knows no release."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.support.sources import ROOT
from tools.release import complaints, main, topmost


def project(
    folder: Path,
    *,
    version: str = "1.2.0",
    title: str = "1.2.0 - 2026-12-01",
    package: Mapping[str, object] = MappingProxyType({}),
) -> Path:
    """Write the files of a project in which all agree but what is said."""
    (folder / "js").mkdir()
    (folder / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    older = "## 1.1.0 - 2026-11-01\n\n- That.\n"
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {title}\n\n### Added\n\n- This.\n\n{older}")
    told = {"version": "1.2.0", "repository": {"url": "git+https://github.com/ann/keyturn.git"}}
    (folder / "js" / "package.json").write_text(json.dumps({**told, **package}))
    return folder


def test_this_project_agrees_with_itself() -> None:
    """The version has one home; the changelog and the npm package name the same."""
    assert complaints(ROOT) == []


def test_a_release_that_agrees_goes_on(tmp_path: Path) -> None:
    """Where tag, version, changelog and npm package agree, nothing is said."""
    assert complaints(project(tmp_path), tag="v1.2.0", repository="ann/keyturn") == []


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"version": "1.2.1"}, "the tag is 'v1.2.0', pyproject.toml has version 1.2.1"),
        ({"title": "Unreleased"}, "CHANGELOG.md has no section for 1.2.0"),
        (
            {"title": "1.1.9 - 2026-12-01"},
            "CHANGELOG.md begins with '1.1.9', pyproject.toml has version 1.2.0",
        ),
        ({"title": "1.2.0"}, "the title is to be '## 1.2.0 - YYYY-MM-DD'"),
        ({"title": "1.2.0 - 2026-13-01"}, "the title is to be '## 1.2.0 - YYYY-MM-DD'"),
        ({"title": "1.2.0 - 20261201"}, "the title is to be '## 1.2.0 - YYYY-MM-DD'"),
        ({"package": {"version": "1.1.0"}}, "js/package.json has version 1.1.0, pyproject.toml 1.2.0"),
        ({"package": {"repository": None}}, "'repository' is to name https://github.com/ann/keyturn"),
        ({"package": {"repository": "https://github.com/bob/keyturn"}}, "'repository' is to name"),
        ({"package": {"repository": "https://github.com/ann/keyturn-x"}}, "'repository' is to name"),
    ],
)
def test_what_disagrees_is_named(tmp_path: Path, odd: dict[str, Any], said: str) -> None:
    """Each thing that would make a release say two things about itself is named."""
    found = complaints(project(tmp_path, **odd), tag="v1.2.0", repository="ann/keyturn")
    assert any(re.search(re.escape(said), complaint) for complaint in found), found


def test_work_between_releases_is_no_mistake(tmp_path: Path) -> None:
    """Without a tag, a changelog that collects what comes next is right."""
    assert complaints(project(tmp_path, title="Unreleased")) == []


def test_the_notes_are_the_topmost_section(tmp_path: Path) -> None:
    """What a release says of itself is its section of the changelog, and nothing of an older one."""
    section = topmost(project(tmp_path))
    assert (section.title, section.day, section.text) == ("1.2.0", "2026-12-01", "### Added\n\n- This.")


def test_the_command_says_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    """A tag that is none of this project's ends with status 1 and a sentence; the notes are printed."""
    assert main(["check", "--tag", "v0.0.0-none"]) == 1
    assert "release.py: the tag is 'v0.0.0-none'" in capsys.readouterr().err
    assert main(["notes"]) == 0
    assert capsys.readouterr().out.strip() == topmost(ROOT).text
