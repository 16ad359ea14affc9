"""The fixtures that every test may ask for. They know no part of Keyturn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.browser import require_chromium


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the test in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One real Chromium for a module's tests; fails in CI and skips elsewhere where there is none.

    Not for the whole run: while Playwright's plain API is open, its event loop runs, and no other can.
    """
    executable = require_chromium()
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start as root, which CI is; the pages opened here are our own.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page with cookies and storage of its own, on which any uncaught error fails the test."""
    context = chromium.new_context()
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == [], "the page's own JavaScript failed"
