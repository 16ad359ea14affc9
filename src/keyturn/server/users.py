"""The table of users: who may sign in, with what claims. It knows no token, no session and no request."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from keyturn._core.ids import UUID7_BYTES, uuid7
from keyturn._core.inputs import check_claims
from keyturn.errors import InvalidInput, StoreUnavailable, UserInactive
from keyturn.server.passwords import Passwords, check_password
from keyturn.stores import schema
from keyturn.stores._sql import types
from keyturn.stores._sql.errors import translated
from keyturn.stores._sql.retries import Tries

HISTORY: Final = schema.History("keyturn.server:migrations", "keyturn_users_alembic_version")
LONGEST_NAME: Final = 255

_TABLE: Final = sa.Table(
    "keyturn_users",
    sa.MetaData(),
    sa.Column("id", types.text(36), primary_key=True),
    sa.Column("username", types.text(LONGEST_NAME), nullable=False, unique=True),
    sa.Column("password_hash", types.text(255), nullable=False),
    sa.Column("claims", types.json_object(), nullable=False),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    **types.INNODB,
)


@dataclass(frozen=True, slots=True)
class User:
    """One user, without the hash.

    Attributes:
        id: A UUIDv7 as text: the `user_id` of the sessions and the `sub` of the tokens.
        username: Normalised: compatibility forms and case do not count.
        claims: What goes into the access tokens.
        disabled: Whether the user may not sign in.
        created_at: POSIX seconds.
    """

    id: str
    username: str
    claims: Mapping[str, Any] = field(repr=False)
    disabled: bool
    created_at: float


class Users:
    """The users in an SQL database. Every method waits for the disk, and three of them hash."""

    def __init__(
        self,
        engine: sa.Engine,
        *,
        passwords: Passwords,
        clock: Callable[[], float],
        entropy: Callable[[int], bytes],
    ) -> None:
        """Use an engine in autocommit: every operation is one statement.

        Args:
            engine: The database; it stays the caller's.
            passwords: Hashes and verifies.
            clock: Gives POSIX seconds.
            entropy: Gives so many random bytes.
        """
        self._engine = engine
        self._passwords = passwords
        self._clock = clock
        self._entropy = entropy

    def create_schema(self) -> None:
        """Make the table, or bring it to this version."""
        schema.upgrade(self._engine, HISTORY)

    def add(self, username: str, password: str, claims: Mapping[str, Any] | None = None) -> User:
        """Add a user.

        Raises:
            InvalidInput: The name, the password or the claims cannot be used, or the name is taken.
            StoreUnavailable: The database cannot answer.
        """
        name, given = check_username(username), check_claims(claims or {})
        now = round(self._clock() * 1000)
        user = User(str(uuid7(now, self._entropy(UUID7_BYTES))), name, given, False, now / 1000)  # noqa: FBT003
        values = {
            "id": user.id,
            "username": name,
            "password_hash": self._passwords.hash(password),
            "claims": dict(given),
            "disabled": False,
            "created_at": now,
        }
        with translated(), self._engine.connect() as connection:
            try:
                connection.execute(_TABLE.insert().values(values))
            except IntegrityError:
                raise InvalidInput(f"There is a user {name!r} already.") from None
        return user

    def set_password(self, username: str, password: str) -> User:
        """Give a user a new password. End the user's sessions afterwards: this table knows none.

        Raises:
            InvalidInput: There is no such user, or the password cannot be used.
        """
        user = self.get(username)
        check_password(password)
        self._update(user.id, password_hash=self._passwords.hash(password))
        return user

    def set_disabled(self, username: str, *, disabled: bool) -> User:
        """Let a user sign in no more, or again.

        Raises:
            InvalidInput: There is no such user.
        """
        user = self.get(username)
        self._update(user.id, disabled=disabled)
        return user

    def get(self, username: str) -> User:
        """Give a user by name.

        Raises:
            InvalidInput: There is none of that name.
        """
        user = self.find(username)
        if user is None:
            raise InvalidInput(f"There is no user {username!r}.")
        return user

    def find(self, username: str) -> User | None:
        """Give a user by name, or None."""
        name = normalised(username)
        row = None if name is None else self._one(_TABLE.c.username == name)
        return None if row is None else _user(row)

    def list(self) -> list[User]:
        """Give all users, by name."""
        return [_user(row) for row in self._read(_TABLE.select().order_by(_TABLE.c.username))]

    def stamp(self, user_id: str) -> str | None:
        """Give what changes when a user's password does; None where the user may not sign in."""
        row = self._one(_TABLE.c.id == user_id)
        return None if row is None or row.disabled else _stamp(row.password_hash)

    def check(self, username: str, password: str) -> User | None:
        """Give the user whose name and password these are: see `check_stamped`."""
        checked = self.check_stamped(username, password)
        return None if checked is None else checked[0]

    def check_stamped(self, username: str, password: str) -> tuple[User, str] | None:
        """Give the user whose name and password these are, and the `stamp` of that moment.

        An unknown name, a wrong password and a disabled user take the same work and get the same answer. A
        hash made with former parameters is replaced.
        """
        name = normalised(username)
        row = None if name is None else self._one(_TABLE.c.username == name)
        stored = None if row is None else str(row.password_hash)
        if not self._passwords.verify(stored, password) or row is None or row.disabled:
            return None
        current = str(row.password_hash)
        if self._passwords.is_outdated(current):
            renewed = self._passwords.hash(password)
            # Only if it is still that one: a password changed meanwhile must not come back.
            self._update(row.id, was=current, password_hash=renewed)
            current = renewed
        return _user(row), _stamp(current)

    def claims(self, user_id: str) -> Mapping[str, Any]:
        """Give a user's claims of today, for the next access token.

        Raises:
            UserInactive: The user is disabled or gone.
        """
        row = self._one(_TABLE.c.id == user_id)
        if row is None or row.disabled:
            raise UserInactive
        return _user(row).claims

    def _one(self, condition: sa.ColumnElement[bool]) -> sa.Row[Any] | None:
        return next(iter(self._read(_TABLE.select().where(condition))), None)

    def _read(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        tries = Tries(safe=True)
        while True:
            try:
                with translated(), self._engine.connect() as connection:
                    return connection.execute(statement).all()
            except StoreUnavailable as error:  # a server that was restarted has closed what the pool held
                if not tries.allow_another(error):
                    raise

    def _update(self, user_id: str, *, was: str | None = None, **values: object) -> None:
        statement = _TABLE.update().where(_TABLE.c.id == user_id).values(**values)
        if was is not None:
            statement = statement.where(_TABLE.c.password_hash == was)
        with translated(), self._engine.connect() as connection:
            connection.execute(statement)


def _stamp(password_hash: str) -> str:
    return sha256(password_hash.encode()).hexdigest()


def normalised(username: str) -> str | None:
    """Give the one spelling of a name (NFKC, case-folded), or None where it can be nobody's."""
    if len(username) > LONGEST_NAME:  # bounded before any work
        return None
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", username).casefold()).strip()
    return folded if 0 < len(folded) <= LONGEST_NAME and folded.isprintable() else None


def check_username(username: str) -> str:
    """Give the one spelling of a name.

    Raises:
        InvalidInput: It cannot be a name.
    """
    name = normalised(username)
    if name is None:
        raise InvalidInput(f"A username has 1 to {LONGEST_NAME} printable characters.")
    return name


def _user(row: sa.Row[Any]) -> User:
    return User(row.id, row.username, row.claims, row.disabled, row.created_at / 1000)
