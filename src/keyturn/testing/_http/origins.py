"""The rules of who may ask from where: CSRF and CORS. They know no framework."""

# ruff: noqa: PLR2004 - status codes are what tests of HTTP are about
from __future__ import annotations

import pytest

from keyturn.http import HttpSettings
from keyturn.http.messages import Headers
from keyturn.testing._http.world import (
    ALLOWED,
    PASSWORD,
    Framework,
    Rules,
    Site,
    check_refusal,
    served,
    set_cookie_of,
    tokens_of,
)

SITE, ORIGIN, HOST, CUSTOM = "Sec-Fetch-Site", "Origin", "Host", "X-Keyturn"

FOREIGN: tuple[Headers, ...] = (
    ((SITE, "cross-site"),),
    ((SITE, "same-site"),),
    ((SITE, "none"),),
    ((SITE, "nonsense"),),
    ((SITE, "same-origin"), (SITE, "cross-site")),
    ((SITE, "same-origin"), (ORIGIN, "null")),
    ((SITE, "cross-site"), (CUSTOM, "1")),
    ((SITE, "cross-site"), (ORIGIN, "https://app.example.com.evil.example")),
    ((ORIGIN, "null"),),
    ((ORIGIN, ""),),
    ((ORIGIN, "https://evil.example"),),
    ((ORIGIN, "https://evil.example"), (CUSTOM, "1")),
    ((ORIGIN, f"{ALLOWED}/"),),
    ((ORIGIN, ALLOWED), (ORIGIN, "https://evil.example")),
    ((ORIGIN, "http://app.example.com"),),
    ((ORIGIN, "https://sub.app.example.com"),),
    ((ORIGIN, "https://auth.example"), (HOST, "auth.example.evil")),
    ((ORIGIN, "http://auth.example"), (HOST, "auth.example")),
    ((ORIGIN, "https://auth.example:8443"), (HOST, "auth.example")),
    ((ORIGIN, "https://other.auth.example"), (HOST, "auth.example")),
)
OURS: tuple[Headers, ...] = (
    ((SITE, "same-origin"),),
    ((SITE, "same-origin"), (ORIGIN, "https://behind.a.proxy"), (HOST, "backend")),
    ((ORIGIN, ALLOWED),),
    ((ORIGIN, ALLOWED), (SITE, "cross-site")),
    ((ORIGIN, "https://auth.example"), (HOST, "auth.example")),
    ((ORIGIN, "https://auth.example"), (HOST, "auth.example:443")),
    ((ORIGIN, "https://auth.example:8443"), (HOST, "auth.example:8443")),
    ((ORIGIN, "http://localhost:8000"), (HOST, "localhost:8000")),
    ((ORIGIN, "http://127.0.0.1:8000"), (HOST, "127.0.0.1:8000")),
    ((ORIGIN, "http://[::1]:8000"), (HOST, "[::1]:8000")),
    ((CUSTOM, "1"),),
)


