"""Bringing the parts together from the settings: store, users, keys, manager. It knows no request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from keyturn.errors import ConfigurationError
from keyturn.keystores import SharedKeyRing
from keyturn.manager import AsyncTokenManager
from keyturn.server.databases import open_async_store, open_engine, open_store, open_users, prepare_store
from keyturn.server.demo import has_demo_users
from keyturn.server.keyring import open_ring
from keyturn.server.login import Answer, Authenticator, Desk, OwnLogin, UserLogin, load_authenticator
from keyturn.server.logs import LOG, log_events
from keyturn.server.passwords import Passwords
from keyturn.server.safety import check_safety
from keyturn.server.settings import Settings
from keyturn.server.users import Users
from keyturn.stores.urls import OwnStore

Login: TypeAlias = Callable[[str, str], Awaitable[Answer]]
LoadClaims: TypeAlias = Callable[[str], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running server.

    Attributes:
        settings: The settings.
        manager: The lifecycle.
        keys: What it signs with.
        login: Checks who signs in.
        users: The table of users; None with an authenticator of the application's own.
        new_keys: Whether the keys were made just now.
        close: Ends the lifecycle, the threads and the connections.
    """

    settings: Settings
    manager: AsyncTokenManager
    keys: SharedKeyRing
    login: Login
    users: Users | None
    new_keys: bool
    close: Callable[[], Awaitable[None]]


def open_service(settings: Settings, *, demo: bool = False) -> Service:
    """Open everything that a server needs, and make what is not there yet: tables and keys.

    Args:
        settings: The settings.
        demo: Whether it is a demonstration; users left over from one count as one too.

    Raises:
        ConfigurationError: A setting is not usable here, or unsafe where others can reach the server.
        StoreError: The database cannot be used.
    """
    own = None if settings.authenticator is None else load_authenticator(settings.authenticator)
    check_safety(settings, demo=demo)
    store = open_async_store(settings)  # connects later, but tells now that its driver is missing
    with ExitStack() as opened:
        users = None if settings.users_url is None else _open_users(settings, opened)
        with closing(_open_prepared(settings)) as sessions:
            check_safety(settings, demo=demo or (users is not None and has_demo_users(users)))
            keys, new_keys = open_ring(settings, sessions)
        opened.callback(keys.close)
        desk = Desk()
        opened.callback(desk.close)
        login, load_claims = _login(own, users, desk)
        manager: AsyncTokenManager = AsyncTokenManager(
            store=store,
            keys=keys,
            policy=settings,
            issuer=settings.issuer_url,
            audience=settings.audience,
            load_claims=load_claims,
        )
        log_events(manager.events)
        return Service(
            settings=settings,
            manager=manager,
            keys=keys,
            login=login,
            users=users if own is None else None,
            new_keys=new_keys,
            close=partial(_close, manager, opened.pop_all()),
        )


async def _close(manager: AsyncTokenManager, opened: ExitStack) -> None:
    with opened:
        await manager.close()


def _open_users(settings: Settings, opened: ExitStack) -> Users:
    """Open the table of users, and bring it to this version."""
    engine = open_engine(settings, create=True)
    opened.callback(engine.dispose)
    passwords = Passwords()
    passwords.prepare()
    users = open_users(engine, passwords)
    users.create_schema()
    return users


def _login(own: Authenticator | None, users: Users | None, desk: Desk) -> tuple[Login, LoadClaims | None]:
    """Give who checks sign-ins, and who knows a user's claims of today."""
    if own is not None:
        return OwnLogin(own, desk).login, None
    if users is None:  # the settings give no place to users only where there is an authenticator
        raise ConfigurationError("there is neither a table of users nor an authenticator")
    by_table = UserLogin(users, desk)
    return by_table.login, by_table.load_claims


def _open_prepared(settings: Settings) -> OwnStore:
    """Open the sessions' store, see that it will do, and log what is unsafe about its server."""
    store = open_store(settings, create=True)
    with ExitStack() as undo:
        undo.callback(store.close)
        for warning in prepare_store(store):
            LOG.warning("the store: %s", warning)
        undo.pop_all()
    return store
