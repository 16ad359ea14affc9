"""The documentation as a site: it builds without a warning, says everything, and asks nobody else."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import unquote, urlsplit

import click
import pytest
from playwright.sync_api import Page, Request
from sphinx.util.inventory import InventoryFile

import dev
from keyturn import events
from keyturn.cli.root import keyturn
from tests.support.accessibility import WIDTHS, ask_axe
from tests.support.sources import ROOT

# The modules whose names users import, each with an `__all__`.
PUBLIC = (
    *("keyturn", "keyturn.http", "keyturn.keystores", "keyturn.lab", "keyturn.client", "keyturn.django"),
    *(
        "keyturn.flask",
        "keyturn.litestar",
        "keyturn.pages",
        "keyturn.starlette",
        "keyturn.testing.conformance",
    ),
    *(f"keyturn.stores.{name}" for name in ("postgres", "protocol", "redis", "sqlalchemy", "urls")),
)


@pytest.fixture(scope="module")
def site() -> Path:
    """The site, built as `python3 dev.py docs` does; what is up to date is not built again."""
    (arguments,) = dev.DOCS.values()
    built = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert built.returncode == 0, built.stderr
    return dev.SITE


class Pages(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.ids: set[str] = set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.add(value or "")
            elif name in {"href", "src"} and tag != "link":
                self.links.add(value or "")


def test_each_link_of_the_site_leads_somewhere(site: Path) -> None:
    """To a file of the site, and to an anchor that is in it."""
    pages = {path: Pages(path) for path in site.rglob("*.html")}
    broken = [
        f"{path.relative_to(site)}: {link}"
        for path, page in pages.items()
        for link in page.links
        if "://" not in link and not leads_somewhere(path, link, pages)
    ]
    assert len(pages) > 30
    assert broken == []


def leads_somewhere(path: Path, link: str, pages: dict[Path, Pages]) -> bool:
    """Tell whether a link of a page finds its target."""
    name, anchor = urlsplit(link).path, urlsplit(link).fragment
    target = (path.parent / unquote(name)).resolve() if name else path
    if not target.is_file():
        return False
    return not anchor or target not in pages or unquote(anchor) in pages[target].ids


def test_no_file_of_the_site_comes_from_elsewhere(site: Path) -> None:
    """No page loads a script, a style, a font or a picture from another origin."""
    assert not any(
        name in line and "://" in line.partition(name)[2][:9]
        for page in site.rglob("*.html")
        for line in page.read_text("utf-8").splitlines()
        if "<link" in line or "<script" in line or "<img" in line
        for name in ('src="', 'href="')
    )


@pytest.fixture(scope="module")
def described(site: Path) -> dict[str, set[str]]:
    """Each thing that the reference describes, by its kind."""
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    return {kind: set(things) for kind, things in inventory.data.items()}


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_is_described(name: str, described: dict[str, set[str]]) -> None:
    """At the path that users import it from, or at its home."""
    module = import_module(name)
    names = {thing for kind, things in described.items() if kind.startswith("py:") for thing in things}
    missing = [
        public
        for public in module.__all__
        if not public.startswith("__")
        and not names & {f"{name}.{public}", f"{getattr(getattr(module, public), '__module__', '')}.{public}"}
    ]
    assert missing == []


def test_each_event_is_described(described: dict[str, set[str]]) -> None:
    """Those that `Event` lists are all there are."""
    assert {f"keyturn.events.{event.__name__}" for event in get_args(events.Event)} <= described["py:class"]


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Give a command and all below it, with what is typed for each."""
    yield path, command
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, f"{path}-{name}")


def test_each_option_of_each_command_is_described(described: dict[str, set[str]]) -> None:
    """The page of the command line leaves nothing out."""
    options = {
        f"{path}.{option.opts[0]}"
        for path, command in commands(keyturn, "keyturn")
        for option in command.params
        if isinstance(option, click.Option)
    }
    assert "keyturn-serve.--race-window" in options
    assert options <= described["std:cmdoption"]


class Quiet(SimpleHTTPRequestHandler):
    """A server of files that says nothing."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (as the base class has it)
        pass


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """Where the site is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.browser
def test_pages_ask_nobody_else(served: str, page: Page) -> None:
    """Whatever a browser fetches for a page, the search included, comes from the site itself."""
    requests: list[Request] = []

    def note(request: Request) -> None:
        requests.append(request)

    page.on("request", note)
    for name in ("index", "tutorials/fastapi", "reference/settings", "reference/api/keyturn", "search"):
        page.goto(f"{served}/{name}.html", wait_until="networkidle")
    assert len(requests) > 10
    assert [request.url for request in requests if not request.url.startswith(f"{served}/")] == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name",
    ["index", "tutorials/fastapi", "reference/settings", "reference/events", "explanation/comparison"],
)
def test_nobody_is_kept_out(name: str, scheme: Literal["light", "dark"], served: str, page: Page) -> None:
    """Axe finds nothing serious on a desktop or a phone: what is left is the theme's, and moderate at most.

    Nor does a page scroll sideways; a table or a block of code that does takes the keyboard.
    """
    page.emulate_media(color_scheme=scheme)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 720})
        page.goto(f"{served}/{name}.html")
        found = ask_axe(page)["violations"]
        assert [each["id"] for each in found if each["impact"] in {"serious", "critical"}] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.browser
@pytest.mark.parametrize("name", ["reference/http", "reference/settings", "reference/errors", "genindex"])
def test_a_desktop_shows_what_is_looked_up_whole(name: str, served: str, page: Page) -> None:
    """No column of a table of the reference is out of sight, and no page is wider than the window."""
    page.set_viewport_size({"width": max(WIDTHS), "height": 720})
    page.goto(f"{served}/{name}.html")
    boxes = "[...document.querySelectorAll('html, .table-wrapper')]"
    assert page.evaluate(f"{boxes}.every((box) => box.scrollWidth <= box.clientWidth)")


@pytest.mark.browser
def test_the_search_finds_what_the_reference_says(served: str, page: Page) -> None:
    """Without any server but that of files."""
    page.goto(f"{served}/search.html?q=race_window")
    page.wait_for_selector("#search-results ul.search li a")
    found = {link.get_attribute("href") or "" for link in page.query_selector_all("ul.search li a")}
    assert any("reference/settings.html" in link for link in found)


@pytest.mark.browser
def test_dark_and_light(served: str, page: Page) -> None:
    """The site follows the system, and each reader may choose; pictures follow, too."""
    background = "getComputedStyle(document.body).backgroundColor"
    picture = "getComputedStyle(document.querySelector('article img')).colorScheme"
    page.emulate_media(color_scheme="dark")
    page.goto(f"{served}/index.html")
    dark = page.evaluate(background)
    page.emulate_media(color_scheme="light")
    assert page.evaluate(background) != dark
    page.click(".theme-toggle >> visible=true")  # from "as the system" to dark
    page.wait_for_function("document.body.dataset.theme === 'dark'")
    assert page.evaluate(background) == dark
    assert page.evaluate(picture) == "dark"
