"""The settings of the HTTP layer, frozen and checked once. They know no request."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, Literal, TypeAlias, cast, get_args
from urllib.parse import urlsplit

from keyturn.durations import Duration
from keyturn.errors import ConfigurationError
from keyturn.http import clients
from keyturn.http.messages import HttpRequest
from keyturn.policy import Span, check_switch

SameSite: TypeAlias = Literal["Strict", "Lax", "None"]
CookiePrefix: TypeAlias = Literal["__Secure-", "__Host-", "__Host-Http-"]

DEFAULT_ACCESS_HEADER: Final = "Authorization"
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110, section 5.6.2
PATH: Final = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
_DOMAIN: Final = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_OTHER_HEADERS: Final = frozenset(
    {
        "cookie",
        "host",
        "origin",
        "sec-fetch-site",
        "x-keyturn",
        "content-type",
        "content-length",
        "user-agent",
    }
)
_MAX_DOMAIN: Final = 253


@dataclass(frozen=True, kw_only=True)
class HttpSettings:
    """How tokens travel over HTTP. The defaults are safe; each field may be given on its own.

    Attributes:
        prefix: Where the endpoints are.
        cookie_name: The refresh cookie's name, without its prefix.
        cookie_path: Its path: the token travels to no other route.
        cookie_domain: Its domain; None: this host alone.
        cookie_samesite: "Strict", "Lax" or "None" (RFC 6265bis, section 5.6.7).
        cookie_secure: False is for development over plain HTTP alone; the prefix then goes.
        cookie_prefix: What makes browsers hold the name to `Secure` (`__Secure-`), also to this host and the
            path "/" (`__Host-`), also to `HttpOnly` (`__Host-Http-`).
        cookie_partitioned: For use inside another site's page (CHIPS).
        allowed_origins: Other origins whose pages may use the endpoints with credentials, such as
            "https://app.example.com".
        access_header: Where the access token comes. Another name than "Authorization" takes the bare token.
        renew_within: An accepted access token that expires within this time is answered with a fresh one in
            `Authorization-Refreshed`. None: never.
        device_from: Describes the client of a sign-in for people.
        context_from: Tells clients apart, for the detection of theft.

    Raises:
        ConfigurationError: A value is not usable, or they do not fit together; the message names it.

    Examples:
        >>> HttpSettings().cookie
        '__Secure-keyturn'
        >>> HttpSettings(cookie_secure=False).cookie
        'keyturn'
        >>> HttpSettings(cookie_prefix="__Host-")
        Traceback (most recent call last):
        ...
        keyturn.errors.ConfigurationError: cookie_prefix __Host- needs cookie_path="/" and no cookie_domain
    """

    prefix: str = "/auth"
    cookie_name: str = "keyturn"
    cookie_path: str = "/auth"
    cookie_domain: str | None = None
    cookie_samesite: SameSite = "Strict"
    cookie_secure: bool = True
    cookie_prefix: CookiePrefix = "__Secure-"
    cookie_partitioned: bool = False
    allowed_origins: tuple[str, ...] = ()
    access_header: str = DEFAULT_ACCESS_HEADER
    renew_within: Span[Duration | None, float | None] = Span(None, optional=True)  # noqa: RUF009 - a descriptor
    device_from: Callable[[HttpRequest], Mapping[str, Any]] = clients.device_from
    context_from: Callable[[HttpRequest], str] = clients.context_from

    def __post_init__(self) -> None:
        """Check each value, then how they fit together."""
        check_text("prefix", self.prefix, PATH)
        check_text("cookie_name", self.cookie_name, _TOKEN)
        if self.cookie_path != "/":
            check_text("cookie_path", self.cookie_path, PATH)
        if self.cookie_domain is not None:
            check_text("cookie_domain", self.cookie_domain, _DOMAIN)
            if len(self.cookie_domain) > _MAX_DOMAIN:
                raise ConfigurationError("cookie_domain is too long")
        check_text("access_header", self.access_header, _TOKEN)
        if self.access_header.lower() in _OTHER_HEADERS:
            raise ConfigurationError(
                f"access_header must not be {self.access_header}: it means something else"
            )
        _check_choice("cookie_samesite", self.cookie_samesite, get_args(SameSite))
        _check_choice("cookie_prefix", self.cookie_prefix, get_args(CookiePrefix))
        check_switch("cookie_secure", self.cookie_secure)
        check_switch("cookie_partitioned", self.cookie_partitioned)
        object.__setattr__(self, "allowed_origins", _check_origins(self.allowed_origins))
        self._check_cookie()

    @property
    def cookie(self) -> str:
        """The refresh cookie's whole name."""
        return f"{self.cookie_prefix if self.cookie_secure else ''}{self.cookie_name}"

    def _check_cookie(self) -> None:
        host_only = self.cookie_path == "/" and self.cookie_domain is None
        if self.cookie_secure and self.cookie_prefix != "__Secure-" and not host_only:
            raise ConfigurationError(
                f'cookie_prefix {self.cookie_prefix} needs cookie_path="/" and no cookie_domain'
            )
        if self.cookie_samesite == "None" and not self.cookie_secure:
            raise ConfigurationError('cookie_samesite="None" needs cookie_secure=True')
        if self.cookie_partitioned and not (
            self.cookie_secure and self.cookie_prefix != "__Secure-" and self.cookie_samesite == "None"
        ):
            raise ConfigurationError(
                'cookie_partitioned needs cookie_samesite="None", cookie_secure and cookie_prefix="__Host-"'
            )
        # An application may be mounted below a path of which it knows nothing: then the cookie's is longer.
        if not (
            f"{self.prefix}/".startswith(f"{self.cookie_path.rstrip('/')}/")
            or self.cookie_path.endswith(self.prefix)
        ):
            raise ConfigurationError(
                f"cookie_path {self.cookie_path} does not cover prefix {self.prefix}: it would not come back"
            )


def check_text(name: str, value: object, pattern: re.Pattern[str]) -> None:
    """Accept a text of the form that a setting has.

    Raises:
        ConfigurationError: It has another form; the message names the setting.
    """
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ConfigurationError(f"{name} is not usable: {value!r}")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigurationError(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def _check_origins(origins: object) -> tuple[str, ...]:
    if isinstance(origins, str) or not isinstance(origins, Iterable):
        raise ConfigurationError('allowed_origins must be a tuple such as ("https://app.example.com",)')
    return tuple(_check_origin(origin) for origin in cast("Iterable[object]", origins))


def _check_origin(origin: object) -> str:
    if not isinstance(origin, str) or serialize_origin(origin) != origin:
        raise ConfigurationError(
            f"allowed_origins must hold origins such as 'https://app.example.com', not {origin!r}"
        )
    return origin


def serialize_origin(text: str) -> str | None:
    """Write an origin as browsers do (RFC 6454, section 6.2); None for what is none, "null" and "*" included.

    Examples:
        >>> serialize_origin("HTTPS://App.example.com:443")
        'https://app.example.com'
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not host or not text.isascii():
        return None
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or not _is_host(host):
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{port}")


_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def _is_host(host: str) -> bool:
    if _DOMAIN.fullmatch(host):
        return True
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
