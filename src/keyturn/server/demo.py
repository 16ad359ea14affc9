"""The demonstration: a few users whose passwords are printed. It knows no token and no request."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from keyturn.errors import ConfigurationError, InvalidInput
from keyturn.server.users import Users

_ROLES: Final = {"alice": ["admin", "member"], "bob": ["member"]}
_MARK: Final = "demo"
_PASSWORD_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A user whose password may be shown."""

    username: str
    password: str = field(repr=False)


def has_demo_users(users: Users) -> bool:
    """Tell whether somebody can sign in with a password that a demonstration printed."""
    return any(user.claims.get(_MARK) and not user.disabled for user in users.list())


def prepare_demo(users: Users) -> list[DemoUser]:
    """Add the users of the demonstration, or give them new passwords; their sessions stay.

    Where two demonstrations start on one database, the passwords of the later one hold.

    Raises:
        ConfigurationError: The database has other users: it is no place for a demonstration.
    """
    known = {user.username: user for user in users.list()}
    if any(not user.claims.get(_MARK) for user in known.values()):
        raise ConfigurationError(
            "this database has users of its own, and --demo would add some whose passwords are printed: "
            "give the demonstration another one, with --store sqlite:///demo.db"
        )
    shown = [DemoUser(name, secrets.token_urlsafe(_PASSWORD_BYTES)) for name in _ROLES]
    for user in shown:
        if user.username in known or not _is_added(users, user):
            users.set_password(user.username, user.password)
    return shown


def _claims_of(username: str) -> dict[str, Any]:
    return {"name": username.title(), "roles": _ROLES[username], _MARK: True}


def _is_added(users: Users, user: DemoUser) -> bool:
    try:
        users.add(user.username, user.password, _claims_of(user.username))
    except InvalidInput:  # another start on the same database was first
        return False
    return True
