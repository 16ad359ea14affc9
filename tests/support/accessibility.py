"""What anybody must be able to do with a page: read it at any width and in any light, by any means."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

Scheme: TypeAlias = Literal["light", "dark"]
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
WIDTHS: Final = (1280, 375)

_RULES: Final = {"resultTypes": ["violations"]}


def check_page(page: Page) -> None:
    """Hold that a page does not scroll sideways and that axe finds no violation in it."""
    page.evaluate(
        "Promise.all(document.getAnimations().map(each => each.finished))"
    )  # its colours are then final
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    found = Axe().run(page, options=_RULES).response["violations"]
    violations = [(each["id"], [node["target"] for node in each["nodes"]]) for each in found]
    assert not violations, violations
