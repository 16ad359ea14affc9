"""The rules of the page on which users see and end their sessions. They know no framework."""

# ruff: noqa: PLR2004 - status codes are what tests of HTTP are about
from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlencode

import httpx
import pytest

from keyturn.http import HttpSettings
from keyturn.http.messages import Headers
from keyturn.testing._http.origins import FOREIGN
from keyturn.testing._http.world import (
    PASSWORD,
    SESSIONS_PAGE,
    Framework,
    Rules,
    Site,
    Tokens,
    is_cleared,
    served,
    set_cookie_of,
)
from keyturn.testing.faults import BEFORE

ASKED = SESSIONS_PAGE.path
HOME = f"/auth{ASKED}"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}}"


def listed(answer: httpx.Response) -> list[str]:
    """Give the ids of the sessions that a page lists, in its order; none where it lists nothing."""
    return [each for each in re.findall(r'name="end" value="([^"]+)"', answer.text) if "-" in each]


def said(answer: httpx.Response) -> str:
    """Give the sentence at the top of a page, if there is one."""
    found = re.search(r'class="message[^>]*>([^<]*)<', answer.text)
    return unescape(found[1]) if found else ""


def open_page(site: Site, cookie: str, *, path: str = HOME, headers: Headers = ()) -> httpx.Response:
    """Open the page with a cookie, as a browser does whose user has asked for it."""
    return site.send("GET", path, cookie=cookie, headers=headers)


def end(site: Site, cookie: str | None, target: str, *, path: str = HOME) -> httpx.Response:
    """Press a button of the page."""
    return site.post(path, cookie=cookie, content=f"end={target}".encode(), headers=(FORM,))


def sign_in(site: Site, username: str, password: str) -> httpx.Response:
    """Send the page's form for who is not signed in."""
    body = urlencode({"username": username, "password": password}).encode()
    return site.post(HOME, content=body, headers=(FORM,))


def after(before: Tokens, answer: httpx.Response) -> str:
    """Give the refresh cookie that a browser has after an answer."""
    cookie = set_cookie_of(answer)
    return before.refresh if cookie is None else cookie.value


