"""What the commands of `manage.py` share. It knows no table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from keyturn.django.users import find_user, user_id_of

if TYPE_CHECKING:
    from keyturn.manager import TokenManager


def user_id_from(named: str, manager: TokenManager[Any]) -> str:
    """Give the id of a user by name or by id. One who is gone counts while there are sessions.

    Args:
        named: What was typed.
        manager: Knows the sessions.

    Raises:
        CommandError: There is neither: a typo must not look like success.
    """
    model: Any = get_user_model()
    by_name = model._default_manager.filter(**{model.USERNAME_FIELD: named})  # noqa: SLF001  (as Django has it)
    user = by_name.first() or find_user(named)
    if user is not None:
        return user_id_of(user)
    if manager.sessions(named, active=False, limit=1):
        return named
    raise CommandError(f"There is no user {named!r}, and no session of such an id.")
