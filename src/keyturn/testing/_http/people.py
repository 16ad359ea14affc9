"""The rules of who may go on: roles, recent sign-ins, step-up, disabled users. They know no framework."""

# ruff: noqa: PLR2004 - status codes are what tests of HTTP are about
from __future__ import annotations

import pytest

from keyturn.testing._http.world import PASSWORD, Framework, Rules, Site, check_refusal, served, set_cookie_of
from keyturn.testing.faults import BEFORE

MINUTES = 60


class PeopleRules(Rules):
    """Roles, freshness, step-up, and users who are disabled."""

    def test_a_route_may_need_one_of_several_roles(self, site: Site) -> None:
        """One is enough, and none is not."""
        admin, member = site.sign_in("admin-ro"), site.sign_in("mo")
        assert site.send("GET", "/staff", bearer=admin.access).json() == {"user_id": "admin-ro"}
        check_refusal(site.send("GET", "/staff", bearer=member.access), 403, "insufficient_scope")

    def test_a_route_may_need_a_recent_sign_in(self, framework: Framework) -> None:
        """A refresh keeps the time of the sign-in; 401 says how recent it must be (RFC 9470, section 3)."""
        with served(framework) as site:
            tokens = site.sign_in("fay")
            assert site.send("GET", "/fresh", bearer=tokens.access).json() == {"user_id": "fay"}
            site.world.clock.advance(5 * MINUTES + 1)
            refreshed = site.refresh(tokens.refresh).json()["access_token"]
            for token in (tokens.access, refreshed):
                answer = site.send("GET", "/fresh", bearer=token)
                check_refusal(answer, 401, "insufficient_user_authentication")
                challenge = answer.headers["www-authenticate"]
                assert challenge.startswith('Bearer error="insufficient_user_authentication"')
                assert challenge.endswith('max_age="300"')
                assert site.send("GET", "/private", bearer=token).status_code == 200
            again = site.sign_in("fay").access
            assert site.send("GET", "/fresh", bearer=again).status_code == 200

    def test_a_step_up_makes_the_same_session_recent(self, framework: Framework) -> None:
        """The access token says so until it expires; the next refresh has the time of the sign-in again."""
        with served(framework) as site:
            tokens = site.sign_in("stu")
            site.world.clock.advance(6 * MINUTES)
            body = {"username": "stu", "password": PASSWORD}
            answer = site.post("/auth/step-up", json=body, bearer=tokens.access, cookie=tokens.refresh)
            assert answer.status_code == 200
            assert answer.json().keys() == {"access_token", "token_type", "expires_in", "session_id"}
            assert answer.json()["session_id"] == tokens.session_id
            assert answer.headers["cache-control"] == "no-store"
            assert set_cookie_of(answer) is None
            stepped_up = answer.json()["access_token"]
            assert site.send("GET", "/fresh", bearer=stepped_up).json() == {"user_id": "stu"}
            refreshed = site.refresh(tokens.refresh).json()["access_token"]
            check_refusal(site.send("GET", "/fresh", bearer=refreshed), 401)
            assert len(site.send("GET", "/auth/sessions", bearer=stepped_up).json()["sessions"]) == 1

    def test_a_step_up_is_for_the_tokens_own_user(self, site: Site) -> None:
        """A wrong password and somebody else's right one get the same answer, and nothing changes."""
        tokens = site.sign_in("ono")
        for body in (
            {"username": "ono", "password": "wrong"},
            {"username": "yoko", "password": PASSWORD},
        ):
            answer = site.post("/auth/step-up", json=body, bearer=tokens.access)
            check_refusal(answer, 401, "invalid_credentials")
        assert site.lives(tokens.access)

    def test_a_step_up_needs_a_session_that_lives(self, site: Site) -> None:
        """Without a token there is nothing to step up; throttles and outages count here, too."""
        body = {"username": "hal", "password": PASSWORD}
        tokens, other = site.sign_in("hal"), site.sign_in("ida")
        check_refusal(site.post("/auth/step-up", json=body), 401, "invalid_request")
        check_refusal(site.post("/auth/step-up", json=body, bearer="garbage"), 401, "invalid_token")
        mixed = site.post("/auth/step-up", json=body, bearer=tokens.access, cookie=other.refresh)
        check_refusal(mixed, 400, "invalid_request")
        hasty = {"username": "hasty", "password": PASSWORD}
        check_refusal(site.post("/auth/step-up", json=hasty, bearer=tokens.access), 429, "slow_down")
        site.world.plan.next(BEFORE, method="check")
        check_refusal(site.post("/auth/step-up", json=body, bearer=tokens.access), 503)
        site.post("/auth/logout", cookie=tokens.refresh)
        check_refusal(site.post("/auth/step-up", json=body, bearer=tokens.access), 401, "invalid_token")

    @pytest.mark.parametrize(
        "body", [{}, {"username": "a"}, {"username": "a", "password": "b", "x": 1}], ids=str
    )
    def test_a_step_up_is_bounded_as_a_login_is(self, site: Site, body: dict[str, object]) -> None:
        """Missing and unknown fields are malformed."""
        tokens = site.sign_in("bo")
        check_refusal(site.post("/auth/step-up", json=body, bearer=tokens.access), 400, "invalid_request")

    def test_a_path_may_need_a_recent_sign_in(self, framework: Framework) -> None:
        """And what the path above it needs, all the same; a path may also ask nobody to sign in."""
        with served(framework, by_path=True) as site:
            admin, member = site.sign_in("admin-pa"), site.sign_in("pam")
            assert site.send("GET", "/admin/keys", bearer=admin.access).json() == {"user_id": "admin-pa"}
            check_refusal(site.send("GET", "/admin/keys", bearer=member.access), 403)
            assert site.send("GET", "/lobby").json() == {"user_id": None}
            assert site.send("GET", "/lobby", bearer=member.access).json() == {"user_id": "pam"}
            check_refusal(site.send("GET", "/lobby", bearer="garbage"), 401, "invalid_token")
            site.world.clock.advance(6 * MINUTES)
            check_refusal(site.send("GET", "/admin/keys", bearer=admin.access), 401)
            assert site.send("GET", "/admin/page", bearer=admin.access).status_code == 200

    def test_a_disabled_users_session_ends_at_the_refresh(self, framework: Framework) -> None:
        """All of them do, and the cookie goes; enabling the user again brings none of them back."""
        with served(framework, disabled=set[str]()) as site:
            here, there = site.sign_in("dis"), site.sign_in("dis")
            assert site.world.disabled is not None
            site.world.disabled.add("dis")
            answer = site.refresh(here.refresh)
            check_refusal(answer, 401)
            site.world.disabled.clear()
            check_refusal(site.refresh(there.refresh), 401, "invalid_grant")
            assert not site.lives(here.access)
            assert not site.lives(there.access)
