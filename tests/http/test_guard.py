"""Holds the guard's small decisions: paths, claims, scopes."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

import pytest

from keyturn import ConfigurationError
from keyturn.http import Admitted, Guard, HttpReply, HttpSettings, Needs, needs
from keyturn.http.needs import all_of
from keyturn.policy import RevocationCheck
from keyturn.stores.memory import MemoryStore
from keyturn.testing.clock import ManualClock
from keyturn.testing.faults import BEFORE
from keyturn.testing.http_suite import World
from tests.http.neutral import request
from tests.support.followed import Process

CLAIMS: dict[str, Any] = {"roles": ["admin", "member"], "level": 3, "staff": True, "scope": ["a", 7, "b"]}


def ask(*, claims: tuple[tuple[str, Any], ...] = (), scopes: tuple[str, ...] = (), **options: Any) -> int:
    """Ask a guard with a token of `CLAIMS`; 200 stands for being admitted."""
    world = World()
    token = world.manager().issue("ann", claims=CLAIMS).access_token
    guard = Guard(world.manager(), **options)
    verdict = guard.check(
        request("GET", "/x", ("authorization", f"Bearer {token}")), Needs(claims=claims, scopes=scopes)
    )
    return verdict.status if isinstance(verdict, HttpReply) else 200


@pytest.mark.parametrize(
    ("name", "wanted", "status"),
    [
        ("roles", "admin", 200),
        ("roles", ["owner", "member"], 200),
        ("roles", "owner", 403),
        ("roles", [], 403),
        ("level", 3, 200),
        ("level", "3", 403),
        ("staff", True, 200),
        ("staff", 1, 403),
        ("missing", None, 403),
    ],
)
def test_a_claim_holds_a_value_of_the_same_type(name: str, wanted: object, status: int) -> None:
    """A list holds each of its values; one of several wanted values is enough; True is no 1."""
    assert ask(claims=((name, wanted),)) == status


@pytest.mark.parametrize(
    ("scopes", "status"), [((), 200), (("a", "b"), 200), (("a", "c"), 403), (("7",), 403)]
)
def test_all_scopes_are_needed(scopes: tuple[str, ...], status: int) -> None:
    """A `scope` claim may be a list as well as text."""
    assert ask(scopes=scopes) == status


@pytest.mark.parametrize(
    ("roles", "status"), [(("admin",), 200), (("owner", "member"), 200), (("owner",), 403)]
)
def test_one_of_the_roles_is_needed(roles: tuple[str, ...], status: int) -> None:
    """`roles` is the claim of that name, and what else is needed counts beside it."""
    assert ask(claims=needs(roles=roles).claims) == status
    both = needs("a", roles=roles, claims={"level": 4})
    assert ask(claims=both.claims, scopes=both.scopes) == 403


@pytest.mark.parametrize(
    "options",
    [
        {"roles": "admin"},
        {"roles": ()},
        {"claims": {"tenant": UUID(int=0)}},
        {"roles": ("admin",), "claims": {"roles": "member"}},
        {"fresh": "soon"},
        {"fresh": -1},
        {"revocation": "sometimes"},
    ],
    ids=str,
)
def test_needs_that_cannot_be_meant_are_refused(options: Any) -> None:
    """At once, not at the first request."""
    with pytest.raises(ConfigurationError):
        needs(**options)


class Role(StrEnum):
    """A role, as applications write it."""

    ADMIN = "admin"
    OWNER = "owner"


def test_members_of_enumerations_stand_for_their_values() -> None:
    """They are equal to them, so nobody would see why they should not hold."""
    assert ask(claims=needs(roles=(Role.ADMIN,)).claims) == 200
    assert ask(claims=needs(claims={"roles": Role.ADMIN}).claims) == 200
    assert ask(claims=needs(roles=(Role.OWNER,)).claims) == 403


def test_the_strictest_of_several_needs_counts() -> None:
    """Of each kind, whatever their order."""
    one = needs("a", fresh="5m", optional=True, revocation="none")
    two = needs("b", claims={"level": 3}, fresh="1m", revocation="view")
    three = needs(revocation="strict")
    for several in ((one, two), (two, one)):
        both = all_of(several)
        assert set(both.scopes) == {"a", "b"}
        assert (both.fresh, both.optional, both.claims) == (60, False, (("level", 3),))
        assert both.revocation == "view"
    assert all_of((one, two, three)).revocation == "strict"
    assert all_of((one, needs())).revocation is None
    assert all_of((one,)) == one
    assert all_of(()) == Needs()


def test_a_token_that_does_not_say_when_its_user_signed_in_is_not_recent() -> None:
    """It may have been issued to anybody at any time."""
    world = World()
    token = world.manager().sign_access("ann")
    guard = Guard(world.manager())
    asked = request("GET", "/x", ("authorization", f"Bearer {token}"))
    assert isinstance(guard.check(asked), Admitted)
    verdict = guard.check(asked, needs(fresh="5m"))
    assert isinstance(verdict, HttpReply)
    assert verdict.status == 401


@pytest.mark.parametrize("path", ["health", "", "/a*", "/*/b", "*"])
def test_a_path_that_cannot_be_meant_is_refused(path: str) -> None:
    """In `exempt` and in `require`."""
    with pytest.raises(ConfigurationError, match="path"):
        Guard(World().manager(), exempt=(path,))
    with pytest.raises(ConfigurationError, match="path"):
        Guard(World().manager(), require={path: {"roles": "admin"}})


def test_every_requirement_that_fits_must_be_met() -> None:
    """A path below two patterns needs both."""
    world = World()
    token = world.manager().issue("ann", claims={"roles": ["admin"]}).access_token
    require = {"/admin/*": {"roles": "admin"}, "/admin/keys": {"roles": "owner"}}
    guard = Guard(world.manager(), require=require)
    bearer = ("authorization", f"Bearer {token}")
    assert isinstance(guard.check_path(request("GET", "/admin/x", bearer)), Admitted)
    refused = guard.check_path(request("GET", "/admin/keys", bearer))
    assert isinstance(refused, HttpReply)
    assert refused.status == 403


def test_everything_may_be_exempt() -> None:
    """The pattern for the root covers all paths that can be read in one way only."""
    guard = Guard(World().manager(), exempt=("/*",))
    assert isinstance(guard.check_path(request("GET", "/a/b")), Admitted)
    assert isinstance(guard.check_path(request("GET", "/")), Admitted)
    assert isinstance(guard.check_path(request("GET", "/a/../b")), HttpReply)


@pytest.mark.parametrize(
    ("exempt", "required", "clash"),
    [
        ("/*", "/admin/*", True),
        ("/*", "/*", True),
        ("/*", "/", True),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a", True),
        ("/a", "/a", True),
        ("/a", "/a/*", False),
        ("/a/*", "/ab", False),
        ("/a/b/*", "/a/*", False),
        ("/a/*", "/*", False),
    ],
)
def test_what_is_exempt_cannot_be_required(exempt: str, required: str, *, clash: bool) -> None:
    """`exempt` would win, and the path be open: the error names both. A part of a path may be exempt."""
    options: dict[str, Any] = {"exempt": (exempt,), "require": {required: {"roles": "admin"}}}
    if not clash:
        Guard(World().manager(), **options)
        return
    with pytest.raises(ConfigurationError, match=re.escape(repr(exempt))) as caught:
        Guard(World().manager(), **options)
    assert repr(required) in str(caught.value)
    assert 'require={"/*": needs(optional=True), ' in str(caught.value)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"fresh": "5m"}, "write needs(fresh='5m')"),
        ({"optional": True}, "write needs(optional=True)"),
        ({"revocation": "strict"}, "write needs(revocation='strict')"),
        ({"claims": {"level": 3}}, "write needs(claims={'level': 3})"),
        ({"roles": "admin", "scopes": "a"}, 'write needs("orders:read")'),
        ("admin", "not a str"),
        (None, "not a NoneType"),
        (["admin"], "not a list"),
        (dict, "not a dict"),
    ],
    ids=str,
)
def test_a_requirement_is_claims_or_needs(what: Any, said: str) -> None:
    """An option in a dict would be a claim that nobody holds; the error says how to write it."""
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        Guard(World().manager(), require={"/a": what})


def test_only_some_paths_may_be_guarded() -> None:
    """By the recipe that the error gives: nobody need be signed in but there."""
    require: dict[str, Any] = {"/*": needs(optional=True), "/admin/*": {"roles": "admin"}}
    guard = Guard(World().manager(), require=require)
    assert isinstance(guard.check_path(request("GET", "/a")), Admitted)
    assert isinstance(guard.check_path(request("GET", "/admin/a")), HttpReply)


def test_a_token_without_a_session_is_not_renewed() -> None:
    """It passes all the same: renewing never fails a request."""
    world = World()
    token = world.manager().sign_access("robot", ttl="1m")
    guard = Guard(world.manager(), settings=HttpSettings(renew_within="5m"))
    verdict = guard.check(request("GET", "/x", ("authorization", f"Bearer {token}")))
    assert isinstance(verdict, Admitted)
    assert verdict.headers == ()
    assert verdict.principal
    assert verdict.principal.user_id == "robot"


@pytest.mark.parametrize("path", ["/admin/", "//admin", "/admin//*", "/a/../admin/*", "/admin/./x", "/x/./*"])
def test_a_requirement_that_would_cover_nothing_is_refused(path: str) -> None:
    """Paths are compared in one spelling; a requirement in another would silently not hold."""
    with pytest.raises(ConfigurationError, match="require: write"):
        Guard(World().manager(), require={path: {"roles": "admin"}})


def test_scopes_are_names_and_not_letters() -> None:
    """One text in place of a tuple is a mistake that is told; other collections are taken as meant."""
    with pytest.raises(ConfigurationError, match="tuple"):
        Needs(scopes=cast("Any", "orders"))
    assert ask(claims=(("roles", ("owner", "member")),)) == 200
    assert ask(claims=(("roles", {"owner"}),)) == 403


@pytest.mark.parametrize("scope", ["", "orders:read orders:write", 'a"b', "a\\b", "é"], ids=repr)
def test_a_scope_that_no_token_can_hold_is_refused(scope: str) -> None:
    """RFC 6749, section 3.3; two scopes in one text are a mistake that is told before anybody asks."""
    with pytest.raises(ConfigurationError, match="one name without spaces"):
        needs(scope)
    assert needs("https://api.example.com/orders:read", "!#[]~").scopes


@pytest.mark.parametrize("option", ["role", "scopes", "max_age", "options"])
def test_an_option_that_does_not_exist_is_refused(option: str) -> None:
    """A typo would else be a guard that asks less than it says."""
    with pytest.raises(
        ConfigurationError, match=f"no option '{option}': scopes stand first, then optional, roles"
    ):
        needs("orders:read", **cast("Any", {option: ("admin",)}))


def test_a_guard_without_its_parentheses_is_refused() -> None:
    """`@auth.require` would take the function for a scope, and nothing would be guarded as it says."""

    def orders() -> None:
        """Serve."""

    with pytest.raises(ConfigurationError, match=r"a scope is a name, not a function.*parentheses"):
        needs(cast("Any", orders))


@pytest.mark.parametrize(
    ("path", "exempt"),
    [
        ("/auth/sessions/x", True),
        ("/auth/sessions", True),
        ("/auth/me", True),
        ("/.well-known/jwks.json", True),
        ("/auth/sessions/x/export", False),
        ("/auth/sessions/..", False),
        ("/auth/sessions/", False),
        ("/auth/own", False),
        ("/auth", False),
    ],
)
def test_only_the_endpoints_themselves_are_exempt(path: str, *, exempt: bool) -> None:
    """An application's own route below the prefix needs a token like any other."""
    verdict = Guard(World().manager()).check_path(request("GET", path))
    assert isinstance(verdict, Admitted) is exempt


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('Digest username="a", realm="b"', None),
        ("Basic YTpi", None),
        ("Bearer a, Bearer b", 400),
        ("Bearer a, Digest b", 400),
        ("Bearer a", 401),
    ],
)
def test_another_scheme_is_no_bearer_token(header: str, status: int | None) -> None:
    """Credentials of another scheme are nobody's access token; several bearer tokens are ambiguous."""
    verdict = Guard(World().manager()).check(
        request("GET", "/x", ("authorization", header)), Needs(optional=True)
    )
    assert (verdict.status if isinstance(verdict, HttpReply) else None) == status


