"""The page at `/` in a real Chromium, over plain HTTP on a loopback address, with the Secure cookie."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.keyturn_server import demo_password, keyturn_server
from tests.support.processes import Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One demonstration for all tests here; a race window that a person need not wait for."""
    folder = tmp_path_factory.mktemp("page")
    with keyturn_server(folder, "--demo", "--race-window", "1s", "--login-rate", "off") as running:
        yield running


@dataclass(slots=True)
class Person:
    """A person with a browser profile of their own."""

    page: Page
    server: Server
    console: list[str] = field(default_factory=list[str])
    foreign: list[str] = field(default_factory=list[str])

    def watch(self) -> None:
        """Take down what the page complains about, and whom else it asks."""
        self.page.on(
            "console", lambda m: self.console.append(m.text) if m.type in {"error", "warning"} else None
        )
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.on(
            "request",
            lambda r: None if r.url.startswith(self.server.url) else self.foreign.append(r.url),
        )

    def open(self) -> None:
        """Open the page."""
        self.page.goto(self.server.url)

    def sign_in(self, user: str = "alice", password: str | None = None) -> None:
        """Fill the form in and send it, with the keyboard."""
        self.page.get_by_label("Username").fill(user)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(password or demo_password(self.server, user))
        self.page.keyboard.press("Enter")

    def shown_token(self) -> str:
        """Give what the page shows of the access token."""
        return self.page.locator("#token").inner_text()


@pytest.fixture
def people(chromium: Browser, server: Server) -> Iterator[list[Person]]:
    """Two people; nothing may be complained about but refusals that a test expects, and nobody else asked."""
    contexts = [chromium.new_context() for _ in range(2)]
    persons = [Person(context.new_page(), server) for context in contexts]
    for person in persons:
        person.watch()
        person.open()
    yield persons
    for context in contexts:
        context.close()
    for person in persons:
        unexpected = [line for line in person.console if not re.search("status of 40[13]", line)]
        assert unexpected == []
        assert person.foreign == []


def test_sign_in_refresh_reload_and_out(people: list[Person]) -> None:
    """The Secure cookie sticks on loopback: a refresh and a reload find the session; signing out ends it."""
    one = people[0]
    expect(one.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert one.console == [], "a first visit is quiet"
    one.sign_in()
    expect(one.page.get_by_role("heading", name="You are signed in")).to_be_focused()
    cookies = one.page.context.cookies()
    assert [(c.get("name"), c.get("secure"), c.get("httpOnly"), c.get("path")) for c in cookies] == [
        ("__Secure-keyturn", True, True, "/auth")
    ]
    first, cookie = one.shown_token(), cookies[0].get("value")

    def refreshed() -> bool:
        one.page.get_by_role("button", name="Refresh now").click()
        expect(one.page.get_by_role("status")).to_have_text("There is a new access token.")
        return one.page.context.cookies()[0].get("value") != cookie

    refreshed()
    assert one.shown_token() != first
    one.page.wait_for_timeout(1100)  # the race window of 1 s: a real server's time has to pass
    assert refreshed(), "the refresh token did not rotate after the race window"
    one.page.reload()
    expect(one.page.get_by_role("heading", name="You are signed in")).to_be_visible()
    one.page.get_by_role("button", name="Sign out", exact=True).click()
    expect(one.page.get_by_text("You are signed out.")).to_be_visible()
    assert one.page.context.cookies() == []
    assert one.console == []


def test_the_token_is_nowhere_that_stays(people: list[Person]) -> None:
    """The access token is in memory only: not in storage, not in the document, not in the address."""
    one = people[0]
    one.sign_in()
    expect(one.page.locator("#user")).not_to_be_empty()
    stored = one.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "eyJ" not in stored
    assert "ktr_" not in stored
    assert "eyJ" not in one.page.content()
    assert one.page.url == f"{one.server.url}/"


def test_a_wrong_password_is_a_sentence(people: list[Person]) -> None:
    """A wrong password and an unknown user get one plain sentence, and nobody is signed in."""
    one = people[0]
    for user, password in (("alice", "not the password"), ("nobody", "not the password")):
        one.sign_in(user, password)
        expect(one.page.get_by_role("alert")).to_have_text("That username or password is not right.")
        expect(one.page.get_by_role("heading", name="You are signed in")).to_be_hidden()
        one.page.reload()


def test_ending_the_other_session(people: list[Person]) -> None:
    """One of two sessions ends the other, which is signed out at its next step and told so."""
    one, other = people
    for person in people:
        person.sign_in("bob")
        expect(person.page.get_by_role("heading", name="You are signed in")).to_be_visible()
    one.page.get_by_role("button", name="Refresh now").click()
    expect(one.page.locator("#sessions li")).to_have_count(2)
    expect(one.page.get_by_text("(this one)")).to_have_count(1)
    one.page.get_by_role("button", name=re.compile("End the session of .*Chrome on Linux")).click()
    expect(one.page.get_by_role("status")).to_have_text("That session has ended.")
    expect(one.page.locator("#sessions li")).to_have_count(1)
    other.page.get_by_role("button", name="Refresh now").click()
    expect(other.page.get_by_role("alert")).to_have_text("Your session is over. Sign in again.")
    expect(other.page.get_by_role("heading", name="Sign in")).to_be_visible()
    one.page.get_by_role("button", name="Sign out everywhere", exact=True).click()
    expect(one.page.get_by_text("Signed out everywhere: 1 session ended.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_it_fits_and_can_be_read(
    chromium: Browser, server: Server, width: int, scheme: Literal["light", "dark"]
) -> None:
    """No width makes it scroll sideways, and its colours keep the contrast of WCAG 2.2 AA in both schemes."""
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    person = Person(context.new_page(), server)
    person.open()
    person.sign_in()
    expect(person.page.get_by_role("heading", name="You are signed in")).to_be_visible()
    assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert person.page.evaluate(CONTRAST) >= 4.5
    context.close()


# The least contrast (WCAG 2.2, 1.4.3) of any text on the page with the nearest ground behind it.
CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("h1, h2, p, dt, dd, small, label, button:enabled, li span")];
  return Math.min(...texts.filter((e) => e.offsetParent && e.textContent.trim()).map((e) => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }));
}"""
