"""Where the page is, and what opening it does under each policy, without a framework."""

from __future__ import annotations

import re
from typing import Any

import pytest

from keyturn import ConfigurationError, Policy
from keyturn.http import Guard, HttpReply, HttpRequest, HttpSettings, PageView
from keyturn.http.places import Places
from keyturn.http.routes import places_of
from keyturn.pages import SessionsPage
from keyturn.testing.faults import BEFORE
from keyturn.testing.http_suite import SESSIONS_PAGE, World
from tests.http.neutral import PASSWORD, endpoints, request, values

HOME = f"/auth{SESSIONS_PAGE.path}"
OURS = ("sec-fetch-site", "same-origin")


def opened(world: World, cookie: str) -> HttpReply:
    """Open the page with a cookie."""
    name = world.settings.cookie
    return endpoints(world, sessions_page=SESSIONS_PAGE).handle(
        request("GET", HOME, ("cookie", f"{name}={cookie}"))
    )


def signed_in(world: World) -> str:
    """Sign somebody in, and give the cookie."""
    return world.manager().issue("ann").refresh_token


@pytest.mark.parametrize(
    ("settings", "path", "home"),
    [
        ({}, "/account/sessions", "/auth/account/sessions"),
        ({}, "/auth/devices", "/auth/devices"),
        ({}, "/authors/devices", "/auth/authors/devices"),
        ({"cookie_path": "/"}, "/account/sessions", "/account/sessions"),
        ({"cookie_path": "/api", "prefix": "/api/auth"}, "/api/account", "/api/account"),
        ({"cookie_path": "/mount/auth"}, "/account/sessions", "/auth/account/sessions"),
        ({"cookie_path": "/mount/auth"}, "/auth/devices", "/auth/devices"),
    ],
    ids=str,
)
def test_the_page_lives_where_the_cookie_reaches(settings: dict[str, Any], path: str, home: str) -> None:
    """At its own path, if the cookie's covers it, mounted or not; else below the prefix."""
    found = places_of(HttpSettings(**settings), SessionsPage(path=path))
    assert found.home == home


def test_what_lies_outside_is_listed_once() -> None:
    """Routes below the prefix are there anyway; a path with the same beginning is not below it."""
    jwks = "/.well-known/jwks.json"
    assert Places("/auth").outside == (jwks,)
    assert Places("/auth", "/auth/devices", "/auth/devices").outside == (jwks,)
    away = Places("/auth", "/authors", "/auth/authors")
    assert away.outside == (jwks, "/authors")
    assert [away.hold(path) for path in ("/auth", "/auth/x", "/authors", "/authors/x", jwks, "/")] == [
        True,
        True,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("path", ["/login", "/sessions", "/sessions/x", "/auth/me"])
def test_a_page_hides_no_endpoint(path: str) -> None:
    """Neither where the application wants it nor where it would live; endpoints and guard say so."""
    page = SessionsPage(path=path)
    for make in (lambda: endpoints(World(), sessions_page=page), lambda: _guard(page)):
        with pytest.raises(ConfigurationError, match="sessions_page: its path would hide the endpoint"):
            make()


@pytest.mark.parametrize("page", [SessionsPage, "page", 7], ids=["class", "text", "number"])
def test_what_is_no_page_is_refused(page: Any) -> None:
    """At the start, by the endpoints and by the guard."""
    for make in (lambda: endpoints(World(), sessions_page=page), lambda: _guard(page)):
        with pytest.raises(ConfigurationError, match="sessions_page must be SessionsPage"):
            make()


def _guard(page: Any) -> Guard:
    return Guard(World().manager(), sessions_page=page)


def test_without_a_page_there_is_none() -> None:
    """404 at both paths, and a guard by paths guards them."""
    for path in (SESSIONS_PAGE.path, HOME):
        assert endpoints(World()).handle(request("GET", path)).status == 404
        without = Guard(World().manager()).check_path(request("GET", path))
        assert isinstance(without, HttpReply)
        assert without.status == 401
        within = Guard(World().manager(), sessions_page=SESSIONS_PAGE).check_path(request("GET", path))
        assert not isinstance(within, HttpReply)


class Broken(SessionsPage):
    """A page whose template fails."""

    def show(self, request: HttpRequest, view: PageView, /) -> HttpReply:
        """Fail, as a template does that asks for what is not there."""
        raise LookupError(f"no {view.address} for {request.method}")


def test_a_page_that_cannot_be_written_loses_no_rotation(caplog: pytest.LogCaptureFixture) -> None:
    """A bare 500 with the new cookie, and the mistake is logged; whoever was signed in still is."""
    world = World()
    name, cookie = world.settings.cookie, signed_in(world)
    site = endpoints(world, sessions_page=Broken())
    for _ in range(2):
        reply = site.handle(request("GET", HOME, ("cookie", f"{name}={cookie}")))
        (line,) = values(reply, "Set-Cookie")
        assert (reply.status, values(reply, "Cache-Control")) == (500, ["no-store"])
        cookie = line.partition(";")[0].removeprefix(f"{name}=")
        world.clock.advance(60)
    assert "LookupError: no sessions" in caplog.text
    assert cookie not in caplog.text
    assert opened(world, cookie).status == 200


def test_of_many_sessions_the_newest_are_shown_and_the_readers_own() -> None:
    """However old that is; a sentence says that there are more, which end with all others too."""
    world = World()
    cookie = signed_in(world)
    newest = own = world.manager().inspect(cookie).id
    for count, more in ((99, False), (1, True), (30, True)):
        for _ in range(count):
            world.clock.advance(60)
            newest = world.manager().issue("ann").session_id
        reply = opened(world, cookie)
        (line,) = values(reply, "Set-Cookie")
        cookie = line.partition(";")[0].partition("=")[2]
        ids = re.findall(r'name="end" value="([^"]+-[^"]+)"', reply.body.decode())
        assert (len(ids), ids[:2]) == (100, [own, newest])
        assert (b"More devices are signed in than are shown here." in reply.body) is more
    world.plan.next(BEFORE, method="lookup")
    assert opened(world, cookie).status == 503


def test_a_race_may_be_a_conflict() -> None:
    """With `on_race="conflict"` the later tab is told to try again, or to sign in; its cookie stays."""
    world = World(policy=Policy(on_race="conflict"))
    cookie = signed_in(world)
    assert opened(world, cookie).status == 200
    later = opened(world, cookie)
    assert (later.status, values(later, "Set-Cookie"), values(later, "Retry-After")) == (409, [], ["1"])
    for way_on in (b"Another tab was a moment faster.", b'href="sessions"', b'type="password"'):
        assert way_on in later.body


def test_without_rotation_the_cookie_lives_on() -> None:
    """The same token is set again, with its new age."""
    world = World(policy=Policy(rotation=False))
    cookie = signed_in(world)
    (line,) = values(opened(world, cookie), "Set-Cookie")
    assert line.startswith(f"{world.settings.cookie}={cookie}; Max-Age=")


def test_a_page_without_a_login_check_signs_nobody_in() -> None:
    """There is no form, and what it would send is malformed."""
    bare = endpoints(World(), login=None, sessions_page=SESSIONS_PAGE)
    assert b'type="password"' not in bare.handle(request("GET", HOME)).body
    sent = request("POST", HOME, OURS, ("content-type", "application/x-www-form-urlencoded"))
    form = f"username=ann&password={PASSWORD.replace(' ', '+')}".encode()
    reply = bare.handle(type(sent)(sent.method, sent.path, sent.headers, form))
    assert (reply.status, values(reply, "Set-Cookie")) == (400, [])
