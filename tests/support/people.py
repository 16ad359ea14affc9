"""People with a browser profile of their own, who sign in at a server's page. They know no test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from playwright.sync_api import Browser, Page, expect

from tests.support.keyturn_server import demo_password
from tests.support.processes import Server

# What Chromium itself writes down of answers that a test provokes: the page has to cope with them.
_EXPECTED = re.compile(r"status of (?:40[13]|503)|ERR_CONTENT_LENGTH_MISMATCH")


@dataclass(slots=True)
class Person:
    """A person before a page: that at a path of a server."""

    page: Page
    server: Server
    path: str = "/"
    console: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])

    def watch(self) -> None:
        """Take down what the page complains about, and whom it asks."""
        self.page.on(
            "console", lambda m: self.console.append(m.text) if m.type in {"error", "warning"} else None
        )
        self.page.on("pageerror", lambda error: self.console.append(str(error)))
        self.page.context.on("request", lambda request: self.requests.append(request.url))

    def open(self) -> None:
        """Open the page."""
        self.page.goto(f"{self.server.url}{self.path}")

    def sign_in(self, user: str = "alice", password: str | None = None) -> None:
        """Fill the form in and send it, with the keyboard."""
        self.page.get_by_label("Username").fill(user)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(password or demo_password(self.server, user))
        self.page.keyboard.press("Enter")

    def shown_token(self) -> str:
        """Give what the page shows of the access token."""
        expect(self.page.locator("#token")).not_to_be_empty()
        return self.page.locator("#token").inner_text()

    def check(self) -> None:
        """Hold that nothing was complained about unexpectedly, and nobody but the server asked."""
        complaints = [line for line in self.console if not _EXPECTED.search(line)]
        assert not complaints, complaints
        foreign = [url for url in self.requests if not url.startswith(f"{self.server.url}/")]
        assert not foreign, foreign
        assert self.requests, "it was not watched"


def meet(chromium: Browser, server: Server, number: int = 1) -> Iterator[list[Person]]:
    """Give people who have opened the page, and check at the end what they have met."""
    contexts = [chromium.new_context() for _ in range(number)]
    people = [Person(context.new_page(), server) for context in contexts]
    for person in people:
        person.watch()
        person.open()
    yield people
    for context in contexts:
        context.close()
    for person in people:
        person.check()
