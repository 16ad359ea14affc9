"""Holds what the endpoints do where no framework is needed to see it."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from keyturn import ConfigurationError, StoreUnavailable, TokenManager, UserInactive
from keyturn.http import AsyncEndpoints, Endpoints, HttpSettings, SignIn
from keyturn.http.calls import nobody, nobody_async
from keyturn.http.messages import HttpReply
from keyturn.http.replies import challenge, refusal_of, refuse
from keyturn.stores.memory import MemoryStore
from keyturn.testing.http_suite import World, check_password
from tests.http.neutral import PASSWORD, body_of, endpoints, login, request, values


def test_without_a_login_check_there_is_no_login() -> None:
    """The application then signs people in itself, and gets the same answer."""
    world = World()
    site = endpoints(world, login=None)
    assert site.handle(login()).status == 404
    reply = site.sign_in(request("POST", "/callback"), SignIn("ann", {"roles": ["x"]}))
    assert reply.status == 200
    assert values(reply, "set-cookie")
    assert "refresh_token" not in body_of(reply)
    assert "refresh_token" in body_of(
        site.sign_in(request("POST", "/callback"), SignIn("ann"), transport="body")
    )


async def test_a_plain_login_check_runs_in_a_thread() -> None:
    """Hashing a password must not hold the event loop up."""
    threads: list[str] = []

    def check(username: str, password: str) -> str:
        threads.append(threading.current_thread().name)
        return username

    site = AsyncEndpoints(World().async_manager(), login=check)
    assert (await site.handle(login())).status == 200
    assert threads != [threading.current_thread().name]


async def test_a_login_check_may_be_a_coroutine() -> None:
    """A coroutine function, an object called as one, or a plain function that gives something to await."""

    async def check(username: str, password: str) -> Any:
        return check_password(username, password)

    class Check:
        async def __call__(self, username: str, password: str) -> Any:
            return check_password(username, password)

    for each in (check, Check(), functools.partial(Check())):
        site = AsyncEndpoints(World().async_manager(), login=each)
        assert (await site.handle(login())).status == 200
        assert (await site.handle(login(password="wrong"))).status == 401
        signed_in = await site.sign_in(request("POST", "/x"), SignIn("ann"))
        assert signed_in.status == 200


def test_a_login_check_may_fail_in_its_own_words() -> None:
    """An outage of the application's database is 503; a locked user is told what everybody is told."""

    def out(username: str, password: str) -> None:
        raise StoreUnavailable

    def locked(username: str, password: str) -> None:
        raise UserInactive

    assert endpoints(World(), login=out).handle(login()).status == 503
    reply = endpoints(World(), login=locked).handle(login())
    assert (reply.status, body_of(reply)["error"]) == (401, "invalid_credentials")


def test_a_login_check_that_names_nobody_usable_is_refused() -> None:
    """A user id that no session can have: 400, because what the client typed led to it."""
    assert endpoints(World(), login=lambda _u, _p: "").handle(login()).status == 400


@pytest.mark.parametrize("accepted", [7, True, False, ["u"]])
def test_a_login_check_that_gives_no_user_id_is_a_mistake(accepted: Any) -> None:
    """Only a str is taken for a user id; anything else is the application's mistake, and is seen."""
    with pytest.raises(ConfigurationError, match="login must give"):
        endpoints(World(), login=lambda _u, _p: accepted).handle(login())


@pytest.mark.parametrize("key", [17, None, b"ann"])
def test_a_primary_key_is_no_user_id_until_it_is_text(key: Any) -> None:
    """Told to the application, where it is written: the client's request is not what is wrong."""
    with pytest.raises(ConfigurationError, match=r"write SignIn\(str\(user\.id\)\)"):
        endpoints(World(), login=lambda _u, _p: SignIn(key)).handle(login())


