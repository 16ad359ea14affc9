"""The page at `/` of a server that is no demonstration, in a real Chromium, over plain HTTP on loopback."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from keyturn.server.texts import LANGUAGES
from tests.support.accessibility import SCHEMES, WIDTHS, Scheme, check_page
from tests.support.keyturn_server import demo_password, keyturn_server
from tests.support.people import Person, meet
from tests.support.processes import Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests here, with the users of a demonstration that has ended."""
    folder = tmp_path_factory.mktemp("page")
    with keyturn_server(folder, "--demo"):
        pass
    with keyturn_server(folder, "--race-window", "1s", "--login-rate", "off") as running:
        yield running


@pytest.fixture
def people(chromium: Browser, server: Server) -> Iterator[list[Person]]:
    """Two people; nothing may be complained about but refusals that a test expects, and nobody else asked."""
    yield from meet(chromium, server, 2)


def test_sign_in_refresh_reload_and_out(people: list[Person]) -> None:
    """The Secure cookie sticks on loopback: a refresh and a reload find the session; signing out ends it."""
    one = people[0]
    expect(one.page.get_by_role("heading", name="Sign in")).to_be_visible()
    one.sign_in()
    expect(one.page.get_by_role("heading", name="You are signed in")).to_be_focused()
    cookies = one.page.context.cookies()
    assert [(c.get("name"), c.get("secure"), c.get("httpOnly"), c.get("path")) for c in cookies] == [
        ("__Secure-keyturn", True, True, "/auth")
    ]
    first = one.shown_token()
    one.page.get_by_role("button", name="Refresh now").click()
    expect(one.page.get_by_role("status")).to_have_text("There is a new access token.")
    expect(one.page.locator("#token")).not_to_have_text(first)
    assert one.page.context.cookies()[0].get("value") != cookies[0].get("value"), "it did not rotate"
    one.page.reload()
    expect(one.page.get_by_role("heading", name="You are signed in")).to_be_visible()
    one.page.get_by_role("button", name="Sign out", exact=True).click()
    expect(one.page.get_by_text("You are signed out:")).to_be_visible()
    assert one.page.context.cookies() == []


def test_the_token_is_nowhere_that_stays(people: list[Person]) -> None:
    """The access token is in memory only: not in storage, not in the document, not in the address."""
    one = people[0]
    one.sign_in()
    expect(one.page.locator("#token")).not_to_be_empty()
    stored = one.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "eyJ" not in stored
    assert "ktr_" not in stored
    assert "eyJ" not in one.page.content()
    assert one.page.url == f"{one.server.url}/"


def test_a_wrong_password_is_a_sentence(people: list[Person]) -> None:
    """A wrong password and an unknown user get one plain sentence, and nobody is signed in."""
    one = people[0]
    for user in ("alice", "nobody"):
        one.sign_in(user, "not the password")
        expect(one.page.get_by_role("alert")).to_have_text("That username or password is not right.")
        expect(one.page.get_by_role("heading", name="You are signed in")).to_be_hidden()
        one.page.reload()


def test_sign_out_everywhere_reaches_the_other(people: list[Person]) -> None:
    """Who signs out everywhere ends the session on another device, which is told so at its next step."""
    one, other = people
    for person in people:
        person.sign_in("bob")
        expect(person.page.get_by_role("heading", name="You are signed in")).to_be_visible()
    one.page.get_by_role("button", name="Sign out everywhere").click()
    expect(one.page.get_by_text("You are signed out everywhere:")).to_be_visible()
    other.page.get_by_role("button", name="Refresh now").click()
    expect(other.page.get_by_role("alert")).to_have_text("Your session is over. Sign in again.")
    expect(other.page.get_by_role("heading", name="Sign in")).to_be_focused()


def test_the_page_of_devices_is_a_link_away(people: list[Person]) -> None:
    """The page of the user's devices is linked, and shows this one."""
    one = people[0]
    one.sign_in()
    one.page.get_by_role("link", name="Your devices").click()
    expect(one.page.get_by_role("heading", name="Your devices")).to_be_visible()
    expect(one.page.get_by_text("This device", exact=True)).to_be_visible()


def test_it_is_no_demonstration(server: Server) -> None:
    """Without --demo there is neither a route nor a file of it in the page: nothing stages mishaps."""
    assert "demo.js" not in httpx.get(server.url).text
    for method, path in [
        ("GET", "/demo/tab"),
        ("GET", "/auth/demo/events"),
        ("GET", "/auth/demo/moments"),
        ("POST", "/auth/demo/drop"),
        ("POST", "/auth/demo/steal"),
        ("POST", "/auth/demo/thief"),
    ]:
        assert httpx.request(method, f"{server.url}{path}", headers={"X-Keyturn": "1"}).status_code == 404


def test_without_scripts_it_says_what_works(server: Server) -> None:
    """Without JavaScript the page says so, and leads to the page of devices, which needs none."""
    with httpx.Client(base_url=server.url, follow_redirects=True, timeout=20) as http:
        found = re.search(r'<noscript>(.*) <a href="(.*?)">', http.get("/").text)
        assert found
        assert "needs JavaScript" in found[1]
        devices = http.get(f"/{found[2]}")
        assert "You are not signed in here" in devices.text
        assert "<script" not in devices.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_speaks_the_readers_language(server: Server, language: str) -> None:
    """Accept-Language chooses among the catalogues, and the answer says which language it is in."""
    answer = httpx.get(server.url, headers={"Accept-Language": f"{language}-AT, fr;q=0.5"})
    assert f'<html lang="{language}">' in answer.text
    assert answer.headers["Content-Language"] == language
    assert answer.headers["Vary"] == "Accept-Language"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_use_it(chromium: Browser, server: Server, width: int, scheme: Scheme) -> None:
    """No width makes it scroll sideways, and axe finds no barrier, signed out and signed in."""
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    person = Person(context.new_page(), server)
    person.open()
    expect(person.page.get_by_role("heading", name="Sign in")).to_be_visible()
    check_page(person.page)
    person.sign_in("alice", demo_password(server, "alice"))
    expect(person.page.get_by_role("heading", name="You are signed in")).to_be_visible()
    check_page(person.page)
    context.close()
