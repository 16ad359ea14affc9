"""The packed browser client in several pages of a real Chromium, over a network that delays and loses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from keyturn import Policy
from keyturn.events import RefreshConverged, Refreshed, ReuseDetected, Revoked
from keyturn.testing.faults import BEFORE
from tests.browser.site import Site, running_site
from tests.support.browser import require_chromium, require_packed_client

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

POLICY = Policy(access_ttl="15m", idle_ttl="7d", race_window="10s", recovery_window="24h")
TABS = 6
REFRESH = b"POST /auth/refresh"

NOTES = "async () => (await auth.fetch('/notes')).status"
LOGIN = "async () => (await auth.login({ username: 'ann', password: 'x' })).userId"
STATUS = "() => auth.session().status"


@pytest.fixture
def site() -> Iterator[Site]:
    """An application of its own for each test."""
    with running_site(require_packed_client(), POLICY) as running:
        yield running


@dataclass(slots=True)
class Tabs:
    """A person's browser: tabs with one cookie jar, whose clocks tests turn."""

    context: BrowserContext
    site: Site
    pages: list[Page]
    asked: list[str]

    async def open(self, count: int, *, query: str = "") -> list[Page]:
        """Open tabs, and wait until each knows whether somebody is signed in."""
        opened = [await self.context.new_page() for _ in range(count)]
        for page in opened:
            await page.goto(f"{self.site.url}/{query}")
            await page.wait_for_function("globalThis.auth && auth.session().status !== 'pending'")
        self.pages += opened
        return opened

    async def sign_in(self) -> Page:
        """Sign Ann in, in the first tab; the others hear of it."""
        first = self.pages[0]
        assert await first.evaluate(LOGIN) == "ann"
        await self.all_are("signed-in")
        return first

    async def all_are(self, status: str) -> None:
        """Wait until all tabs say so."""
        for page in self.pages:
            await page.wait_for_function(f"auth.session().status === '{status}'")

    async def together(self, work: str) -> list[Any]:
        """Do something in all tabs at once, and give what came of it."""
        return await asyncio.gather(*(page.evaluate(work) for page in self.pages))

    async def pass_time(self, seconds: int) -> None:
        """Let time pass for the server and, at once as when a lid was closed, for all tabs."""
        self.site.clock.advance(seconds)
        await self.context.clock.fast_forward(seconds * 1000)

    def refreshes(self) -> int:
        """Count the refresh requests that were sent, and begin anew."""
        count = sum(url.endswith("/auth/refresh") for url in self.asked)
        self.asked.clear()
        return count

    async def statuses(self) -> set[str]:
        """Say what the tabs think."""
        return set(await self.together(STATUS))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """A Chromium whose tabs can be told something at the same moment."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=require_chromium(),
            args=["--no-sandbox", "--enable-features=BackForwardCache"],
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def tabs(chromium: Browser, site: Site) -> AsyncIterator[Tabs]:
    """A person's browser without tabs; an uncaught error in any of them fails the test."""
    context = await chromium.new_context()
    await context.clock.install()
    errors = list[str]()
    asked = list[str]()
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("request", lambda request: asked.append(request.url))
    yield Tabs(context, site, [], asked)
    await context.close()
    assert errors == []


@pytest.mark.parametrize("delay", [0.3, 0])
async def test_tabs_whose_tokens_end_together_make_one_refresh(tabs: Tabs, delay: float) -> None:
    """Six tabs need a token at the same moment: one asks the server, and the others get what it got."""
    await tabs.open(TABS)
    await tabs.sign_in()
    tabs.refreshes()
    tabs.site.network.delay(delay)
    await tabs.pass_time(20 * 60)
    assert await tabs.together(NOTES) == [200] * TABS
    assert tabs.refreshes() == 1
    assert tabs.site.happened(Refreshed) == 1
    assert len(set(await tabs.together("() => auth.token()"))) == 1


async def test_tabs_without_a_lock_converge(tabs: Tabs) -> None:
    """With the lock taken away they make several refreshes, and still nobody is logged out."""
    await tabs.open(TABS, query="?nolock")
    await tabs.sign_in()
    for _ in range(2):
        tabs.refreshes()
        tabs.site.network.delay(0.3)
        await tabs.pass_time(20 * 60)
        assert await tabs.together(NOTES) == [200] * TABS
        assert tabs.refreshes() > 1
    assert tabs.site.happened(RefreshConverged) > 1
    assert tabs.site.happened(ReuseDetected) == 0
    assert await tabs.statuses() == {"signed-in"}