def test_a_mistake_of_the_application_is_not_hidden() -> None:
    """A configuration error is raised, to be seen by whoever runs the server."""
    with pytest.raises(ConfigurationError):
        refusal_of(ConfigurationError("wrong"))


def test_the_device_of_a_sign_in_wins() -> None:
    """Else the settings' description is used."""
    world = World(settings=HttpSettings(device_from=lambda _: {"name": "from settings"}))
    for who, name in ((SignIn("a"), "from settings"), (SignIn("b", device={"name": "given"}), "given")):
        site = endpoints(world, login=lambda _u, _p, who=who: who)
        access = body_of(site.handle(login()))["access_token"]
        listed = body_of(site.handle(request("GET", "/auth/sessions", ("authorization", f"Bearer {access}"))))
        assert listed["sessions"][0]["device"] == {"name": name}


def test_the_context_tells_two_clients_apart() -> None:
    """One token redeemed from two networks ends the session (ROTATION, case 9)."""
    world = World()
    site = endpoints(world)
    token = body_of(site.handle(login()))["refresh_token"]
    ours, theirs = (
        body_of(site.handle(request("POST", "/auth/refresh", body={"refresh_token": token}, client=client)))
        for client in ("192.0.2.7", "198.51.100.9")
    )
    world.clock.advance(60)
    statuses = [
        site.handle(request("POST", "/auth/refresh", body={"refresh_token": each["refresh_token"]})).status
        for each in (ours, theirs)
    ]
    assert statuses == [200, 401]


def test_a_token_without_a_session_is_denied_at_logout() -> None:
    """There is no session to end, so the token itself stops counting."""
    world = World()
    site = endpoints(world)
    manager = world.manager()
    bearer = ("authorization", f"Bearer {manager.sign_access('robot')}")
    me = request("GET", "/auth/me", bearer)
    assert body_of(site.handle(me))["session_id"] is None
    assert site.handle(request("POST", "/auth/logout", bearer)).status == 204
    assert site.handle(me).status == 401


async def test_nobody_signs_in_where_nobody_may() -> None:
    """What stands in for a missing login check accepts no one, should it ever be asked."""
    assert nobody("ann", "x") is None
    assert await nobody_async("ann", "x") is None


def test_headers_are_quoted_safely() -> None:
    """What would end the quoted string or the line is left out."""
    _, value = challenge("insufficient_scope", 'say "hi"\r\nX: y\\', "a b")
    assert value == ('Bearer error="insufficient_scope", error_description="say hiX: y", scope="a b"')


def test_a_secret_is_in_no_repr() -> None:
    """Requests and replies may be logged by whoever debugs."""
    reply = endpoints(World()).handle(login())
    token = body_of(reply)["refresh_token"]
    assert token not in repr(reply)
    assert "horse" not in repr(login())


@pytest.mark.parametrize("error", [StoreUnavailable(), UserInactive()])
def test_a_refusal_never_sets_what_it_was_not_given(error: Any) -> None:
    """Cookies go along only where a rule says so."""
    assert values(refuse(error), "set-cookie") == []
    assert isinstance(refuse(error), HttpReply)


@pytest.mark.parametrize(("holds", "status", "sessions"), [(True, 200, 1), (False, 401, 0)])
def test_what_was_accepted_must_still_hold(*, holds: bool, status: int, sessions: int) -> None:
    """An application that takes its word back while the session begins gets no session (`SignIn.holds`)."""
    world = World()
    accepted = SignIn("ann", holds=lambda: holds)
    assert endpoints(world, login=lambda _u, _p: accepted).handle(login()).status == status
    assert len(world.manager().sessions("ann")) == sessions


