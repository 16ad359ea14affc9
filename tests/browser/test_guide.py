"""The page without a build that browser-client.md shows, in a real Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from keyturn import Policy
from tests.browser.site import running_site
from tests.support.blocks import blocks
from tests.support.browser import require_packed_client

pytestmark = pytest.mark.browser

FORM = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Shop</title><link rel="icon" href="data:,">
<form name="login">
<input name="username"><input name="password" type="password"><button>Sign in</button>
</form>
"""


def test_the_page_without_a_build_signs_in(page: Page) -> None:
    """With a form of that name around it, the block does what it says: sign in, greet, ask with the token."""
    (shown,) = [
        each for each in blocks() if each.document.name == "browser-client.md" and each.language == "html"
    ]
    with running_site(
        require_packed_client(), Policy(), page=FORM + shown.text.replace("/orders", "/notes")
    ) as site:
        page.goto(site.url)
        expect(page).to_have_title("Sign in")
        page.locator("[name=username]").fill("ann")
        page.locator("[name=password]").fill("x")
        with page.expect_response("**/notes") as answered:
            page.get_by_role("button").click()
        expect(page).to_have_title("Hello ann")
        assert answered.value.json() == {"user": "ann"}
