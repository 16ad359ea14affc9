"""The settings: every field of the policy and of the server, one name each. They know no command line.

`SETTINGS` is the one table: flags, environment variables, the keys of the file, `keyturn config` and the
reference all come from it, and its descriptions are those of the classes' own docstrings.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from ipaddress import ip_address
from types import NoneType
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin, get_type_hints

import limits

from keyturn._core.keyset import Algorithm
from keyturn._core.schedule import PICK_UP
from keyturn.durations import Duration, seconds
from keyturn.errors import ConfigurationError
from keyturn.http import HttpRequest, HttpSettings
from keyturn.pages import devices
from keyturn.policy import Policy, Span
from keyturn.sealing import Seal
from keyturn.stores import urls

LogLevel: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
LogFormat: TypeAlias = Literal["text", "json"]
Kind: TypeAlias = Literal["duration", "switch", "number", "choice", "list", "text"]

MEMORY: Final = urls.MEMORY
BESIDE_SESSIONS: Final = "store"
DEFAULT_STORE: Final = "sqlite:///keyturn.db"
NOTHING: Final = frozenset({"none", "off"})
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})
_SECRET: Final = {"secret": True}
_HIGHEST_PORT: Final = 65_535


@dataclass(frozen=True, kw_only=True)
class Settings(Policy, HttpSettings):
    """The policy, the HTTP layer's settings and the server's. Each is one setting with one name everywhere.

    Attributes:
        store: Where sessions live, as a URL: sqlite:///FILE, postgresql://…, mysql://…, mariadb://…,
            redis://…, rediss://…, redis+cluster://…, redis+sentinel://…, or memory:// for a try that keeps
            nothing.
        users: Where users live, as the URL of an SQL database. None: beside the sessions; where those are in
            Redis, in sqlite:///keyturn.db.
        host: The address to listen on. Others than loopback need an https issuer.
        port: The port to listen on.
        issuer: Who issues the access tokens, their `iss`. None: http://HOST:PORT.
        audience: Whom the access tokens are for, their `aud`.
        keys: Where the signing keys are, if not in a file: `store` for beside the sessions, or the URL of
            another database, as for store. Servers on several machines share them so. None: in keys_file.
        keys_file: The file with the signing keys. It is made on the first start, readable to its owner only.
        keys_passphrase: What the stored keys are encrypted with, at least 12 characters. Only from the
            environment or the file of settings.
        keys_key: The same, as a key: 32 random bytes in base64. Only from the environment or the file.
        keys_refresh: How often a server looks for changes of the keys, at most a minute.
        key_algorithm: What the first key signs with.
        login_rate: Attempts to sign in that are let through, per account and per address; `off` counts none.
        authenticator: Your own check of passwords, as package.module:function. None: the table of users.
        forwarded_allow_ips: Proxies whose X-Forwarded headers are believed, with commas between them. None:
            nobody's.
        log_level: The least serious messages that are logged.
        log_format: One line of text, or one JSON object, per message.
        unsafe_allow_public: Allow what is refused on an address that others can reach: the demonstration,
            plain HTTP, cookies without Secure, a store in memory.

    Raises:
        ConfigurationError: A value is not usable; the message names its setting.

    Examples:
        >>> Settings(race_window="1s").race_window
        1.0
        >>> Settings(port=8080).issuer_url
        'http://127.0.0.1:8080'
    """

    store: str = field(default=DEFAULT_STORE, repr=False)  # a URL may hold a password
    users: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    issuer: str | None = None
    audience: str = "keyturn"
    keys: str | None = field(default=None, repr=False)
    keys_file: str = "keyturn-keys.json"
    keys_passphrase: str | None = field(default=None, repr=False, metadata=_SECRET)
    keys_key: str | None = field(default=None, repr=False, metadata=_SECRET)
    keys_refresh: Span[Duration, float] = Span("10s")  # noqa: RUF009  (a descriptor, as in the policy)
    key_algorithm: Algorithm = "ES256"
    login_rate: str | None = "10/minute"
    authenticator: str | None = None
    forwarded_allow_ips: str | None = None
    log_level: LogLevel = "info"
    log_format: LogFormat = "text"
    unsafe_allow_public: bool = False
    device_from: Callable[[HttpRequest], Mapping[str, Any]] = devices.device_from

    def __post_init__(self) -> None:
        """Check what each value must be; the policy and the HTTP layer check their own."""
        Policy.__post_init__(self)
        HttpSettings.__post_init__(self)
        if not 1 <= self.port <= _HIGHEST_PORT:
            raise ConfigurationError(f"port must be from 1 to {_HIGHEST_PORT}, not {self.port}")
        for name in ("host", "audience", "keys_file", "store"):
            if not getattr(self, name):
                raise ConfigurationError(f"{name} must not be empty")
        _check_places(self.store, self.users, self.keys_url)
        _ = self.seal  # says what is wrong with it
        if not 0 < self.keys_refresh <= PICK_UP:
            raise ConfigurationError("keys_refresh must be more than 0, and at most a minute")
        if self.login_rate is not None:
            rate_of(self.login_rate)
        for setting in SETTINGS:
            if setting.choices and getattr(self, setting.name) not in setting.choices:
                raise ConfigurationError(f"{setting.name} must be one of {', '.join(setting.choices)}")

    @property
    def issuer_url(self) -> str:
        """The `iss` of the access tokens: as set, or where the server listens."""
        return self.issuer or self.url

    @property
    def users_url(self) -> str | None:
        """Where the table of users is: as set, or beside the sessions where another table can be.

        So that whoever moves the sessions from the default file to Redis still has the users. None where
        there need be none: an authenticator of the application's own knows them.
        """
        if self.users is not None:
            return self.users
        if self.store == MEMORY or urls.kind_of(self.store).is_sql:
            return self.store
        return DEFAULT_STORE if self.authenticator is None else None

    @property
    def keys_url(self) -> str | None:
        """Where the keys are, as a URL; None: in `keys_file`."""
        return self.store if self.keys == BESIDE_SESSIONS else self.keys

    @property
    def keys_place(self) -> str:
        """What holds the keys, in words, to be shown."""
        url = self.keys_url
        return f"the keys file {self.keys_file}" if url is None else f"the key ring in {urls.masked(url)}"

    @property
    def seal(self) -> Seal | None:
        """What the stored keys are encrypted with; None: they are kept in clear."""
        if self.keys_passphrase is not None and self.keys_key is not None:
            raise ConfigurationError("keys_passphrase and keys_key: one of them is enough")
        for name in ("keys_passphrase", "keys_key"):
            check_secret(BY_NAME[name], getattr(self, name))
        if self.keys_key is not None:
            return Seal.from_key(self.keys_key)
        return None if self.keys_passphrase is None else Seal.from_passphrase(self.keys_passphrase)

    @property
    def url(self) -> str:
        """Where the server listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach the server."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as every surface shows it.

    Attributes:
        name: Its name in code and in the file.
        kind: What its values are.
        optional: Whether `none` is a value.
        choices: The only values, if it is a choice.
        default: Its value when nobody sets it.
        help: What it does.
        secret: Whether its value is shown to nobody, and taken from no command line.
    """

    name: str
    kind: Kind
    optional: bool
    choices: tuple[str, ...]
    default: Any
    help: str
    secret: bool = False

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"KEYTURN_{self.name.upper()}"

    def read(self, value: object) -> Any:  # noqa: ANN401  (each setting has a type of its own)
        """Turn a value, as a file or a person gives it, into what `Settings` takes.

        Raises:
            ConfigurationError: It is no value of this setting.
        """
        text = value.strip() if isinstance(value, str) else None
        if value is None or (text is not None and self.optional and text.lower() in NOTHING):
            return None
        match self.kind:
            case "duration" if not isinstance(value, bool) and isinstance(value, str | int | float):
                return seconds(value, name=self.name)
            case "switch":
                return self._read_switch(value)
            case "number" if isinstance(value, int) and not isinstance(value, bool):
                return value
            case "number" if text and re.fullmatch(r"\d{1,9}", text, re.ASCII):
                return int(text)
            case "choice" if text is not None:
                return self._read_choice(text)
            case "list":
                return self._read_list(value)
            case "text" if text is not None:
                return text
            case _:
                found = "something else" if self.secret else repr(value)
                raise ConfigurationError(f"{self.name} must be a {self.kind}, not {found}")

    def _read_switch(self, value: object) -> bool:
        word = str(value).strip().lower()
        if word not in _TRUE | _FALSE:
            raise ConfigurationError(f"{self.name} must be true or false, not {value!r}")
        return word in _TRUE

    def _read_choice(self, text: str) -> str:
        for choice in self.choices:
            if choice.lower() == text.lower():
                return choice
        raise ConfigurationError(f"{self.name} must be one of {', '.join(self.choices)}, not {text!r}")

    def _read_list(self, value: object) -> tuple[str, ...]:
        parts: Sequence[object] = re.split(r"[,\s]+", value) if isinstance(value, str) else _items(value)
        if not all(isinstance(part, str) for part in parts):
            raise ConfigurationError(f"{self.name} must be a list of texts")
        return tuple(str(part) for part in parts if part)


def rate_of(text: str) -> limits.RateLimitItem:
    """Read a rate such as `10/minute` or `100/hour`.

    Raises:
        ConfigurationError: It is no rate.
    """
    try:
        (rate,) = limits.parse_many(text)  # several would not all be held to
    except ValueError:
        raise ConfigurationError(f"login_rate must be like 10/minute, or off, not {text!r}") from None
    if rate.amount < 1:
        raise ConfigurationError("login_rate must let at least one attempt through, or be off")
    return rate


def check_secret(setting: Setting, value: str | None) -> None:
    """Refuse a secret that is empty: who gave it meant to give one.

    Raises:
        ConfigurationError: It is empty.
    """
    if value is not None and not value.strip():
        raise ConfigurationError(f"{setting.variable} is empty: unset it, or give the secret")


def check_names(names: Mapping[str, object], *, where: str) -> None:
    """Refuse names that are no settings.

    Args:
        names: What a file has.
        where: The file, for the message.

    Raises:
        ConfigurationError: Names the unknown key, and the nearest right one.
    """
    for name in names:
        if name not in BY_NAME:
            nearest = get_close_matches(name, BY_NAME, n=1, cutoff=0.0)[0]
            raise ConfigurationError(f"{where}: there is no setting {name!r}; did you mean {nearest!r}?")


def _check_places(store: str, users: str | None, keys: str | None) -> None:
    if keys == MEMORY:
        raise ConfigurationError(f"keys: {MEMORY} would forget them: leave them in keys_file")
    for name, url in (("store", store), ("users", users), ("keys", keys)):
        if url is None:
            continue
        try:
            kind = urls.kind_of(url)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}") from None
        if name == "users" and url != MEMORY and not kind.is_sql:
            raise ConfigurationError(
                f"users: {kind.name} keeps sessions only; users need an SQL database, such as {DEFAULT_STORE}"
            )


def _items(value: object) -> tuple[object, ...]:
    match value:
        case list() | tuple():
            return tuple(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case _:
            return (value,)


def _kind(hint: object) -> tuple[Kind, bool, tuple[str, ...]]:
    """Tell the kind of a field from its type, whether it may be None, and its choices."""
    if get_origin(hint) is Span:
        return "duration", NoneType in get_args(get_args(hint)[1]), ()
    inner = [one for one in get_args(hint) if one is not NoneType]
    if get_origin(hint) is Literal:
        return "choice", False, get_args(hint)
    if get_origin(hint) is tuple:
        return "list", False, ()
    if isinstance(hint, type):
        kinds: dict[type, Kind] = {bool: "switch", int: "number", str: "text"}
        return kinds[hint], False, ()
    if len(inner) != 1:
        raise TypeError(f"a setting cannot have the type {hint!r}")
    return _kind(inner[0])[0], True, ()


def _descriptions(owner: type) -> dict[str, str]:
    """Read the `Attributes:` section of a docstring."""
    section = (inspect.getdoc(owner) or "").partition("\nAttributes:\n")[2].partition("\n\n")[0]
    found = re.split(r"(?m)^    (\w+): ", section)[1:]
    return {name: " ".join(text.split()) for name, text in zip(found[::2], found[1::2], strict=True)}


def _table() -> tuple[Setting, ...]:
    hints = get_type_hints(Settings)
    told = _descriptions(Policy) | _descriptions(HttpSettings) | _descriptions(Settings)
    # The server's own come first, then the HTTP layer's, then the policy's: a name's last place counts.
    owners = (Settings, HttpSettings, Policy)
    place = {name: at for at, name in enumerate(one.name for owner in owners for one in fields(owner))}
    ordered = sorted(fields(Settings), key=lambda one: place[one.name])
    return tuple(
        Setting(
            one.name,
            *_kind(hints[one.name]),
            default=one.default,
            help=told.get(one.name, ""),
            secret=_SECRET.items() <= one.metadata.items(),
        )
        for one in ordered
        if get_origin(hints[one.name]) is not Callable  # code, which no file and no flag can give
    )


SETTINGS: Final[tuple[Setting, ...]] = _table()
"""Every setting."""

BY_NAME: Final[Mapping[str, Setting]] = {setting.name: setting for setting in SETTINGS}
"""Every setting by its name."""
