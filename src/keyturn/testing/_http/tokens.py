"""The rules of signing in and refreshing over HTTP. They know no framework."""

# ruff: noqa: PLR2004 - status codes are what tests of HTTP are about
from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from keyturn.policy import Policy
from keyturn.testing._http.world import (
    COOKIE,
    PASSWORD,
    Framework,
    Rules,
    Site,
    check_refusal,
    is_cleared,
    served,
    set_cookie_of,
    tokens_of,
)
from keyturn.testing.faults import AFTER, BEFORE, Fault

TOKENS = {"access_token", "token_type", "expires_in", "refresh_expires_in", "session_id"}
ATTRIBUTES = {"Path": "/auth", "HttpOnly": "", "Secure": "", "SameSite": "Strict"}
GOOD = {"username": "ann", "password": PASSWORD}
GRANT = {"grant_type": "password", **GOOD}
FORM = ("Content-Type", "application/x-www-form-urlencoded")


class TokenRules(Rules):
    """Login and refresh."""

    def test_login_gives_an_access_token_and_a_cookie(self, site: Site) -> None:
        """The refresh token comes in the cookie, with all its attributes, and nowhere else."""
        answer = site.post("/auth/login", json=GOOD)
        body = answer.json()
        cookie = set_cookie_of(answer)

        assert answer.status_code == 200
        assert body.keys() == TOKENS
        assert body["token_type"] == "Bearer"  # noqa: S105 - no password
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/json"
        assert cookie
        assert cookie.name == COOKIE
        assert cookie.attributes == {**ATTRIBUTES, "Max-Age": str(body["refresh_expires_in"])}
        assert cookie.value
        assert cookie.value not in answer.text

    def test_a_login_may_ask_for_the_token_in_the_body(self, site: Site) -> None:
        """Then it comes there and in no cookie: never both ways."""
        answer = site.post("/auth/login", json={**GOOD, "transport": "body"})
        assert answer.status_code == 200
        assert answer.json().keys() == TOKENS | {"refresh_token"}
        assert set_cookie_of(answer) is None

    def test_a_login_check_may_name_the_user_alone(self, site: Site) -> None:
        """A user id without claims is an accepted sign-in too."""
        answer = site.me(site.sign_in("plain-paula").access)
        assert answer.json()["user_id"] == "plain-paula"
        assert answer.json()["claims"] == {}

    def test_wrong_credentials_get_one_answer(self, site: Site) -> None:
        """An unknown user is told the same as a wrong password, and no cookie is touched."""
        answer = site.post("/auth/login", json={"username": "ann", "password": "wrong"})
        check_refusal(answer, 401, "invalid_credentials")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert set_cookie_of(answer) is None

    @pytest.mark.parametrize(
        "change",
        [
            {"remember": True},
            {"username": None},
            {"username": 7},
            {"username": ""},
            {"username": "a" * 256},
            {"username": "a\0"},
            {"password": ["x"]},
            {"password": ""},
            {"password": "x" * 1025},
            {"password": f"{PASSWORD}\0"},
            {"transport": "query"},
            {"transport": None},
        ],
        ids=str,
    )
    def test_a_login_is_bounded_before_anybody_hashes(self, site: Site, change: dict[str, Any]) -> None:
        """Unknown fields, other types, too much text and NUL are refused as malformed."""
        answer = site.post("/auth/login", json={**GOOD, **change})
        check_refusal(answer, 400, "invalid_request")
        assert PASSWORD not in answer.text

    def test_a_login_that_is_throttled_must_wait(self, site: Site) -> None:
        """429 says for how long, in whole seconds."""
        answer = site.post("/auth/login", json={"username": "hasty", "password": PASSWORD})
        check_refusal(answer, 429, "slow_down")
        assert answer.headers["retry-after"] == "31"

    def test_a_console_signs_in_with_a_form(self, site: Site) -> None:
        """What the pages of OpenAPI documents send (RFC 6749, section 4.3.2) gets what JSON gets."""
        form = {**GRANT, "scope": "", "client_id": "", "client_secret": ""}
        answer = site.post("/auth/login", content=urlencode(form).encode(), headers=(FORM,))
        assert answer.status_code == 200
        assert answer.json().keys() == TOKENS
        assert set_cookie_of(answer)
        assert site.me(answer.json()["access_token"]).json()["user_id"] == "ann"

    def test_a_program_that_sends_a_form_says_that_it_is_no_page(self, site: Site) -> None:
        """Any site's page can send a form, and an old browser would not say where it comes from."""
        content = urlencode(GRANT).encode()
        custom = ("X-Keyturn", "1")
        assert site.send("POST", "/auth/login", content=content, headers=(FORM, custom)).status_code == 200
        check_refusal(site.send("POST", "/auth/login", content=content, headers=(FORM,)), 403, "csrf_failed")
        other = ("Sec-Fetch-Site", "cross-site")
        refused = site.send("POST", "/auth/login", content=content, headers=(FORM, other))
        check_refusal(refused, 403, "csrf_failed")

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"username=ann",
            urlencode({**GRANT, "grant_type": "client_credentials"}).encode(),
            urlencode({"username": "ann", "password": PASSWORD}).encode(),
            urlencode(GRANT).encode() + b"&username=bob",
            urlencode(GRANT).encode() + b"&transport=body",
            urlencode({**GRANT, "username": "a\0"}).encode(),
            urlencode(GRANT).encode() + b"&scope=%ff",
            urlencode(GRANT).encode() + b"&scope=\xff",
            b"&".join(b"a=%d" % number for number in range(5000)),
        ],
    )
    def test_a_form_is_bounded_before_anybody_hashes(self, site: Site, content: bytes) -> None:
        """Another grant, fields that are unknown or come twice, and what is no UTF-8 are malformed."""
        answer = site.post("/auth/login", content=content, headers=(FORM,))
        check_refusal(answer, 400, "invalid_request")
        assert PASSWORD not in answer.text

    def test_a_refresh_rotates_the_cookie(self, site: Site) -> None:
        """The new token comes as the old one came."""
        first = site.sign_in("rita")
        answer = site.refresh(first.refresh)
        cookie = set_cookie_of(answer)

        assert answer.status_code == 200
        assert answer.json().keys() == TOKENS
        assert answer.json()["session_id"] == first.session_id
        assert cookie
        assert cookie.value not in {"", first.refresh}
        assert cookie.attributes == {**ATTRIBUTES, "Max-Age": str(answer.json()["refresh_expires_in"])}
        assert site.lives(answer.json()["access_token"])

    def test_a_refresh_that_converges_sends_the_cookie_again(self, site: Site) -> None:
        """Cases 10 and 11: whoever lost the answer gets the same successor, with its cookie."""
        first = site.sign_in("carl")
        once, again = site.refresh(first.refresh), site.refresh(first.refresh)
        assert again.status_code == 200
        assert tokens_of(again).refresh == tokens_of(once).refresh

    def test_a_refresh_that_keeps_the_token_sends_no_cookie(self, site: Site) -> None:
        """Case 8b: the client has just sent that very token; a late answer must not overwrite a newer one."""
        successor = tokens_of(site.refresh(site.sign_in("kim").refresh)).refresh
        answer = site.refresh(successor)
        assert answer.status_code == 200
        assert set_cookie_of(answer) is None

    def test_a_token_from_the_body_is_answered_in_the_body(self, site: Site) -> None:
        """Rotated or kept, and never in a cookie."""
        first = site.sign_in("bob", transport="body")
        rotated = site.send("POST", "/auth/refresh", json={"refresh_token": first.refresh})
        kept = site.send("POST", "/auth/refresh", json={"refresh_token": tokens_of(rotated).refresh})
        for answer in (rotated, kept):
            assert answer.status_code == 200
            assert answer.json().keys() == TOKENS | {"refresh_token"}
            assert set_cookie_of(answer) is None
        assert tokens_of(rotated).refresh != first.refresh
        assert tokens_of(kept).refresh == tokens_of(rotated).refresh

    def test_every_refused_refresh_gets_one_answer(self, framework: Framework) -> None:
        """Malformed, revoked, reused and expired tokens are told apart by nobody; the cookie goes."""
        with served(framework) as site:
            revoked, reused, expired = (site.sign_in(name).refresh for name in ("una", "vic", "wim"))
            site.post("/auth/logout", cookie=revoked)
            site.refresh(tokens_of(site.refresh(reused)).refresh)
            site.world.clock.advance(60)
            answers = [site.refresh(token) for token in ("garbage", "", revoked, reused, "ktr_" + "A" * 9000)]
            site.world.clock.advance(8 * 86_400)
            answers.append(site.refresh(expired))

        for answer in answers:
            check_refusal(answer, 401, "invalid_grant")
            assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
            cleared = set_cookie_of(answer)
            assert cleared
            assert (cleared.name, cleared.value) == (COOKIE, "")
            assert cleared.attributes == {**ATTRIBUTES, "Max-Age": "0"}
        assert len({answer.content for answer in answers}) == 1

    def test_a_refused_token_from_the_body_clears_no_cookie(self, site: Site) -> None:
        """What came in the body says nothing about a cookie."""
        answer = site.send("POST", "/auth/refresh", json={"refresh_token": "garbage"})
        check_refusal(answer, 401, "invalid_grant")
        assert set_cookie_of(answer) is None

    def test_a_refresh_without_a_token_is_challenged(self, site: Site) -> None:
        """No error code in the challenge: nothing was sent that could be wrong (RFC 6750, section 3.1)."""
        answer = site.post("/auth/refresh")
        check_refusal(answer, 401, "invalid_request")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert set_cookie_of(answer) is None

    def test_a_token_in_the_url_is_no_token(self, site: Site) -> None:
        """Query parameters are never read (RFC 6750, section 5.3)."""
        tokens = site.sign_in("quinn", transport="body")
        check_refusal(site.post(f"/auth/refresh?refresh_token={tokens.refresh}"), 401, "invalid_request")
        check_refusal(site.send("GET", f"/auth/me?access_token={tokens.access}"), 401, "invalid_request")

    def test_a_race_may_be_answered_with_a_conflict(self, framework: Framework) -> None:
        """With `on_race="conflict"`: 409 with Retry-After, and the cookie stays."""
        with served(framework, policy=Policy(on_race="conflict")) as site:
            first = site.sign_in("otto").refresh
            winner, loser = site.refresh(first), site.refresh(first)
            assert winner.status_code == 200
            check_refusal(loser, 409, "conflict")
            assert set_cookie_of(loser) is None

    def test_without_rotation_the_cookie_lives_on(self, framework: Framework) -> None:
        """The same token is set again, so that its Max-Age moves on with the idle limit."""
        with served(framework, policy=Policy(rotation=False)) as site:
            first = site.sign_in("nora")
            site.world.clock.advance(86_400)
            cookie = set_cookie_of(site.refresh(first.refresh))
            assert cookie
            assert cookie.value == first.refresh
            assert cookie.attributes["Max-Age"] == str(7 * 86_400)

    def test_a_user_may_have_too_many_sessions(self, framework: Framework) -> None:
        """At the limit a sign-in is refused, where the policy says so."""
        policy = Policy(max_sessions_per_user=1, on_session_limit="refuse")
        with served(framework, policy=policy) as site:
            site.sign_in("lou")
            check_refusal(site.post("/auth/login", json={**GOOD, "username": "lou"}), 403, "session_limit")

    @pytest.mark.parametrize("fault", [BEFORE, AFTER])
    def test_an_outage_keeps_the_cookie_and_the_retry_works(self, framework: Framework, fault: Fault) -> None:
        """Case 16: 503 with Retry-After says nothing of the token, whether or not the store had written."""
        with served(framework) as site:
            token = site.sign_in("olga").refresh
            site.world.plan.next(fault, method="rotate")
            answer = site.refresh(token)
            check_refusal(answer, 503, "temporarily_unavailable")
            assert set_cookie_of(answer) is None
            assert not is_cleared(answer)
            retried = site.refresh(token)
            assert retried.status_code == 200
            assert site.lives(tokens_of(retried).access)
