"""What Django calls when a password has changed: it ends the user's sessions. It judges no password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyturn.django.conf import get_manager
from keyturn.django.users import user_id_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser


class EndSessions:
    """An entry of `AUTH_PASSWORD_VALIDATORS` that ends all sessions of a user whose password has changed.

    Django calls it from `user.save()` after `user.set_password(…)`. Where that is inside `atomic()`, the new
    password and the end of the sessions stand or fall together. A hash that Django renews by itself at a
    sign-in is no change.
    """

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """Accept every password."""

    def get_help_text(self) -> str:
        """Have nothing to say to who chooses a password."""
        return ""

    def password_changed(self, password: str, user: AbstractBaseUser | None = None) -> None:  # noqa: ARG002
        """End the user's sessions.

        Raises:
            StoreError: They could not be ended.
        """
        if user is not None and user.pk is not None:
            get_manager().revoke_user(user_id_of(user), reason="user")
