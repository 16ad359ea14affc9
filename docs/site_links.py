"""Lets links that work in the repository lead to pages of the site. It knows no page's text."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from sphinx.application import ENV_PICKLE_FILENAME, Sphinx
from sphinx.util.typing import ExtensionMetadata

DOCS: Final = Path(__file__).resolve().parent
ROOT: Final = DOCS.parent

# Documents that stand where code hosts look for them, and the pages that show them.
ELSEWHERE: Final = {
    ROOT / "README.md": DOCS / "index.md",
    ROOT / "SECURITY.md": DOCS / "project" / "security.md",
    ROOT / "CONTRIBUTING.md": DOCS / "project" / "contributing.md",
    ROOT / "CHANGELOG.md": DOCS / "project" / "changelog.md",
}
_LINK: Final = re.compile(r"(?<=\]\()[^)\s#:]+(?=[)#])")


def lead_to_pages(text: str, written_in: Path, shown_in: Path) -> str:
    """Give a text whose links lead from the page that shows it, and to pages where those show documents.

    Args:
        text: The text.
        written_in: The folder that its links start from.
        shown_in: The folder of the page.
    """

    def lead(found: re.Match[str]) -> str:
        target = (written_in / found[0]).resolve()
        if not target.exists():
            return found[0]  # the build says so, in its own words
        return Path(os.path.relpath(ELSEWHERE.get(target, target), shown_in)).as_posix()

    return _LINK.sub(lead, text)


def read_page(_: Sphinx, docname: str, source: list[str]) -> None:
    """Read a page."""
    folder = (DOCS / docname).parent
    source[0] = lead_to_pages(source[0], folder, folder)


def read_included(app: Sphinx, path: Path, _: str, source: list[str]) -> None:
    """Read a document that a page shows."""
    source[0] = lead_to_pages(source[0], (DOCS / path).resolve().parent, (DOCS / app.env.docname).parent)


def forget(app: Sphinx, _: Exception | None) -> None:
    """After a warning, read all again next time: what was read is not warned of twice."""
    if app._warncount:  # noqa: SLF001  (Sphinx tells it nowhere else)
        (Path(app.doctreedir) / ENV_PICKLE_FILENAME).unlink(missing_ok=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Join in where Sphinx reads, and where it ends."""
    app.connect("build-finished", forget)
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
