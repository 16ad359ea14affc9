"""The page at `/` of `keyturn serve --demo`, in a real Chromium: each button does what its sentence says.

What happened is taken from the server's own account of it: its events, and its log of requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.support.accessibility import SCHEMES, WIDTHS, Scheme, check_page
from tests.support.keyturn_server import demo_password, keyturn_server
from tests.support.people import Person, meet
from tests.support.processes import Server, wait_until

pytestmark = pytest.mark.browser

PATIENCE = 30_000  # milliseconds; a healthy run needs a small part of it
FLAGS = ("--demo", "--race-window", "1s", "--login-rate", "off")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One demonstration for all tests here; a race window that nobody need wait long for."""
    with keyturn_server(tmp_path_factory.mktemp("demo"), *FLAGS) as running:
        yield running


@pytest.fixture
def person(chromium: Browser, server: Server) -> Iterator[Person]:
    """Somebody who is signed in; what the page complained about and whom it asked is checked at the end."""
    for (one,) in meet(chromium, server):
        sign_in(one)
        yield one


def sign_in(one: Person) -> None:
    """Sign in, and wait for the first line of the story."""
    one.sign_in()
    expect(one.page.get_by_role("heading", name="Your session")).to_be_visible()
    expect(lines(one.page, "issued")).to_have_count(1)


def press(page: Page, button: str, said: str) -> str:
    """Press a button with the keyboard, and give the sentence that ends up behind it."""
    page.get_by_role("button", name=button, exact=True).focus()
    page.keyboard.press("Enter")
    sentence = page.locator(f"#{said}-said")
    expect(sentence).to_have_text(re.compile(r"\.$"), timeout=PATIENCE)
    return sentence.inner_text()


def seen(page: Page) -> list[dict[str, Any]]:
    """Give what the server saw in the session, the oldest first."""
    moments: list[dict[str, Any]] = page.evaluate(
        "fetch('/auth/demo/moments').then(answer => answer.json()).then(body => body.moments)"
    )
    return moments


def codes(page: Page) -> list[str]:
    """Give what the server saw, as codes."""
    return [moment["code"] for moment in seen(page)]


def lines(page: Page, code: str) -> Locator:
    """Find the lines of the timeline about one kind of thing."""
    return page.locator(f"#timeline li[data-code='{code}']")


def shown(page: Page) -> list[str]:
    """Give the codes of the timeline, the oldest first."""
    found: list[str] = page.locator("#timeline li").evaluate_all("all => all.map(one => one.dataset.code)")
    return found[::-1]


def test_six_tabs_with_the_lock_ask_once(person: Person, server: Server) -> None:
    """Six documents refresh at the same moment: one request reaches the server, and all have its token."""
    before = server.output().count("POST /auth/refresh")
    said = press(person.page, "Refresh in six tabs at once", "tabs")
    assert said.startswith("The server saw one refresh request, and six tabs have a new token")
    assert codes(person.page) == ["issued", "rotated"]
    assert server.output().count("POST /auth/refresh") - before == 1
    expect(person.page.get_by_title("Tab 6")).to_have_count(1)
    answers = [frame.locator("#answer").inner_text() for frame in person.page.frames[1:]]
    assert sorted(answers) == ["asked the server"] + 5 * ["told by another tab"]
    tokens = {frame.locator("#token").inner_text() for frame in person.page.frames[1:]}
    assert tokens == {f"…{person.shown_token()[-8:]}"}


def test_six_tabs_without_the_lock_converge(person: Person, server: Server) -> None:
    """Without lock and channel six requests come at once: one rotates, none forks, nobody is signed out."""
    person.page.get_by_text("without the lock").click()
    before = server.output().count("POST /auth/refresh")
    said = press(person.page, "Refresh in six tabs at once", "tabs")
    assert server.output().count("POST /auth/refresh") - before == 6
    refreshes = codes(person.page)[1:]
    assert refreshes.count("rotated") == 1
    assert len(refreshes) == 6
    assert set(refreshes) <= {"rotated", "race", "kept"}
    assert said.startswith("The server saw 6 refresh requests")
    assert said.endswith("signed in.")
    person.page.reload()
    expect(person.page.get_by_role("heading", name="Your session")).to_be_visible()


