"""Mends what Sphinx and Furo write that keyboards and screen readers stumble over. It knows no page."""

from __future__ import annotations

import re
from typing import Any, Final

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

_AFTER_THE_THEME: Final = 900
_TABLES: Final = re.compile(r'<div class="table-wrapper[^"]*"')
_PARAMETERS: Final = re.compile(r'<dl>\s*((?:<dd><em class="sig-param">.*?</dd>\s*)+)</dl>', re.DOTALL)


def mend(_: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Mend the parts of a page before they are put together."""
    for part in ("body", "furo_navigation_tree"):
        html = str(context.get(part, ""))
        html = html.replace('class="caption" role="heading"', 'class="caption" role="heading" aria-level="2"')
        # What may scroll: not everybody has a mouse.
        html = html.replace("<pre>", '<pre tabindex="0">')
        html = _TABLES.sub(r'\g<0> tabindex="0" role="group" aria-label="Table"', html)
        context[part] = _PARAMETERS.sub(_lines, html)


def _lines(found: re.Match[str]) -> str:
    """Write the parameters of a signature as lines: a list of definitions needs terms."""
    return found[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Join in where pages are written."""
    app.connect("html-page-context", mend, priority=_AFTER_THE_THEME)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
