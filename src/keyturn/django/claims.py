"""What the application says of a user at each refresh: whether they may go on, and their claims of today.

It knows no manager and no token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, sync_to_async

from keyturn.django.users import find_user
from keyturn.errors import UserInactive
from keyturn.http import is_awaited
from keyturn.results import KEEP_CLAIMS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from keyturn.django.settings import Settings


def loader(settings: Settings) -> Callable[[str], Any] | None:
    """Give what a manager for threads asks at each refresh; None: nothing is to be asked."""
    return _Loader(settings).load if _asks(settings) else None


def async_loader(settings: Settings) -> Callable[[str], Awaitable[Any]] | None:
    """Give what a manager for asyncio asks at each refresh; see `loader`."""
    return _Loader(settings).aload if _asks(settings) else None


def claims_of(user: Any, settings: Settings) -> Any:  # noqa: ANN401  (the project's user model, its claims)
    """Give a user's claims of today; `KEEP_CLAIMS` where the application loads none."""
    load = settings.load_claims
    if load is None:
        return KEEP_CLAIMS
    return async_to_sync(load)(user) if is_awaited(load) else load(user)


class _Loader:
    """Asks for a user at each refresh: whether they may go on, and for their claims."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def load(self, user_id: str) -> Any:  # noqa: ANN401  (the application's)
        """Give the claims.

        Raises:
            UserInactive: There is no such user, or they may not go on.
        """
        return claims_of(self._find(user_id), self._settings)

    async def aload(self, user_id: str) -> Any:  # noqa: ANN401  (the application's)
        """Give the claims: see `load`."""
        claims = self._settings.load_claims
        if claims is None or not is_awaited(claims):
            return await sync_to_async(self.load)(user_id)
        return await claims(await sync_to_async(self._find)(user_id))

    def _find(self, user_id: str) -> Any:  # noqa: ANN401  (the project's user model)
        user = find_user(user_id)
        if user is None or not self._settings.allows(user):
            raise UserInactive
        return user


def _asks(settings: Settings) -> bool:
    return settings.load_claims is not None or settings.user_is_allowed is not None
