"""Holds the settings of the HTTP layer and what follows from them: cookies, descriptions of clients."""

from __future__ import annotations

from typing import Any

import pytest

from keyturn import ConfigurationError
from keyturn.http import HttpRequest, HttpSettings, context_from, device_from
from keyturn.http.cookies import clear_cookie, set_cookie
from keyturn.http.settings import serialize_origin


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"prefix": "auth"}, "prefix"),
        ({"prefix": "/"}, "prefix"),
        ({"prefix": "/auth/"}, "prefix"),
        ({"prefix": "/a/../b"}, "prefix"),
        ({"prefix": "/api"}, "cookie_path"),
        ({"cookie_name": "a b"}, "cookie_name"),
        ({"cookie_name": "a=b"}, "cookie_name"),
        ({"cookie_name": "a;b"}, "cookie_name"),
        ({"cookie_name": ""}, "cookie_name"),
        ({"cookie_name": "a\r\nSet-Cookie: b"}, "cookie_name"),
        ({"cookie_path": "auth"}, "cookie_path"),
        ({"cookie_path": "/a;Domain=x"}, "cookie_path"),
        ({"cookie_path": "/a\r\nX: y"}, "cookie_path"),
        ({"cookie_path": "/other"}, "cookie_path"),
        ({"cookie_path": "/auth/refresh"}, "cookie_path"),
        ({"cookie_domain": "example.com; Secure"}, "cookie_domain"),
        ({"cookie_domain": ".example.com"}, "cookie_domain"),
        ({"cookie_domain": "EXAMPLE.com"}, "cookie_domain"),
        ({"cookie_domain": "a." * 130 + "com"}, "cookie_domain"),
        ({"cookie_samesite": "strict"}, "cookie_samesite"),
        ({"cookie_samesite": None}, "cookie_samesite"),
        ({"cookie_samesite": "None", "cookie_secure": False}, "cookie_samesite"),
        ({"cookie_secure": "no"}, "cookie_secure"),
        ({"cookie_prefix": "__host-"}, "cookie_prefix"),
        ({"cookie_prefix": "__Host-"}, "cookie_path"),
        ({"cookie_prefix": "__Host-Http-", "cookie_path": "/", "cookie_domain": "a.com"}, "cookie_domain"),
        ({"cookie_partitioned": True}, "cookie_partitioned"),
        ({"cookie_partitioned": True, "cookie_prefix": "__Host-", "cookie_path": "/"}, "cookie_partitioned"),
        ({"cookie_partitioned": 1}, "cookie_partitioned"),
        ({"allowed_origins": "https://a.example"}, "allowed_origins"),
        ({"allowed_origins": 7}, "allowed_origins"),
        ({"allowed_origins": ("*",)}, "allowed_origins"),
        ({"allowed_origins": ("null",)}, "allowed_origins"),
        ({"allowed_origins": ("https://a.example/",)}, "allowed_origins"),
        ({"allowed_origins": ("https://A.example",)}, "allowed_origins"),
        ({"allowed_origins": ("https://a.example:443",)}, "allowed_origins"),
        ({"allowed_origins": ("https://*.example",)}, "allowed_origins"),
        ({"allowed_origins": (None,)}, "allowed_origins"),
        ({"access_header": "a b"}, "access_header"),
        ({"access_header": "a\n"}, "access_header"),
        ({"renew_within": "soon"}, "renew_within"),
        ({"renew_within": -1}, "renew_within"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused_by_name(options: dict[str, Any], word: str) -> None:
    """Each wrong value, and each pair that does not fit, is named at start-up."""
    with pytest.raises(ConfigurationError, match=word):
        HttpSettings(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"prefix": "/api/auth", "cookie_path": "/api/auth"},
        {"prefix": "/api/auth", "cookie_path": "/api"},
        {"cookie_path": "/"},
        {"cookie_path": "/mounted/auth"},
        {"cookie_prefix": "__Host-", "cookie_path": "/"},
        {"cookie_prefix": "__Host-", "cookie_secure": False},
        {"allowed_origins": ["https://a.example", "http://localhost:5173", "http://[::1]:3000"]},
    ],
    ids=str,
)
def test_what_fits_is_taken(options: dict[str, Any]) -> None:
    """Settings that make sense together are accepted, and origins become a tuple."""
    assert isinstance(HttpSettings(**options).allowed_origins, tuple)


