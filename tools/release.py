#!/usr/bin/env python3
"""Says whether the files agree on what is released, and what its notes are. It publishes nothing.

Usage: python3 tools/release.py check [--tag TAG] [--repository OWNER/NAME]
       python3 tools/release.py notes

`check` holds that `pyproject.toml`, the changelog and `js/package.json` name one version. With `--tag`, that
it is the tag's, and has a section of its own in the changelog, with a date. With `--repository`, that
`js/package.json` says where it is from: npm compares that with who publishes. `notes` prints the topmost
section.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, cast

ROOT: Final = Path(__file__).resolve().parents[1]
UNRELEASED: Final = "Unreleased"
_SECTION: Final = re.compile(r"^## (.+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """The topmost section of the changelog.

    Attributes:
        title: The version, or `Unreleased`.
        day: What follows the version: the day of the release, or an empty string.
        text: All below the title.
    """

    title: str
    day: str
    text: str


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="release.py", description="Say whether the files agree on what is released."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="hold that all files name one version")
    check.add_argument("--tag", help="the tag that is released, as v1.2.3")
    check.add_argument("--repository", help="where it is released from, as OWNER/NAME")
    commands.add_parser("notes", help="print the topmost section of the changelog")
    chosen = parser.parse_args(arguments)
    if chosen.command == "notes":
        print(topmost(ROOT).text)
        return 0
    found = complaints(ROOT, tag=chosen.tag, repository=chosen.repository)
    for complaint in found:
        print(f"release.py: {complaint}", file=sys.stderr)
    return 1 if found else 0


def version(root: Path) -> str:
    """Return the version of `pyproject.toml`, which is its one home."""
    found: str = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    return found


def topmost(root: Path) -> Section:
    """Return the topmost section of the changelog."""
    _, title, rest, *_ = _SECTION.split((root / "CHANGELOG.md").read_text("utf-8"), maxsplit=2)
    name, _, day = title.partition(" - ")
    return Section(name, day, rest.strip())


def complaints(root: Path, *, tag: str | None = None, repository: str | None = None) -> list[str]:
    """Return what does not agree, a sentence each; see the module's text."""
    ours, section, found = version(root), topmost(root), list[str]()
    if section.title not in {ours, UNRELEASED} or (section.title == UNRELEASED and section.day):
        found.append(f"CHANGELOG.md begins with {section.title!r}, pyproject.toml has version {ours}")
    if section.title != UNRELEASED and not _is_day(section.day):
        found.append(f"CHANGELOG.md: the title is to be '## {ours} - YYYY-MM-DD'")
    if tag is not None and tag != f"v{ours}":
        found.append(f"the tag is {tag!r}, pyproject.toml has version {ours}")
    if tag is not None and section.title == UNRELEASED:
        found.append(f"CHANGELOG.md has no section for {ours}: what is in it is unreleased")
    package = root / "js" / "package.json"
    if package.exists():
        theirs = json.loads(package.read_text("utf-8"))
        if theirs.get("version") != ours:
            found.append(f"js/package.json has version {theirs.get('version')}, pyproject.toml {ours}")
        if repository is not None and not _is_of(repository, theirs.get("repository")):
            found.append(f"js/package.json: 'repository' is to name https://github.com/{repository}")
    return found


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_of(repository: str, named: object) -> bool:
    url = cast("dict[str, object]", named).get("url") if isinstance(named, dict) else named
    return (
        isinstance(url, str)
        and re.fullmatch(rf"(?:git\+)?https://github\.com/{re.escape(repository)}(?:\.git)?", url) is not None
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
