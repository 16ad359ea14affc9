"""The page of the single-page tutorial in a real Chromium: what its reader is told when something does not work."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from keyturn.testing.servers.programs import free_port
from tests.support.processes import running_server
from tests.support.tutorials import EXAMPLES

pytestmark = pytest.mark.browser


def test_a_page_says_what_went_wrong_and_keeps_what_was_typed(page: Page, tmp_path: Path) -> None:
    """A wrong password is said, and the name stays; so is the end of a session, and the note stays."""
    desk, port = tmp_path / "desk", free_port()
    shutil.copytree(EXAMPLES / "single-page-app", desk, ignore=shutil.ignore_patterns("*.db*", "keys.json"))
    command = ["bash", "-c", f"cd {desk} && exec {sys.executable} -m uvicorn app:app --port {port}"]
    message, name, note = page.get_by_role("status"), page.get_by_label("Name"), page.get_by_label("New note")
    with running_server(command, port=port, log=tmp_path / "server.log"):
        page.goto(f"http://127.0.0.1:{port}/")
        name.fill("ann")
        page.get_by_label("Password").fill("wrong horse")
        page.get_by_role("button", name="Sign in").click()
        expect(message).to_have_text("That name or password is not right.")
        expect(name).to_have_value("ann")
        page.get_by_label("Password").fill("correct horse")
        page.get_by_role("button", name="Sign in").click()
        note.fill("call Bob")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("listitem")).to_have_text(["buy milk", "call Bob"])
        expect(note).to_have_value("")

        devices = page.context.new_page()
        devices.goto(f"http://127.0.0.1:{port}/account/sessions")
        devices.get_by_role("button", name="Sign out").first.click()
        note.fill("buy tea")
        page.get_by_role("button", name="Add").click()
        expect(message).to_have_text("Your session has ended. Sign in again.")
        expect(note).to_have_value("buy tea")
