"""Notes that only their owner sees, on Litestar: sign-in, refresh, sessions, roles and a recent sign-in."""

import hmac
from typing import Any

from litestar import Litestar, delete, get
from litestar.di import NamedDependency

from keyturn import AsyncTokenManager, Principal, UserInactive
from keyturn.http import HttpSettings, SignIn
from keyturn.keystores import SharedKeyRing
from keyturn.litestar import Keyturn
from keyturn.stores.sqlalchemy import AsyncSQLAlchemyStore

# Your user table. These passwords are in clear so that you can read them; yours are hashed.
USERS: dict[str, dict[str, Any]] = {
    "ann": {"password": "correct horse", "claims": {"roles": ["admin"]}},
    "bob": {"password": "battery staple", "claims": {"roles": ["member"]}},
}
NOTES: dict[str, list[str]] = {"ann": ["buy milk"]}


def check_password(username: str, password: str) -> SignIn | None:
    user = USERS.get(username)
    if user is None or not hmac.compare_digest(user["password"].encode(), password.encode()):
        return None
    return SignIn(username, user["claims"])


async def load_claims(user_id: str) -> dict[str, Any]:
    if user_id not in USERS:
        raise UserInactive
    return USERS[user_id]["claims"]


store = AsyncSQLAlchemyStore.from_url("sqlite:///sessions.db")
keys = SharedKeyRing.open("keys.json")
manager = AsyncTokenManager(
    store=store, keys=keys, issuer="https://notes.example.com", audience="notes", load_claims=load_claims
)
settings = HttpSettings(cookie_secure=False)  # this machine has no HTTPS; leave it out on yours
auth = Keyturn(manager, login=check_password, settings=settings)


@get("/notes", guards=[auth.require()])
async def notes(principal: NamedDependency[Principal]) -> list[str]:
    return NOTES.get(principal.user_id, [])


@delete("/notes", guards=[auth.require(fresh="5m")])
async def forget(principal: NamedDependency[Principal]) -> None:
    NOTES.pop(principal.user_id, None)


@get("/everything", guards=[auth.require(roles=("admin",))])
async def everything() -> dict[str, list[str]]:
    return NOTES


app = Litestar([notes, forget, everything], plugins=[auth], on_startup=[store.create_schema])
