"""The packed browser client in several pages of a real Chromium, over a network that delays and loses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from keyturn import Policy
from keyturn.events import RefreshConverged, Refreshed, ReuseDetected, Revoked
from keyturn.testing.faults import BEFORE
from tests.browser.site import Site, running_site

pytestmark = pytest.mark.browser

POLICY = Policy(access_ttl="15m", idle_ttl="7d", race_window="10s", recovery_window="24h")
TABS = 6
REFRESH = b"POST /auth/refresh"

NOTES = "async () => (await auth.fetch('/notes')).status"
STATUS = "() => auth.session().status"


@pytest.fixture
def site(packed_client: Path) -> Iterator[Site]:
    """An application of its own for each test."""
    with running_site(packed_client, POLICY) as running:
        yield running


@dataclass(slots=True)
class Tabs:
    """A person's browser: tabs with one cookie jar, whose clocks tests turn."""

    context: BrowserContext
    site: Site
    pages: list[Page]
    asked: list[str]

    def open(self, count: int, *, query: str = "") -> list[Page]:
        """Open tabs, and wait until each knows whether somebody is signed in."""
        opened = [self.context.new_page() for _ in range(count)]
        for page in opened:
            page.goto(f"{self.site.url}/{query}")
        for page in opened:
            page.wait_for_function("globalThis.auth && auth.session().status !== 'pending'")
        self.pages += opened
        return opened

    def sign_in(self) -> Page:
        """Sign Ann in, in the first tab."""
        first = self.pages[0]
        signed_in = first.evaluate("async () => (await auth.login({ username: 'ann', password: 'x' })).userId")
        assert signed_in == "ann"
        for page in self.pages:
            page.wait_for_function("auth.session().status === 'signed-in'")
        return first

    def together(self, work: str) -> list[Any]:
        """Begin something in all tabs at the same moment of their common clock, and give what came of it."""
        at = self.pages[0].evaluate("Date.now()") + 100 * len(self.pages)
        for page in self.pages:
            # The promise is kept in the page, so that one tab's answer is not waited for before the next begins.
            page.evaluate(
                f"(at) => {{ globalThis.result = new Promise((go) => setTimeout(go, at - Date.now())).then({work}) }}",
                at,
            )
        return [page.evaluate("() => result") for page in self.pages]

    def pass_time(self, seconds: int) -> None:
        """Let time pass for the server and, as a closed lid does, at once for every tab."""
        self.site.clock.advance(seconds)
        for page in self.pages:
            page.clock.fast_forward(seconds * 1000)

    def refreshes(self) -> int:
        """Count the refresh requests that were sent, and begin anew."""
        count = sum(url.endswith("/auth/refresh") for url in self.asked)
        self.asked.clear()
        return count

    def statuses(self) -> set[str]:
        """Say what the tabs think."""
        return {page.evaluate(STATUS) for page in self.pages}


@pytest.fixture
def tabs(chromium: Browser, site: Site) -> Iterator[Tabs]:
    """A browser without tabs; uncaught errors in any of them fail the test."""
    context = chromium.new_context()
    context.clock.install()
    errors = list[str]()
    asked = list[str]()
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("request", lambda request: asked.append(request.url))
    yield Tabs(context, site, [], asked)
    context.close()
    assert errors == []


@pytest.mark.parametrize("delay", [0.3, 0])
def test_tabs_whose_tokens_end_together_make_one_refresh(tabs: Tabs, delay: float) -> None:
    """Six tabs need a token at the same moment: one asks the server, and the others get what it got."""
    tabs.open(TABS)
    tabs.sign_in()
    tabs.pass_time(20 * 60)
    tabs.refreshes()
    tabs.site.network.delay(delay)
    assert tabs.together(NOTES) == [200] * TABS
    assert tabs.refreshes() == 1
    assert tabs.site.happened(Refreshed) == 1
    assert len({page.evaluate("() => auth.token()") for page in tabs.pages}) == 1


def test_tabs_without_a_lock_converge(tabs: Tabs) -> None:
    """With the lock taken away they make several refreshes, and still nobody is logged out."""
    tabs.open(TABS, query="?nolock")
    tabs.sign_in()
    for _ in range(3):
        tabs.pass_time(20 * 60)
        tabs.refreshes()
        tabs.site.network.delay(0.3)
        assert tabs.together(NOTES) == [200] * TABS
        assert tabs.refreshes() > 1
    assert tabs.site.happened(RefreshConverged) > 1
    assert tabs.site.happened(ReuseDetected) == 0
    assert tabs.statuses() == {"signed-in"}


def test_a_lost_answer_recovers(tabs: Tabs) -> None:
    """The server rotates and its answer is lost: the client asks again and gets the same successor."""
    tabs.open(2)
    first = tabs.sign_in()
    tabs.pass_time(20 * 60)
    tabs.site.network.lose("answer", to=REFRESH)
    assert first.evaluate(NOTES) == 200
    assert tabs.site.network.lost == 1
    assert (tabs.site.happened(Refreshed), tabs.site.happened(RefreshConverged)) == (1, 1)
    tabs.pass_time(20 * 60)
    assert tabs.together(NOTES) == [200, 200], "the session goes on"
    assert tabs.statuses() == {"signed-in"}


def test_logout_in_one_tab_ends_the_others(tabs: Tabs) -> None:
    """The other tabs know before the server has answered, however slow it is; then the session is gone."""
    tabs.open(TABS)
    first = tabs.sign_in()
    tabs.site.network.deafen()
    first.evaluate("() => { globalThis.leaving = auth.logout() }")
    for page in tabs.pages:
        page.wait_for_function("auth.session().status === 'signed-out'")
    assert tabs.site.happened(Revoked) == 0
    tabs.site.network.hear()
    for page in tabs.pages:
        page.clock.run_for(5000)
    first.evaluate("() => leaving")
    assert tabs.site.happened(Revoked) == 1
    assert tabs.context.cookies() == []
    assert first.evaluate(NOTES) == 401