@pytest.mark.parametrize("path", ["/auth/logout-all", "/auth/sessions/{own}"])
def test_a_cookie_of_another_session_is_ambiguous(path: str) -> None:
    """A bearer token and a refresh cookie of different sessions are refused, and nothing changes."""
    world = World()
    site = endpoints(world)
    mine, other = world.manager().issue("ann"), world.manager().issue("ann")
    method = "POST" if path.endswith("all") else "DELETE"

    def ask(cookie: str) -> HttpReply:
        headers = (("authorization", f"Bearer {mine.access_token}"), ("cookie", cookie), ("x-keyturn", "1"))
        return site.handle(request(method, path.format(own=mine.session_id), *headers))

    foreign = f"__Secure-keyturn={other.refresh_token}"
    assert ask(foreign).status == 400
    assert ask(f"__Secure-keyturn={mine.refresh_token}; __Secure-keyturn=x").status == 400
    assert ask(f"__Secure-keyturn; __Secure-keyturn={mine.refresh_token}").status == 400
    assert len(world.manager().sessions("ann")) == 2
    assert ask(f"__Secure-keyturn={mine.refresh_token}").status in {200, 204}


def test_a_program_is_told_what_its_request_lacks() -> None:
    """One that keeps the cookie as a browser does, and sends nothing else of a browser's."""
    site = endpoints(World())
    cookie = values(site.sign_in(request("POST", "/callback"), SignIn("ann")), "set-cookie")[0].partition(
        ";"
    )[0]
    refused = site.handle(request("POST", "/auth/refresh", ("cookie", cookie)))
    assert (refused.status, body_of(refused)["error"]) == (403, "csrf_failed")
    name, _, value = body_of(refused)["error_description"].rpartition(" carry ")[2].strip(".").partition(": ")
    accepted = site.handle(request("POST", "/auth/refresh", ("cookie", cookie), (name.lower(), value)))
    assert accepted.status == 200


@pytest.mark.parametrize(
    "claims",
    [{"sub": "root"}, {"a": "x" * 5000}, {"a": object()}, ["a"], {str(each): 1 for each in range(300)}],
)
def test_claims_that_no_token_can_hold_are_the_applications_mistake(claims: Any) -> None:
    """Whoever signs in can do nothing about it: it is an error that somebody sees, however one signs in."""
    world = World()
    site = endpoints(world, login=lambda *_: SignIn("ann", claims))
    with pytest.raises(ConfigurationError, match="sign-in: claims"):
        site.handle(login())
    with pytest.raises(ConfigurationError, match="sign-in: claims"):
        site.sign_in(request("POST", "/callback"), SignIn("ann", claims))
    assert world.manager().sessions("ann") == []


def test_claims_that_do_not_fit_the_model_are_the_applications_mistake() -> None:
    """The model is the application's too."""

    @dataclass
    class Claims:
        roles: list[str]

    world = World()
    manager = TokenManager(
        store=MemoryStore(), keys=world.keys, issuer="i", audience="a", claims=Claims, clock=world.clock
    )
    site = Endpoints(manager, login=lambda *_: SignIn("ann", {"role": "x"}))
    with pytest.raises(ConfigurationError, match="do not fit"):
        site.handle(login())


def test_a_user_id_that_cannot_be_used_is_the_clients_mistake() -> None:
    """An application that takes the user name for the id lets clients choose it."""
    site = endpoints(World(), login=lambda username, _: username)
    reply = site.handle(login("ann\x00"))
    assert (reply.status, body_of(reply)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(("still", "status"), [(True, 200), (False, 401)])
def test_what_was_accepted_for_a_step_up_must_hold_still(still: bool, status: int) -> None:  # noqa: FBT001
    """A password that is changed while it is being checked makes nothing recent."""
    site = endpoints(World(), login=lambda username, _: SignIn(username, holds=lambda: True))
    token = body_of(site.handle(login()))["access_token"]
    asked = request(
        "POST",
        "/auth/step-up",
        ("authorization", f"Bearer {token}"),
        body={"username": "ann", "password": PASSWORD},
    )
    reply = site.handle(asked, login=lambda username, _: SignIn(username, holds=lambda: still))
    assert reply.status == status