@pytest.mark.parametrize("name", ["Cookie", "host", "Origin", "X-Keyturn", "Sec-Fetch-Site"])
def test_the_access_header_must_mean_nothing_else(name: str) -> None:
    """A header that the layer reads for something else cannot carry the access token."""
    with pytest.raises(ConfigurationError, match="access_header"):
        HttpSettings(access_header=name)


@pytest.mark.parametrize(
    ("revocation", "asked", "status"),
    [(None, 0, 401), ("view", 0, 401), ("strict", 1, 401), ("none", 0, 200)],
)
def test_a_route_says_how_revocation_is_checked(
    revocation: RevocationCheck | None, asked: int, status: int
) -> None:
    """In the view, in the store each time, or not at all; without a word as the policy says."""
    process = Process("threads", MemoryStore(), ManualClock())
    pair = process.issue("ann")
    process.start()
    process.authenticate(pair.access_token)
    process.flush()
    guard = Guard(process.manager)
    sent = request("GET", "/x", ("authorization", f"Bearer {pair.access_token}"))
    process.line.asked.clear()
    assert isinstance(guard.check(sent, Needs(revocation=revocation)), Admitted)
    assert process.line.asked["check"] == asked
    process.revoke(pair.session_id)
    verdict = guard.check(sent, Needs(revocation=revocation))
    assert (verdict.status if isinstance(verdict, HttpReply) else 200) == status
    process.end()


