"""Who asks, as Starlette has it: `request.user` and `request.auth`. It knows no route and no token."""

from __future__ import annotations

from typing import Any

from starlette.authentication import AuthCredentials, BaseUser, SimpleUser, UnauthenticatedUser
from starlette.types import Scope

from keyturn.http import Admitted
from keyturn.results import Principal


class CurrentUser(SimpleUser):
    """`request.user` of an admitted request; `principal` is who its access token speaks for."""

    def __init__(self, principal: Principal[Any]) -> None:
        """Show the user's id as the name."""
        super().__init__(principal.user_id)
        self.principal = principal

    @property
    def identity(self) -> str:
        """The user's id."""
        return self.principal.user_id


def identity_of(admitted: Admitted) -> tuple[AuthCredentials, BaseUser]:
    """Give what Starlette's authentication tells a request."""
    if admitted.principal is None:
        return AuthCredentials(), UnauthenticatedUser()
    return AuthCredentials(["authenticated", *admitted.scopes]), CurrentUser(admitted.principal)


def admit(scope: Scope, admitted: Admitted) -> None:
    """Tell a request who asks."""
    scope["auth"], scope["user"] = identity_of(admitted)
