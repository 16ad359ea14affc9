"""What bad input gets: an error of the right status, in JSON, and nothing changes. They know no framework.

Some of it only a raw socket can send.
"""

# ruff: noqa: PLR2004 - status codes are what tests of HTTP are about
from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from keyturn.http import MAX_BODY
from keyturn.testing._http.wire import connected, head, status_of
from keyturn.testing._http.world import COOKIE, PASSWORD, Rules, Site, check_refusal, set_cookie_of, tokens_of

JSON = ("Content-Type", "application/json")
FORM = "application/x-www-form-urlencoded"
POSTS = ("/auth/login", "/auth/refresh", "/auth/logout")
DEEP = b'{"refresh_token":' + b"[" * 5000 + b"]" * 5000 + b"}"

BODIES = {
    "empty object is no login": (b"{}", 400),
    "not JSON": (b"refresh_token=x", 400),
    "truncated": (b'{"refresh_token": "x', 400),
    "trailing": (b'{"refresh_token":"x"} {}', 400),
    "an array": (b"[]", 400),
    "a text": (b'"x"', 400),
    "null": (b"null", 400),
    "deep": (DEEP, 400),
    "a number without end": (b'{"refresh_token":' + b"9" * 5000 + b"}", 400),
    "NaN": (b'{"refresh_token":NaN}', 400),
    "a member twice": (b'{"refresh_token":"a","refresh_token":"b"}', 400),
    "other types": (b'{"refresh_token":7}', 400),
    "null token": (b'{"refresh_token":null}', 400),
    "empty token": (b'{"refresh_token":""}', 400),
    "a token with NUL": (b'{"refresh_token":"a\\u0000b"}', 400),
    "a lone surrogate": (b'{"refresh_token":"\\ud800"}', 400),
    "not UTF-8": (b'{"refresh_token":"\xff"}', 400),
    "UTF-16": ('{"refresh_token":"x"}'.encode("utf-16"), 400),
    "a byte order mark": (b'\xef\xbb\xbf{"refresh_token":"x"}', 400),
    "an unknown field": (b'{"refresh_token":"x","scope":"all"}', 400),
    "an oversized token": (b'{"refresh_token":"' + b"x" * 8193 + b'"}', 400),
    "white space without end": (b" " * MAX_BODY, 400),
    "too large": (b'{"refresh_token":"' + b"x" * MAX_BODY + b'"}', 413),
    "one byte too large": (b" " * (MAX_BODY + 1), 413),
}

TYPES = (
    None,
    "",
    "text/plain",
    FORM,
    "multipart/form-data; boundary=x",
    "application/json, text/plain",
    "application/json; charset=utf-16",
    "application/jsonp",
    "application",
)

# The one form that there is, at the login, has rules of its own.
UNREAD = [
    (path, kind)
    for path in (*POSTS, "/auth/logout-all", "/auth/step-up")
    for kind in TYPES
    if (path, kind) != ("/auth/login", FORM)
]

WRONG_METHODS = (
    ("GET", "/auth/login", "POST, OPTIONS"),
    ("GET", "/auth/refresh", "POST, OPTIONS"),
    ("GET", "/auth/logout", "POST, OPTIONS"),
    ("DELETE", "/auth/logout-all", "POST, OPTIONS"),
    ("GET", "/auth/step-up", "POST, OPTIONS"),
    ("POST", "/auth/me", "GET, HEAD, OPTIONS"),
    ("PUT", "/auth/sessions", "GET, HEAD, OPTIONS"),
    ("GET", "/auth/sessions/x", "DELETE, OPTIONS"),
    ("PATCH", "/.well-known/jwks.json", "GET, HEAD, OPTIONS"),
    ("POST", "/auth/keyturn.js", "GET, HEAD, OPTIONS"),
    ("PROPFIND", "/auth/refresh", "POST, OPTIONS"),
)

COOKIES = (
    f"{COOKIE}=\u00e9\u00ff",
    f"{COOKIE}=a\tb",
    f"{COOKIE}=%00",
    f'{COOKIE}="quoted"',
    f"{COOKIE}=ktr_{'A' * 20_000}",
    f"{COOKIE}=ktr_",
    f"{COOKIE}==",
    f"a=b;;; ;{COOKIE}=x;",
)


