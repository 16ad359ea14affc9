"""The rules of an application's own routes behind the guard. They know no framework."""

# ruff: noqa: PLR2004 - status codes are what tests of HTTP are about
from __future__ import annotations

import pytest

from keyturn.http import HttpSettings
from keyturn.testing._http.wire import connected, head, status_of
from keyturn.testing._http.world import ALLOWED, Framework, Rules, Site, check_refusal, served, set_cookie_of
from keyturn.testing.faults import BEFORE, Fault

REFRESHED = "Authorization-Refreshed"


class GuardRules(Rules):
    """Decorated routes, routes judged by their paths, and renewing on the way."""

    def test_a_guarded_route_knows_who_asks(self, site: Site) -> None:
        """An accepted token lets the request pass, and says whose it is."""
        tokens = site.sign_in("gus")
        answer = site.send("GET", "/private", bearer=tokens.access)
        assert (answer.status_code, answer.json()) == (200, {"user_id": "gus"})
        assert REFRESHED not in answer.headers

    def test_a_guarded_route_refuses_as_the_endpoints_do(self, site: Site) -> None:
        """401 without and with a bad token, 400 for two, 503 while the store is out."""
        tokens = site.sign_in("gil")
        missing = site.send("GET", "/private")
        check_refusal(missing, 401, "invalid_request")
        assert missing.headers["www-authenticate"] == "Bearer"
        check_refusal(site.send("GET", "/private", bearer="garbage"), 401, "invalid_token")
        basic = (("Authorization", "Basic dXNlcjpwYXNz"),)
        assert site.send("GET", "/private", headers=basic).headers["www-authenticate"] == "Bearer"
        two = tuple(("Authorization", f"Bearer {tokens.access}") for _ in range(2))
        check_refusal(site.send("GET", "/private", headers=two), 400, "invalid_request")
        site.world.plan.next(BEFORE, method="check")
        check_refusal(site.send("GET", "/private", bearer=tokens.access), 503, "temporarily_unavailable")
        site.post("/auth/logout", cookie=tokens.refresh)
        check_refusal(site.send("GET", "/private", bearer=tokens.access), 401, "invalid_token")

    def test_a_cookie_opens_no_route(self, site: Site) -> None:
        """The refresh token is for refreshing."""
        tokens = site.sign_in("coo")
        check_refusal(site.send("GET", "/private", cookie=tokens.refresh), 401, "invalid_request")
        check_refusal(site.send("GET", "/private", bearer=tokens.refresh), 401, "invalid_token")

    def test_a_refusal_can_be_read_by_an_allowed_origin(self, site: Site) -> None:
        """Its page must see that it has to refresh."""
        answer = site.send("GET", "/private", headers=(("Origin", ALLOWED),))
        check_refusal(answer, 401)
        assert answer.headers["access-control-allow-origin"] == ALLOWED

    def test_an_optional_route_asks_nobody_to_sign_in(self, site: Site) -> None:
        """But a token that is sent must be good: its owner wants to know."""
        tokens = site.sign_in("opa")
        assert site.send("GET", "/maybe").json() == {"user_id": None}
        assert site.send("GET", "/maybe", bearer=tokens.access).json() == {"user_id": "opa"}
        check_refusal(site.send("GET", "/maybe", bearer="garbage"), 401, "invalid_token")

    def test_a_route_may_need_a_scope(self, site: Site) -> None:
        """403 says which (RFC 6750, section 3.1)."""
        member, buyer = site.sign_in("sco"), site.sign_in("buyer-bo")
        assert site.send("GET", "/orders", bearer=buyer.access).json() == {"user_id": "buyer-bo"}
        answer = site.send("GET", "/orders", bearer=member.access)
        check_refusal(answer, 403, "insufficient_scope")
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
        assert 'scope="orders:read"' in answer.headers["www-authenticate"]

    def test_a_route_may_need_a_claim(self, site: Site) -> None:
        """A role, for example."""
        member, admin = site.sign_in("mem"), site.sign_in("admin-al")
        assert site.send("GET", "/admins", bearer=admin.access).json() == {"user_id": "admin-al"}
        check_refusal(site.send("GET", "/admins", bearer=member.access), 403, "insufficient_scope")

    def test_a_token_bound_to_a_key_is_no_bearer_token(self, site: Site) -> None:
        """Its thief lacks the key (RFC 9449, section 7.1)."""
        pair = site.world.issue_bound("bound")
        for path in ("/auth/me", "/auth/sessions", "/private"):
            check_refusal(site.send("GET", path, bearer=pair.access_token), 401, "invalid_token")
        check_refusal(site.send("POST", "/auth/logout", bearer=pair.access_token), 401, "invalid_token")
        proofless = site.refresh(pair.refresh_token)
        check_refusal(proofless, 401, "invalid_grant")
        assert set_cookie_of(proofless) is None  # a missing proof says nothing against the token

    def test_an_outage_that_an_applications_code_meets_is_an_outage(self, framework: Framework) -> None:
        """503 as for a guard, where the application itself asks the manager and handles no error."""
        with served(framework, by_path=True) as site:
            answer = site.send("GET", "/away", bearer=site.sign_in("out").access)
            check_refusal(answer, 503, "temporarily_unavailable")

    def test_paths_are_guarded(self, framework: Framework) -> None:
        """What is not exempt needs a token; some paths need a claim; the endpoints see to themselves."""
        with served(framework, by_path=True) as site:
            member, admin = site.sign_in("mem"), site.sign_in("admin-al")
            for path in ("/health", "/public/page", "/.well-known/jwks.json", "/auth/keyturn.js"):
                assert site.send("GET", path).status_code == 200
                assert site.send("GET", path, bearer="garbage").status_code == 200
            for path in ("/page", "/nowhere", "/admin/page", "/healthy", "/publicity", "/auth/own"):
                check_refusal(site.send("GET", path), 401, "invalid_request")
            for path in ("/public/../page", "/public/%2e%2e/page", "/public/./page", "/public//page"):
                assert raw_get(site, path) == 401
            assert site.send("GET", "/page", bearer=member.access).json() == {"user_id": "mem"}
            for path in ("/admin", "/admin/page"):
                check_refusal(site.send("GET", path, bearer=member.access), 403, "insufficient_scope")
            for path in ("//admin/page", "/page/../admin/page", "/./admin", "/admin//page", "/%61dmin/page"):
                assert raw_get(site, path, ("Authorization", f"Bearer {member.access}")) == 403
            assert site.send("GET", "/admin/page", bearer=admin.access).json() == {"user_id": "admin-al"}
            preflight = (("Origin", ALLOWED), ("Access-Control-Request-Method", "GET"))
            answer = site.send("OPTIONS", "/page", headers=preflight)
            assert answer.status_code == 204
            assert answer.headers["access-control-allow-origin"] == ALLOWED
            assert answer.headers["vary"] == "Origin"

    @pytest.mark.parametrize("path", ["/private", "/page"])
    def test_a_token_near_its_end_is_renewed_on_the_way(self, framework: Framework, path: str) -> None:
        """With `renew_within` the answer carries a fresh one, not to be cached; no renewal is no error."""
        settings = HttpSettings(renew_within="2m", allowed_origins=(ALLOWED,))
        with served(framework, settings=settings, by_path=path == "/page") as site:
            tokens = site.sign_in("ren")
            assert REFRESHED not in site.send("GET", path, bearer=tokens.access).headers
            site.world.clock.advance(14 * 60)
            answer = site.send("GET", path, bearer=tokens.access)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["access-control-expose-headers"] == REFRESHED
            site.world.plan.next(Fault("never"), BEFORE, method="check")  # it passes, renewing fails
            failed = site.send("GET", path, bearer=tokens.access)
            assert failed.status_code == 200
            assert REFRESHED not in failed.headers
            site.world.clock.advance(5 * 60)
            check_refusal(site.send("GET", path, bearer=tokens.access), 401, "invalid_token")
            assert site.send("GET", path, bearer=answer.headers[REFRESHED]).status_code == 200

    def test_the_access_token_may_have_a_header_of_its_own(self, framework: Framework) -> None:
        """`access_header="jwt"` takes the bare token there, and nothing from Authorization."""
        with served(framework, settings=HttpSettings(access_header="jwt")) as site:
            tokens = site.sign_in("own")
            for path in ("/private", "/auth/me"):
                assert site.send("GET", path, headers=(("jwt", tokens.access),)).json()["user_id"] == "own"
                check_refusal(site.send("GET", path, bearer=tokens.access), 401, "invalid_request")
                two = (("jwt", tokens.access), ("jwt", tokens.access))
                check_refusal(site.send("GET", path, headers=two), 400, "invalid_request")


def raw_get(site: Site, path: str, *headers: tuple[str, str]) -> int | None:
    """Ask for a path that no client would send as it is."""
    with connected(site.url) as wire:
        wire.sendall(head("GET", path, *headers))
        return status_of(wire)
