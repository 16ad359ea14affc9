"""The settings: one dict, `KEYTURN`, read and checked as a whole. They know no manager and no database.

The keys are the fields of `keyturn.Policy` and of `keyturn.http.HttpSettings` in capitals, and those of
`OWN`. Whatever is wrong is a `Problem`, which `manage.py check` shows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

from django.utils.module_loading import import_string

from keyturn._core.claims import codec_for
from keyturn.django.rates import Rate
from keyturn.errors import ConfigurationError
from keyturn.http import HttpSettings
from keyturn.http.guard import check_paths
from keyturn.http.places import Places
from keyturn.http.routes import places_of
from keyturn.policy import Policy

if TYPE_CHECKING:
    from pathlib import Path

    from keyturn.http import LoginThrottle, Page, Requirements

T = TypeVar("T")

NAME: Final = "KEYTURN"
OWN: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "ISSUER": None,
        "AUDIENCE": None,
        "KEYS": None,
        "STORE": None,
        "ASYNC_STORE": None,
        "DATABASE": None,
        "CLAIMS": None,
        "LOAD_CLAIMS": None,
        "USER_IS_ALLOWED": "keyturn.django.users.is_active",
        "LOGIN": None,
        "LOGIN_RATE": "10/minute",
        "THROTTLE": None,
        "SESSIONS_PAGE": None,
        "EXEMPT": None,
        "REQUIRE": None,
        "MANAGER": None,
        "ASYNC_MANAGER": None,
    }
)
"""The keys beside those of `Policy` and `HttpSettings`, with their defaults."""

_OF_POLICY: Final = frozenset(field.name.upper() for field in fields(Policy))
_OF_HTTP: Final = frozenset(field.name.upper() for field in fields(HttpSettings))
KEYS: Final = _OF_POLICY | _OF_HTTP | OWN.keys()
"""Every key that there is."""
_OF_MANAGER: Final = _OF_POLICY | {"ISSUER", "AUDIENCE", "KEYS", "STORE", "ASYNC_STORE", "DATABASE", "CLAIMS"}

_FIELD: Final = re.compile(rf"\b(?:{'|'.join(sorted(key.lower() for key in _OF_POLICY | _OF_HTTP))})\b")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that makes the settings unusable.

    Attributes:
        id: The id of the system check that shows it.
        message: What is wrong; it names the key.
        hint: What to do.
    """

    id: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings, read.

    Attributes:
        policy: Lifetimes, windows and choices.
        http: How tokens travel.
        issuer: `iss` of the access tokens.
        audience: `aud` of the access tokens.
        keys: What holds the keys: a file, a URL, a ring; None: they are derived from `SECRET_KEY`.
        store: What holds the sessions: a URL, a store, what makes one; None: the ORM.
        async_store: The same for asyncio, where `store` is no URL.
        database: The alias of the ORM's database; None: as the routers say.
        claims: The claims model; None: a dict.
        load_claims: Gives a user's claims at each refresh; None: those of the sign-in are kept.
        user_is_allowed: Says whether a user may go on; None: nobody is asked.
        login: Says who a user name and a password belong to; None: Django's own sign-in; False: there is no
            `/login`.
        login_rate: How many attempts to sign in are let through, per account and per address; None: all.
        throttle: Slows sign-ins down besides; None: nothing does.
        sessions_page: The page on which users see and end their sessions; None: there is none.
        exempt: Paths that need no token; None: not all paths are guarded.
        require: What paths need; None: not all paths are guarded.
        manager: What makes the manager for threads; None: the settings do.
        async_manager: The same for asyncio; called once for each event loop.
    """

    policy: Policy
    http: HttpSettings
    issuer: str
    audience: str
    keys: str | Path | Any | None
    store: str | Any | None
    async_store: Any | None
    database: str | None
    claims: type[Any] | None
    load_claims: Callable[[Any], Any] | None
    user_is_allowed: Callable[[Any], bool] | None
    login: Callable[..., Any] | Literal[False] | None
    login_rate: str | None
    throttle: LoginThrottle | None
    sessions_page: Page | None
    exempt: tuple[str, ...] | None
    require: Requirements | None
    manager: Any | None
    async_manager: Any | None

    @property
    def makes_managers(self) -> bool:
        """Whether managers are made from these settings, and not by the application."""
        return self.manager is None and self.async_manager is None

    @property
    def places(self) -> Places:
        """Where the endpoints are."""
        return places_of(self.http, self.sessions_page)

    @property
    def guards_paths(self) -> bool:
        """Whether all paths are guarded, but for those that are exempt."""
        return not (self.exempt is None and self.require is None)

    def allows(self, user: Any) -> bool:  # noqa: ANN401  (the project's user model)
        """Tell whether a user may go on."""
        return self.user_is_allowed is None or bool(self.user_is_allowed(user))


def read(given: object) -> Settings:
    """Read the settings.

    Args:
        given: The dict; None where the project has none.

    Raises:
        ConfigurationError: They are not usable; the message names the key.
    """
    settings, problems = examine(given)
    if settings is None:
        raise ConfigurationError(f"{problems[0].message} {problems[0].hint}")
    return settings


def examine(given: object) -> tuple[Settings | None, list[Problem]]:
    """Read the settings, and tell all that is wrong.

    Returns:
        The settings, or None where there is a problem.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        return None, [Problem("keyturn.E001", f"{NAME} is no dict.", f'Write {NAME} = {{"ISSUER": …}}.')]
    values = {**OWN, **cast("Mapping[str, Any]", given)}
    problems = [_unknown(key) for key in values if key not in KEYS]
    own_manager = [key for key in ("MANAGER", "ASYNC_MANAGER") if values[key] is not None]
    problems += [
        Problem(
            "keyturn.E003",
            f"{NAME}[{key!r}] has no effect beside {NAME}[{own_manager[0]!r}].",
            "Set it where that makes its manager.",
        )
        for key in cast("Mapping[str, Any]", given)
        if own_manager and key in _OF_MANAGER
    ]
    problems += [
        Problem(
            "keyturn.E002",
            f"{NAME}[{key!r}] is missing, or no text.",
            "ISSUER names who issues the tokens, usually the site's URL; AUDIENCE whom they are for, such as "
            "the name of the API.",
        )
        for key in ("ISSUER", "AUDIENCE")
        if not own_manager and (not isinstance(values[key], str) or not values[key])
    ]
    policy = _made(Policy, _OF_POLICY, values, problems)
    http = _made(
        HttpSettings, _OF_HTTP, _resolved(values, ("DEVICE_FROM", "CONTEXT_FROM"), problems), problems
    )
    own = _resolved(
        values,
        ("CLAIMS", "LOAD_CLAIMS", "USER_IS_ALLOWED", "LOGIN", "THROTTLE", "SESSIONS_PAGE", "ASYNC_STORE"),
        problems,
    )
    _check_own(own, http, problems)
    if policy is None or http is None or problems:
        return None, problems
    rest: dict[str, Any] = {key.lower(): own[key] for key in OWN}
    if rest["exempt"] is not None:
        rest["exempt"] = tuple(rest["exempt"])
    return Settings(policy=policy, http=http, **rest), problems


