"""Takes the pictures of the pages for the documentation, of a real server in a real Chromium.

`python docs/take_screenshots.py` writes docs/screenshots/. It knows no test.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal, NamedTuple

import httpx
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from dev import BROWSERS  # noqa: E402  (found by the line above)
from keyturn import KeyRing, TokenManager  # noqa: E402  (sorted with it)
from keyturn.stores.urls import store_from_url  # noqa: E402  (the same)
from tests.support.keyturn_server import demo_password, keyturn_server  # noqa: E402  (the same)
from tests.support.processes import Server  # noqa: E402  (the same)

PICTURES: Final = ROOT / "docs" / "screenshots"
SIZES: Final[dict[str, ViewportSize]] = {
    "desktop": {"width": 1080, "height": 900},
    "phone": {"width": 375, "height": 812},
}
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
OTHERS: Final = {  # what alice is signed in with besides, and how long she has been, in hours
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1": 5,
    "Mozilla/5.0 (Linux; Android 14; SM-X910) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 "
    "Safari/537.36": 50,
    "curl/8.5.0": 120,
}


class Shot(NamedTuple):
    """One page of which pictures are taken.

    Attributes:
        name: How its pictures are called.
        prepare: Brings a browser's page to what is to be seen.
    """

    name: str
    prepare: Callable[[Page, Server], None]


def show_devices(page: Page, server: Server) -> None:
    """Sign alice in on the page of her devices, and stay there."""
    page.goto(f"{server.url}/account/sessions")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill(demo_password(server, "alice"))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Active now").wait_for()


def show_demo(page: Page, server: Server) -> None:
    """Make happen what the page of a demonstration is for: many tabs, a lost answer, a thief."""
    page.goto(server.url)
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill(demo_password(server, "alice"))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("heading", name="Your session").wait_for()
    page.get_by_text("without the lock").click()
    for button, said in (
        ("Refresh in six tabs at once", "tabs"),
        ("Drop a response", "drop"),
        ("Steal the token", "steal"),
        ("Replay it inside the window", "inside"),
    ):
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.locator(f"#{said}-said")).to_have_text(re.compile(r"\.$"), timeout=30_000)
    expect(page.locator("#timeline li[data-code=rejected]")).to_have_count(1)
    page.evaluate("scrollTo(0, 0)")
    generations = page.get_by_role("heading", name="Generations")
    generations.evaluate("(heading) => innerWidth < 500 && heading.parentElement.scrollIntoView()")


SHOTS: Final = (Shot("devices", show_devices), Shot("demo", show_demo))


def add_devices(server: Server, folder: Path) -> None:
    """Have alice signed in on other devices, for some time: a manager whose clock is late signs her in."""
    body = {"username": "alice", "password": demo_password(server, "alice"), "transport": "body"}
    tokens = httpx.post(f"{server.url}/auth/login", json=body, timeout=20).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    user_id: str = httpx.get(f"{server.url}/auth/me", headers=bearer, timeout=20).json()["user_id"]
    httpx.post(f"{server.url}/auth/logout", headers=bearer, timeout=20)
    keys = KeyRing.load(folder / "keys.json")
    for user_agent, hours in OTHERS.items():
        with closing(store_from_url(f"sqlite:///{folder}/keyturn.db")) as store:
            manager: TokenManager[Any] = TokenManager(
                store=store,
                keys=keys,
                issuer=server.url,
                audience="keyturn",
                clock=lambda hours=hours: time.time() - hours * 3600,  # type: ignore[misc] # bound at once
            )
            manager.issue(user_id, device={"user_agent": user_agent})
            manager.flush()


def main() -> None:
    """Take all pictures."""
    executable = next(found for name in BROWSERS if (found := shutil.which(name)))
    PICTURES.mkdir(exist_ok=True)
    with (
        TemporaryDirectory(prefix="keyturn-") as made,
        keyturn_server(Path(made), "--demo", "--race-window", "1s", "--login-rate", "off") as server,
        sync_playwright() as playwright,
    ):
        add_devices(server, Path(made))
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for shot in SHOTS:
            for scheme in SCHEMES:
                for size, viewport in SIZES.items():
                    context = browser.new_context(viewport=viewport, color_scheme=scheme, locale="en-US")
                    page = context.new_page()
                    shot.prepare(page, server)
                    path = PICTURES / f"{shot.name}-{scheme}-{size}.png"
                    page.screenshot(path=path, animations="disabled")  # what one sees first
                    print(f"{path.relative_to(ROOT)}: {path.stat().st_size // 1024} KiB")
                    leave(page)
                    context.close()
        browser.close()


def leave(page: Page) -> None:
    """Sign the browser out, so that the next picture has one of them."""
    here = page.get_by_role("listitem").filter(has_text="This device")
    if here.count():
        here.get_by_role("button").click()


if __name__ == "__main__":
    main()