def test_a_dropped_response_recovers(person: Person) -> None:
    """The store has rotated and nobody was told: the client asks again, and gets that same successor."""
    said = press(person.page, "Drop a response", "drop")
    story = [(moment["code"], moment["generation"]) for moment in seen(person.page)]
    assert story[:3] == [("issued", None), ("rotated", 1), ("dropped", 1)]
    assert story[3:] in ([("race", 1)], [("recovered", 1)])
    reason = {"race": "counts as a race", "recovered": "counts as lost"}[story[3][0]]
    assert reason in said
    assert said.endswith("you are still signed in.")
    assert person.page.evaluate("fetch('/auth/demo/moments').then(answer => answer.status)") == 200


OTHER_TAB = """async () => {
    const { createAuth } = await import("/auth/keyturn.js");
    window.other = createAuth({ url: "/auth" });
    await window.other.token();
    await new Promise((held) => navigator.locks.request(`keyturn:${location.origin}/auth`, () => {
        held();
        return new Promise((release) => { window.release = release; });
    }));
    window.refreshing = window.other.refresh();
}"""
BOTH_WAIT = "async () => (await navigator.locks.query()).pending.length === 2"


def test_no_answer_is_dropped_where_another_tab_asks(person: Person) -> None:
    """Where another tab was first, its token arrives, and the sentence does not say that one was lost."""
    second = person.page.context.new_page()
    second.goto(f"{person.server.url}/demo/tab")
    second.evaluate(OTHER_TAB)
    person.page.get_by_role("button", name="Drop a response").click()
    second.wait_for_function(BOTH_WAIT)
    second.evaluate("window.release()")
    sentence = person.page.locator("#drop-said")
    expect(sentence).to_have_text(re.compile(r"^No answer was thrown away"), timeout=PATIENCE)
    assert "dropped" not in codes(person.page)


def end_elsewhere(one: Person) -> None:
    """End the session as another device does; the page hears nothing of it from its own client."""
    (cookie,) = one.page.context.cookies()
    headers = {"Cookie": f"{cookie.get('name')}={cookie.get('value')}", "X-Keyturn": "1"}
    assert httpx.post(f"{one.server.url}/auth/logout", headers=headers, timeout=20).status_code == 204


