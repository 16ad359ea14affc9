"""System checks: a wrong configuration fails at `manage.py check`, not at the first request.

The ids are in how-to/django.md. Those of `deploy` are shown by `manage.py check --deploy` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings
from django.core import checks
from django.db import connections, router

from keyturn.django.http_checks import check_counting, check_serving
from keyturn.django.keys import check_keys, is_url
from keyturn.django.sessions import get_session_model
from keyturn.django.settings import NAME, Settings, examine
from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.stores.urls import MEMORY, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.apps import AppConfig

VALIDATOR: Final = "keyturn.django.validators.EndSessions"
TESTED: Final = frozenset({"sqlite", "postgresql", "mysql"})


def register_all() -> None:
    """Have Django run them."""
    checks.register(check_settings, checks.Tags.security)
    checks.register(check_deployment, checks.Tags.security, deploy=True)
    checks.register(check_serving, checks.Tags.security)
    checks.register(check_counting, checks.Tags.security, deploy=True)


def check_settings(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:  # noqa: ANN401, ARG001
    """Find what makes Keyturn unusable, and what is unsafe everywhere."""
    settings, problems = examine(getattr(django_settings, NAME, None))
    found: list[checks.CheckMessage] = [
        checks.Error(each.message, hint=each.hint, id=each.id) for each in problems
    ]
    if settings is None:
        return found
    if settings.makes_managers:
        found += _keys(settings)
        found += _places(settings) if settings.store is None else _other_store(settings)
    found += _passwords()
    return found


def check_deployment(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:  # noqa: ANN401, ARG001
    """Find what should not go into production."""
    settings, _problems = examine(getattr(django_settings, NAME, None))
    if settings is None:
        return []  # said by the other
    alias = _alias(settings) if settings.makes_managers and settings.store is None else None
    is_sqlite = alias is not None and connections[alias].vendor == "sqlite"
    tests: tuple[tuple[bool, str, str, str], ...] = (
        (
            not settings.http.cookie_secure,
            "keyturn.W010",
            f"{NAME}['COOKIE_SECURE'] is False: refresh tokens travel in clear over plain HTTP.",
            "Set it to True, which is the default, and serve over HTTPS.",
        ),
        (
            settings.keys is None and settings.makes_managers,
            "keyturn.W011",
            "The signing keys are derived from SECRET_KEY.",
            f"Whoever knows it can sign for anybody. Give {NAME}['KEYS'] a key file, or silence this.",
        ),
        (
            settings.policy.revocation == "none",
            "keyturn.W012",
            f"{NAME}['REVOCATION'] is 'none': a revoked session's access tokens go on until they expire.",
            "Leave it out, or keep ACCESS_TTL short and silence this.",
        ),
        (
            settings.policy.on_store_error == "allow",
            "keyturn.W013",
            f"{NAME}['ON_STORE_ERROR'] is 'allow': while the database is out, revocations do not act.",
            "Leave it out, or silence this.",
        ),
        (
            is_sqlite,
            "keyturn.W014",
            "The sessions are in SQLite, which has one writer at a time.",
            "It does for one machine with few sign-ins; with many workers, use PostgreSQL.",
        ),
        (
            not settings.policy.rotation,
            "keyturn.W015",
            f"{NAME}['ROTATION'] is False: a stolen refresh token goes unnoticed.",
            "Leave it out, or silence this.",
        ),
    )
    return [checks.Warning(message, hint=hint, id=name) for wrong, name, message, hint in tests if wrong]


def _keys(settings: Settings) -> Iterator[checks.CheckMessage]:
    try:
        check_keys(settings.keys)
    except (KeyturnError, ImportError) as error:
        hint = "Name a key file, the URL of a key store, or a dotted path; or leave it out."
        yield checks.Error(f"{NAME}['KEYS']: {error}", hint=hint, id="keyturn.E005")


def _alias(settings: Settings) -> str | None:
    """Give the database of the sessions, if the settings lead to one."""
    try:
        model = get_session_model()
    except ConfigurationError:
        return None
    alias: str = settings.database or router.db_for_write(model)
    return alias if alias in connections else None


def _places(settings: Settings) -> Iterator[checks.CheckMessage]:
    """Look at where the ORM keeps the sessions."""
    from keyturn.django.models import Denial, TrailLine, UserLock  # noqa: PLC0415  (models are there only now)

    try:
        model = get_session_model()
    except ConfigurationError as error:
        yield checks.Error(f"{error}.", hint="Leave it out to use Keyturn's own model.", id="keyturn.E006")
        return
    alias = _alias(settings)
    if alias is None:
        yield checks.Error(
            f"{NAME}['DATABASE'] or a router names a database that is not in DATABASES.",
            hint=f"There are: {', '.join(connections)}.",
            id="keyturn.E007",
        )
        return
    beside: tuple[type[Any], ...] = (Denial, TrailLine, UserLock)
    elsewhere = [each.__name__ for each in beside if not router.allow_migrate_model(alias, each)]
    if not router.allow_migrate_model(alias, model) or elsewhere:
        yield checks.Error(
            f"The routers do not let all of Keyturn's tables be in the database {alias!r}.",
            hint="Sessions, denials and the audit trail must be in one: see allow_migrate of your routers.",
            id="keyturn.E007",
        )
    connection: Any = connections[alias]
    if connection.vendor not in TESTED:
        yield checks.Warning(
            f"Keyturn is not tested on {connection.display_name}.",
            hint="It is on PostgreSQL, MariaDB, MySQL and SQLite; or give the sessions a STORE of their own.",
            id="keyturn.W003",
        )
    if connection.settings_dict["ATOMIC_REQUESTS"]:
        yield checks.Warning(
            f"ATOMIC_REQUESTS is on for the database {alias!r}: a refresh cannot run in a transaction.",
            hint="Keyturn's own views opt out. Put @transaction.non_atomic_requests on yours that refresh, "
            "and silence this.",
            id="keyturn.W002",
        )


def _other_store(settings: Settings) -> Iterator[checks.CheckMessage]:
    if not isinstance(settings.store, str) or not is_url(settings.store):
        return
    try:
        kind_of(settings.store)
    except ConfigurationError as error:
        yield checks.Error(
            f"{NAME}['STORE']: {error}.", hint="Or leave it out to use the ORM.", id="keyturn.E008"
        )
    if settings.store == MEMORY and not django_settings.DEBUG:
        yield checks.Warning(
            f"{NAME}['STORE'] is {MEMORY}: each process has its own, and forgets them at its end.",
            hint="Leave it out to use the ORM.",
            id="keyturn.W004",
        )


def _passwords() -> Iterator[checks.CheckMessage]:
    if all(each.get("NAME") != VALIDATOR for each in django_settings.AUTH_PASSWORD_VALIDATORS):
        yield checks.Warning(
            "A new password does not end the user's sessions.",
            hint=f'Add {{"NAME": "{VALIDATOR}"}} to AUTH_PASSWORD_VALIDATORS; or call '
            "get_manager().revoke_user() where passwords change, and silence this.",
            id="keyturn.W001",
        )
