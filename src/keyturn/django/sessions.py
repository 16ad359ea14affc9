"""Which session model a project has. It knows no table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.conf import settings

from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from keyturn.django.models import AbstractSession

SETTING: Final = "KEYTURN_SESSION_MODEL"
DEFAULT: Final = "keyturn.Session"


def get_session_model() -> type[AbstractSession]:
    """Give the session model: `KEYTURN_SESSION_MODEL`, such as "accounts.Session", or Keyturn's own.

    Raises:
        ConfigurationError: There is no such model, or it does not derive from `AbstractSession`.
    """
    from keyturn.django.models import AbstractSession  # noqa: PLC0415  (this module is loaded before them)

    name = getattr(settings, SETTING, DEFAULT)
    try:
        model: type[Any] = apps.get_model(name, require_ready=False)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{SETTING}: there is no model {name!r}; write 'app_label.Model'") from error
    if not issubclass(model, AbstractSession):
        raise ConfigurationError(f"{SETTING}: {name} must derive from keyturn.django.models.AbstractSession")
    return model