def test_the_cookie_has_every_attribute_that_is_set() -> None:
    """Set and cleared with the same attributes, so that both hit one cookie (RFC 6265bis, section 5.7)."""
    settings = HttpSettings(
        cookie_name="r",
        cookie_path="/",
        cookie_prefix="__Host-Http-",
        cookie_samesite="None",
        cookie_partitioned=True,
    )
    rest = "Path=/; HttpOnly; Secure; SameSite=None; Partitioned"
    assert set_cookie(settings, "v", 60) == ("Set-Cookie", f"__Host-Http-r=v; Max-Age=60; {rest}")
    assert clear_cookie(settings) == ("Set-Cookie", f"__Host-Http-r=; Max-Age=0; {rest}")


def test_a_cookie_may_be_for_a_domain() -> None:
    """Where several hosts share it on purpose."""
    _, line = set_cookie(HttpSettings(cookie_domain="example.com", cookie_samesite="Lax"), "v", 1)
    assert line == (
        "__Secure-keyturn=v; Max-Age=1; Path=/auth; Domain=example.com; HttpOnly; Secure; SameSite=Lax"
    )


@pytest.mark.parametrize("value", ["a;b", "a b", "a\r\nb", "a,b", "\u00e9", "x" * 4096])
def test_a_cookie_that_browsers_would_not_keep_is_not_sent(value: str) -> None:
    """Name and value have 4096 bytes at most, of the characters that RFC 6265bis allows."""
    with pytest.raises(ConfigurationError):
        set_cookie(HttpSettings(), value, 60)


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "*", "example.com", "ftp://a.example", "https://", "https://a.example/", "https://a b"),
        *("https://a.example?q", "https://a.example#f", "https://u@a.example", "https://a.example:99999"),
        *("https://[::1", "https://\u00e9.example", "https://a_b.example", "https://[zz]"),
    ],
)
def test_what_is_no_origin_has_no_spelling(text: str) -> None:
    """Only scheme, host and port make one (RFC 6454)."""
    assert serialize_origin(text) != text


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.7", "c00002"),
        ("::ffff:192.0.2.7", "c00002"),
        ("2001:db8:1:2:3::4", "20010db80001"),
        ("fe80::1%eth0", "fe8000000000"),
        (None, ""),
        ("", ""),
        ("/run/socket", ""),
        ("testclient", ""),
    ],
)
def test_a_client_is_told_by_its_network(client: str | None, network: str) -> None:
    """The /24 of IPv4, also inside IPv6; the /48 of IPv6; nothing where there is no address."""
    assert context_from(HttpRequest("GET", "/", client=client)) == f"{network} "


def test_a_description_of_a_device_is_bounded_and_printable() -> None:
    """Whatever a client calls itself; two names are none."""
    long = HttpRequest("GET", "/", (("user-agent", "A\x00\x1b[31m" + "b" * 9000),))
    assert device_from(long)["user_agent"].startswith("A[31mb")
    assert len(device_from(long)["user_agent"]) <= 512
    assert device_from(HttpRequest("GET", "/", (("user-agent", "a"), ("user-agent", "b")))) == {
        "user_agent": ""
    }
    assert len(context_from(long)) < 600


def test_a_forwarded_address_is_not_believed() -> None:
    """What a client writes into X-Forwarded-For says nothing; proxies are the server's configuration."""
    spoofed = HttpRequest("GET", "/", (("x-forwarded-for", "203.0.113.9"),), client="192.0.2.7")
    assert context_from(spoofed) == "c00002 "
