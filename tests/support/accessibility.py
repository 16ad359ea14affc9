"""What anybody must be able to do with a page: read it at any width and in any light, by any means."""

from __future__ import annotations

from typing import Any, Final, Literal, TypeAlias

from playwright.sync_api import Page

from tests.support.browser import read_axe

Scheme: TypeAlias = Literal["light", "dark"]
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
WIDTHS: Final = (1280, 375)


def ask_axe(page: Page) -> dict[str, list[dict[str, Any]]]:
    """Hold what is to be seen to axe's rules (WCAG 2.2 AA and best practices), and give its findings."""
    # Only then are colours final.
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    page.evaluate(read_axe())
    found: dict[str, list[dict[str, Any]]] = page.evaluate("axe.run()")
    return found


def check_page(page: Page) -> None:
    """Find no violation, and nothing that would have to be scrolled to sideways."""
    found = ask_axe(page)
    violations = [(each["id"], [node["target"] for node in each["nodes"]]) for each in found["violations"]]
    assert not violations, violations
    passed = {each["id"] for each in found["passes"]}
    assert {"color-contrast", "label", "page-has-heading-one"} & passed, passed
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
