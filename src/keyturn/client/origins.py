"""To which origins a token may travel. It knows no token.

URLs are read by httpx alone, which also sends the requests: two readers could take one URL for two hosts.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final, TypeAlias

import httpx

from keyturn.errors import ConfigurationError

Origin: TypeAlias = tuple[str, bytes, int | None]
"""Scheme, host (as it is sent) and port (RFC 6454, section 4)."""

_PORTS: Final = {"http": 80, "https": 443}


def origin_of(url: httpx.URL) -> Origin:
    """Give a URL's origin; a default port is written out."""
    return (url.scheme, url.raw_host, url.port or _PORTS.get(url.scheme))


def checked_url(text: str, *, insecure: bool) -> httpx.URL:
    """Read the base of the endpoints, without a slash at its end.

    Args:
        text: Such as "https://api.example.com/auth".
        insecure: Accept plain HTTP to other hosts than this one.

    Raises:
        ConfigurationError: It is no such URL, or plain HTTP.

    Examples:
        >>> checked_url("https://api.example.com/auth/", insecure=False)
        URL('https://api.example.com/auth')
        >>> checked_url("http://127.0.0.1:8000/auth", insecure=False)
        URL('http://127.0.0.1:8000/auth')
    """
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError):
        raise ConfigurationError("the URL of the endpoints is no URL") from None
    if url.scheme not in _PORTS or not url.raw_host or url.userinfo or url.query or url.fragment:
        raise ConfigurationError(
            "the URL of the endpoints must be such as 'https://api.example.com/auth': no user name, no query"
        )
    if url.scheme == "http" and not insecure and not is_loopback(url.host):
        raise ConfigurationError(
            f"http://{url.host} would show tokens to everybody on the way: use https://, or insecure=True"
        )
    return url.copy_with(path=url.path.rstrip("/"))


def checked_origins(texts: Iterable[str], *, insecure: bool) -> frozenset[Origin]:
    """Read origins, such as "https://api.example.com".

    Raises:
        ConfigurationError: One is none, or is plain HTTP.
    """
    if isinstance(texts, str):
        raise ConfigurationError('origins must be a tuple such as ("https://api.example.com",)')
    urls = [checked_url(text, insecure=insecure) for text in texts]
    if any(url.path not in {"", "/"} for url in urls):
        raise ConfigurationError(
            "origins must hold origins such as 'https://api.example.com', without a path"
        )
    return frozenset(map(origin_of, urls))


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
