"""What the commands open: the database, its sessions and its users. It knows no command."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from keyturn.errors import InvalidInput
from keyturn.keys import KeyRing
from keyturn.manager import TokenManager
from keyturn.server.opening import open_engine, open_users
from keyturn.server.settings import Settings
from keyturn.server.users import Users
from keyturn.stores.protocol import Where
from keyturn.stores.sqlalchemy import SQLAlchemyStore


@dataclass(frozen=True, slots=True)
class Opened:
    """An open database.

    Attributes:
        store: Its sessions.
        users: Its users.
        manager: Ends sessions and purges; it has a key of its own, so no token from it is worth anything.
    """

    store: SQLAlchemyStore
    users: Users
    manager: TokenManager

    def user_id(self, name_or_id: str) -> str:
        """Give a user's id by name; with an own authenticator, an id that has sessions counts too.

        Raises:
            InvalidInput: There is neither: a typo must not look like success.
        """
        user = self.users.find(name_or_id)
        if user is not None:
            return user.id
        if not self.store.count(Where(user_id=name_or_id)):
            raise InvalidInput(f"There is no user {name_or_id!r}, and no session of such an id.")
        return name_or_id


@contextmanager
def opened(settings: Settings) -> Generator[Opened]:
    """Open the database for one command; it must be there.

    Raises:
        ConfigurationError: It is not there.
        StoreError: It cannot be used.
    """
    engine = open_engine(settings, create=False)
    store = SQLAlchemyStore(engine)
    manager = TokenManager(
        store=store, keys=KeyRing.generate(), policy=settings, issuer="keyturn", audience="keyturn"
    )
    try:
        yield Opened(store, open_users(engine), manager)
    finally:
        manager.close()
        engine.dispose()


def end_sessions(database: Opened, user_id: str) -> str:
    """End all sessions of a user, and say how many there were.

    Raises:
        InvalidInput: That cannot be a user's id.
    """
    if not user_id:
        raise InvalidInput("A user is needed.")
    count = database.manager.revoke_user(user_id, reason="admin")
    return f"{count} session{'' if count == 1 else 's'} ended."
