"""What the commands open: the database, its sessions and its users. It knows no command."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from keyturn.errors import ConfigurationError, InvalidInput
from keyturn.keys import KeyRing
from keyturn.manager import TokenManager
from keyturn.server.databases import has_users, open_engine, open_store, open_users
from keyturn.server.settings import MEMORY, Settings
from keyturn.server.users import User, Users
from keyturn.stores.protocol import Where
from keyturn.stores.urls import OwnStore


@dataclass(frozen=True, slots=True)
class Opened:
    """What a command works on.

    Attributes:
        store: The sessions.
        users: The users; None where nobody has made a place for them.
        manager: Ends sessions and purges; it has a key of its own, so no token from it is worth anything.
    """

    store: OwnStore
    users: Users | None
    manager: TokenManager

    def user_id(self, name_or_id: str) -> str:
        """Give a user's id by name; with an own authenticator, an id that has sessions counts too.

        Raises:
            InvalidInput: There is neither: a typo must not look like success.
        """
        user = None if self.users is None else self.users.find(name_or_id)
        if user is not None:
            return user.id
        if not self.store.find(Where(user_id=name_or_id), limit=1):
            raise InvalidInput(f"There is no user {name_or_id!r}, and no session of such an id.")
        return name_or_id

    def known(self) -> list[User]:
        """Give all users."""
        return [] if self.users is None else self.users.list()


@contextmanager
def opened(settings: Settings) -> Generator[Opened]:
    """Open sessions and users for one command; they must be there.

    Raises:
        ConfigurationError: They are not there.
        StoreError: They cannot be used.
    """
    with opened_store(settings) as store, ExitStack() as more:
        users = more.enter_context(opened_users(settings)) if has_users(settings) else None
        manager = TokenManager(
            store=store, keys=KeyRing.generate(), policy=settings, issuer="keyturn", audience="keyturn"
        )
        more.callback(manager.close)
        yield Opened(store, users, manager)


@contextmanager
def opened_store(settings: Settings, *, create: bool = False) -> Generator[OwnStore]:
    """Open the sessions alone.

    Args:
        settings: Where they are.
        create: Make the file, where it is one and there is none.

    Raises:
        ConfigurationError: They are not there.
    """
    refuse_memory(settings.store)
    store = open_store(settings, create=create)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opened_users(settings: Settings, *, create: bool = False) -> Generator[Users]:
    """Open the table of users alone.

    Args:
        settings: Where it is.
        create: Make the file, where it is one and there is none.

    Raises:
        ConfigurationError: It is not there.
    """
    refuse_memory(settings.users_url)
    engine = open_engine(settings, create=create)
    try:
        yield open_users(engine)
    finally:
        engine.dispose()


def refuse_memory(url: str | None) -> None:
    """Refuse what a command cannot see.

    Raises:
        ConfigurationError: It is in a server's memory.
    """
    if url == MEMORY:
        raise ConfigurationError(f"{MEMORY} lives inside a running server: nobody else can see it")


def end_sessions(database: Opened, user_id: str) -> str:
    """End all sessions of a user, and say how many there were.

    Raises:
        InvalidInput: That cannot be a user's id.
    """
    if not user_id:
        raise InvalidInput("A user is needed.")
    count = database.manager.revoke_user(user_id, reason="admin")
    return f"{count} session{'' if count == 1 else 's'} ended."
