"""The way between Django's users and the user ids in tokens. It knows no token and no session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import router

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.auth.models import AbstractBaseUser


def user_id_of(user: AbstractBaseUser) -> str:
    """Give the id of a user as it is in tokens: the primary key as Django writes it in fixtures.

    Args:
        user: A saved user, with a key of any kind: a number, a UUID, text.
    """
    return str(_key().value_to_string(user))


def find_user(user_id: str) -> AbstractBaseUser | None:
    """Find the user of an id; None where there is none, or the text is no key.

    Args:
        user_id: As in tokens.
    """
    return find_users([user_id]).get(user_id)


def find_users(user_ids: Iterable[str]) -> dict[str, AbstractBaseUser]:
    """Find the users of some ids, in one statement; those that there are not are left out."""
    keys = {text: key for text in user_ids if (key := _read(text)) is not None}
    if not keys:
        return {}
    model = get_user_model()
    # Where they are written: a replica may not have heard yet that one may not go on.
    users = model._default_manager.using(router.db_for_write(model))  # noqa: SLF001  (as Django has it)
    found = users.in_bulk(list(set(keys.values())))
    # What is no key as it is written in tokens is nobody's: one spelling per user.
    return {text: found[key] for text, key in keys.items() if key in found and user_id_of(found[key]) == text}


def is_active(user: AbstractBaseUser) -> bool:
    """Tell whether a user may go on, as Django's own sign-in does."""
    return bool(user.is_active)


def _key() -> Any:  # noqa: ANN401  (a field of any kind)
    return get_user_model()._meta.pk  # noqa: SLF001  (Django's documented name)


def _read(user_id: str) -> Any:  # noqa: ANN401  (the key's own type)
    try:
        return _key().to_python(user_id)
    except (ValidationError, ValueError, TypeError, OverflowError):
        return None
