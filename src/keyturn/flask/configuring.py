"""What an application is set up with: its configuration, its manager, its end. It knows no request."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Final, cast

from flask import Flask

from keyturn.errors import ConfigurationError
from keyturn.http import HttpSettings
from keyturn.http.given import check_manager as check_colour
from keyturn.manager import TokenManager

_KEYS: Final = "KEYTURN_"
_CLOSE: Final = 0.8  # how much alike two names are, of 1, when one is the other misspelt


def configured(app: Flask, settings: HttpSettings) -> HttpSettings:
    """Take the settings from the application's configuration, and fill in there what it leaves open.

    Raises:
        ConfigurationError: One is not usable, or is misspelt. Other keys may be the application's own.
    """
    config = cast("dict[str, Any]", app.config)
    names = {f"{_KEYS}{field.name.upper()}": field.name for field in fields(settings)}
    known = [key.removeprefix(_KEYS) for key in names]
    for key in [key for key in config if key.startswith(_KEYS) and key not in names]:
        if meant := get_close_matches(key.removeprefix(_KEYS), known, n=1, cutoff=_CLOSE):
            raise ConfigurationError(f"there is no setting {key}: write {_KEYS}{meant[0]}")
    return HttpSettings(
        **{name: config.setdefault(key, getattr(settings, name)) for key, name in names.items()}
    )


def check_manager(manager: object) -> None:
    """Accept a manager for threads; an application in its place is a usual mistake.

    Raises:
        ConfigurationError: It is something else.
    """
    if isinstance(manager, Flask):
        raise ConfigurationError("the manager comes first: auth = Keyturn(manager), then auth.init_app(app)")
    check_colour(manager, TokenManager)
