"""The admin's pages, looked at in a real browser.

Playwright's event loop runs in this thread, where Django then refuses to use a database: so that is done in
another.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from django.db import connections
from playwright.sync_api import Page, expect

from keyturn.django import get_manager
from keyturn.django.users import user_id_of
from keyturn.testing.servers.programs import free_port
from tests.django.project.accounts.models import User
from tests.support import django_site
from tests.support.processes import running_server

T = TypeVar("T")

LIST = "/admin/keyturn/session/"


def elsewhere(work: Callable[[], T]) -> T:
    """Do something with the database in a thread of its own."""

    def whole() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(whole).result()


def sign_in(name: str, *devices: str) -> str:
    """Make a user with sessions; give the id."""
    user, manager = User.objects.create_user(name, f"{name}@example.com"), get_manager()
    for device in devices:
        manager.issue(user_id_of(user), device={"name": device})
    return user_id_of(user)


def devices(user_id: str) -> list[str]:
    """Give the devices that a user is signed in on."""
    return elsewhere(lambda: [each.device["name"] for each in get_manager().sessions(user_id)])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Run the project's own server on the same database; give its address."""
    elsewhere(lambda: django_site.empty("default"))
    port = free_port()
    command = [sys.executable, "-m", "django", "runserver", f"127.0.0.1:{port}", "--noreload", "--insecure"]
    with running_server(command, port=port, log=tmp_path / "log") as server:
        yield server.url
        assert "Traceback" not in server.output()


@pytest.mark.browser
def test_sessions_are_looked_at_and_revoked_in_a_browser(server: str, page: Page) -> None:
    """A person finds a user, reads on which devices they are signed in, revokes one session, then all."""
    elsewhere(lambda: User.objects.create_superuser("root", "root@example.com", "word"))
    ann = elsewhere(lambda: sign_in("ann", "Firefox on Linux", "Safari on iPhone"))
    bob = elsewhere(lambda: sign_in("bob", "Edge on Windows"))
    page.goto(f"{server}/admin/")
    page.get_by_label("Username").fill("root")
    page.get_by_label("Password").fill("word")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Sessions", exact=True).first.click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("bob")
    expect(rows.nth(0)).to_contain_text("Edge on Windows")
    expect(rows.nth(0)).to_contain_text("Active")
    expect(page.get_by_role("link", name="Add session")).to_have_count(0)

    page.locator("#searchbar").fill("ann")
    page.locator("#searchbar").press("Enter")
    expect(rows).to_have_count(2)
    rows.filter(has_text="Firefox").get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("Revoke selected sessions")
    page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
    expect(page.locator("#content")).to_contain_text("1 session will end")
    page.get_by_role("button", name="Yes, revoke").click()
    expect(page.locator(".messagelist")).to_contain_text("1 session was revoked.")
    assert devices(ann) == ["Safari on iPhone"]

    page.get_by_role("link", name="ann").first.click()
    expect(page.locator("#content")).to_contain_text("Safari on iPhone")
    expect(page.locator("input[type=text]")).to_have_count(0)
    expect(page.get_by_role("button", name="Save")).to_have_count(0)
    expect(page.get_by_role("link", name="Delete")).to_have_count(0)
    page.get_by_role("link", name="Sessions", exact=True).first.click()
    page.get_by_role("link", name="Ended for reuse").click()
    expect(rows).to_have_count(0)

    page.goto(f"{server}{LIST}")
    for device in ("Safari", "Edge"):
        rows.filter(has_text=device).get_by_role("checkbox").check()
    page.get_by_label("Action:").select_option("Revoke all sessions of these users")
    page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
    expect(page.locator("#content")).to_contain_text("All sessions of 2 users will end at once.")
    page.get_by_role("button", name="Yes, revoke").click()
    expect(page.locator(".messagelist")).to_contain_text("2 sessions were revoked.")
    assert devices(ann) == devices(bob) == []