def test_the_first_click_after_a_night_works(tabs: Tabs) -> None:
    """After eight hours of sleep each tab's first request is answered, after one refresh for all."""
    tabs.open(3)
    tabs.sign_in()
    tabs.pass_time(8 * 3600)
    tabs.refreshes()
    assert tabs.together(NOTES) == [200] * 3
    assert tabs.refreshes() == 1


def test_a_session_that_ended_while_asleep_is_over_in_all_tabs(tabs: Tabs) -> None:
    """After the idle limit one tab asks, and all know; they go on knowing without asking."""
    tabs.open(3)
    first = tabs.sign_in()
    tabs.pass_time(8 * 24 * 3600)
    tabs.refreshes()
    assert first.evaluate(NOTES) == 401
    for page in tabs.pages:
        page.wait_for_function("auth.session().status === 'signed-out'")
    assert tabs.refreshes() == 1


def test_a_new_tab_gets_its_token_from_the_others(tabs: Tabs) -> None:
    """A tab beside others does not refresh: it is given their token."""
    tabs.open(1)
    tabs.sign_in()
    tabs.refreshes()
    (second,) = tabs.open(1)
    assert second.evaluate(NOTES) == 200
    assert tabs.refreshes() == 0


def test_a_reload_finds_the_session(tabs: Tabs) -> None:
    """The only tab is reloaded: its token was in memory alone, the cookie brings a new one."""
    (only,) = tabs.open(1)
    tabs.sign_in()
    only.reload()
    only.wait_for_function("globalThis.auth && auth.session().status === 'signed-in'")
    assert only.evaluate(NOTES) == 200
    kept = only.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])")
    assert "eyJ" not in kept


def test_an_outage_signs_nobody_out(tabs: Tabs) -> None:
    """The store is away for two attempts: the refresh is tried again after a while, and succeeds."""
    (only,) = tabs.open(1)
    tabs.sign_in()
    tabs.pass_time(20 * 60)
    tabs.site.store.next(BEFORE, BEFORE, method="rotate")
    only.evaluate(f"() => {{ globalThis.result = ({NOTES})() }}")
    for _ in range(20):
        only.clock.run_for(1000)
    assert only.evaluate("() => result") == 200
    assert tabs.statuses() == {"signed-in"}


def test_offline_and_back(tabs: Tabs) -> None:
    """Without a network requests fail and nobody is signed out; when it is back, all goes on."""
    (only,) = tabs.open(1)
    tabs.sign_in()
    tabs.pass_time(20 * 60)
    tabs.context.set_offline(offline=True)
    only.evaluate(f"() => {{ globalThis.result = ({NOTES})().catch((error) => error.code) }}")
    for _ in range(20):
        only.clock.run_for(1000)
    assert only.evaluate("() => result") == "network"
    assert tabs.statuses() == {"signed-in"}
    tabs.context.set_offline(offline=False)
    assert only.evaluate(NOTES) == 200


def test_two_components_make_one_refresh(tabs: Tabs) -> None:
    """Several calls, and a second client in the same page, share one refresh."""
    (only,) = tabs.open(1)
    tabs.sign_in()
    tabs.pass_time(20 * 60)
    tabs.refreshes()
    twice = "async () => { const other = make(); return Promise.all([auth, other, auth].map((each) => each.refresh())) }"
    assert [session["userId"] for session in only.evaluate(twice)] == ["ann"] * 3
    assert tabs.refreshes() == 1


def test_a_tab_that_closes_while_it_refreshes_keeps_nobody_waiting(tabs: Tabs) -> None:
    """The lock of a tab that is gone is free, and the answer that nobody took is fetched again."""
    first, second = tabs.open(2)
    tabs.sign_in()
    tabs.pass_time(20 * 60)
    tabs.site.network.deafen()
    first.evaluate("() => void auth.refresh()")
    second.evaluate(f"() => {{ globalThis.result = ({NOTES})() }}")
    first.close()
    tabs.site.network.hear()
    second.clock.run_for(5000)
    assert second.evaluate("() => result") == 200


def test_a_body_is_sent_again_after_a_401(tabs: Tabs) -> None:
    """An access token that the server takes for over is refreshed once, and the body goes with it again."""
    (only,) = tabs.open(1)
    tabs.sign_in()
    tabs.site.clock.advance(20 * 60)  # the server's clock alone: the tab takes its token for good
    tabs.refreshes()
    send = "async () => (await auth.fetch('/notes', { method: 'POST', body: new Blob(['milk']) })).status"
    assert only.evaluate(send) == 200
    assert tabs.site.bodies == [b"milk"]
    assert tabs.refreshes() == 1


def test_slow_networks_log_nobody_out(tabs: Tabs) -> None:
    """Tabs on a network with a second of delay, without a lock, time after time."""
    tabs.open(3, query="?nolock")
    tabs.sign_in()
    for page in tabs.pages:
        throttle(page, latency=1000)
    for _ in range(2):
        tabs.pass_time(20 * 60)
        assert tabs.together(NOTES) == [200] * 3
    assert tabs.site.happened(ReuseDetected) == 0


def throttle(page: Page, *, latency: int) -> None:
    """Give a page a slow network.

    Args:
        page: The page.
        latency: Milliseconds.
    """
    kilobytes = 50 * 1024
    page.context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": latency, "downloadThroughput": kilobytes, "uploadThroughput": kilobytes},
    )
