"""The requests that the guides of both pages list are those that a browser sends."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Request

from tests.support.keyturn_server import keyturn_server
from tests.support.sources import ROOT

SHOTS = {shot.name: shot for shot in import_module("take_screenshots").SHOTS}
GUIDES = {"devices": "how-to/devices-page.md", "demo": "tutorials/watch-a-session.md"}
ROW = re.compile(r"^\| `([A-Z]+) (/\S*)` \|", re.MULTILINE)


@pytest.mark.browser
@pytest.mark.parametrize("name", SHOTS)
def test_each_request_is_listed(name: str, page: Page, tmp_path: Path) -> None:
    """A visit that presses the buttons sends each of them and no other, but for files below /static."""
    sent: set[tuple[str, str]] = set()

    def note(request: Request) -> None:
        sent.add((request.method, urlsplit(request.url).path))

    page.on("request", note)
    with keyturn_server(tmp_path, "--demo", "--race-window", "1s", "--login-rate", "off") as server:
        SHOTS[name].prepare(page, server)
    listed = ROW.findall((ROOT / "docs" / GUIDES[name]).read_text("utf-8"))
    assert len(listed) == len(set(listed))
    assert {each for each in sent if not each[1].startswith("/static/")} == set(listed)
