"""The fenced blocks of the documents, and what the comments before each say of it. It runs none.

`<!-- do -->` before a block of commands: they are done, in order, in one folder for the whole document;
`<!-- do: COMMANDS -->` does some before, of which readers are not told. `<!-- tested: tests/… -->` names the
test that does it. `<!-- not run: WHY -->` says why nobody can. Those of tutorials are in `tutorials.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.sources import ROOT, project_files

_FENCE: Final = re.compile(r"^( *)(`{3,}|:{3,})([^\n`]*)\n(.*?)^\1\2$", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"^ *<!-- (.+?) -->$", re.MULTILINE | re.DOTALL)
_COMMENTS_BEFORE: Final = re.compile(r"(?:^ *<!-- (?:(?!-->).)+ -->\n+)+\Z", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        document: The file it is in.
        line: Where it begins.
        language: What is written after the fence.
        text: What is in it.
        said: What the comments before it say: kind and the rest.
        skipped: Whether Sybil is told to leave it out.
    """

    document: Path
    line: int
    language: str
    text: str
    said: dict[str, str]
    skipped: bool

    def __str__(self) -> str:
        """Name it as a person would look for it."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Give all Markdown that readers are shown."""
    return [path for path in project_files() if path.suffix == ".md"]


@cache
def blocks() -> tuple[Block, ...]:
    """Read the blocks of all documents."""
    return tuple(block for document in documents() for block in _blocks(document))


def _blocks(document: Path) -> Iterator[Block]:
    text = document.read_text("utf-8")
    region: dict[str, str] | None = None  # what is said of all that Sybil skips
    seen = 0
    for found in _FENCE.finditer(text):
        for comment in _COMMENT.finditer(text, seen, found.start()):
            if comment[1] == "skip: start":
                region = _said(text[: comment.start()])
            elif comment[1] == "skip: end":
                region = None
        seen = found.end()
        said = _said(text[: found.start()])
        yield Block(
            document=document,
            line=text.count("\n", 0, found.start()) + 1,
            language=found[3].strip(),
            text=found[4],
            said=said or region or {},
            skipped=region is not None or said.get("skip") == "next",
        )


def _said(before: str) -> dict[str, str]:
    comments = _COMMENTS_BEFORE.search(before)
    if comments is None:
        return {}
    pairs = (found.partition(":") for found in _COMMENT.findall(comments[0]))
    return {kind: " ".join(rest.split()) for kind, _, rest in pairs}
