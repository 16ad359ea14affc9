"""Links between the files of the repository lead somewhere, as a code host shows them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.blocks import documents
from tests.support.sources import ROOT

FENCE = re.compile(r"^( *)(`{3,})[^\n]*\n.*?^\1\2$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def prose(document: Path) -> str:
    """Give a document without its code."""
    return FENCE.sub("", document.read_text("utf-8"))


def links(document: Path) -> list[str]:
    """Give the targets of a document's links to other files and to its own parts."""
    found: list[str] = LINK.findall(CODE.sub("", prose(document)))
    return [target for target in found if "://" not in target and not target.startswith("mailto:")]


def anchors(document: Path) -> set[str]:
    """Give the anchors that a code host makes of headings."""
    words = (re.sub(r"[`*]", "", heading).lower() for heading in HEADING.findall(prose(document)))
    return {re.sub(r"[^\w\- ]", "", each).replace(" ", "-") for each in words}


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """Each relative link names a file or folder of the repository, and its anchor a heading in that file."""
    for link in links(document):
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.is_relative_to(ROOT), f"{link}: outside the repository"
        assert target.exists(), f"{link}: there is no such file"
        assert not anchor or anchor in anchors(target), f"{link}: there is no such heading"


def test_links_are_found() -> None:
    """The reader above sees links and the anchors of headings."""
    readme = ROOT / "README.md"
    assert "docs/tutorials/fastapi.md" in links(readme)
    assert "what-it-does" in anchors(readme)


def test_each_refusal_is_explained() -> None:
    """Where symptoms are listed is each status and error, but for what only programmers meet."""
    refusal = re.compile(r"^\| (\d{3})[^|]*\| `(\w+)`", re.MULTILINE)
    wanted = refusal.findall((ROOT / "docs" / "reference" / "http.md").read_text("utf-8"))
    found = refusal.findall((ROOT / "docs" / "how-to" / "troubleshooting.md").read_text("utf-8"))
    assert set(wanted) - set(found) == {("404", "not_found"), ("405", "method_not_allowed")}
    assert set(found) <= set(wanted)
