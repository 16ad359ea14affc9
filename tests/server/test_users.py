"""Users and passwords: names, rules, hashes, and the same work for everybody who fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from keyturn.errors import InvalidInput, SchemaError, UserInactive
from keyturn.server.databases import open_engine
from keyturn.server.passwords import Passwords
from keyturn.server.settings import Settings
from keyturn.server.users import HISTORY, Users
from keyturn.stores import schema
from tests.support.sql import SERVERS, SqlName, database

PASSWORD = "correct horse"


class CountingHasher(PasswordHasher):
    """A real hasher, with little work per hash, that counts what it does."""

    def __init__(self, time_cost: int = 1) -> None:
        """Use little memory: what is tested is how often, not how long."""
        super().__init__(time_cost=time_cost, memory_cost=64, parallelism=1)
        self.verified = 0
        self.hashed = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        """Count, and hash."""
        self.hashed += 1
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  (as argon2-cffi has it)
        """Count, and verify."""
        self.verified += 1
        return super().verify(hash, password)


def open_table(folder: Path, hasher: PasswordHasher | None = None, settings: Settings | None = None) -> Users:
    """Open the table in a file of the folder, or where the settings say."""
    engine = open_engine(settings or Settings(store=f"sqlite:///{folder}/keyturn.db"), create=True)
    passwords = Passwords(hasher or CountingHasher())
    passwords.prepare()
    users = Users(
        engine,
        passwords=passwords,
        clock=lambda: 1_800_000_000.5,
        entropy=os.urandom,
    )
    users.create_schema()
    return users


def test_a_user_is_found_by_any_spelling_of_the_name(tmp_path: Path) -> None:
    """Case and compatibility forms do not count, so nobody can look like somebody else."""
    users = open_table(tmp_path)
    added = users.add("Straße", PASSWORD, {"roles": ["member"]})
    assert added.username == "strasse"
    assert added.created_at == 1_800_000_000.5
    for name in ("STRASSE", "strasse", " straße ", "\uff53\uff54\uff52asse"):
        found = users.check(name, PASSWORD)
        assert found is not None
        assert (found.id, found.claims) == (added.id, {"roles": ["member"]})
    with pytest.raises(InvalidInput, match="already"):
        users.add("STRASSE", PASSWORD)


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "a\0b", "x" * 256, "\ud800"])
def test_what_is_no_name(tmp_path: Path, name: str) -> None:
    """A name that cannot be shown is refused at the start, and is nobody's at sign-in."""
    users = open_table(tmp_path)
    with pytest.raises(InvalidInput, match="printable"):
        users.add(name, PASSWORD)
    assert users.check(name, PASSWORD) is None


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("short", "at least 8"),
        ("x" * 1025, "more than 1024"),
        ("with\0null", "NUL"),
        ("half \ud800 pair", "surrogate"),
    ],
)
def test_the_rules_of_passwords(tmp_path: Path, password: str, message: str) -> None:
    """Length, and nothing that hashes differently from what was typed; no other rule."""
    users = open_table(tmp_path)
    with pytest.raises(InvalidInput, match=message):
        users.add("alice", password)
    assert users.list() == []
    users.add("alice", PASSWORD)
    assert users.check("alice", password) is None


def test_one_password_however_it_was_typed(tmp_path: Path) -> None:
    """A composed and a decomposed letter are one; a NUL at the end is not."""
    users = open_table(tmp_path)
    users.add("alice", "caf\u00e9 au lait")
    assert users.check("alice", "cafe\u0301 au lait") is not None
    assert users.check("alice", "caf\u00e9 au lait\0") is None
    assert users.check("alice", "Caf\u00e9 au lait") is None


@pytest.mark.parametrize(
    ("name", "password"), [("nobody", PASSWORD), ("alice", "wrong password"), ("bob", PASSWORD)]
)
def test_every_failure_costs_one_verification(tmp_path: Path, name: str, password: str) -> None:
    """An unknown user, a wrong password and a disabled user take the same work and get the same answer."""
    hasher = CountingHasher()
    users = open_table(tmp_path, hasher)
    users.add("alice", PASSWORD)
    users.add("bob", PASSWORD)
    users.set_disabled("bob", disabled=True)
    before = (hasher.verified, hasher.hashed)
    assert users.check(name, password) is None
    assert (hasher.verified, hasher.hashed) == (before[0] + 1, before[1])


def test_a_stranger_cannot_sign_in_with_the_stand_in(tmp_path: Path) -> None:
    """The password of the hash that stands in for nobody opens nothing."""
    assert open_table(tmp_path).check("nobody", "nobody's password") is None