class PageRules(Rules):
    """The page of a user's sessions: whose it is, what it shows, what it ends, and who may ask."""

    def test_the_path_leads_to_where_the_cookie_reaches(self, site: Site) -> None:
        """A relative address, which holds below any mount; nothing is redeemed on the way."""
        tokens = site.sign_in("pam")
        for method in ("GET", "HEAD"):
            answer = site.send(method, ASKED, cookie=tokens.refresh)
            assert (answer.status_code, answer.headers["location"]) == (303, f"../auth{ASKED}")
            assert answer.headers["cache-control"] == "no-store"
            assert set_cookie_of(answer) is None
        assert site.send("POST", ASKED).status_code == 405
        assert set_cookie_of(open_page(site, tokens.refresh)), "it had not rotated"

    def test_where_the_cookie_reaches_the_path_it_is_there(self, framework: Framework) -> None:
        """With all it does, though all paths are guarded; and at no second place."""
        with served(framework, settings=HttpSettings(cookie_path="/"), by_path=True) as site:
            mine, other = site.sign_in("pat"), site.sign_in("pat")
            answer = open_page(site, mine.refresh, path=ASKED)
            assert listed(answer) == [mine.session_id, other.session_id]
            ended = end(site, after(mine, answer), other.session_id, path=ASKED)
            assert (ended.status_code, ended.headers["location"]) == (303, "sessions?done=one")
            assert not site.lives(other.access)
            assert site.send("GET", HOME, bearer=mine.access).status_code == 404

    def test_opening_it_is_a_refresh(self, site: Site) -> None:
        """The cookie rotates as at `/auth/refresh`; what was just handed out is not set again (case 8b)."""
        tokens = site.sign_in("quin")
        first = set_cookie_of(open_page(site, tokens.refresh))
        assert first
        assert first.value not in {"", tokens.refresh}
        assert first.attributes["Path"] == "/auth"
        again = open_page(site, first.value)
        assert (listed(again), set_cookie_of(again)) == ([tokens.session_id], None)
        converged = set_cookie_of(open_page(site, tokens.refresh))  # another tab, at the same moment
        assert converged
        assert converged.value == first.value

    def test_it_lists_the_users_sessions(self, site: Site) -> None:
        """All that live, the reader's own first and marked once; nobody else's."""
        theirs, others = site.sign_in("rae-2"), [site.sign_in("rae").session_id for _ in range(2)]
        mine = site.sign_in("rae")
        answer = open_page(site, mine.refresh)
        assert listed(answer)[0] == mine.session_id
        assert sorted(listed(answer)[1:]) == sorted(others)
        assert answer.text.count('aria-current="true"') == 1
        assert theirs.session_id not in answer.text
        assert mine.refresh not in answer.text

    def test_another_session_ends(self, site: Site) -> None:
        """At once, and no other; a second press finds it ended, which is no failure."""
        mine, other, third = (site.sign_in("sal") for _ in range(3))
        first = end(site, mine.refresh, other.session_id)
        assert (first.status_code, first.headers["location"]) == (303, "sessions?done=one")
        assert first.headers["cache-control"] == "no-store"
        cookie = after(mine, first)
        assert end(site, mine.refresh, other.session_id).status_code == 303  # a double click
        assert [site.lives(each.access) for each in (mine, other, third)] == [True, False, True]
        shown = open_page(site, cookie, path=f"{HOME}?done=one")
        assert said(shown) == "That device is signed out."
        assert listed(shown) == [mine.session_id, third.session_id]

    def test_another_users_session_stays(self, site: Site) -> None:
        """Foreign, unknown and malformed ids get one answer, and nothing ends."""
        mine, theirs = site.sign_in("tess"), site.sign_in("theo")
        unknown = "01890000-0000-7000-8000-000000000000"
        cookie = mine.refresh
        for target in (theirs.session_id, unknown, "nonsense", theirs.session_id.upper()):
            answer = end(site, cookie, target)
            assert (answer.status_code, answer.headers["location"]) == (303, "sessions?done=gone")
            cookie = after(mine, answer) if set_cookie_of(answer) else cookie
        assert site.lives(theirs.access)
        assert (
            said(open_page(site, cookie, path=f"{HOME}?done=gone")) == "That device was already signed out."
        )

    @pytest.mark.parametrize("target", ["others", "all", "this"])
    def test_many_sessions_end(self, site: Site, target: str) -> None:
        """All others and not the reader's; all; or only the reader's, whose cookie then goes."""
        mine, other, theirs = site.sign_in(f"u-{target}"), site.sign_in(f"u-{target}"), site.sign_in("ulf")
        answer = end(site, mine.refresh, mine.session_id if target == "this" else target)
        assert (answer.status_code, answer.headers["location"]) == (303, f"sessions?done={target}")
        assert site.lives(mine.access) is (target == "others")
        assert site.lives(other.access) is (target == "this")
        assert site.lives(theirs.access)
        assert is_cleared(answer) is (target != "others")

    def test_nobody_is_signed_in(self, site: Site) -> None:
        """It says so, and leads to itself: a cookie that another site's link withheld comes with the next."""
        answer = site.send("GET", HOME)
        assert answer.status_code == 200
        assert listed(answer) == []
        assert 'href="sessions"' in answer.text
        assert set_cookie_of(answer) is None
        assert said(site.send("GET", f"{HOME}?done=this")) == "You are signed out on this device."
        for unsaid in ("one", "others", "nonsense", "<b>", "%00"):
            assert said(site.send("GET", f"{HOME}?done={unsaid}")) == ""
        pressed = end(site, None, "all")
        assert (pressed.status_code, pressed.headers["location"]) == (303, "sessions")

    def test_a_spent_token_ends_its_session(self, site: Site) -> None:
        """A stolen cookie gives itself away as at `/auth/refresh`: nobody is signed in, the cookie goes."""
        tokens = site.sign_in("vera")
        next_one = set_cookie_of(open_page(site, tokens.refresh))
        assert next_one
        site.world.clock.advance(60)
        assert set_cookie_of(open_page(site, next_one.value))
        replayed = open_page(site, tokens.refresh)
        assert (replayed.status_code, listed(replayed)) == (200, [])
        assert is_cleared(replayed)
        assert not site.lives(tokens.access)
        pressed = end(site, "garbage", "all")
        assert is_cleared(pressed)

    def test_another_sites_page_ends_nothing(self, site: Site) -> None:
        """403, as a page, and not a word of whose it is; the cookie is not redeemed."""
        mine, other = site.sign_in("walt"), site.sign_in("walt")
        for headers in (*FOREIGN, ()):
            answer = site.send(
                "POST", HOME, cookie=mine.refresh, content=b"end=all", headers=(FORM, *headers)
            )
            assert answer.status_code == 403, headers
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert set_cookie_of(answer) is None
            assert listed(answer) == []
        assert site.lives(other.access)
        assert set_cookie_of(open_page(site, mine.refresh)), "it had not rotated"

    def test_what_no_person_opens_redeems_nothing(self, site: Site) -> None:
        """`HEAD`, what is fetched ahead of its user, what another site embeds; but a link may lead here."""
        mine = site.sign_in("xena")
        asked = (
            ("HEAD", (), 200),
            ("GET", (("Sec-Purpose", "prefetch"),), 503),
            ("GET", (("Sec-Purpose", "prefetch;prerender"),), 503),
            ("GET", (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "image")), 403),
            ("GET", (("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors")), 403),
            (
                "GET",
                (
                    ("Sec-Fetch-Site", "cross-site"),
                    ("Sec-Fetch-Mode", "navigate"),
                    ("Sec-Fetch-Dest", "iframe"),
                ),
                403,
            ),
        )
        for method, headers, status in asked:
            answer = site.send(method, HOME, cookie=mine.refresh, headers=headers)
            assert (answer.status_code, set_cookie_of(answer)) == (status, None), headers
            assert listed(answer) == []
        opened = (("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))
        link = open_page(site, mine.refresh, headers=(("Sec-Fetch-Site", "cross-site"), *opened))
        assert (listed(link), bool(set_cookie_of(link))) == ([mine.session_id], True)

    def test_an_outage_signs_nobody_out(self, site: Site) -> None:
        """503 and `Retry-After`, as a page; the cookie stays, or is the one of a rotation that was done."""
        mine, other = site.sign_in("yara"), site.sign_in("yara")
        site.world.plan.next(BEFORE, method="rotate")
        answers = [open_page(site, mine.refresh)]
        assert set_cookie_of(answers[0]) is None
        site.world.plan.next(BEFORE, method="find")
        answers.append(open_page(site, mine.refresh))
        rotated = set_cookie_of(answers[1])
        assert rotated
        site.world.plan.next(BEFORE, method="revoke")
        answers.append(end(site, rotated.value, other.session_id))
        for answer in answers:
            assert (answer.status_code, listed(answer)) == (503, [])
            assert "retry-after" in answer.headers
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert said(answer) == "This is not possible right now. Try again in a moment."
        assert listed(open_page(site, rotated.value)) == [mine.session_id, other.session_id]

    def test_what_is_malformed_is_a_page_too(self, site: Site) -> None:
        """400 or 415, and nothing is redeemed; other methods are refused as everywhere."""
        mine = site.sign_in("zoe")
        for body, kind in (
            (b"end=all&end=all", FORM[1]),
            (b"end=", FORM[1]),
            (b"end=all&more=1", FORM[1]),
            (b"end=" + b"a" * 65, FORM[1]),
            (b"", FORM[1]),
            (b"end=%00", FORM[1]),
            (b'{"end": "all"}', "application/json"),
            (b"end=all", "text/plain"),
        ):
            answer = site.post(HOME, cookie=mine.refresh, content=body, headers=(("Content-Type", kind),))
            assert answer.status_code == (400 if kind == FORM[1] else 415), body
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert said(answer) == "This could not be understood, so nothing was done."
            assert set_cookie_of(answer) is None
        twice = f"{site.world.settings.cookie}={mine.refresh}"
        assert site.send("GET", HOME, headers=(("Cookie", f"{twice}; {twice}"),)).status_code == 400
        refused = site.post(HOME, cookie=mine.refresh, content=b"a" * 70_000, headers=(FORM,))
        assert refused.status_code == 413
        assert site.send("DELETE", HOME).headers["allow"] == "GET, POST, HEAD, OPTIONS"
        assert site.lives(mine.access)

    def test_it_signs_in(self, site: Site) -> None:
        """With a form, by the rules of `/auth/login`: who is refused there is refused here, in a sentence."""
        answer = sign_in(site, "carl", PASSWORD)
        cookie = set_cookie_of(answer)
        assert (answer.status_code, answer.headers["location"]) == (303, "sessions")
        assert cookie
        assert len(listed(open_page(site, cookie.value))) == 1
        wrong, hasty = sign_in(site, "carl", "wrong"), sign_in(site, "hasty", PASSWORD)
        assert (wrong.status_code, said(wrong)) == (401, "That username or password is not right.")
        assert (hasty.status_code, said(hasty)) == (429, "Too many attempts. Wait a little, then try again.")
        assert hasty.headers["retry-after"] == "31"
        assert "came here from another site" not in wrong.text
        assert sign_in(site, "", PASSWORD).status_code == 400
        assert sign_in(site, "carl", "a" * 1025).status_code == 400
        site.world.plan.next(BEFORE, method="create")
        assert sign_in(site, "carl", PASSWORD).status_code == 503
        foreign = (FORM, ("Sec-Fetch-Site", "cross-site"))
        body = urlencode({"username": "carl", "password": PASSWORD}).encode()
        other = site.send("POST", HOME, content=body, headers=foreign)
        assert (other.status_code, set_cookie_of(other)) == (403, None)

    def test_a_hostile_user_agent_is_text(self, site: Site) -> None:
        """What a client says of itself is shown as it is, and does nothing."""
        body = {"username": "abe", "password": PASSWORD}
        cookie = set_cookie_of(site.post("/auth/login", json=body, headers=(("User-Agent", HOSTILE),)))
        assert cookie
        page = open_page(site, cookie.value).text
        assert "<script" not in page
        assert "49" not in page.partition("<h2>")[2].partition("</h2>")[0]
        assert "&lt;script&gt;alert(1)&lt;" in page

    def test_the_page_is_fenced_in(self, site: Site) -> None:
        """Whatever it says: no script, no other site, no frame, no copy; forms keep their origin."""
        mine = site.sign_in("bea")
        answers = (
            site.send("GET", HOME),
            open_page(site, mine.refresh),
            end(site, mine.refresh, ""),
            site.send("POST", HOME, cookie=mine.refresh, content=b"end=all", headers=(FORM,)),
        )
        for answer in answers:
            policy = answer.headers["content-security-policy"].split("; ")
            assert {"default-src 'none'", "form-action 'self'", "base-uri 'none'"} <= set(policy)
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert answer.headers["cross-origin-opener-policy"] == "same-origin"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert "<script" not in answer.text

    def test_it_speaks_its_readers_language(self, site: Site) -> None:
        """As `Accept-Language` asks; English to everybody else."""
        for asked, language in (
            ("de-CH, en;q=0.5", "de"),
            ("DE", "de"),
            ("fr", "en"),
            ("", "en"),
            (";q=x", "en"),
        ):
            answer = site.send("GET", HOME, headers=(("Accept-Language", asked),))
            assert answer.headers["content-language"] == language
            assert f'<html lang="{language}" dir="ltr">' in answer.text