def check_over(one: Person) -> None:
    """Hold that the page says that the session is over."""
    expect(one.page.get_by_role("alert")).to_have_text("Your session is over. Sign in again.", timeout=15_000)
    expect(one.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_session_that_ended_elsewhere_is_over_at_the_next_press(person: Person) -> None:
    """The demonstration's own routes refuse, and the client then finds out why; no status is read out."""
    end_elsewhere(person)
    person.page.get_by_role("button", name="Steal the token").click()
    check_over(person)


def test_a_session_that_ended_elsewhere_is_over_when_its_story_is(person: Person) -> None:
    """Nobody presses anything: the stream ends, and the page says what that means."""
    end_elsewhere(person)
    expect(lines(person.page, "logout")).to_have_count(1)
    check_over(person)


def test_a_step_is_told_when_it_happened(person: Person) -> None:
    """The session ends before the owner's refresh: the story stops there, and tells no step that was none."""

    def end_first(route: Route) -> None:
        end_elsewhere(person)
        route.continue_()

    person.page.route("**/auth/refresh", end_first, times=1)
    press(person.page, "Steal the token", "steal")
    said = press(person.page, "Replay it outside the windows", "outside")
    assert said.startswith("This stopped halfway")
    expect(person.page.locator("#outside-steps li")).to_have_count(1)
    check_over(person)


def test_tabs_that_do_not_open_are_said_to_be_missing(person: Person) -> None:
    """No tab refreshes, and no number of requests is made up."""
    person.page.clock.install()
    person.page.route("**/demo/tab*", lambda route: route.fulfill(body="", content_type="text/html"))
    person.page.get_by_role("button", name="Refresh in six tabs at once").click()
    expect(person.page.locator("#frames iframe")).to_have_count(6)
    person.page.clock.fast_forward("00:31")
    expect(person.page.locator("#tabs-said")).to_have_text(re.compile(r"^Only 0 of 6 tabs opened in time"))
    expect(person.page.get_by_role("alert")).to_be_hidden()
    assert codes(person.page) == ["issued"]


def test_signing_out_is_possible_during_an_experiment(person: Person) -> None:
    """No other experiment can begin meanwhile, and says so; signing out can."""
    press(person.page, "Drop a response", "drop")
    person.page.get_by_role("button", name="Drop a response").click()  # which waits for the race window
    expect(person.page.get_by_role("button", name="Steal the token")).to_be_disabled()
    person.page.get_by_role("button", name="Sign out", exact=True).click()
    expect(person.page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(person.page.get_by_text("You are signed out:")).to_be_visible()


def test_the_story_goes_on_when_there_is_room_again(person: Person) -> None:
    """Where too many watch a session, the page says that it waits, and comes back by itself."""
    (cookie,) = person.page.context.cookies()
    headers = {"Cookie": f"{cookie.get('name')}={cookie.get('value')}"}
    person.page.goto("about:blank")
    url = f"{person.server.url}/auth/demo/events"
    with ExitStack() as readers:
        statuses: list[int] = []
        while 503 not in statuses:
            answer = readers.enter_context(httpx.stream("GET", url, headers=headers, timeout=20))
            statuses.append(answer.status_code)
        person.open()
        expect(person.page.get_by_text("The timeline is not connected")).to_be_visible()
    expect(lines(person.page, "issued")).to_have_count(1)
    expect(person.page.get_by_text("The timeline is not connected")).to_be_hidden()


def test_a_thief_inside_the_window(person: Person) -> None:
    """A copy that is replayed at once gets in, and the fork is found at its next refresh: both are out."""
    assert "nothing shows it" in press(person.page, "Steal the token", "steal")
    said = press(person.page, "Replay it inside the window", "inside")
    assert said.startswith("The thief got in once")
    expect(lines(person.page, "rejected")).to_have_count(1)
    story = shown(person.page)
    assert story == ["issued", "stolen", "rotated", "race", "rotated", "fork", "reuse", "rejected"]
    thief = person.page.locator("#timeline li[data-actor='thief']")
    assert thief.evaluate_all("all => all.map(one => one.dataset.code)") == ["reuse", "fork", "race"]
    expect(person.page.locator("#inside-steps li")).to_have_count(7)
    assert person.page.context.cookies() == []
    expect(person.page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(person.page.get_by_role("button", name="Steal the token")).to_have_attribute(
        "aria-disabled", "true"
    )


def test_a_thief_outside_the_windows(person: Person) -> None:
    """A copy that comes when its successor is in use and the window has passed ends the session at once."""
    press(person.page, "Steal the token", "steal")
    said = press(person.page, "Replay it outside the windows", "outside")
    assert said.startswith("The thief got nothing")
    expect(lines(person.page, "rejected")).to_have_count(1)
    assert shown(person.page) == ["issued", "stolen", "rotated", "previous", "reuse", "rejected"]
    assert person.page.context.cookies() == []
    sign_in(person)
    expect(person.page.locator("#outside-said")).to_be_empty()
    assert shown(person.page) == ["issued"], "the next session has a story of its own"


def test_the_story_is_told_again_after_a_reload(person: Person) -> None:
    """What happened is replayed to a new reader, once, and drawn: arrows for what rotated and converged."""
    press(person.page, "Drop a response", "drop")
    person.page.reload()
    expect(lines(person.page, "dropped")).to_have_count(1)
    expect(lines(person.page, "issued")).to_have_count(1)
    assert shown(person.page)[:3] == ["issued", "rotated", "dropped"]
    drawing = person.page.get_by_role("img", name="The generations of this session")
    expect(drawing.locator(".node")).to_have_count(2)
    expect(drawing.locator(".link.rotated")).to_have_count(1)
    expect(drawing.locator(".link.race, .link.recovered")).to_have_count(1)
    expect(drawing.locator(".cut")).to_have_count(1)
    expect(drawing.locator("desc")).to_contain_text("Generations 0 to 1. Rotations: 1.")


def test_people_are_named(person: Person) -> None:
    """By the claim `name` (OpenID Connect Core, section 5.1), with the id beside it."""
    expect(person.page.locator("#user")).to_have_text("Alice")
    expect(person.page.locator("#user-id")).to_have_text(re.compile(r"^[0-9a-f-]{36}$"))


def test_a_second_tab_sees_the_same_story(person: Person) -> None:
    """A real second tab is signed in by itself, and what ends in one is ended, and told, in both."""
    with person.page.context.expect_page() as opened:
        person.page.get_by_role("link", name="Open a second tab").click()
    second = opened.value
    expect(second.get_by_role("heading", name="Your session")).to_be_visible()
    expect(lines(second, "issued")).to_have_count(1)
    second.get_by_role("button", name="Sign out", exact=True).click()
    expect(lines(second, "logout")).to_have_count(1)
    expect(person.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_no_password_is_in_the_page(person: Person, server: Server) -> None:
    """A demo user is filled in by a button, and the password is left to who reads the terminal."""
    person.page.get_by_role("button", name="Sign out", exact=True).click()
    person.page.get_by_role("button", name="I am bob").click()
    expect(person.page.get_by_label("Username")).to_have_value("bob")
    expect(person.page.get_by_label("Password")).to_be_focused()
    assert demo_password(server, "bob") not in person.page.content()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_everybody_can_use_it(chromium: Browser, server: Server, width: int, scheme: Scheme) -> None:
    """No width makes it scroll sideways, and axe finds no barrier: signed out, in six tabs, after a theft."""
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    person = Person(context.new_page(), server)
    person.open()
    expect(person.page.get_by_role("heading", name="Sign in")).to_be_visible()
    check_page(person.page)
    sign_in(person)
    press(person.page, "Refresh in six tabs at once", "tabs")
    check_page(person.page)
    press(person.page, "Steal the token", "steal")
    press(person.page, "Replay it outside the windows", "outside")
    check_page(person.page)
    person.page.set_viewport_size({"width": 320, "height": 800})
    check_page(person.page)
    context.close()


def test_it_stands_still_for_who_wants_that(chromium: Browser, server: Server) -> None:
    """With reduced motion nothing is animated."""
    context = chromium.new_context(reduced_motion="reduce")
    person = Person(context.new_page(), server)
    person.open()
    sign_in(person)
    assert person.page.evaluate("document.getAnimations().length") == 0
    animated = "getComputedStyle(document.querySelector('#timeline li')).animationName"
    assert person.page.evaluate(animated) == "none"
    context.close()


@pytest.fixture
def cookie(server: Server) -> dict[str, str]:
    """The refresh cookie of a session that has just begun, as headers of our own page."""
    body = {"username": "alice", "password": demo_password(server, "alice")}
    answer = httpx.post(f"{server.url}/auth/login", json=body, timeout=20)
    pair = answer.headers["Set-Cookie"].partition(";")[0]
    return {"Cookie": pair, "X-Keyturn": "1"}


def events(answer: httpx.Response, wanted: int) -> list[str]:
    """Read so many events' ids from a stream."""
    ids: list[str] = []
    for line in answer.iter_lines():
        if line.startswith("id: "):
            ids.append(line.removeprefix("id: "))
        if len(ids) == wanted:
            break
    return ids


def test_a_stream_goes_on_where_it_was_left(server: Server, cookie: dict[str, str]) -> None:
    """Last-Event-ID gives what came after it; one of another start of the server gives everything."""
    assert httpx.post(f"{server.url}/auth/demo/steal", headers=cookie).status_code == 200
    url = f"{server.url}/auth/demo/events"
    with httpx.stream("GET", url, headers=cookie, timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["Cache-Control"] == "no-store"
        first, second = events(answer, 2)
    with httpx.stream("GET", url, headers={**cookie, "Last-Event-ID": first}, timeout=20) as answer:
        assert events(answer, 1) == [second]
    for known in ("00000000.999", "nonsense"):
        with httpx.stream("GET", url, headers={**cookie, "Last-Event-ID": known}, timeout=20) as answer:
            assert events(answer, 1) == [first]


def test_a_stream_ends_when_its_session_has(server: Server, cookie: dict[str, str]) -> None:
    """The end is shown, then the stream says that it is over; later readers are told not to come back."""
    url = f"{server.url}/auth/demo/events"
    with httpx.stream("GET", url, headers=cookie, timeout=30) as answer:
        received = answer.iter_lines()
        assert next(line for line in received if line.startswith("data: "))
        assert httpx.post(f"{server.url}/auth/logout", headers=cookie).status_code == 204
        rest = "\n".join(received)
    assert '"code": "logout"' in rest
    assert rest.rstrip().endswith("event: end\ndata: {}")
    assert "ktr_" not in rest
    assert httpx.get(url, headers=cookie).status_code == 204


def test_readers_of_one_session_are_few(server: Server, cookie: dict[str, str]) -> None:
    """Eight; the next is refused for now, and finds room when one has gone."""
    url = f"{server.url}/auth/demo/events"
    with ExitStack() as readers:
        for _ in range(8):
            assert readers.enter_context(httpx.stream("GET", url, headers=cookie)).status_code == 200
        with httpx.stream("GET", url, headers=cookie) as refused:
            assert (refused.status_code, "retry-after" in refused.headers) == (503, True)
    wait_until(lambda: _status(url, cookie) == 200, what="room for a reader")


def _status(url: str, headers: dict[str, str]) -> int:
    with httpx.stream("GET", url, headers=headers) as answer:
        return answer.status_code


def test_a_dropped_answer_without_news_is_no_lost_one(server: Server, cookie: dict[str, str]) -> None:
    """Just after a rotation the session stays: the answer that is thrown away has the token that was sent."""
    answer = httpx.post(f"{server.url}/auth/refresh", headers=cookie)
    fresh = {**cookie, "Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{server.url}/auth/demo/drop", headers=fresh)
    moments = httpx.get(f"{server.url}/auth/demo/moments", headers=fresh).json()["moments"]
    assert [moment["code"] for moment in moments] == ["issued", "rotated", "kept", "dropped-kept"]


@pytest.mark.parametrize("route", ["drop", "steal", "thief"])
def test_mishaps_are_for_the_owner_on_our_own_page(
    server: Server, cookie: dict[str, str], route: str
) -> None:
    """Another site's page, and who sends no cookie, a spent or a false one, is refused; nothing happens."""
    url = f"{server.url}/auth/demo/{route}"
    foreign = {"Cookie": cookie["Cookie"], "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert httpx.post(url, headers=foreign).status_code == 403
    assert httpx.post(url, headers={"X-Keyturn": "1"}).status_code == 401
    name = cookie["Cookie"].partition("=")[0]
    false = {**cookie, "Cookie": f"{name}=ktr_nonsense"}
    assert httpx.post(url, headers=false).status_code == 401
    assert httpx.get(url, headers=cookie).status_code == 404
    moments = httpx.get(f"{server.url}/auth/demo/moments", headers=cookie).json()["moments"]
    assert [moment["code"] for moment in moments] == ["issued"]


def test_the_thief_needs_a_token(server: Server, cookie: dict[str, str]) -> None:
    """Before anything was stolen there is nothing to replay; no answer has a token in it."""
    thief = f"{server.url}/auth/demo/thief"
    assert httpx.post(thief, headers=cookie).status_code == 404
    stolen = httpx.post(f"{server.url}/auth/demo/steal", headers=cookie)
    assert stolen.json() == {"generation": 0}
    assert httpx.post(thief, headers=cookie).json() == {"status": 200}
    assert httpx.get(f"{server.url}/auth/demo/moments?after=x", headers=cookie).status_code == 400
    everything = httpx.get(f"{server.url}/auth/demo/moments", headers=cookie)
    assert [(each["code"], each["actor"]) for each in everything.json()["moments"]] == [
        ("issued", "owner"),
        ("stolen", "owner"),
        ("rotated", "thief"),
    ]
    assert "ktr_" not in everything.text
    assert "eyJ" not in everything.text


def test_only_the_tabs_may_be_framed(server: Server) -> None:
    """The page may frame its own tabs; these may be framed by it alone; and it by nobody."""
    page, tab = (httpx.get(f"{server.url}{path}").headers for path in ("/", "/demo/tab"))
    assert "frame-src 'self'" in page["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]
    assert page["X-Frame-Options"] == "DENY"
    assert "frame-src 'none'" in tab["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in tab["Content-Security-Policy"]
    assert tab["X-Frame-Options"] == "SAMEORIGIN"


def test_the_server_ends_with_a_stream_open(tmp_path: Path) -> None:
    """A stream that nobody closes does not hold the server up: it ends the stream, then itself."""
    with keyturn_server(tmp_path, *FLAGS) as running:
        body = {"username": "alice", "password": demo_password(running, "alice")}
        answer = httpx.post(f"{running.url}/auth/login", json=body, timeout=20)
        headers = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        with httpx.stream("GET", f"{running.url}/auth/demo/events", headers=headers, timeout=20) as stream:
            received = stream.iter_lines()
            assert next(line for line in received if line.startswith("id: "))
            running.stop()
            assert "event: end" not in list(received), "the session goes on: the reader shall come back"
        assert "timeout graceful shutdown exceeded" not in running.output()