async def test_a_lost_answer_recovers(tabs: Tabs) -> None:
    """The server rotates and its answer is lost: the client asks again and gets the same successor."""
    await tabs.open(2)
    first = await tabs.sign_in()
    tabs.site.network.lose("answer", to=REFRESH)
    await tabs.pass_time(20 * 60)
    assert await first.evaluate(NOTES) == 200
    assert tabs.site.network.lost == 1
    assert tabs.site.happened(Refreshed) == 1
    assert tabs.site.happened(RefreshConverged) >= 1
    await tabs.pass_time(20 * 60)
    assert await tabs.together(NOTES) == [200, 200], "the session goes on"
    assert await tabs.statuses() == {"signed-in"}


async def test_logout_in_one_tab_ends_the_others(tabs: Tabs) -> None:
    """The other tabs know before the server has answered, however slow it is; then the session is gone."""
    await tabs.open(TABS)
    first = await tabs.sign_in()
    tabs.site.network.deafen()
    await first.evaluate("() => { globalThis.leaving = auth.logout() }")
    await tabs.all_are("signed-out")
    assert tabs.site.happened(Revoked) == 0
    tabs.site.network.hear()
    await first.evaluate("() => leaving")
    assert tabs.site.happened(Revoked) == 1
    assert await tabs.context.cookies() == []
    assert await first.evaluate(NOTES) == 401


async def test_the_first_click_after_a_night_works(tabs: Tabs) -> None:
    """After eight hours of sleep each tab's first request is answered, after one refresh for all."""
    await tabs.open(3)
    await tabs.sign_in()
    tabs.refreshes()
    await tabs.pass_time(8 * 3600)
    assert await tabs.together(NOTES) == [200] * 3
    assert tabs.refreshes() == 1


async def test_a_session_that_ended_while_asleep_is_over_in_all_tabs(tabs: Tabs) -> None:
    """After the idle limit one tab asks, and all know; they go on knowing without asking."""
    await tabs.open(3)
    first = await tabs.sign_in()
    tabs.refreshes()
    await tabs.pass_time(8 * 24 * 3600)
    assert await first.evaluate(NOTES) == 401
    await tabs.all_are("signed-out")
    assert tabs.refreshes() == 1


async def test_a_new_tab_gets_its_token_from_the_others(tabs: Tabs) -> None:
    """A tab beside others does not refresh: it is given their token."""
    await tabs.open(1)
    await tabs.sign_in()
    tabs.refreshes()
    (second,) = await tabs.open(1)
    assert await second.evaluate(NOTES) == 200
    assert tabs.refreshes() == 0


async def test_a_reload_finds_the_session(tabs: Tabs) -> None:
    """The only tab is reloaded: its token was in memory alone, the cookie brings a new one."""
    (only,) = await tabs.open(1)
    await tabs.sign_in()
    await only.reload()
    await only.wait_for_function("globalThis.auth && auth.session().status === 'signed-in'")
    assert await only.evaluate(NOTES) == 200
    kept = await only.evaluate(
        "JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])"
    )
    assert "eyJ" not in kept


async def test_an_outage_signs_nobody_out(tabs: Tabs) -> None:
    """The store is away for two attempts: the refresh is tried again after a while, and succeeds."""
    (only,) = await tabs.open(1)
    await tabs.sign_in()
    await tabs.pass_time(20 * 60)
    tabs.site.store.next(BEFORE, BEFORE, method="rotate")
    await only.evaluate(f"() => {{ globalThis.result = ({NOTES})() }}")
    assert await only.evaluate("() => result") == 200
    assert await tabs.statuses() == {"signed-in"}


async def test_offline_and_back(tabs: Tabs) -> None:
    """Without a network requests fail and nobody is signed out; when it is back, all goes on."""
    (only,) = await tabs.open(1)
    await tabs.sign_in()
    await tabs.context.set_offline(offline=True)
    await tabs.pass_time(20 * 60)
    await only.evaluate(f"() => {{ globalThis.result = ({NOTES})().catch((error) => error.code) }}")
    assert await only.evaluate("() => result") == "network"
    assert await tabs.statuses() == {"signed-in"}
    await tabs.context.set_offline(offline=False)
    assert await only.evaluate(NOTES) == 200


