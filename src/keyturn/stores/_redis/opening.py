"""URLs of Redis: a server, a cluster, or a master that Sentinel names. It knows no operation.

Every connection has timeouts, and none repeats a command by itself: the channels know when that is safe.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from keyturn.durations import Duration, milliseconds, seconds
from keyturn.errors import ConfigurationError
from keyturn.stores._redis.driver import Anything

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind: TypeAlias = Literal["server", "cluster", "sentinel"]

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
POOL_SIZE: Final = 32  # a connection is busy for one round trip, and Redis answers one at a time
MAX_POOL: Final = 10_000
_SCHEMES: Final[dict[str, tuple[Kind, bool]]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "unix": ("server", False),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
}
_OURS: Final = ("prefix", "retention", "timeout", "pool_size", "wait_replicas", "wait_timeout")
_TLS: Final = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs")
_SENTINELS: Final = ("sentinel_username", "sentinel_password")
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:,/]+)(?::(\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a store may be told besides where its Redis is; see `RedisStore.from_url`."""

    prefix: str = "keyturn"
    retention: Duration = "1d"
    timeout: Duration = 2.0
    pool_size: int = POOL_SIZE
    wait_replicas: int = 0
    wait_timeout: Duration = 1.0

    def checked(self) -> Checked:
        """Check and convert.

        Raises:
            ConfigurationError: Says which is wrong.
        """
        timeout = seconds(self.timeout, name="timeout")
        wait = seconds(self.wait_timeout, name="wait_timeout")
        if not timeout or not wait:
            raise ConfigurationError("timeout and wait_timeout must be more than 0")
        retention = milliseconds(seconds(self.retention, name="retention"))
        if not retention:
            raise ConfigurationError("retention must be more than 0: a late replay must still be recognised")
        return Checked(
            self.prefix,
            retention,
            timeout,
            _whole("pool_size", self.pool_size, 1, MAX_POOL),
            _whole("wait_replicas", self.wait_replicas, 0, 100),
            milliseconds(wait),
        )


@dataclass(frozen=True, slots=True)
class Checked:
    """`Settings` in the units of the core: milliseconds, but seconds for `timeout`."""

    prefix: str
    retention: int
    timeout: float
    pool_size: int
    wait_replicas: int
    wait_timeout: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Redis is.

    Attributes:
        kind: What answers there.
        hosts: Names and ports; none for a socket.
        driver: Arguments for each connection to a server that holds data.
        sentinel: Arguments for each connection to a Sentinel.
        service: The name of the master that Sentinel watches.
        given: Settings that the URL holds.
    """

    kind: Kind
    hosts: tuple[tuple[str, int], ...]
    driver: Mapping[str, Anything] = field(repr=False)
    sentinel: Mapping[str, Anything] = field(repr=False)
    service: str
    given: Mapping[str, str]


def place_of(url: str) -> Place:
    """Read a URL.

    Raises:
        ConfigurationError: Says what is wrong with it. No message quotes it: it may hold a password.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in _SCHEMES or not rest:
        raise ConfigurationError(f"a URL of Redis begins with {'://, '.join(_SCHEMES)}://")
    kind, tls = _SCHEMES[scheme]
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError("the URL of Redis cannot be read") from error
    given = _query(parts.query)
    user_info, _, hosts = parts.netloc.rpartition("@")
    driver = _credentials(user_info, given) | _tls(given, wanted=tls)
    sentinel: dict[str, Anything] = {
        name.removeprefix("sentinel_"): given.pop(name) for name in _SENTINELS if name in given
    }
    path, service = unquote(parts.path), ""
    if scheme == "unix":
        driver |= {"unix_socket_path": path, "db": _database(given.pop("db", "0"))}
    elif kind == "cluster":
        _only_database_0(path)
    else:
        service, database = _service(path) if kind == "sentinel" else ("", path.strip("/"))
        driver["db"] = _database(database or given.pop("db", "0"))
    if kind == "sentinel" and tls:
        sentinel["ssl"] = True
    unknown = given.keys() - set(_OURS)
    if unknown and "@" in parts.query:  # it may be the rest of a password
        raise ConfigurationError("the URL of Redis has an unknown option: is a ? in a password written %3F?")
    if unknown:
        raise ConfigurationError(f"the URL of Redis has an unknown option: {min(unknown)[:40]!r}")
    found = () if scheme == "unix" else _hosts(hosts, SENTINEL_PORT if kind == "sentinel" else PORT)
    if kind == "server" and len(found) > 1:
        raise ConfigurationError("several servers are a cluster: write redis+cluster://host:port,host:port")
    return Place(kind, found, driver, sentinel, service, given)


def settings_of(place: Place, given: Sequence[object]) -> Checked:
    """Give the settings of a store: those of the URL, and over them those given in code.

    Args:
        place: What was read from the URL.
        given: In the order of `Settings`; None: not given.

    Raises:
        ConfigurationError: One of them is wrong.
    """
    merged: dict[str, Anything] = dict(place.given)
    for name in ("pool_size", "wait_replicas"):
        if name in merged:
            merged[name] = _whole(name, merged[name], 0, MAX_POOL)
    merged |= {name: value for name, value in zip(_OURS, given, strict=True) if value is not None}
    checked = Settings(**merged).checked()
    if checked.wait_replicas and checked.wait_timeout >= milliseconds(checked.timeout):
        raise ConfigurationError(
            "wait_timeout must be shorter than timeout: nothing waits longer for an answer"
        )
    return checked


def _credentials(user_info: str, given: dict[str, str]) -> dict[str, Anything]:
    user, _, password = user_info.partition(":")
    written = {"username": unquote(user), "password": unquote(password)}
    optional = {name: given.pop(name) for name in ("username", "password") if name in given}
    return {name: value for name, value in written.items() if value} | optional


def _tls(given: dict[str, str], *, wanted: bool) -> dict[str, Anything]:
    options: dict[str, Anything] = {name: given.pop(name) for name in _TLS if name in given}
    if options and not wanted:
        raise ConfigurationError("ssl_… options need a URL that begins with rediss")
    return options | ({"ssl": True} if wanted else {})


def _service(path: str) -> tuple[str, str]:
    service, _, database = path.strip("/").partition("/")
    if not service:
        raise ConfigurationError("name the master that Sentinel watches: redis+sentinel://host:port/name/0")
    return service, database


def _only_database_0(path: str) -> None:
    if path.strip("/") not in {"", "0"}:
        raise ConfigurationError("a Redis Cluster has database 0 only")


def _query(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True)
    if len(dict(pairs)) != len(pairs):
        raise ConfigurationError("the URL of Redis names an option twice")
    return dict(pairs)


def _hosts(text: str, port: int) -> tuple[tuple[str, int], ...]:
    found: list[tuple[str, int]] = []
    for each in text.split(","):
        match = _HOST.fullmatch(each)
        if match is None or int(match[2] or port) > 0xFFFF:  # noqa: PLR2004  (RFC 9293: 16 bits)
            raise ConfigurationError("the URL of Redis needs host:port, or several with commas between them")
        found.append((unquote(match[1]).strip("[]"), int(match[2] or port)))
    return tuple(found)


def _database(text: str) -> int:
    return _whole("the number of the database", text or "0", 0, 2**31 - 1)


def _whole(name: str, value: object, least: int, most: int) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d{1,10}", value, re.ASCII):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigurationError(f"{name} must be a whole number from {least} to {most}")
    return value