def test_a_hash_with_former_parameters_is_replaced(tmp_path: Path) -> None:
    """At the next right password, and only then; the password stays good."""
    users = open_table(tmp_path, CountingHasher(time_cost=1))
    users.add("alice", PASSWORD)
    later = open_table(tmp_path, CountingHasher(time_cost=2))

    def stored() -> str:
        engine = open_engine(Settings(store=f"sqlite:///{tmp_path}/keyturn.db"), create=False)
        with engine.connect() as connection:
            found = connection.execute(text("SELECT password_hash FROM keyturn_users")).scalar_one()
        engine.dispose()
        return str(found)

    first = stored()
    assert later.check("alice", "wrong password") is None
    assert stored() == first
    assert later.check("alice", PASSWORD)
    assert "t=2" in stored()
    assert later.check("alice", PASSWORD)


def test_a_new_password_ends_the_old(tmp_path: Path) -> None:
    """The old one opens nothing any more."""
    users = open_table(tmp_path)
    users.add("alice", PASSWORD)
    users.set_password("ALICE", "another password")
    assert users.check("alice", PASSWORD) is None
    assert users.check("alice", "another password") is not None
    with pytest.raises(InvalidInput, match="no user"):
        users.set_password("nobody", PASSWORD)


def test_claims_of_today(tmp_path: Path) -> None:
    """A refresh gets the claims as they are; a user who is disabled or gone is inactive."""
    users = open_table(tmp_path)
    user = users.add("alice", PASSWORD, {"roles": ["member"]})
    assert users.claims(user.id) == {"roles": ["member"]}
    users.set_disabled("alice", disabled=True)
    with pytest.raises(UserInactive):
        users.claims(user.id)
    users.set_disabled("alice", disabled=False)
    assert users.claims(user.id)
    with pytest.raises(UserInactive):
        users.claims("somebody else")


@pytest.mark.parametrize("claims", [{"sub": "somebody"}, {"x": "y" * 5000}, {"x": float("nan")}])
def test_claims_that_no_token_could_carry(tmp_path: Path, claims: dict[str, object]) -> None:
    """They are refused when the user is added, not at the first sign-in."""
    with pytest.raises(InvalidInput, match="claims"):
        open_table(tmp_path).add("alice", PASSWORD, claims)


def test_the_tables_have_a_history_of_their_own(tmp_path: Path) -> None:
    """Users are versioned apart from sessions; without their table, the error says what to do."""
    engine = open_engine(Settings(store=f"sqlite:///{tmp_path}/keyturn.db"), create=True)
    users = Users(engine, passwords=Passwords(CountingHasher()), clock=lambda: 0.0, entropy=os.urandom)
    with pytest.raises(SchemaError, match="keyturn db upgrade"):
        users.list()
    users.create_schema()
    users.create_schema()
    assert schema.current(engine, HISTORY) == schema.head(HISTORY) == "0001"
    assert schema.current(engine) is None
    engine.dispose()


def test_the_migration_makes_the_table_that_is_used(tmp_path: Path) -> None:
    """No column differs between the migrations and the statements."""
    engine = open_engine(Settings(store=f"sqlite:///{tmp_path}/keyturn.db"), create=True)
    users = open_table(tmp_path)
    users.add("alice", PASSWORD)
    with engine.connect() as connection:
        names = [row[1] for row in connection.execute(text("PRAGMA table_info(keyturn_users)"))]
    engine.dispose()
    assert names == ["id", "username", "password_hash", "claims", "disabled", "created_at"]


@pytest.mark.parametrize("on", SERVERS)
def test_the_users_live_on_every_database(
    request: pytest.FixtureRequest, tmp_path: Path, on: SqlName
) -> None:
    """Names are told apart exactly, claims stay as they were, and whatever changes is seen."""
    with database(request, on, tmp_path) as url:
        settings = Settings(store=url)
        users = open_table(tmp_path, settings=settings)
        claims = {"z": 1.0, "a": [1e300, None, "\u00fc\U0001f511"], "": {}}
        names = ("ada", "ada.", "a da", "\u00e4da", "a\u0308da.")
        made = {name: users.add(name, f"the password of {name}", claims) for name in names}
        with pytest.raises(InvalidInput, match="already"):
            users.add("ADA", PASSWORD)
        assert {user.id: user for user in users.list()} == {user.id: user for user in made.values()}
        for user in made.values():
            assert users.find(user.username) == user
        assert repr(users.claims(made["ada"].id)) == repr(claims)
        assert users.check("ada", "the password of ada") == made["ada"]
        users.set_disabled("ada", disabled=True)
        assert users.check("ada", "the password of ada") is None
        users.set_password("ada.", PASSWORD)
        assert users.check("ada.", PASSWORD) == made["ada."]
        users.create_schema()
        users._engine.dispose()
