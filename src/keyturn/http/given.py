"""Whether what an application hands in is what it is taken for, at the start. It knows no request."""

from __future__ import annotations

from typing import Final

from keyturn.errors import ConfigurationError
from keyturn.http.calls import is_awaited
from keyturn.http.page import Page
from keyturn.http.settings import HttpSettings
from keyturn.manager import AsyncTokenManager, TokenManager

_DRIVEN: Final[dict[type[object], str]] = {TokenManager: "threads", AsyncTokenManager: "an event loop"}


def check_manager(manager: object, wanted: type[TokenManager | AsyncTokenManager]) -> None:
    """Accept a manager of the colour that is wanted.

    Raises:
        ConfigurationError: It is of the other one; a class; or none.
    """
    if isinstance(manager, wanted):
        return
    name, given = wanted.__name__, _kind(manager)
    if isinstance(manager, TokenManager | AsyncTokenManager):
        raise ConfigurationError(f"this framework has {_DRIVEN[wanted]}: give {_one(name)}, not {given}")
    raise ConfigurationError(f"the manager must be what {name}(store=…, keys=…, …) makes, not {given}")


def check_login(login: object, *, threads: bool) -> None:
    """Accept a login check; None is none.

    Raises:
        ConfigurationError: It cannot be called; or nobody would await it.
    """
    if login is None:
        return
    if not callable(login):
        raise ConfigurationError(
            f"login must be a function of a user name and a password, not {_kind(login)}"
        )
    if threads and is_awaited(login):
        raise ConfigurationError("this framework has threads: login must be a plain def, not an async def")


def check_page(page: object) -> None:
    """Accept a page of a user's sessions; None is none.

    Raises:
        ConfigurationError: It is something else.
    """
    if page is not None and (isinstance(page, type) or not isinstance(page, Page)):
        raise ConfigurationError(f"sessions_page must be SessionsPage(…) of keyturn.pages, not {_kind(page)}")


def settings_of(settings: object) -> HttpSettings:
    """Give the settings; None: the defaults.

    Raises:
        ConfigurationError: They are something else.
    """
    if settings is None:
        return HttpSettings()
    if not isinstance(settings, HttpSettings):
        raise ConfigurationError(f"settings must be HttpSettings(…), not {_kind(settings)}")
    return settings


def _kind(value: object) -> str:
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else _one(type(value).__name__)


def _one(name: str) -> str:
    """Put the article before a name.

    Examples:
        >>> _one("AsyncTokenManager"), _one("dict")
        ('an AsyncTokenManager', 'a dict')
    """
    return f"{'an' if name[0] in 'AEIOUaeio' else 'a'} {name}"