def _unknown(key: object) -> Problem:
    near = get_close_matches(str(key).upper(), sorted(KEYS), n=1, cutoff=0.6)
    hint = f"Did you mean {near[0]!r}?" if near else f"The keys are: {', '.join(sorted(KEYS))}."
    return Problem("keyturn.E001", f"{NAME} has no key {key!r}.", hint)


def _made(
    kind: Callable[..., T], names: Iterable[str], values: Mapping[str, Any], problems: list[Problem]
) -> T | None:
    try:
        return kind(**{key.lower(): values[key] for key in names if key in values})
    except (ConfigurationError, TypeError) as error:
        said = _FIELD.sub(lambda found: f"{NAME}[{found[0].upper()!r}]", str(error))
        problems.append(Problem("keyturn.E003", f"{said}.", "See the table of settings in how-to/django.md."))
        return None


def _resolved(values: Mapping[str, Any], keys: Iterable[str], problems: list[Problem]) -> dict[str, Any]:
    """Put in place of dotted paths what they name."""
    found = dict(values)
    for key in keys:
        if isinstance(found.get(key), str):
            try:
                found[key] = import_string(found[key])
            except ImportError as error:
                problems.append(
                    Problem(
                        "keyturn.E004",
                        f"{NAME}[{key!r}]: {error}.",
                        "Write a dotted path: 'app.module.name'.",
                    )
                )
                found[key] = None
    return found


def _check_own(own: Mapping[str, Any], http: HttpSettings | None, problems: list[Problem]) -> None:
    called = {key: own[key] for key in ("LOAD_CLAIMS", "USER_IS_ALLOWED", "LOGIN") if own[key] is not None}
    wrong = [
        (key, "cannot be called")
        for key, value in called.items()
        if not callable(value) and (key, value) != ("LOGIN", False)
    ]
    exempt, require = own["EXEMPT"], own["REQUIRE"]
    if exempt is not None and (isinstance(exempt, str) or not isinstance(exempt, Iterable)):
        wrong.append(("EXEMPT", "must be a list of paths such as ['/public/*']"))
        exempt = ()
    if require is not None and not isinstance(require, Mapping):
        wrong.append(("REQUIRE", "must be a dict such as {'/staff/*': {'roles': 'admin'}}"))
        require = {}
    free = tuple(cast("Iterable[str]", exempt or ()))
    for key, check in (
        ("EXEMPT", lambda: check_paths(free, {})),
        ("REQUIRE", lambda: check_paths(free, cast("Requirements", require or {}))),
        ("LOGIN_RATE", lambda: Rate.read(own["LOGIN_RATE"])),
        ("CLAIMS", lambda: codec_for(own["CLAIMS"])),
        ("SESSIONS_PAGE", lambda: places_of(http or HttpSettings(), own["SESSIONS_PAGE"])),
    ):
        try:
            check()
        except ConfigurationError as error:
            wrong.append((key, f"is not usable: {error}"))
    if own["DATABASE"] is not None and not isinstance(own["DATABASE"], str):
        wrong.append(("DATABASE", "must be an alias of DATABASES"))
    problems += [
        Problem("keyturn.E003", f"{NAME}[{key!r}] {what}.", "See the table of settings in how-to/django.md.")
        for key, what in wrong
    ]