class OriginRules(Rules):
    """CSRF on whatever a cookie authenticates and on login; CORS for exact origins."""

    @pytest.mark.parametrize("headers", FOREIGN, ids=str)
    def test_another_sites_page_changes_nothing(self, site: Site, headers: Headers) -> None:
        """403 for refresh, logout and login: no rotation, no end of a session, no cookie."""
        tokens = site.sign_in("csrf")
        login = {"username": "csrf", "password": PASSWORD}
        answers = (
            site.send("POST", "/auth/refresh", cookie=tokens.refresh, headers=headers),
            site.send("POST", "/auth/logout", cookie=tokens.refresh, headers=headers),
            site.send("POST", "/auth/logout", headers=headers),
            site.send("POST", "/auth/login", json=login, headers=headers),
        )
        for answer in answers:
            check_refusal(answer, 403, "csrf_failed")
            assert set_cookie_of(answer) is None
            assert "access-control-allow-origin" not in answer.headers
        assert site.lives(tokens.access)
        assert tokens_of(site.refresh(tokens.refresh)).refresh  # the first rotation: none was before

    @pytest.mark.parametrize("headers", OURS, ids=str)
    def test_our_own_pages_and_allowed_ones_pass(self, site: Site, headers: Headers) -> None:
        """By what browsers say of themselves, or by a header that no foreign page can set."""
        tokens = site.sign_in("ours")
        assert site.send("POST", "/auth/refresh", cookie=tokens.refresh, headers=headers).status_code == 200
        login = {"username": "ours", "password": PASSWORD}
        assert site.send("POST", "/auth/login", json=login, headers=headers).status_code == 200

    def test_a_program_without_cookies_passes(self, site: Site) -> None:
        """Neither header and no cookie: no browser lent its credentials to anybody."""
        login = {"username": "prog", "password": PASSWORD, "transport": "body"}
        assert site.send("POST", "/auth/login", json=login).status_code == 200
        assert site.send("POST", "/auth/logout").status_code == 204

    def test_a_cookie_without_any_word_of_its_page_is_refused(self, site: Site) -> None:
        """Any cookie counts: the request may come from a browser that tells nothing."""
        tokens = site.sign_in("mute")
        check_refusal(site.send("POST", "/auth/refresh", cookie=tokens.refresh), 403, "csrf_failed")
        other = (("Cookie", "theme=dark"),)
        login = {"username": "mute", "password": PASSWORD}
        check_refusal(site.send("POST", "/auth/login", json=login, headers=other), 403, "csrf_failed")

    def test_what_no_browser_sends_by_itself_needs_no_check(self, site: Site) -> None:
        """An access token or a refresh token in the body is no ambient credential."""
        headers = ((ORIGIN, "https://evil.example"), (SITE, "cross-site"))
        tokens = site.sign_in("amb", transport="body")
        assert site.send("GET", "/auth/me", bearer=tokens.access, headers=headers).status_code == 200
        body = {"refresh_token": tokens.refresh}
        assert site.send("POST", "/auth/refresh", json=body, headers=headers).status_code == 200
        assert site.send("POST", "/auth/logout-all", bearer=tokens.access, headers=headers).status_code == 200

    def test_over_plain_http_the_own_origin_may_be_plain_too(self, framework: Framework) -> None:
        """Where `cookie_secure` was switched off on purpose; the cookie then has no prefix and no Secure."""
        with served(framework, settings=HttpSettings(cookie_secure=False)) as site:
            headers = ((ORIGIN, "http://auth.example"), (HOST, "auth.example"))
            login = {"username": "dev", "password": PASSWORD}
            cookie = set_cookie_of(site.send("POST", "/auth/login", json=login, headers=headers))
            assert cookie
            assert cookie.name == "keyturn"
            assert "Secure" not in cookie.attributes
            assert site.send("POST", "/auth/refresh", cookie=cookie.value, headers=headers).status_code == 200

    def test_an_allowed_origin_may_read_the_answer(self, site: Site) -> None:
        """By exact name, with credentials, and with `Vary`, on success and on refusal."""
        for answer in (
            site.send("GET", "/auth/me", headers=((ORIGIN, ALLOWED),)),
            site.send("GET", "/.well-known/jwks.json", headers=((ORIGIN, ALLOWED),)),
        ):
            assert answer.headers["access-control-allow-origin"] == ALLOWED
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert "Authorization-Refreshed" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "Origin"

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{ALLOWED}.evil.example", "*"])
    def test_another_origin_may_not(self, site: Site, origin: str) -> None:
        """Nothing is reflected; the answer still varies."""
        preflight = ((ORIGIN, origin), ("Access-Control-Request-Method", "POST"))
        for answer in (
            site.send("GET", "/auth/me", headers=((ORIGIN, origin),)),
            site.send("OPTIONS", "/auth/refresh", headers=preflight),
        ):
            assert not any(name.startswith("access-control-") for name in answer.headers)
            assert answer.headers["vary"] == "Origin"

    def test_an_allowed_origin_may_ask_beforehand(self, site: Site) -> None:
        """A preflight names the methods and the headers that are needed."""
        preflight = ((ORIGIN, ALLOWED), ("Access-Control-Request-Method", "POST"))
        answer = site.send("OPTIONS", "/auth/refresh", headers=preflight)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == ALLOWED
        assert "POST" in answer.headers["access-control-allow-methods"]
        allowed = answer.headers["access-control-allow-headers"].split(", ")
        assert {"Authorization", "Content-Type", "X-Keyturn"} <= set(allowed)