def test_a_way_of_checking_that_there_is_not_is_refused() -> None:
    """When the route is made, not when somebody calls it."""
    misspelt: Any = "srtict"
    with pytest.raises(ConfigurationError, match="view, strict, none, not 'srtict'"):
        Needs(revocation=misspelt)


def test_an_outage_is_no_answer_about_a_token() -> None:
    """Past the staleness that is allowed, with the store away: 503 and `Retry-After`, never 401."""
    process = Process("threads", MemoryStore(), ManualClock())
    token = process.issue("ann").access_token
    process.start()
    process.authenticate(token)
    process.line.cut = {"*"}
    process.clock.advance(6)
    sent = request("GET", "/x", ("authorization", f"Bearer {token}"))
    verdict = Guard(process.manager).check(sent)
    assert isinstance(verdict, HttpReply)
    assert (verdict.status, dict(verdict.headers)["Retry-After"]) == (503, "1")
    process.end()


def test_what_is_known_of_a_request_is_not_asked_again() -> None:
    """But what a route needs counts all the same, and another way of checking revocation asks."""
    world = World()
    token = world.manager().issue("ann", claims=CLAIMS).access_token
    guard, asked = Guard(world.manager()), request("GET", "/x", ("authorization", f"Bearer {token}"))
    known = guard.check(asked)
    assert isinstance(known, Admitted)
    world.plan.next(BEFORE, method="check")
    again = guard.check(asked, needs("a"), known=known)
    assert isinstance(again, Admitted)
    assert again.principal == known.principal
    for wanted, status in ((needs("c"), 403), (needs(revocation="strict"), 503), (needs(fresh="5m"), 200)):
        verdict = guard.check(asked, wanted, known=known)
        assert (verdict.status if isinstance(verdict, HttpReply) else 200) == status
    nobody = guard.check(request("GET", "/x"), known=Admitted(None))
    assert isinstance(nobody, HttpReply)
    assert nobody.status == 401