async def test_two_components_make_one_refresh(tabs: Tabs) -> None:
    """Several calls, and a second client in the same page, share one refresh."""
    (only,) = await tabs.open(1)
    await tabs.sign_in()
    tabs.refreshes()
    await tabs.pass_time(20 * 60)
    all_at_once = "() => Promise.all([auth, make(), auth].map((each) => each.refresh()))"
    assert [session["userId"] for session in await only.evaluate(all_at_once)] == ["ann"] * 3
    assert tabs.refreshes() == 1


async def test_a_tab_that_closes_while_it_refreshes_keeps_nobody_waiting(tabs: Tabs) -> None:
    """The lock of a tab that is gone is free, and the answer that nobody took is fetched again."""
    first, second = await tabs.open(2)
    await tabs.sign_in()
    await tabs.pass_time(20 * 60)
    tabs.site.network.deafen()
    await first.evaluate("() => void auth.refresh()")
    await second.evaluate(f"() => {{ globalThis.result = ({NOTES})() }}")
    await first.close()
    tabs.site.network.hear()
    assert await second.evaluate("() => result") == 200


async def test_a_body_is_sent_again_after_a_401(tabs: Tabs) -> None:
    """An access token that the server takes for over is refreshed once, and the body goes with it again."""
    (only,) = await tabs.open(1)
    await tabs.sign_in()
    tabs.site.clock.advance(20 * 60)  # the server's clock alone: the tab takes its token for good
    tabs.refreshes()
    send = "async () => (await auth.fetch('/notes', { method: 'POST', body: new Blob(['milk']) })).status"
    assert await only.evaluate(send) == 200
    assert tabs.site.bodies == [b"milk"]
    assert tabs.refreshes() == 1


async def test_everywhere_from_an_ended_session_is_no_success(tabs: Tabs) -> None:
    """A session that was ended before cannot end the user's others: the caller is told, and they live on."""
    (only,) = await tabs.open(1)
    await tabs.sign_in()
    (kept,) = await tabs.context.cookies()
    await end_session(tabs)
    name, value = kept.get("name", ""), kept.get("value", "")
    await tabs.context.add_cookies([{"name": name, "value": value, "url": f"{tabs.site.url}/auth/refresh"}])
    leave = "() => auth.logout({ everywhere: true }).catch(({ code, status }) => [code, status])"
    assert await only.evaluate(leave) == ["invalid_grant", 401]
    assert await tabs.statuses() == {"signed-out"}


async def test_the_back_button_brings_no_ended_session_back(tabs: Tabs) -> None:
    """A page that comes from the back-forward cache as it was left asks the server whether it still is so."""
    (only,) = await tabs.open(1)
    await tabs.sign_in()
    await only.evaluate("() => { globalThis.sameDocument = true }")
    await only.goto(f"{tabs.site.url}/client/index.js")
    await end_session(tabs)
    await only.go_back(wait_until="commit")
    await tabs.all_are("signed-out")
    assert await only.evaluate("() => [globalThis.sameDocument, auth.session().reason]") == [True, "ended"]


async def end_session(tabs: Tabs) -> None:
    """Sign out by the cookie alone, as a form of the server's own does: no client hears of it."""
    answer = await tabs.context.request.post(f"{tabs.site.url}/auth/logout", headers={"X-Keyturn": "1"})
    assert answer.ok
    assert await tabs.context.cookies() == []


async def test_slow_networks_log_nobody_out(tabs: Tabs) -> None:
    """Tabs on a network with half a second of delay, without a lock, time after time."""
    await tabs.open(3, query="?nolock")
    await tabs.sign_in()
    for page in tabs.pages:
        await throttle(page, latency=500)
    for _ in range(2):
        await tabs.pass_time(20 * 60)
        assert await tabs.together(NOTES) == [200] * 3
    assert tabs.site.happened(ReuseDetected) == 0


async def throttle(page: Page, *, latency: int) -> None:
    """Give a page a slow network.

    Args:
        page: The page.
        latency: Milliseconds.
    """
    kilobytes = 50 * 1024
    session = await page.context.new_cdp_session(page)
    await session.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": latency,
            "downloadThroughput": kilobytes,
            "uploadThroughput": kilobytes,
        },
    )