class BadInputRules(Rules):
    """Nothing a client can send produces a 500, or changes anything."""

    @pytest.mark.parametrize("path", POSTS)
    @pytest.mark.parametrize("name", BODIES)
    def test_a_bad_body_is_refused(self, site: Site, path: str, name: str) -> None:
        """400 for what it says, 413 for its size; what the body is about stays as it was."""
        body, status = BODIES[name]
        answer = site.post(path, content=body, headers=(JSON,))
        if body == b"{}" and path != "/auth/login":
            assert answer.status_code in {204, 401}  # an empty object says no more than an empty body
        else:
            check_refusal(answer, status, "invalid_request")
            assert set_cookie_of(answer) is None

    @pytest.mark.parametrize(("path", "kind"), UNREAD, ids=str)
    def test_only_json_is_read(self, site: Site, path: str, kind: str | None) -> None:
        """415 for every other type, so that no form of another site's page is understood."""
        body = json.dumps({"username": "typ", "password": PASSWORD}).encode()
        bearer = None if path in POSTS else site.sign_in("typ").access
        headers = () if kind is None else (("Content-Type", kind),)
        check_refusal(site.post(path, content=body, bearer=bearer, headers=headers), 415, "invalid_request")

    @pytest.mark.parametrize("kind", ["application/json;charset=UTF-8", 'Application/JSON; charset="utf-8"'])
    def test_json_may_name_its_charset(self, site: Site, kind: str) -> None:
        """UTF-8 is the only one that JSON has (RFC 8259, section 8.1)."""
        body = json.dumps({"username": "cs", "password": PASSWORD}).encode()
        assert site.post("/auth/login", content=body, headers=(("Content-Type", kind),)).status_code == 200

    @pytest.mark.parametrize(("method", "path", "allow"), WRONG_METHODS)
    def test_a_wrong_method_is_told_the_right_ones(
        self, site: Site, method: str, path: str, allow: str
    ) -> None:
        """405 with Allow, also for methods that other applications have."""
        answer = site.send(method, path)
        check_refusal(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allow

    def test_a_method_that_nobody_knows_is_refused(self, site: Site) -> None:
        """405 with Allow; some servers' parsers know all methods that there are, and it comes no further."""
        answer = site.send("BREW", "/auth/refresh")
        if answer.status_code == 405:
            check_refusal(answer, 405, "method_not_allowed")
            assert answer.headers["allow"] == "POST, OPTIONS"
        else:
            assert answer.status_code in {400, 501}
            assert "x-content-type-options" not in answer.headers  # it is no answer of ours

    @pytest.mark.parametrize(
        "path",
        [
            "/auth",
            "/auth/",
            "/auth/nothing",
            "/auth/me/",
            "/auth/me/x",
            "/auth/sessions/",
            "/auth/sessions/a/b",
            "/auth/%2e%2e/auth/nothing",
            "/auth/\u00e9",
            "/auth/%ff",
            "/auth/LOGIN",
        ],
    )
    def test_an_unknown_path_is_not_found(self, site: Site, path: str) -> None:
        """404 in JSON, and never a redirect."""
        for method in ("GET", "POST", "OPTIONS"):
            check_refusal(site.send(method, path), 404, "not_found")

    @pytest.mark.parametrize("path", ["/auth//me", "/auth/./me", "/auth/x/../me", "/auth/me%00"])
    def test_an_odd_spelling_of_a_path_is_not_found(self, site: Site, path: str) -> None:
        """Paths are not tidied up: what two servers may read differently is nothing here."""
        token = site.sign_in("odd").access
        with connected(site.url) as wire:
            wire.sendall(head("GET", path, ("Authorization", f"Bearer {token}")))
            assert status_of(wire) == 404

    def test_head_is_get_without_the_body(self, site: Site) -> None:
        """The same headers and nothing else."""
        tokens = site.sign_in("hed")
        for path in ("/auth/me", "/auth/sessions", "/auth/keyturn.js", "/.well-known/jwks.json"):
            head, get = (site.send(method, path, bearer=tokens.access) for method in ("HEAD", "GET"))
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["cache-control"] == get.headers["cache-control"]

    def test_options_says_what_is_allowed(self, site: Site) -> None:
        """Also without a question about origins."""
        answer = site.send("OPTIONS", "/auth/me")
        assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")

    @pytest.mark.parametrize("cookie", COOKIES, ids=range(len(COOKIES)))
    def test_a_bad_cookie_is_a_refused_token(self, site: Site, cookie: str) -> None:
        """It is none of ours, whatever it is."""
        answer = site.post("/auth/refresh", headers=(("Cookie", cookie),))
        check_refusal(answer, 401, "invalid_grant")

    def test_a_truncated_or_changed_token_harms_nobody(self, site: Site) -> None:
        """Only the genuine token counts, and it does so afterwards as before."""
        token = site.sign_in("tru").refresh
        for bad in (
            token[:-1],
            token[1:],
            token + "A",
            token.swapcase(),
            token[:-1] + chr(ord(token[-1]) ^ 1),
        ):
            check_refusal(site.refresh(bad), 401, "invalid_grant")
        assert tokens_of(site.refresh(token)).refresh

    def test_a_chunked_body_is_read(self, site: Site) -> None:
        """A body without a length, in pieces, is as good as any."""
        body = json.dumps({"username": "chu", "password": PASSWORD}).encode()

        def pieces() -> Iterator[bytes]:
            for position in range(0, len(body), 7):
                yield body[position : position + 7]

        headers = [JSON, ("Sec-Fetch-Site", "same-origin")]
        answer = site.http.post("/auth/login", content=pieces(), headers=headers)
        site.http.cookies.clear()
        assert answer.status_code == 200

    def test_a_chunked_body_is_bounded(self, site: Site) -> None:
        """Not read to its end: the answer comes although the body would go on."""
        with connected(site.url) as wire:
            wire.sendall(head("POST", "/auth/refresh", JSON, ("Transfer-Encoding", "chunked")))
            chunk = b" " * 8192
            for _ in range(MAX_BODY // len(chunk) + 1):
                wire.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            assert status_of(wire) == 413

    @pytest.mark.parametrize("name", ["bad chunk", "cut off"])
    def test_a_body_that_breaks_off_is_no_error_of_ours(self, site: Site, name: str) -> None:
        """4xx or nothing at all, and the server goes on."""
        chunked = (
            head("POST", "/auth/refresh", JSON, ("Transfer-Encoding", "chunked")) + b"zz\r\nnonsense\r\n\r\n"
        )
        cut = head("POST", "/auth/refresh", JSON, ("Content-Length", "100")) + b'{"refresh'
        with connected(site.url) as wire:
            wire.sendall(chunked if name == "bad chunk" else cut)
            wire.shutdown(socket.SHUT_WR)
            assert status_of(wire) in {None, *range(400, 500)}
        assert site.send("GET", "/.well-known/jwks.json").status_code == 200

    @pytest.mark.parametrize(
        "line",
        [
            b"Authorization: Bearer \xff\xfe\xc3\x28",
            b"Authorization: Bearer " + b"\xe2\x82\xac" * 300,
            b"Authorization:",
            b"Authorization: Bearer",
            b"Authorization: Bearer a b c",
            b"Authorization: \x80\x81",
            b"Authorization: Basic dXNlcjpwYXNz",
            b"Authorization: Bearer " + b"A" * 30_000,
            b"Cookie: \xff\xfe=\xfd; __Secure-keyturn=\xff",
            b"Cookie: " + b";" * 5000,
            b"Cookie: " + b"a=b; " * 2000,
            b"Origin: \xff\xfe",
            b"Sec-Fetch-Site: \xff",
            b"User-Agent: \xff\xfe\x80",
            b"Content-Type: \xff",
            b"Authorization: Bearer a\x00b",
            b"Cookie: __Secure-keyturn=a\x00b",
        ],
        ids=range(17),
    )
    @pytest.mark.parametrize(("method", "path"), [("GET", "/auth/me"), ("POST", "/auth/refresh")])
    def test_odd_bytes_in_a_header_are_refused(self, site: Site, method: str, path: str, line: bytes) -> None:
        """A 4xx, of ours or of the server's own parser, and never a 500."""
        with connected(site.url) as wire:
            wire.sendall(head(method, path, ("Content-Length", "0"))[:-2] + line + b"\r\n\r\n")
            status = status_of(wire)
        assert status is not None
        assert 400 <= status < 500
