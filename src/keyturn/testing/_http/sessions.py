"""The rules of logout, of the list of sessions and of what else a user may ask. They know no framework."""

# ruff: noqa: PLR2004 - status codes are what tests of HTTP are about
from __future__ import annotations

from typing import Any, Final

import pytest

from keyturn.testing._http.world import (
    COOKIE,
    Rules,
    Site,
    check_refusal,
    is_cleared,
    set_cookie_of,
    tokens_of,
)
from keyturn.testing.faults import BEFORE

KEYS: Final = "/.well-known/jwks.json"
CLIENT: Final = "/auth/keyturn.js"


class SessionRules(Rules):
    """Logout, logout-all, sessions, me, the public keys and the browser client."""

    def test_a_logout_ends_the_session_of_the_cookie(self, site: Site) -> None:
        """204, the cookie goes, and neither token counts any more."""
        tokens = site.sign_in("lena")
        answer = site.post("/auth/logout", cookie=tokens.refresh)
        assert (answer.status_code, answer.content) == (204, b"")
        assert is_cleared(answer)
        assert answer.headers["cache-control"] == "no-store"
        assert not site.lives(tokens.access)
        check_refusal(site.refresh(tokens.refresh), 401, "invalid_grant")

    def test_a_logout_takes_a_token_in_the_body(self, site: Site) -> None:
        """What did not come in a cookie leaves cookies alone."""
        tokens = site.sign_in("bodo", transport="body")
        answer = site.send("POST", "/auth/logout", json={"refresh_token": tokens.refresh})
        assert answer.status_code == 204
        assert set_cookie_of(answer) is None
        assert not site.lives(tokens.access)

    def test_a_logout_takes_an_access_token(self, site: Site) -> None:
        """Also a second time, when there is nothing left to end."""
        tokens = site.sign_in("bea")
        for _ in range(2):
            assert site.send("POST", "/auth/logout", bearer=tokens.access).status_code == 204
        assert not site.lives(tokens.access)

    def test_a_logout_takes_both_tokens_of_one_session(self, site: Site) -> None:
        """An access token and a cookie that name the same session are not ambiguous."""
        tokens = site.sign_in("duo")
        assert site.post("/auth/logout", cookie=tokens.refresh, bearer=tokens.access).status_code == 204
        assert not site.lives(tokens.access)

    @pytest.mark.parametrize("cookie", [None, "garbage", ""])
    def test_a_logout_with_nothing_to_end_is_done(self, site: Site, cookie: str | None) -> None:
        """The cookie goes all the same (RFC 7009, section 2.2)."""
        answer = site.post("/auth/logout", cookie=cookie)
        assert answer.status_code == 204
        assert is_cleared(answer)

    def test_a_cookie_decides_where_the_access_token_has_expired(self, site: Site) -> None:
        """Most clients that log out hold a stale access token too."""
        tokens = site.sign_in("sten")
        assert site.post("/auth/logout", cookie=tokens.refresh, bearer="stale").status_code == 204
        assert not site.lives(tokens.access)

    def test_a_logout_that_ends_nothing_is_not_called_done(self, site: Site) -> None:
        """An access token that is none of ours names no session: its sender must not think it has ended."""
        check_refusal(site.send("POST", "/auth/logout", bearer="garbage"), 401, "invalid_token")

    def test_an_outage_of_a_logout_keeps_the_cookie(self, site: Site) -> None:
        """503 says that the session still lives, and the retry ends it."""
        tokens = site.sign_in("oda")
        site.world.plan.next(BEFORE, method="revoke")
        answer = site.post("/auth/logout", cookie=tokens.refresh)
        check_refusal(answer, 503, "temporarily_unavailable")
        assert set_cookie_of(answer) is None
        assert site.post("/auth/logout", cookie=tokens.refresh).status_code == 204
        assert not site.lives(tokens.access)

    def test_logout_all_ends_every_session(self, site: Site) -> None:
        """Of this user, of nobody else; the cookie goes with the current one."""
        other = site.sign_in("mal")
        tokens = [site.sign_in("mia") for _ in range(3)]
        answer = site.send("POST", "/auth/logout-all", bearer=tokens[0].access)
        assert (answer.status_code, answer.json()) == (200, {"revoked": 3})
        assert is_cleared(answer)
        assert [site.lives(each.access) for each in (*tokens, other)] == [False, False, False, True]

    def test_logout_all_may_keep_the_current_session(self, site: Site) -> None:
        """With `keep_current` the others end, and the cookie stays."""
        tokens = [site.sign_in("max") for _ in range(3)]
        answer = site.send("POST", "/auth/logout-all", bearer=tokens[0].access, json={"keep_current": True})
        assert answer.json() == {"revoked": 2}
        assert set_cookie_of(answer) is None
        assert [site.lives(each.access) for each in tokens] == [True, False, False]

    @pytest.mark.parametrize("body", [{"keep_current": 1}, {"keep_current": None}, {"keep": True}], ids=str)
    def test_logout_all_takes_no_half_understood_request(self, site: Site, body: dict[str, Any]) -> None:
        """Other fields and other types are refused, and nothing ends."""
        tokens = site.sign_in("mo")
        check_refusal(
            site.send("POST", "/auth/logout-all", bearer=tokens.access, json=body), 400, "invalid_request"
        )
        assert site.lives(tokens.access)

    def test_sessions_are_listed(self, site: Site) -> None:
        """The live ones, the newest first, the current one marked, and nothing in it serves as a token."""
        old = site.sign_in("sue")
        site.world.clock.advance(1)
        new = site.sign_in("sue")
        answer = site.send("GET", "/auth/sessions", bearer=old.access)
        listed = answer.json()["sessions"]

        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert [each["id"] for each in listed] == [new.session_id, old.session_id]
        assert [each["current"] for each in listed] == [False, True]
        fields = {"id", "device", "created_at", "last_seen_at", "expires_at", "current"}
        assert all(each.keys() == fields for each in listed)
        assert listed[0]["device"]["user_agent"].startswith("python-httpx/")
        assert not any(token in answer.text for token in (old.access, old.refresh, new.refresh))

    def test_a_session_can_be_ended(self, site: Site) -> None:
        """The cookie goes only with the session of the request itself."""
        here, there = site.sign_in("eve"), site.sign_in("eve")
        answer = site.send("DELETE", f"/auth/sessions/{there.session_id}", bearer=here.access)
        assert answer.status_code == 204
        assert set_cookie_of(answer) is None
        assert not site.lives(there.access)
        own = site.send("DELETE", f"/auth/sessions/{here.session_id}", bearer=here.access)
        assert own.status_code == 204
        assert is_cleared(own)
        assert not site.lives(here.access)

    def test_a_session_of_another_user_is_not_there(self, site: Site) -> None:
        """Foreign, unknown and malformed ids get one answer, and nothing ends."""
        mine, theirs = site.sign_in("mine"), site.sign_in("theirs")
        unknown = "01890000-0000-7000-8000-000000000000"
        ids = (theirs.session_id, unknown, "nonsense", "%00", "a" * 5000, theirs.session_id.upper())
        answers = [site.send("DELETE", f"/auth/sessions/{each}", bearer=mine.access) for each in ids]
        for answer in answers:
            check_refusal(answer, 404, "not_found")
        assert len({answer.content for answer in answers}) == 1
        assert site.lives(theirs.access)

    def test_me_says_who_asks(self, site: Site) -> None:
        """The user, the session, the application's claims and the expiry."""
        tokens = site.sign_in("buyer-tom")
        answer = site.me(tokens.access)
        body = answer.json()
        assert body.keys() == {"user_id", "session_id", "claims", "expires_at"}
        assert (body["user_id"], body["session_id"]) == ("buyer-tom", tokens.session_id)
        assert body["claims"] == {"roles": ["member"], "scope": "profile orders:read"}
        assert 0 < body["expires_at"] - site.world.clock() <= 900
        assert answer.headers["cache-control"] == "no-store"

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/auth/me"),
            ("GET", "/auth/sessions"),
            ("POST", "/auth/logout-all"),
            ("DELETE", "/auth/sessions/01890000-0000-7000-8000-000000000000"),
        ],
    )
    def test_what_is_a_users_needs_an_access_token(self, site: Site, method: str, path: str) -> None:
        """None: a challenge without an error. A bad one: `invalid_token`. A cookie is none."""
        tokens = site.sign_in("una")
        for answer in (
            site.send(method, path),
            site.send(method, path, headers=(("X-Keyturn", "1"),), cookie=tokens.refresh),
        ):
            check_refusal(answer, 401, "invalid_request")
            assert answer.headers["www-authenticate"] == "Bearer"
        for bad in ("garbage", tokens.access[:-4], tokens.refresh, "a" * 9000, "\u00e9"):
            answer = site.send(method, path, headers=(("Authorization", f"bearer {bad}"),))
            check_refusal(answer, 401, "invalid_token")
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]

    @pytest.mark.parametrize(
        ("method", "path", "asked"),
        [
            ("GET", "/auth/me", "check"),
            ("GET", "/auth/sessions", "find"),
            ("POST", "/auth/logout-all", "revoke_user"),
            ("DELETE", "/auth/sessions/01890000-0000-7000-8000-000000000000", "revoke"),
        ],
    )
    def test_an_outage_is_no_answer_about_a_token(
        self, site: Site, method: str, path: str, asked: str
    ) -> None:
        """503, never 401 and never 404; the next request works."""
        tokens = site.sign_in("otis")
        site.world.plan.next(BEFORE, method=asked)
        check_refusal(site.send(method, path, bearer=tokens.access), 503, "temporarily_unavailable")
        assert site.lives(tokens.access)

    def test_the_public_keys_are_there(self, site: Site) -> None:
        """As a JWK Set without private members."""
        answer = site.send("GET", KEYS)
        (key,) = answer.json()["keys"]
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert (key["kid"], key["use"]) == (site.world.keys.infos()[0].kid, "sig")
        assert "d" not in key

    def test_the_browser_client_is_there(self, site: Site) -> None:
        """As a module that a page can import, whatever comes along."""
        answer = site.send("GET", CLIENT)
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
        assert answer.headers["content-type"].replace("; ", ";").lower() == "text/javascript;charset=utf-8"
        assert "createAuth" in answer.text.rpartition("export {")[2]
        assert site.send("GET", CLIENT, bearer="x", cookie="x").content == answer.content

    @pytest.mark.parametrize("path", [KEYS, CLIENT])
    def test_what_is_public_may_be_kept(self, site: Site, path: str) -> None:
        """By everybody, for a while; 304 and nothing else for who asks whether it has changed."""
        answer = site.send("GET", path)
        assert answer.headers["cache-control"].startswith("public, max-age=")
        assert set_cookie_of(answer) is None
        tag = answer.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = site.send("GET", path, headers=(("If-None-Match", known),))
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert again.headers["cache-control"] == answer.headers["cache-control"]
        changed = site.send("GET", path, headers=(("If-None-Match", '"other"'),))
        assert (changed.status_code, changed.content) == (200, answer.content)

    def test_ambiguous_tokens_change_nothing(self, site: Site) -> None:
        """Two of a kind, or two that disagree: 400, and every session lives (RFC 6750, section 2)."""
        one, two = site.sign_in("amy"), site.sign_in("amy")
        pair = f"{COOKIE}={one.refresh}"
        twice = (
            (("Cookie", pair), ("Cookie", f"{COOKIE}={two.refresh}")),
            (("Cookie", f"{pair}; {COOKIE}={two.refresh}"),),
            (("Cookie", f"{pair}; a=b; {pair}"),),
            (("Cookie", f"{pair};{COOKIE}"),),
        )
        answers = [
            site.post(path, headers=each) for each in twice for path in ("/auth/refresh", "/auth/logout")
        ]
        answers += [
            site.post(path, cookie=one.refresh, json={"refresh_token": two.refresh})
            for path in ("/auth/refresh", "/auth/logout")
        ]
        answers.append(site.post("/auth/logout", cookie=one.refresh, bearer=two.access))
        answers.append(
            site.send("POST", "/auth/logout", json={"refresh_token": one.refresh}, bearer=two.access)
        )
        bearers = tuple(("Authorization", f"Bearer {each.access}") for each in (one, two))
        answers += [
            site.send(method, path, headers=bearers)
            for method, path in (("GET", "/auth/me"), ("POST", "/auth/logout"), ("POST", "/auth/logout-all"))
        ]
        for answer in answers:
            check_refusal(answer, 400, "invalid_request")
            assert set_cookie_of(answer) is None
        assert site.lives(one.access)
        assert site.lives(two.access)
        assert tokens_of(site.refresh(one.refresh)).refresh  # it had not rotated
