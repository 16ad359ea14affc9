"""Puts what is rendered between two lines of a document, for the scripts beside it. It knows no document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path


def with_part(text: str, begin: str, end: str, part: str) -> str:
    """Give a text with another part between two lines of it.

    Args:
        text: The text.
        begin: The line before the part.
        end: The line after it.
        part: What is to stand there.
    """
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{part}\n{end}{rest.partition(end)[2]}"


def write(documents: Iterable[Path], rendered: Callable[[Path], str]) -> None:
    """Write documents as they should be."""
    for document in documents:
        document.write_text(rendered(document), encoding="utf-8")
