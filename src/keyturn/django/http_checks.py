"""System checks of what Keyturn serves and guards over HTTP. The ids are in how-to/django-views.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.urls import NoReverseMatch, URLResolver, get_resolver, reverse
from django.utils.module_loading import import_string

from keyturn.django.settings import NAME, Settings, examine
from keyturn.django.throttle import increments
from keyturn.http.guard import covers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from django.apps import AppConfig

MIDDLEWARE: Final = "keyturn.django.middleware.KeyturnMiddleware"
DJANGOS: Final = "django.contrib.auth.middleware.AuthenticationMiddleware"
_ALONE: Final = frozenset({"LocMemCache", "DummyCache"})


def check_serving(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:  # noqa: ANN401, ARG001
    """Find what would leave paths unguarded, or shut people out."""
    settings, _problems = examine(getattr(django_settings, NAME, None))
    if settings is None:
        return []  # said by others
    found = [*_middleware(settings), *_admin(settings)]
    if getattr(django_settings, "ROOT_URLCONF", None):
        found += _urls(get_resolver().url_patterns, "")
    return found


def check_counting(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:  # noqa: ANN401, ARG001
    """Find attempts to sign in that are not counted together."""
    settings, _problems = examine(getattr(django_settings, NAME, None))
    if settings is None or settings.login_rate is None or settings.login is False:
        return []
    backend = import_string(django_settings.CACHES["default"]["BACKEND"])
    if backend.__name__ in _ALONE:
        fault = "which workers do not share"
    elif not increments(backend):
        fault = "which does not count in one step: many attempts at once count as few"
    else:
        return []
    message = f"{NAME}['LOGIN_RATE'] counts in the default cache, a {backend.__name__}, {fault}."
    hint = (
        "Give the project a cache that counts for all workers, such as Redis or Memcached; or silence this "
        "where there is one worker."
    )
    return [checks.Warning(message, hint=hint, id="keyturn.W021")]


def _middleware(settings: Settings) -> Iterator[checks.CheckMessage]:
    names = list(django_settings.MIDDLEWARE)
    if MIDDLEWARE not in names:
        if settings.guards_paths:
            yield checks.Error(
                f"{NAME}['EXEMPT'] and {NAME}['REQUIRE'] guard nothing: their middleware is not there.",
                hint=f"Add {MIDDLEWARE!r} to MIDDLEWARE.",
                id="keyturn.E020",
            )
    elif DJANGOS in names and names.index(MIDDLEWARE) < names.index(DJANGOS):
        yield checks.Error(
            "AuthenticationMiddleware would put its own user in the place of the access token's.",
            hint=f"In MIDDLEWARE, put {MIDDLEWARE!r} after {DJANGOS!r}.",
            id="keyturn.E021",
        )


def _admin(settings: Settings) -> Iterator[checks.CheckMessage]:
    if not settings.guards_paths or not apps.is_installed("django.contrib.admin"):
        return
    try:
        page = reverse("admin:index")
    except NoReverseMatch:
        return
    below = f"{page}x/"  # any page of it
    if not all(any(covers(pattern, path) for pattern in settings.exempt or ()) for path in (page, below)):
        yield checks.Warning(
            "The admin is behind the guard by paths: browsers send no access token there.",
            hint=f"Add '{page}*' to {NAME}['EXEMPT']: the admin has a sign-in of its own.",
            id="keyturn.W020",
        )


def _urls(patterns: Iterable[Any], below: str) -> Iterator[checks.CheckMessage]:
    from keyturn.django.urls import EndpointPattern  # noqa: PLC0415  (it reads settings)

    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _urls(pattern.url_patterns, below + str(pattern.pattern))
        elif isinstance(pattern, EndpointPattern) and below:
            yield checks.Error(
                f"The endpoints are included below {below!r}, where nobody finds them.",
                hint=f"path('', include('keyturn.django.urls')), and the whole path in {NAME}['PREFIX'].",
                id="keyturn.E022",
            )
