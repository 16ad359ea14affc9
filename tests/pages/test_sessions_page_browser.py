"""The page of a user's devices in a real Chromium, mostly without JavaScript; the server is a real one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.support.accessibility import ask_axe, check_page
from tests.support.keyturn_server import demo_password, keyturn_server
from tests.support.people import Person
from tests.support.processes import Server

pytestmark = pytest.mark.browser

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1"
)
PATH = "/account/sessions"
SIZES = {"desktop": (1280, 800), "phone": (320, 640)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One demonstration for all tests here."""
    with keyturn_server(tmp_path_factory.mktemp("devices"), "--demo", "--login-rate", "off") as running:
        yield running


@pytest.fixture(autouse=True)
def nobody_else(server: Server) -> Iterator[None]:
    """Whoever a test has signed in is signed out after it."""
    yield
    for user in ("alice", "bob"):
        bearer = {"Authorization": f"Bearer {sign_in_elsewhere(server, user)['access_token']}"}
        httpx.post(f"{server.url}/auth/logout-all", headers=bearer, timeout=20).raise_for_status()


def sign_in_elsewhere(server: Server, user: str, user_agent: str = "curl/8.5.0") -> dict[str, Any]:
    """Sign somebody in on another device, and give its tokens."""
    body = {"username": user, "password": demo_password(server, user), "transport": "body"}
    answer = httpx.post(f"{server.url}/auth/login", json=body, headers={"User-Agent": user_agent}, timeout=20)
    tokens: dict[str, Any] = answer.raise_for_status().json()
    return tokens


@contextmanager
def reading(chromium: Browser, server: Server, **options: Any) -> Iterator[Person]:
    """Let somebody read the page, who must hear no complaint, and whose browser must ask for little else."""
    context = chromium.new_context(**options)
    reader = Person(context.new_page(), server, PATH)
    reader.watch()
    yield reader
    context.close()
    reader.check()
    assert reader.console == []
    paths = {urlsplit(url).path for url in reader.requests}
    assert paths <= {PATH, f"/auth{PATH}", "/static/icon.svg"}


def enter(reader: Person) -> None:
    """Open the page, and sign in there."""
    reader.open()
    reader.sign_in()
    expect(reader.page.get_by_text("Active now")).to_be_visible()


def test_the_whole_walk_without_javascript(chromium: Browser, server: Server) -> None:
    """Sign in, see the devices, sign out one, all others, and here: each said in one sentence."""
    sign_in_elsewhere(server, "alice", IPHONE)
    tokens = sign_in_elsewhere(server, "alice")
    with reading(chromium, server, java_script_enabled=False) as reader:
        page = reader.page
        reader.open()
        expect(page.get_by_role("heading", name="You are not signed in here")).to_be_visible()
        enter(reader)
        devices = page.get_by_role("listitem")
        expect(devices).to_have_count(3)
        expect(devices.first).to_contain_text("Chrome on Linux")
        expect(devices.first).to_contain_text("This device")
        page.get_by_role("button", name="Sign out curl").click()
        expect(page.get_by_role("status")).to_have_text("That device is signed out.")
        expect(devices).to_have_count(2)
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert httpx.get(f"{server.url}/auth/me", headers=bearer, timeout=20).status_code == 401
        page.get_by_role("button", name="Sign out all others").click()
        expect(page.get_by_role("status")).to_have_text("All other devices are signed out.")
        expect(devices).to_have_count(1)
        expect(page.get_by_text("You are signed in on this device only.")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("status")).to_have_text("You are signed out on this device.")
        assert page.context.cookies() == []
        reader.open()
        expect(page.get_by_label("Password")).to_be_visible()


def test_with_the_keyboard_alone(chromium: Browser, server: Server) -> None:
    """From the top to the second device's button with Tab, in the order that is seen; Enter presses it."""
    sign_in_elsewhere(server, "alice", IPHONE)
    with reading(chromium, server) as reader:
        page = reader.page
        reader.open()
        for keys in ("alice", demo_password(server, "alice")):
            page.keyboard.press("Tab")
            page.keyboard.type(keys)
        page.keyboard.press("Enter")
        expect(page.get_by_role("listitem")).to_have_count(2)
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name=re.compile("Sign out Chrome on Linux"))).to_be_focused()
        page.keyboard.press("Tab")
        button = page.get_by_role("button", name="Sign out Safari on iPhone")
        expect(button).to_be_focused()
        expect(button).to_have_accessible_description(re.compile("Last seen 1 minute ago"))
        assert button.evaluate("(element) => getComputedStyle(element).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("That device is signed out.")
        expect(page).to_have_title("That device is signed out. - Your devices")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_everybody_can_use_it(
    chromium: Browser, server: Server, scheme: Literal["light", "dark"], size: str
) -> None:
    """Axe finds nothing wrong (WCAG 2.2 AA and best practices), and no width makes it scroll sideways."""
    sign_in_elsewhere(server, "bob", IPHONE)
    sign_in_elsewhere(server, "bob", "A" * 400)  # one long word
    width, height = SIZES[size]
    viewport = {"width": width, "height": height}
    with reading(chromium, server, viewport=viewport, color_scheme=scheme, locale="de-DE") as reader:
        reader.page.goto(f"{server.url}/auth/account/sessions?done=this")
        check_page(reader.page)
        reader.page.get_by_label("Benutzername").fill("bob")
        reader.page.get_by_label("Passwort").fill(demo_password(server, "bob"))
        reader.page.get_by_role("button", name="Anmelden").click()
        expect(reader.page.get_by_role("listitem")).to_have_count(3)
        check_page(reader.page)
        reader.page.get_by_role("button", name="Abmelden Safari auf iPhone").click()
        expect(reader.page.get_by_role("status")).to_be_visible()
        check_page(reader.page)
        reader.page.get_by_role("button", name="Alle anderen abmelden").click()
        check_page(reader.page)


def test_axe_finds_what_is_wrong(chromium: Browser, server: Server) -> None:
    """The counterpart: with a label taken away and a colour too pale, it complains."""
    with reading(chromium, server) as reader:
        reader.open()
        reader.page.evaluate("document.querySelectorAll('label').forEach((each) => each.remove())")
        reader.page.evaluate("document.querySelector('h1').style.color = '#ddd'")
        found = {each["id"] for each in ask_axe(reader.page)["violations"]}
        assert {"label", "color-contrast"} <= found


def test_a_link_on_another_site_leads_here_in_two_steps(chromium: Browser, server: Server) -> None:
    """The browser withholds the SameSite=Strict cookie from its visit; a click within the site brings it."""
    context = chromium.new_context()
    reader = Person(context.new_page(), server, PATH)
    enter(reader)
    other_site = server.url.replace("127.0.0.1", "localhost")
    reader.page.goto(f"{other_site}/auth/account/sessions")
    reader.page.evaluate(f"location.href = '{server.url}/account/sessions'")
    expect(reader.page.get_by_role("heading", name="You are not signed in here")).to_be_visible()
    assert reader.page.url == f"{server.url}/auth/account/sessions"
    reader.page.get_by_role("link", name="Open this page again").click()
    expect(reader.page.get_by_text("Active now")).to_be_visible()
    context.close()


def test_the_pictures_of_the_documentation_are_there() -> None:
    """In both schemes and sizes, not larger than a page should load."""
    pictures = Path(__file__).parents[2] / "docs" / "screenshots"
    for scheme in ("light", "dark"):
        for size in ("desktop", "phone"):
            picture = pictures / f"devices-{scheme}-{size}.png"
            assert picture.read_bytes().startswith(b"\x89PNG")
            assert picture.stat().st_size < 150_000
